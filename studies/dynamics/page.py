"""The values of the page of :mod:`studies.dynamics`, from its JSON file alone."""

from __future__ import annotations

from statistics import fmean, median
from typing import Any

import numpy as np

from sailtheory.compare.statistics import wilson
from studies.render import render

Record = dict[str, Any]
_RESAMPLES = 4000


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    records = data["records"]
    return render(
        "dynamics", **data, rates=_rates(records["rates"]),
        gone=next(r for r in records["spurious"] if not r["away"]),
        spurious=[r | {"share": _share(r)} for r in records["spurious"]],
        mirror=records["mirror"], price=_price(records["price"], records["online"]),
    )  # fmt: skip


def _rates(rows: list[Record]) -> dict[bool, Record]:
    """Ratios of gaps to bounds, for maximisers inside and on the sphere."""
    return {
        on_boundary: {
            "exact": {
                name: _exact([r[name] for r in rows if r["on_boundary"] == on_boundary])
                for name in ("projected", "mirror")
            },
            "stochastic": _stochastic([r for r in rows if r["on_boundary"] == on_boundary]),
        }
        for on_boundary in (False, True)
    }


def _exact(found: list[Record]) -> Record:
    taken = [f for f in found if f["taken"] is not None]
    return {
        "worst": [f["worst_ratio"] for f in found],
        "promised": [f["promised"] / max(f["taken"], 1) for f in taken],
    }


def _stochastic(rows: list[Record]) -> Record:
    cells = [c for r in rows for c in r["stochastic"] if c["gap"] > 0]
    return {
        "worst": [
            max((c["gap"] - 3.29 * c["error"]) / c["bound"] for c in r["stochastic"]) for r in rows
        ],
        "loose": [c["bound"] / c["gap"] for c in cells],
        "local": [c["bound_local_variance"] / c["gap"] for c in cells],
    }


def _share(row: Record) -> tuple[float, float, float]:
    return row["away"] / row["starts"], *wilson(row["away"], row["starts"])


LEVELS = ("none", "gamma_star", "relative", "closed_form")
FIELD_LEVELS = ("none", "gamma_star", "relative", "limit")


def _price(rows: list[Record], online: list[Record]) -> Record:
    """Mean gains in each cell and in all, and shares of the best gain on C."""
    rows = [r for r in rows if "skipped" not in r]
    field = {r["index"]: r for r in online}
    cells: dict[tuple[float, float] | None, list[Record]] = {
        cell: [r for r in rows if (r["beta"], r["radius"]) == cell]
        for cell in sorted({(r["beta"], r["radius"]) for r in rows})
    }
    cells[None] = rows
    return {
        "cells": [
            {"cell": cell, "problems": len(own),
             "best": _mean([field[r["index"]]["best"] for r in own]),
             "gains": [_mean([r[k]["gain"] for r in own]) for k in LEVELS],
             "online": [_mean([field[r["index"]][k]["gain"] for r in own]) for k in FIELD_LEVELS]}
            for cell, own in cells.items()
        ],
        "kept": [median(_shares([(r[k]["gain"], field[r["index"]]["best"]) for r in rows]))
                 for k in LEVELS],
        "online_kept": [
            median(_shares([(field[r["index"]][k]["gain"], field[r["index"]]["best"])
                            for r in rows])) for k in FIELD_LEVELS
        ],
        "ahead": sum(field[r["index"]]["none"]["gain"] > r["none"]["gain"] + 1e-9 for r in rows),
        "behind": sum(field[r["index"]]["none"]["gain"] < r["none"]["gain"] - 1e-9 for r in rows),
        "unsettled": sum(not field[r["index"]][k]["found"] for r in rows for k in FIELD_LEVELS),
        "problems": len(rows),
    }  # fmt: skip


def _shares(pairs: list[tuple[float, float]]) -> list[float]:
    return [gain / best for gain, best in pairs if best > 1e-6]


def _mean(values: list[float]) -> tuple[float, float, float]:
    """A mean with its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (_RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return fmean(values), low, high
