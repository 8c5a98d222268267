"""Which rate an arm is tested at."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any


def tuned_rates(runs: Sequence[dict[str, Any]], last: int) -> dict[str, float]:
    """For each arm the rate of the largest mean reward at the end; of equals the smallest.

    Args:
        runs: Of the tuning seed; ``curve`` holds steps and mean rewards.
        last: How many updates count.
    """
    found: dict[str, tuple[float, float]] = {}
    for run in sorted(runs, key=lambda run: run["rate"]):
        reward = fmean(run["curve"][1][-last:])
        if run["arm"] not in found or reward > found[run["arm"]][0]:
            found[run["arm"]] = reward, run["rate"]
    return {arm: rate for arm, (_, rate) in found.items()}
