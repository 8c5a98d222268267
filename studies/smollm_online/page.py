"""The values of the page of :mod:`studies.smollm_online`, from its evidence alone."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import Any

from studies.render import render

Record = dict[str, Any]


def page(data: Record) -> str:
    """The page as Markdown."""
    return render("smollm_online", **values(data))


def values(data: Record) -> Record:
    """All that the page is made of."""
    rows = [row(run) for run in data["runs"]]
    return data | {
        "rows": rows,
        "same": same(data["killed"], data["runs"]) if "killed" in data else None,
        "quick": min(row["an_update"] for row in rows),
    }


def same(killed: Record, runs: list[Record]) -> bool:
    """Whether a run that was killed and went on ended with every number of the one left alone."""
    (alone,) = [run for run in runs if all(run[key] == killed[key] for key in ("arm", "seed"))]
    other = {key for key in alone if alone[key] != killed[key]}
    return bool(killed["resumed"]) and not other - {"resumed", "seconds"}


def row(run: Record) -> Record:
    """One run; rewards with their standard errors over completions."""
    whole, updates = len(run["curve"][0]), run["seconds"]
    return {
        "arm": run["arm"], "seed": run["seed"], "updates": whole,
        "reward": mean_error(run["rewards"]), "reference": mean_error(run["reference_rewards"]),
        "kl_ref_policy": run["kl_ref_policy"], "kl_policy_ref": run["kl_policy_ref"],
        "seconds": run["seconds"], "resumed": run["resumed"], "an_update": updates / whole,
    }  # fmt: skip


def mean_error(found: list[float]) -> tuple[float, float]:
    """A mean and its standard error."""
    return fmean(found), stdev(found) / math.sqrt(len(found))
