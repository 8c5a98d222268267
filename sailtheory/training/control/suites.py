"""The paper's tasks as Gymnasium environments. Imports the simulators."""

from __future__ import annotations

import logging
from typing import Any

import gymnasium
import numpy as np

__all__ = ["Answer", "DmControl", "DoorOpen"]

Answer = tuple[np.ndarray, float, bool, bool, dict[str, Any]]


class DmControl(gymnasium.Env[np.ndarray, np.ndarray]):
    """A task of dm_control's suite, its observations flattened in their order.

    Args:
        domain: Such as walker.
        task: Such as walk.
    """

    def __init__(self, domain: str, task: str) -> None:
        from dm_control import suite

        # The suite's own models use an attribute that MuJoCo calls deprecated.
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._env = suite.load(domain, task, task_kwargs={"random": 0})
        self.model, self.data = self._env.physics.model.ptr, self._env.physics.data.ptr
        width = sum(int(np.prod(s.shape)) for s in self._env.observation_spec().values())
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32)
        actions = self._env.action_spec()
        self.action_space = gymnasium.spaces.Box(-1, 1, actions.shape, np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; with a seed, it depends on nothing else."""
        super().reset(seed=seed)
        if seed is not None:
            self._env.task._random = np.random.RandomState(seed)
        return _flat(self._env.reset().observation), {}

    def step(self, action: np.ndarray) -> Answer:
        """One control step; the time limit truncates and never terminates."""
        step = self._env.step(action)
        terminated = bool(step.last() and step.discount == 0)
        return _flat(step.observation), step.reward, terminated, step.last() and not terminated, {}


def _flat(observation: dict[str, Any]) -> np.ndarray:
    return np.concatenate([p.ravel() if hasattr(p, "ravel") else [p] for p in observation.values()],
                          dtype=np.float32)  # fmt: skip


class DoorOpen(gymnasium.Env[np.ndarray, np.ndarray]):
    """Meta-World's door-open-v3, the door elsewhere in every episode, its goal observed.

    ``info["success"]`` is 1.0 in each step in which the door is open.
    """

    def __init__(self) -> None:
        from metaworld.env_dict import ALL_V3_ENVIRONMENTS

        self._env = ALL_V3_ENVIRONMENTS["door-open-v3"]()
        # What set_task would set, but positions come from a generator, not from a list.
        self._env._freeze_rand_vec, self._env.seeded_rand_vec = False, True
        self._env._set_task_called, self._env._partially_observable = True, False
        self.model, self.data = self._env.model, self._env.data
        width = int(np.prod(self._env.observation_space.shape or ()))
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; with a seed, it depends on nothing else."""
        super().reset(seed=seed)
        if seed is not None:
            self._env.seed(seed)
        observation, info = self._env.reset()
        return observation.astype(np.float32), info

    def step(self, action: np.ndarray) -> Answer:
        """One control step; the time limit truncates."""
        observation, reward, terminated, truncated, info = self._env.step(action)
        return observation.astype(np.float32), float(reward), terminated, truncated, info
