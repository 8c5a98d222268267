"""Rates, by the rule of design.md: alike for every cell."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

from studies.reward_kl.arms import Arm

Record = dict[str, Any]

RATES = (0.1, 0.3, 1.0, 3.0)
TRL_RATES = (1e-3, 3e-3, 1e-2)
SHORT = 0.05
"""A rate whose last update is longer, on average, has not come to rest."""


def cell_of(arm: Arm) -> str:
    """The name of an arm."""
    return f"{arm.kl} {arm.gamma}"


def rates_of(runs: list[Record], kind: Record) -> dict[str, float]:
    """The tuned rate of each arm, for the kind of problem of a record."""
    same = [r for r in runs if r["stage"] == "tuning" and _kind(r) == _kind(kind)]
    return {
        name: tuned([run["arms"][name][0] for run in same], [run["arms"][name][1] for run in same])
        for name in same[0]["arms"]
    }


def tuned(passed: list[list[float]], lengths: list[list[float]]) -> float:
    """The rate with the largest mean pass rate among those that come to rest; else the smallest.

    Args:
        passed: Pass rates at the end, a list for each world, by rate.
        lengths: Of the last update.
    """
    means, last = ([fmean(column) for column in zip(*rows, strict=True)]
                   for rows in (passed, lengths))  # fmt: skip
    resting = [k for k, length in enumerate(last) if length <= SHORT]
    return RATES[max(resting, key=lambda k: (means[k], -k))] if resting else RATES[0]


def trl_rates(runs: list[Record]) -> dict[str, float]:
    """The rate of each cell with the largest mean pass rate; of equal ones the smallest."""
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        found[run["cell"]][run["rate"]].append(run["final"]["pass_rate"])
    return {
        cell: max(sorted(rates), key=lambda r, rates=rates: fmean(rates[r]))
        for cell, rates in found.items()
    }


def _kind(record: Record) -> tuple[Any, ...]:
    return record["depth"], record["pass_rate"], record["scale"]
