"""The values of the page of :mod:`studies.cheetah_sail`, from its evidence alone."""

from __future__ import annotations

from statistics import mean
from typing import Any

from studies.point_mass.page import BASE, TESTED, outcome
from studies.point_mass.pairs import paired
from studies.render import render

Record = dict[str, Any]
LARGE = 0.2
"""Share of what the base earns above which a margin is called large."""


def page(data: Record) -> str:
    """The page as Markdown."""
    return render("cheetah_sail", **values(data))


def values(data: Record) -> Record:
    """All that the page is made of."""
    arms, planned = data["arms"], data["planned"]
    tested = paired(arms[TESTED], arms[BASE])
    base = mean(run["score"] for run in arms[BASE]) if arms[BASE] else None
    return data | {
        "base": base,
        "small": base is not None and data["margin"] > LARGE * base,
        "rows": [row(arm, runs, arms[BASE]) for arm, runs in arms.items()],
        "tested": tested,
        "outcome": outcome(tested, data["margin"], planned),
        "undone": [arm for arm, runs in arms.items() if len(runs) < planned],
    }


def row(arm: str, runs: list[Record], base: list[Record]) -> Record:
    """One arm."""
    accuracy = [run["last"]["reward/accuracy"][1][-1] for run in runs]
    return {
        "arm": arm, "done": len(runs),
        "mean": mean(run["score"] for run in runs) if runs else None,
        "accuracy": mean(accuracy) if accuracy else None,
        "found": None if arm == BASE else paired(runs, base),
    }  # fmt: skip
