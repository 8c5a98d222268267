"""Whether −(h − γ∇KL(π_ref‖π_θ)) is monotone on C, for a field h that is no gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sailtheory.landscape.concavity import Curvature, agreement, concavity
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import regularised
from sailtheory.verdict import Evidence, Outcome, Strength, Verdict, conclude

__all__ = ["monotone", "monotone_dict"]


def monotone(
    field: Objective,
    gamma: float,
    star: Curvature,
    proofs: Sequence[Evidence] = (),
    symbol: str = "γ*",
) -> tuple[Verdict | None, Curvature]:
    """The verdict: from certain bounds, or from the search for the field's γ*.

    Args:
        field: h.
        gamma: γ ≥ 0.
        star: The largest curvature of h relative to F̄ found.
        proofs: What proves or certifies it at this γ.
        symbol: What γ* is called.

    Returns:
        The verdict, None when S = {0} or nothing was found: ``refuted`` where ball arithmetic
        confirms a witness. With it, γ* − γ and where it was found.
    """
    if star.value is None:
        return None, star
    worst = replace(star, value=star.value - gamma)
    if star.value > gamma:  # a witness, once ball arithmetic confirms its sign
        return concavity(regularised(field, gamma), worst, proofs=proofs, relative=star)[0], worst
    found = star.search
    agreed = found is not None and found.trusted
    detail = f"{symbol} = {star.value:.6g} found" + (f"; {agreement(found)}" if found else "")
    outcome = Outcome.HOLDS if agreed else Outcome.UNDECIDED
    return conclude([*proofs, Evidence("search", detail, outcome, Strength.SUPPORTED)]), worst


def monotone_dict(found: tuple[Verdict | None, Curvature]) -> dict[str, Any]:
    """JSON form of :func:`monotone`; names are stable."""
    verdict, point = found
    strength = verdict.strength if verdict else None
    return {
        "verdict": verdict.outcome.value if verdict else None,
        "strength": strength.value if strength else None,
        "relative_curvature": point.value,
        "theta": None if point.value is None else point.theta.tolist(),
    }
