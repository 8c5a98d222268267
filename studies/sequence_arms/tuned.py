"""The arms that the design names, and the rule by which it tunes their rates."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

__all__ = [
    "HOOK", "HOOK_MEAN", "KL", "MENDED", "PLAIN", "SAIL", "Record", "curves", "gain", "tuned",
]  # fmt: skip

PLAIN, SAIL, KL = "online-dpo", "sail-dpr", "online-dpo, kl 0.001"
HOOK, HOOK_MEAN = "published hook .3", "published hook .3, batch mean"
MENDED = "sail-dpr, score .3"

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
