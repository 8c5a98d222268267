"""Several environments stepped together, in threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
    """K environments; an ended episode is followed by a new one at once.

    Each environment is touched by one thread at a time and shares nothing, so the results
    do not depend on the number of threads. Nor, on the paper's tasks, does the speed gain by
    them: MuJoCo lets go of Python's lock while it steps, but dm_control's and Meta-World's
    Python, half of a step or more, does not, and handing over costs as much as a light
    step (benchmarks/control.json). Threads are for physics of milliseconds.

    One thread is slower than a bare loop over ``env.step``, by 10 to 20 µs a step: the price
    of checking that all is finite and of keeping what a return to this state needs. An
    update takes hundreds of times as long.

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
        runs, width = self.observations.shape
        found = Steps(
            np.empty((runs, width), np.float32), np.empty(runs), np.empty(runs, bool),
            np.empty(runs, bool), np.empty(runs),
        )  # fmt: skip

        def work(share: range) -> None:
            for k in share:
                environment = self.environments[k]
                step = environment.step(actions[k])
                for column, value in zip(found, step, strict=True):
                    column[k] = value
                ended = step.terminated or step.truncated
                self.observations[k] = environment.reset() if ended else step.observation

        if self._pool is None:
            for share in self._shares:
                work(share)
        else:
            list(self._pool.map(work, self._shares))
        return found

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
