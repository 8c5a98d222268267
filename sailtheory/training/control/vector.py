"""Several environments, each where its own run has left it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sailtheory.training.control.tasks import Episodes

__all__ = ["Steps", "Vector"]


class Steps(NamedTuple):
    """What K environments answer. ``following`` are the successors, even of last steps."""

    following: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    success: np.ndarray


class Vector:
    """K environments, stepped one after another; an ended episode is followed by a new one at once.

    There are no threads: MuJoCo lets go of Python's lock while it steps, but dm_control's and
    Meta-World's Python, half of a step or more, does not, and two threads were slower than none on
    every task of the paper (benchmarks/control.json).

    Args:
        environments: The environments, each with its own generator.

    Attributes:
        observations: Where the environments stand, (K, o) float32.
    """

    def __init__(self, environments: Sequence[Episodes]) -> None:
        self.environments = list(environments)
        width = self.environments[0].sizes[0]
        self.observations = np.zeros((len(self.environments), width), np.float32)

    def reset(self) -> None:
        """Begin an episode in each environment."""
        for k, environment in enumerate(self.environments):
            self.observations[k] = environment.reset()

    def step(self, actions: np.ndarray) -> Steps:
        """Take actions (K, a)."""
        runs, width = self.observations.shape
        found = Steps(
            np.empty((runs, width), np.float32), np.empty(runs), np.empty(runs, bool),
            np.empty(runs, bool), np.empty(runs),
        )  # fmt: skip

        for k, environment in enumerate(self.environments):
            step = environment.step(actions[k])
            for column, value in zip(found, step, strict=True):
                column[k] = value
            ended = step.terminated or step.truncated
            self.observations[k] = environment.reset() if ended else step.observation
        return found

    def restore(self, k: int, tree: dict[str, object]) -> None:
        """Go back to a state of ``environments[k].state()``."""
        observation = self.environments[k].restore(tree)
        if observation is not None:
            self.observations[k] = observation

    def close(self) -> None:
        """End the environments."""
        for environment in self.environments:
            environment.env.close()
