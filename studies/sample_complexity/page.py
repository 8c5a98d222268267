"""The values of the page of :mod:`studies.sample_complexity`, from its JSON file alone."""

from __future__ import annotations

from statistics import median
from typing import Any

from studies.render import render

Record = dict[str, Any]


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    rows = sorted(data["records"], key=lambda r: (r["method"], r["regime"], r["problem"]))
    fits = {
        method: _fits([r["slopes"] for r in rows if r["method"] == method and r["slopes"]])
        for method in sorted({r["method"] for r in rows if r["slopes"]})
    }
    return render("sample_complexity", **data, rows=rows, fits=fits)


def _fits(slopes: list[Record]) -> Record:
    """Median exponents of both models, and where their intervals lie."""

    def holding_one(model: str) -> int:
        return sum(s[model][1] <= 1 <= s[model][2] for s in slopes)

    return {
        "count": len(slopes),
        "median": {k: median(s[k][0] for s in slopes) for k in ("power", "power-log")},
        "holding_one": {k: holding_one(k) for k in ("power", "power-log")},
        "between": sum(s["power-log"][1] <= 1 <= s["power"][2] for s in slopes),
        "widest": max(s[k][2] - s[k][1] for s in slopes for k in s),
    }
