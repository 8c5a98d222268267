"""The values of the page of :mod:`studies.kl_dose`, from its evidence alone."""

from __future__ import annotations

from statistics import mean
from typing import Any

from studies.point_mass.pairs import paired
from studies.render import render

Record = dict[str, Any]
TESTED, BASE, ALPHA = "1", "0", 0.05


def page(data: Record) -> str:
    """The page as Markdown."""
    return render("kl_dose", **values(data))


def values(data: Record) -> Record:
    """All that the page is made of."""
    arms, planned = data["arms"], data["planned"]
    tested = paired(arms[TESTED], arms[BASE])
    rows = [row(dose, arms[dose], planned[dose], arms[BASE]) for dose in sorted(arms, key=float)]
    return data | {
        "rows": rows, "tested": tested, "outcome": outcome(tested, planned[TESTED]),
        "pairs": planned[TESTED],
    }  # fmt: skip


def outcome(found: Record, planned: int) -> str:
    """By the rule of the design: unfinished, more, less, or not shown."""
    if found["pairs"] < planned:
        return "unfinished"
    if found["p"] is None or found["p"] >= ALPHA:
        return "not shown"
    return "more" if found["interval"][0] > 0 else "less"


def row(dose: str, runs: list[Record], planned: int, base: list[Record]) -> Record:
    """One dose."""
    terms = [run["last"]["loss/actor/kl_ref_policy"][1][-1] for run in runs
             if "loss/actor/kl_ref_policy" in run["last"]]  # fmt: skip
    return {
        "dose": dose, "done": len(runs), "planned": planned,
        "mean": mean(run["score"] for run in runs) if runs else None,
        "kl": mean(terms) / float(dose) if terms and float(dose) else None,
        "found": None if dose == BASE else paired(runs, base),
    }  # fmt: skip
