"""The values of the page of :mod:`studies.data_thresholds`, from its JSON file alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from studies.render import render

LADDER = ("gamma_star", "g_high", "k_data", "k_b", "closed")
"""The thresholds in their order."""
COMMANDS = ("problem", "check", "certify", "replay")
Cell = dict[str, Any]


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    human = data["choices"]
    cells = human["cells"]
    base = cell_of(cells, 2.0)
    return render(
        "data_thresholds", version=data["version"], **human, base=base,
        commands=costs(cells), ratios=ratios(raised(human)),
        refuted=sum(
            (c["sail"]["verdict"], c["sail"]["strength"]) == ("refuted", "proved") for c in cells
        ),
        trusted=sum(c["search"]["trusted"] for c in cells),
        level=sum(c["g_most"] > 0.999 * c["g_high"] for c in cells),
        above=[h["others_above"] for h in human["halves"]],
        above_most=[h["others_above_most"] / h["others"] for h in human["halves"]],
        half=[span(h[key] for h in human["halves"]) for key in ("gamma_star", "g")],
        short_by=[1 - b["gamma_star"][0] / cell_of(cells, b["radius"])["gamma_star"]
                  for b in human["bootstrap"]],
        factor=max((max(f["gamma_star"]) / f["table"] for f in human["further"]), default=1.0),
        synthetic=synthetic(data.get("synthetic")),
    )  # fmt: skip


def cell_of(cells: Sequence[Cell], radius: float) -> Cell:
    """The cell of a radius at β = 0.1 and c = 0.9."""
    return next(c for c in cells if (c["beta"], c["radius"], c["confidence"]) == (0.1, radius, 0.9))


def raised(human: dict[str, Any]) -> list[Cell]:
    """The cells with the largest γ* that any search found."""
    best = {
        (f["beta"], f["radius"], f["confidence"]): max(f["gamma_star"]) for f in human["further"]
    }
    return [
        c | {"gamma_star": max(
            c["gamma_star"], best.get((c["beta"], c["radius"], c["confidence"]), 0.0)
        )}
        for c in human["cells"]
    ]  # fmt: skip


def ratios(cells: Sequence[Cell]) -> dict[str, tuple[float, float]]:
    """Least and largest ratios: each threshold to the one below it, ḡ to that without the worst,
    and K_B to γ* and to ḡ.
    """
    found = {upper: span(c[upper] / c[lower] for c in cells) for lower, upper in pairwise(LADDER)}
    return found | {
        "most": span(c["g_high"] / c["g_most"] for c in cells),
        "all": span(c["k_b"] / c["gamma_star"] for c in cells),
        "saved": span(c["k_b"] / c["g_high"] for c in cells),
    }


def costs(cells: Sequence[Cell]) -> dict[str, tuple[float, float]]:
    """CPU seconds of each command: median and largest."""
    each = {name: [c["cpu_seconds"][name] for c in cells] for name in COMMANDS}
    return {name: (median(values), max(values)) for name, values in each.items()}


def span(values: Any) -> tuple[float, float]:
    """Least and largest."""
    known = list(values)
    return min(known), max(known)


def synthetic(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """The part of the sampled responses, where it was run."""
    if found is None:
        return None
    cells = found["cells"]
    return found | {"ratios": ratios(cells), "commands": costs(cells),
                    "undecided": [c for c in cells if c["verdict"] != "certified"]}  # fmt: skip
