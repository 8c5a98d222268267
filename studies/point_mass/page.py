"""The values of the page of :mod:`studies.point_mass`, from its evidence alone."""

from __future__ import annotations

from statistics import mean
from typing import Any

from studies.point_mass.pairs import paired
from studies.render import read, render

FIRST = "point_mass/first_runs.json"
"""Scores of the two arms that are compared, from runs on another processor."""

Record = dict[str, Any]
TESTED, BASE = "sail", "pebble"


def page(data: Record) -> str:
    """The page as Markdown."""
    return render("point_mass", **values(data))


def values(data: Record) -> Record:
    """All that the page is made of."""
    arms = data["arms"]
    base = arms[BASE]["runs"]
    found = {arm: paired(own["runs"], base) for arm, own in arms.items() if arm != BASE}
    planned = arms[TESTED]["planned"]
    return data | {
        "rows": [row(arm, own, found.get(arm)) for arm, own in arms.items()],
        "tuned": [tuned(arm, own) for arm, own in arms.items()],
        "tested": found[TESTED],
        "outcome": outcome(found[TESTED], data["margin"], planned),
        "planned": planned,
        "secondary": [arm for arm in arms if arm not in (BASE, TESTED)],
        "undone": [arm for arm, own in arms.items() if len(own["runs"]) < own["planned"]],
        "thresholds": thresholds(arms["sail-revkl"]["runs"]),
        "steps": int(data["shared"]["steps"]),
        "first": first(),
    }  # fmt: skip


def first() -> Record:
    """The comparison on another processor, with the same seeds."""
    data = read(FIRST)
    found = paired(data["arms"][TESTED], data["arms"][BASE])
    return found | {"processor": data["hardware"]["processor"], "commit": data["commit"]}


def outcome(found: Record, margin: float, planned: int) -> str:
    """By the rule of the design: unfinished, better, worse, not worse, or open."""
    if found["pairs"] < planned:
        return "unfinished"
    _, low, high = found["interval"]
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "not worse" if low > -margin else "open"


def row(arm: str, own: Record, found: Record | None) -> Record:
    """An arm on its fresh seeds."""
    runs = own["runs"]
    accuracy = [run["last"]["reward/accuracy"][1][-1] for run in runs]
    margin = [run["last"][name][1][-1] for run in runs
              for name in ("sail/largest_margin",) if name in run["last"]]  # fmt: skip
    return {
        "arm": arm, "done": len(runs), "planned": own["planned"],
        "setting": None if own["chosen"] is None else own["settings"][own["chosen"]],
        "mean": mean(run["score"] for run in runs) if runs else None,
        "accuracy": mean(accuracy) if accuracy else None,
        "margin": max(margin) if margin else None,
        "found": found,
    }  # fmt: skip


def tuned(arm: str, own: Record) -> Record:
    """Mean scores of an arm's settings on the tuning seeds; None where runs are missing."""
    means = [mean(scores) if scores else None for scores in own["tuning"]]
    return {
        "arm": arm, "chosen": own["chosen"],
        "cells": [(setting, value, len(scores)) for setting, value, scores
                  in zip(own["settings"], means, own["tuning"], strict=True)],
    }  # fmt: skip


def thresholds(runs: list[Record]) -> Record | None:
    """γ, C29's 2β, and K_V at the largest |z| along any run."""
    if not runs:
        return None
    last = [run["last"] for run in runs]
    return {
        "gamma": last[0]["c29/gamma"][1][-1], "limit": last[0]["c29/threshold"][1][-1],
        "seen": max(one["c29/threshold_at_margin"][1][-1] for one in last),
        "margin": max(one["sail/largest_margin"][1][-1] for one in last),
    }  # fmt: skip
