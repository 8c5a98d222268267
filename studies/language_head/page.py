"""The values of the page of :mod:`studies.language_head`, from its JSON file alone."""

from __future__ import annotations

from typing import Any

from studies.language_head.plan import OF_2_BETA, OF_K_B
from studies.render import render

_TOLERANCE = 1e-6


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    seen = [r for r in data["sail"] if r["contraction"] is not None]
    online = [r for r in data["online"] if r["contraction"] is not None]
    missing = [
        f"{share:g} K_B" for share in OF_K_B if share not in {r["share"] for r in data["sail"]}
    ]
    missing += [f"{share:g} · 2β" for share in OF_2_BETA
                if share not in {r["share"] for r in data["online"]}]  # fmt: skip
    return render(
        "language_head", **data, missing=missing, reductions={
            key: _against(seen, key) for key in ("by_k_b", "by_g", "local")
        } | {key: _against(online, key) for key in ("by_2_beta", "by_k_v")},
    )  # fmt: skip


def _against(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """How a prediction compares: how often it speaks, is exceeded, and by how much it is off."""
    told = [r for r in rows if r[key] is not None]
    shares = [(1 - r["contraction"]) / (1 - r[key]) for r in told if r[key] < 1]
    return {
        "of": len(rows), "told": len(told),
        "exceeded": sum(r["contraction"] > r[key] + _TOLERANCE for r in told),
        "least": min(shares, default=None), "most": max(shares, default=None),
    }  # fmt: skip
