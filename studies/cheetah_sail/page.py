"""The values of the page of :mod:`studies.cheetah_sail`, from its evidence alone."""

from __future__ import annotations

from statistics import mean
from typing import Any

from studies.point_mass.page import BASE, TESTED, outcome
from studies.point_mass.pairs import paired
from studies.render import render

Record = dict[str, Any]


def page(data: Record) -> str:
    """The page as Markdown."""
    return render("cheetah_sail", **values(data))


def values(data: Record) -> Record:
    """All that the page is made of."""
    arms, planned = data["arms"], data["planned"]
    tested = paired(arms[TESTED], arms[BASE])
    return data | {
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
