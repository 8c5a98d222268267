"""The values of the page of :mod:`studies.certificates`, from its JSON file alone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sailtheory.compare.statistics import wilson
from studies.render import render

Record = dict[str, Any]


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    found = [_list(kind, data["records"].get(name, [])) for name, kind in data["lists"].items()]
    head = {key: data[key] for key in ("seed", "version", "bits", "floor")}
    return render("certificates", **head, lists={x["name"]: x for x in found})


def _list(kind: Record, rows: list[Record]) -> Record:
    """The records of a list, sorted by what became of them."""
    asked = [r for r in rows if r["verdict"] != "skipped"]
    made = [r for r in asked if r["verdict"] == "certified"]
    hits, of = len(made), len(asked)
    return kind | {
        "rows": rows, "asked": asked, "certified": made,
        "left": [r for r in asked if r["verdict"] != "certified"],
        "share": [100 * x for x in (hits / of, *wilson(hits, of))] if asked else None,
        "slow": sum(r["cpu_seconds"] > kind["goal"] for r in made) if kind["goal"] else None,
        "valid": sum(r.get("replay") is True for r in made),
        "wrong": sum(r.get("replay") is False for r in made),
        "over": [r["over"] for r in rows if "over" in r],
        "verdicts": sorted(Counter(r["verdict"] for r in rows).items()),
        "accepted": sum(r.get("accepted", 0) for r in rows),
        "unsound": sum(r["verdict"] == "certified" or r.get("accepted", 0) > 0 for r in rows),
        "controls": sum(r.get("control", False) for r in rows),
    }  # fmt: skip
