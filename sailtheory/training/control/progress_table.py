"""What a terminal shows while runs train: one line a run, renewed in place."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import IO, Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

__all__ = ["ProgressTable"]

_SHOWN = {
    "return": ("eval/return", "train/return"),
    "success": ("eval/success",),
    "reward accuracy": ("reward/accuracy", "reward/fit"),
    "queries": ("spent/queries",),
}
"""Column, and the metrics it shows; the first that was ever measured wins."""
_BESIDE = {"success": "eval/success", "reward accuracy": "reward/accuracy"}
"""Told with a return where they were measured."""


class ProgressTable:
    """A live table; where the output is no terminal, a line at each evaluation.

    Args:
        steps: Steps of each run.
        runs: Number of runs.
        stream: Where to.
    """

    def __init__(self, steps: int, runs: int, stream: IO[str]) -> None:
        self._steps, self._runs = steps, runs
        self._console = Console(file=stream, width=None if stream.isatty() else 120)
        self._live = Live(console=self._console, refresh_per_second=2, transient=False)
        self._last: dict[int, dict[str, float]] = {}
        self._began: tuple[int, float] | None = None

    def __enter__(self) -> ProgressTable:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._live.stop()

    def __call__(self, step: int, measured: Mapping[int, Mapping[str, float]]) -> None:
        """Take in what was measured at a step, by seed."""
        if self._began is None:
            self._began = (step, time.monotonic())
        for seed, metrics in measured.items():
            self._last.setdefault(seed, {}).update(metrics)
        if self._console.is_terminal:
            self._live.update(self.table(step))
        elif any("eval/return" in metrics for metrics in measured.values()):
            speed, left = self._pace(step)
            returns = ", ".join(f"{s}: {_return(m)}" for s, m in measured.items())
            print(
                f"step {step}/{self._steps}  {speed}  {left} left  return of seed {returns}",
                file=self._console.file, flush=True,
            )  # fmt: skip

    def table(self, step: int) -> Table:
        """The table as it stands."""
        speed, left = self._pace(step)
        table = Table(title=f"step {step} of {self._steps}, {speed}, {left} left")
        table.add_column("seed", justify="right")
        for name in _SHOWN:
            table.add_column(name, justify="right")
        for seed, metrics in self._last.items():
            cells = []
            for names in _SHOWN.values():
                values = [metrics[name] for name in names if name in metrics]
                cells.append(f"{values[0]:.4g}" if values else "")
            table.add_row(str(seed), *cells)
        return table

    def _pace(self, step: int) -> tuple[str, str]:
        """Steps a second over all runs, and the time left."""
        assert self._began is not None
        began, when = self._began
        seconds = time.monotonic() - when
        if step == began or seconds <= 0:
            return "… steps/s", "…"
        each = (step - began) / seconds
        left = int((self._steps - step) / each)
        return f"{each * self._runs:.0f} steps/s", f"{left // 3600}:{left // 60 % 60:02d} h"


def _return(metrics: Mapping[str, float]) -> str:
    beside = [f"{name} {metrics[key]:.2f}" for name, key in _BESIDE.items() if key in metrics]
    told = f"{metrics['eval/return']:.1f}"
    return f"{told} ({', '.join(beside)})" if beside else told
