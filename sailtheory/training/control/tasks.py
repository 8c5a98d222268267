"""Tasks by name, and environments that can be left and found again bit for bit."""

from __future__ import annotations

import difflib
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sailtheory.errors import InputError
from sailtheory.extras import require_extra

if TYPE_CHECKING:
    import gymnasium

Tree = dict[str, Any]

TASKS = ("walker-walk", "walker-stand", "cheetah-run", "door-open")
"""The tasks of the paper: three of dm_control's suite and one of Meta-World v3."""

_SIMULATORS = dict.fromkeys(TASKS, ("dm_control",)) | {"door-open": ("metaworld",)}


class Step(NamedTuple):
    """What one environment answers to one action."""

    observation: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    success: float


def make_task(name: str) -> gymnasium.Env[np.ndarray, np.ndarray]:
    """An environment with observations (o,) in float32 and actions in [−1, 1]^a.

    Args:
        name: One of :data:`TASKS`, or any Gymnasium id with a Box action space, flat or
            flattenable observations and a time limit.

    Raises:
        InputError: An unknown task, an action space of another kind, or no time limit.
        MissingExtra: The extra ``rl`` is not installed.
    """
    # Nothing is drawn while training, and a renderer may want a display.
    os.environ.setdefault("MUJOCO_GL", "disabled")
    require_extra("rl", "gymnasium", *_SIMULATORS.get(name, ()))
    if name not in TASKS:
        return _registered(name)
    from sailtheory.training.control import suites

    return suites.DoorOpen() if name == "door-open" else suites.DmControl(*name.split("-"))


def _registered(name: str) -> gymnasium.Env[np.ndarray, np.ndarray]:
    """A Gymnasium id, checked and brought to the common form."""
    import gymnasium
    from gymnasium import wrappers

    if name not in gymnasium.registry:
        known = [*TASKS, *gymnasium.registry]
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or list(TASKS)
        raise InputError("task", name, f"unknown; did you mean {', '.join(close)}?")
    try:
        env = gymnasium.make(name)
    except gymnasium.error.DependencyNotInstalled as error:
        raise InputError("task", name, f"it cannot be made: {error}") from None
    space = env.action_space
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise InputError("task", name, f"a flat Box action space is expected, not {space}")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise InputError("task", name, "bounded actions are expected")
    if env.spec is None or env.spec.max_episode_steps is None:
        raise InputError("task", name, "an environment with a time limit is expected")
    if not isinstance(env.observation_space, gymnasium.spaces.Box) or (
        len(env.observation_space.shape) != 1
    ):
        env = wrappers.FlattenObservation(env)
    return wrappers.RescaleAction(env, np.float32(-1), np.float32(1))


class Episodes:
    """An environment whose state is how it got there: a reset's seed and the actions since.

    Every reset is seeded from the generator given here, so replaying the actions leads
    back to the same state to the last bit, whatever the environment hides in its wrappers
    and in quantities derived from the physics. MuJoCo's integration state is stored with
    it and compared after the replay, so a wrong return is an error, never a silent one.
    """

    def __init__(
        self, env: gymnasium.Env[np.ndarray, np.ndarray], generator: np.random.Generator
    ) -> None:
        self.env, self.generator = env, generator
        self._seed: int | None = None
        self._actions: list[np.ndarray] = []

    @property
    def sizes(self) -> tuple[int, int]:
        """Widths of observations and actions."""
        spaces = self.env.observation_space, self.env.action_space
        observations, actions = (int(np.prod(space.shape or ())) for space in spaces)
        return observations, actions

    def reset(self) -> np.ndarray:
        """Begin an episode: its first observation, (o,)."""
        self._seed = int(self.generator.integers(2**31))
        self._actions = []
        observation, _ = self.env.reset(seed=self._seed)
        return np.asarray(observation, np.float32)

    def step(self, action: np.ndarray) -> Step:
        """Take an action (a,) in [−1, 1].

        Raises:
            InputError: The reward or an observation is not finite.
        """
        action = np.array(action, np.float32)
        self._actions.append(action)
        observation, reward, terminated, truncated, info = self.env.step(action)
        observation, reward = np.asarray(observation, np.float32), float(reward)
        if not math.isfinite(reward):
            raise InputError("reward", reward, "a finite number from the environment")
        if not math.isfinite(observation.sum()) and not np.isfinite(observation).all():
            raise InputError("observation", observation, "finite numbers from the environment")
        success = float(info.get("success", 0.0))
        return Step(observation, reward, bool(terminated), bool(truncated), success)

    def state(self) -> Tree:
        """Where the episode stands, and the source of the next ones."""
        width = self.sizes[1]
        return {
            "generator": self.generator.bit_generator.state,
            "seed": self._seed,
            "actions": np.array(self._actions, np.float32).reshape(-1, width),
            "physics": integration_state(self.env),
        }

    def restore(self, tree: Tree) -> np.ndarray | None:
        """Go back to a state by replaying it: the observation there, None before a reset.

        Raises:
            InputError: The replay ends elsewhere: another version of the simulator, or an
                environment whose resets depend on more than their seed.
        """
        self.generator.bit_generator.state = tree["generator"]
        self._seed, self._actions = tree["seed"], list(tree["actions"])
        if self._seed is None:
            return None
        observation, _ = self.env.reset(seed=self._seed)
        for action in self._actions:
            observation, *_ = self.env.step(action)
        found, wanted = integration_state(self.env), tree["physics"]
        if (found is None) != (wanted is None) or not np.array_equal(
            np.zeros(0) if found is None else found, np.zeros(0) if wanted is None else wanted
        ):
            raise InputError("checkpoint", "another physical state", "a replay that ends in it")
        return np.asarray(observation, np.float32)


def mujoco_of(env: Any) -> tuple[Any, Any]:
    """MuJoCo's model and data of an environment; None twice where another engine drives it."""
    inner = env.unwrapped
    model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    if type(model).__name__ != "MjModel" or type(data).__name__ != "MjData":
        return None, None
    return model, data


def integration_state(env: Any) -> np.ndarray | None:
    """MuJoCo's full integration state (time, qpos, qvel, act, warm start, ...), or None."""
    model, data = mujoco_of(env)
    if model is None:
        return None
    import mujoco

    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(model, kind), np.float64)
    mujoco.mj_getState(model, data, state, kind)
    return state
