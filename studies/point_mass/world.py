"""A point of the square that is rewarded for being near a goal: the task of this study.

``sailtheory train control --task studies.point_mass.world:StudyPoint-v0`` trains on it.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

LENGTH = 50
GOAL = np.array([0.5, -0.5], np.float32)
REACH = 0.15
TASK = f"{__name__}:StudyPoint-v0"


class Point(gymnasium.Env[np.ndarray, np.ndarray]):
    """Begins anywhere; an action moves it by at most ``REACH`` along each axis.

    The reward of a step is exp(−2 · distance to the goal), in (0, 1].
    """

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.place.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move; the time limit truncates."""
        self.place = np.clip(self.place + REACH * np.asarray(action, np.float32), -1, 1)
        reward = float(np.exp(-2 * np.linalg.norm(self.place - GOAL)))
        return self.place.copy(), reward, False, False, {}


if TASK.rpartition(":")[2] not in gymnasium.registry:
    gymnasium.register(TASK.rpartition(":")[2], Point, max_episode_steps=LENGTH)
