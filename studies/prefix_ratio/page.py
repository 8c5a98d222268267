"""The values of the page of :mod:`studies.prefix_ratio`, from its evidence alone."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from studies.render import render

Record = dict[str, Any]


def page(data: Record) -> str:
    """The page as Markdown."""
    return render("prefix_ratio", **values(data))


def values(data: Record) -> Record:
    """All that the page is made of."""
    arms = {arm: {run["seed"]: run for run in data["runs"] if run["arm"] == arm}
            for arm in data["arms"]}  # fmt: skip
    plain = arms[data["arms"][0]]
    rows = [row(arm, own, plain) for arm, own in arms.items()]
    return data | {
        "rows": rows,
        "steps": [step for step, _ in data["runs"][0]["curve"]],
        "along": [(arm, along(list(own.values()))) for arm, own in arms.items()],
        "ranges": (min(run["range"] for run in data["runs"]),
                   max(run["range"] for run in data["runs"])),
        "stopped": [f"{run['arm']}, world {run['seed']}" for run in data["runs"] if run["stopped"]],
    }  # fmt: skip


def last(run: Record, name: str) -> float:
    """A quantity at the end of a run."""
    return float(run["curve"][-1][1][name])


def row(arm: str, own: dict[int, Record], plain: dict[int, Record]) -> Record:
    """What an arm ends with, over its worlds."""

    def over(value: list[float]) -> tuple[float, float, float]:
        return median(value), min(value), max(value)

    runs = list(own.values())
    return {
        "arm": arm, "rate": runs[0]["rate"], "worlds": len(runs),
        **{name: over([last(run, name) for run in runs])
           for name in ("log_ratio", "log_ratio_median", "gain", "kl_ref_policy", "kl_policy_ref")},
        "threshold": over([(last(run, "log_ratio") + math.log(run["range"])) / math.log(10)
                           for run in runs]),
        "smaller": sum(last(run, "log_ratio") < last(plain[seed], "log_ratio")
                       for seed, run in own.items()),
    }  # fmt: skip


def along(runs: list[Record]) -> list[float]:
    """The median over worlds of log ρ at each recorded update; 0 at π_ref."""
    return [median(run["curve"][k][1].get("log_ratio", 0.0) for run in runs)
            for k in range(len(runs[0]["curve"]))]  # fmt: skip
