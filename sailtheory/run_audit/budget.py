"""When to measure: a share of the training time at most, but for a second in all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Budget"]

_FREE = 1.0  # seconds: a short run is measured at its first updates, the 1st, 2nd, 4th, 8th, …
_PLANNED = 0.6  # of the share: training may turn out faster, a measurement slower, than so far


class Budget:
    """The clock of one run.

    Args:
        share: Of the training time, > 0; 1 or more measures every time.
        steps: Updates of the whole run, where known: its length is then foreseen, and what is
            measured once is paid for by all of it.
        clock: Seconds, for tests.
    """

    def __init__(
        self, share: float, steps: int | None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.share = share
        self.spent = 0.0
        self._steps, self._clock = steps, clock
        self._began = clock()
        self._made = 0
        self._once, self._measured = 0.0, 0

    def step(self) -> None:
        """An update has been made."""
        self._made += 1

    @property
    def trained(self) -> float:
        """Seconds of training so far."""
        return max(self._clock() - self._began - self.spent, 1e-9)

    def affords(self, updates: float = 0.0) -> bool:
        """Whether one more measurement, or one as long as so many updates, is within the share."""
        if self.share >= 1:
            return True
        mean = (self.spent - self._once) / max(self._measured, 1)
        if not updates and _is_power_of_two(self._made) and self.spent - self._once + mean <= _FREE:
            return True
        cost = updates * self.trained / max(self._made, 1) if updates else mean
        share = _PLANNED * self.share
        if self._steps is None:
            return self.spent + cost <= share * self.trained
        length = self.trained * max(self._steps / max(self._made, 1), 1.0)
        due = 1.0 if updates else min((self._made + 1) / self._steps, 1.0)
        return self.spent - self._once + cost <= (share * length - self._once) * due

    @contextmanager
    def paying(self, *, once: bool = False, measured: bool = False) -> Iterator[None]:
        """Count the time of a block: of what is done ``once``, or of one that is ``measured``."""
        began = self._clock()
        try:
            yield
        finally:
            seconds = self._clock() - began
            self.spent += seconds
            self._once += seconds if once else 0.0
            self._measured += measured


def _is_power_of_two(count: int) -> bool:
    return count > 0 and count & (count - 1) == 0
