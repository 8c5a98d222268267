"""What is certain of a target's curvature, and what it proves at one γ."""

from __future__ import annotations

from dataclasses import replace

from sailtheory.analysis.ladder import ladder
from sailtheory.objectives.penalised import Penalised
from sailtheory.objectives.sail_target import SAILTarget
from sailtheory.objectives.target import CurvatureBounds, Target
from sailtheory.verdict import Evidence, enough

__all__ = ["certain", "proofs"]


def certain(target: Target, effort: str = "quick") -> CurvatureBounds | None:
    """The bounds of a target; for SAIL with those that its prompts' certificates give (C23).

    Args:
        target: The objective of a problem.
        effort: As for :func:`~sailtheory.analysis.ladder.ladder`.

    Returns:
        None where S = {0}.
    """
    if isinstance(target, Penalised):
        inner = certain(target.inner, effort)
        return None if inner is None else target.relative_to_penalty(inner)
    known = target.bounds()
    if known is None or not isinstance(target, SAILTarget):
        return known
    assert known.relative is not None
    rungs = ladder(target.problem, known.relative, effort)
    if rungs is None:
        return known
    return replace(known, data=rungs.least, data_claims="the threshold of each prompt (C23)")


def proofs(known: CurvatureBounds | None, gamma: float, strict: bool = False) -> list[Evidence]:
    """Why an objective less γD is concave on C, or (``strict``) strongly on S; empty without.

    Args:
        known: What is certain.
        gamma: γ.
        strict: Whether γ has to lie above a bound, not at it.
    """
    if known is None:
        return []
    sign = ">" if strict else "≥"
    data = "" if known.data is None else f"γ {sign} {known.data:.6g}, from {known.data_claims}"
    proved = known.relative, f"γ {sign} K ({known.claims})"
    return enough(gamma, proved, (known.data, data), strict)
