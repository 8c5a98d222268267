"""The tuned rate of each arm: the rule of the design."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

__all__ = ["Record", "curves", "gain", "tuned"]

Record = dict[str, Any]


def gain(run: Record) -> float:
    """The exact gain at the end of a run."""
    return float(run["final"]["gain"])


def curves(runs: list[Record]) -> dict[str, dict[float, list[float]]]:
    """Gains of the tuning runs by arm and rate."""
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run["stage"] == "tuning":
            found[run["arm"]][run["rate"]].append(gain(run))
    return {arm: dict(sorted(rates.items())) for arm, rates in found.items()}


def tuned(runs: list[Record]) -> dict[str, float]:
    """The rate with the largest mean gain over the tuning seeds; of equal ones the smallest."""
    return {
        arm: max(rates, key=lambda rate: fmean(rates[rate]))
        for arm, rates in curves(runs).items()
    }  # fmt: skip
