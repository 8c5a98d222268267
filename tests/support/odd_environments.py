"""Gymnasium environments that answer what they are told to; registered when imported."""

from __future__ import annotations

import itertools

import gymnasium
import numpy as np
from gymnasium import spaces

NUMBERS = itertools.count()
GOALS = spaces.Dict(
    observation=spaces.Box(-9, 9, (3,)), desired_goal=spaces.Box(-9, 9, (2,)),
    achieved_goal=spaces.Box(-9, 9, (1, 2)),
)  # fmt: skip


class Odd(gymnasium.Env):
    """Answers with what it was made with, at every step."""

    def __init__(self, observations=None, actions=None, first=None, later=None, reward=0.0,
                 ended=(False, False), info=None):  # fmt: skip
        self.observation_space = observations or spaces.Box(-np.inf, np.inf, (2,))
        self.action_space = spaces.Box(-1, 1, (1,)) if actions is None else actions
        self.first = np.zeros(2) if first is None else first
        self.later = self.first if later is None else later
        self.reward, self.ended, self.info, self.taken = reward, ended, info, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.first, {}

    def step(self, action):
        self.taken.append(action)
        return self.later, self.reward, *self.ended, {} if self.info is None else self.info


class Reach(gymnasium.Env):
    """A point goes to a goal; observations in a dictionary, rewards below 0, ``is_success``.

    Args:
        fails: The step of an episode that fails.
        unseeded: What is drawn without the seed: "reset", "step", or None.
    """

    observation_space = GOALS
    action_space = spaces.Box(np.array([0.0, -3, 0.5]), np.array([4.0, 1, 0.5]), dtype=np.float64)

    def __init__(self, fails=None, unseeded=None):
        self.fails, self.unseeded = fails, unseeded

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if self.unseeded == "reset":
            self.np_random = np.random.default_rng()
        self.place, self.goal = self.np_random.uniform(-3, 3, (2, 2))
        self.time = 0
        return self.seen(), {}

    def step(self, action):
        assert action in self.action_space
        self.time += 1
        if self.time == self.fails:
            raise RuntimeError("the joint\nis stuck")
        drift = np.random.default_rng().normal(0, 1e-3, 2) if self.unseeded == "step" else 0
        self.place = np.clip(self.place + (action[:2] - [2, -1]) / 4 + drift, -8, 8)
        gap = np.linalg.norm(self.place - self.goal)
        return self.seen(), np.array([-gap]), False, False, {"is_success": np.bool_(gap < 0.5)}

    def seen(self):
        both = np.concatenate([self.place, [self.time]])
        return {"observation": both, "desired_goal": self.goal, "achieved_goal": self.place[None]}


def failing(**_):
    raise ValueError("no\nsuch robot")


def wanting(**_):
    import no_such_library  # noqa: F401


def register(maker=Odd, limit=20, **given):
    """The id of an environment that is made with these arguments."""
    name = f"Odd{next(NUMBERS)}-v0"
    gymnasium.register(name, maker, max_episode_steps=limit, kwargs=given)
    return name


gymnasium.register("OddReach-v0", Reach, max_episode_steps=25)
gymnasium.register("OddFailing-v0", Reach, max_episode_steps=25, kwargs={"fails": 20})
