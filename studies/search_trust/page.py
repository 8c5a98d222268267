"""The values of the page of :mod:`studies.search_trust`, from its JSON file alone."""

from __future__ import annotations

from statistics import median
from typing import Any

from sailtheory.compare.statistics import wilson
from studies.render import render
from studies.search_trust.__main__ import CLOSE, LONGER, summary

Record = dict[str, Any]


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    rows = data["rows"]
    groups = {
        d: [r for r in rows if r["dimension"] == d] for d in sorted({r["dimension"] for r in rows})
    }
    trusted = [r for r in rows if r["trusted"]]
    good = sum(r["quick"] >= (1 - CLOSE) * r["longer"] for r in trusted)
    return render(
        "search_trust", groups={d: group(own) for d, own in groups.items()}, all=group(rows),
        trusted=len(trusted), good=good, interval=wilson(good, len(trusted)),
        longer=LONGER, close=CLOSE,
    )  # fmt: skip


def group(rows: list[Record]) -> Record:
    """The counts of the study, and what the quick search cost."""
    return summary(rows) | {"seconds": median(r["cpu_seconds"] for r in rows)}
