"""Several environments stepped together, in threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from sailtheory.training.control.tasks import Episodes, Step


class Steps(NamedTuple):
    """What K environments answer. ``following`` are the successors, even of last steps."""

    following: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    success: np.ndarray


class Vector:
    """K environments; an ended episode is followed by a new one at once.

    MuJoCo lets go of Python's lock while it steps, so threads help where a step is heavy.
    Each environment is touched by one thread at a time and shares nothing, so the results
    do not depend on the number of threads.

    Args:
        environments: The environments, each with its own generator.
        threads: How many step at once, ≥ 1.

    Attributes:
        observations: Where the environments stand, (K, o) float32.
    """

    def __init__(self, environments: Sequence[Episodes], threads: int = 1) -> None:
        self.environments = list(environments)
        width = self.environments[0].sizes[0]
        self.observations = np.zeros((len(self.environments), width), np.float32)
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        # One task a thread and step: handing over costs as much as a light step.
        self._shares = [range(k, len(environments), threads) for k in range(threads)]

    def reset(self) -> None:
        """Begin an episode in each environment."""
        for k, environment in enumerate(self.environments):
            self.observations[k] = environment.reset()

    def step(self, actions: np.ndarray) -> Steps:
        """Take actions (K, a)."""
        found: list[Step | None] = [None] * len(self.environments)

        def work(share: range) -> None:
            for k in share:
                environment = self.environments[k]
                step = environment.step(actions[k])
                ended = step.terminated or step.truncated
                self.observations[k] = environment.reset() if ended else step.observation
                found[k] = step

        if self._pool is None:
            for share in self._shares:
                work(share)
        else:
            list(self._pool.map(work, self._shares))
        columns = zip(*(step for step in found if step is not None), strict=True)
        following, rewards, terminated, truncated, success = columns
        return Steps(
            np.stack(following), np.array(rewards), np.array(terminated), np.array(truncated),
            np.array(success),
        )  # fmt: skip

    def restore(self, k: int, tree: dict[str, object]) -> None:
        """Go back to a state of ``environments[k].state()``."""
        observation = self.environments[k].restore(tree)
        if observation is not None:
            self.observations[k] = observation

    def close(self) -> None:
        """End the threads and the environments."""
        if self._pool is not None:
            self._pool.shutdown()
        for environment in self.environments:
            environment.env.close()
