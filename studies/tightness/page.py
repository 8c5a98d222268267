"""The values of the page of :mod:`studies.tightness`, from its JSON file alone."""

from __future__ import annotations

from typing import Any

from studies.render import render


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    rows = [
        r | {"ratio": r["relative"] / r["found"], "further": r["closed_form"] / r["relative"]}
        for r in data["rows"]
    ]
    largest = max(r["radius"] for r in rows)
    ratios = [r["ratio"] for r in rows if r["radius"] == largest]
    further = [r["further"] for r in rows]
    return render(
        "tightness", **data | {"rows": rows}, largest=largest,
        ratios=(min(ratios), max(ratios)), further=(min(further), max(further)),
    )  # fmt: skip
