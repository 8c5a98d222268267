"""How convex a divergence is on a problem's C, and which γ makes J − γD concave with it (C38)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.analysis.certain import certain
from sailtheory.errors import InputError
from sailtheory.landscape.concavity import (
    Curvature,
    concavity,
    largest_curvature_on,
    largest_relative_curvature_on,
)
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.search import Search
from sailtheory.numeric.enclose import float_below
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.divergence import DivergenceObjective
from sailtheory.objectives.target import Target
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory.divergences import Divergence, divergence, divergence_threshold
from sailtheory.verdict import Evidence, Outcome, Strength, Verdict

__all__ = ["DivergenceReport", "check_divergence"]

SCHEMA = "sailtheory.check-divergence/1"


@dataclass(frozen=True)
class DivergenceReport:
    """The result of :func:`check_divergence`.

    Attributes:
        target: The objective, with its problem.
        divergence: D.
        reach: R, the largest range of (θ − θ_ref)ᵀφ on C; of log π_θ for −entropy.
        convexity: c(R); None where it is not known for that R.
        relative: K of the objective; None where infinite.
        threshold: K/c(R), ∞ where c(R) ≤ 0 or not known.
        gamma: The γ that was checked; None without one.
        least: The least convexity of D relative to F̄ that a search found on this C.
        verdict: Whether J − γD is concave on C, and where that was decided.
    """

    target: Target
    divergence: Divergence
    reach: float
    convexity: float | None
    relative: float | None
    threshold: float
    gamma: float | None
    least: float | None
    verdict: tuple[Verdict | None, Curvature] | None

    def as_dict(self) -> dict[str, Any]:
        """JSON form; names are stable."""
        from sailtheory import __version__

        found = None if self.verdict is None else self.verdict[0]
        return {
            "schema": SCHEMA,
            "version": __version__,
            "objective": {"name": self.target.name, **self.target.settings()},
            "divergence": self.divergence.name,
            "range": self.reach,
            "radius": self.divergence.radius if math.isfinite(self.divergence.radius) else None,
            "convexity": self.convexity,
            "convexity_is_proved": self.divergence.proved,
            "relative": self.relative,
            "threshold": self.threshold if math.isfinite(self.threshold) else None,
            "least_convexity_found": self.least,
            "gamma": self.gamma,
            "concavity": {
                "verdict": found and found.outcome.value,
                "strength": found.strength.value if found and found.strength else None,
                "max_eigenvalue": None if self.verdict is None else self.verdict[1].value,
            },
        }


def _reach(problem: PreferenceProblem, made: Divergence) -> float:
    """R, rounded up."""
    moved = problem.z_max_above / float(problem.beta) * (1 + 2.0**-50)
    if made.by_reference:
        return moved
    spread = max(float(np.ptp(np.log(ref))) for ref in problem.policy(problem.ref_params))
    return (moved + spread) * (1 + 2.0**-40)


def check_divergence(
    target: Target,
    name: str,
    gamma: float | None = None,
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> DivergenceReport:
    """Whether an objective less γD is concave on C.

    Args:
        target: The objective, with its problem.
        name: Of D: :func:`~sailtheory.theory.divergences.divergence`.
        gamma: γ ≥ 0; by default K/c(R), where that is finite.
        effort: ``quick`` or ``full``.
        seed: Seed of the search.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: An unknown divergence; γ negative or not finite.
    """
    made, problem = divergence(name), target.problem
    if gamma is not None and not (np.isfinite(gamma) and gamma >= 0):
        raise InputError("gamma", gamma, "a finite γ ≥ 0 is required")
    reach, xp = _reach(problem, made), arb_numbers()
    known = certain(target, effort)
    relative = None if known is None else known.least
    c = None
    if reach <= made.up_to:
        c = float_below(made.convexity(xp, xp.asarray(reach)[()]))
    threshold = math.inf if c is None or relative is None else divergence_threshold(relative, c)
    used = gamma if gamma is not None else threshold if math.isfinite(threshold) else None
    regulariser, search = DivergenceObjective(problem, made), Search(Domain(problem), effort, seed)
    progress("convexity of the divergence")
    flattest = largest_relative_curvature_on(-1.0 * regulariser, search)
    least = None if flattest.value is None else -flattest.value
    verdict = None
    if used is not None:
        progress("curvature")
        whole = target.objective - used * regulariser
        worst = largest_curvature_on(whole, search, flattest.theta)
        others = [flattest] if least is not None and least < 0 else []
        positive = [p for p in (worst, *others) if p.value is not None and p.value > 0]
        proved = known is not None and known.least == known.relative and made.proved
        proofs = _proofs(proved, made.proved) if used >= threshold else []
        verdict = concavity(whole, worst, positive if others else [], proofs)
    return DivergenceReport(target, made, reach, c, relative, threshold, used, least, verdict)


def _proofs(proved: bool, known: bool) -> list[Evidence]:
    """γ ≥ K/c(R) is as strong as K and as c(R)."""
    if proved:
        strength = Strength.PROVED
    else:
        strength = Strength.CERTIFIED if known else Strength.SUPPORTED
    return [Evidence("argument", "γ ≥ K/c(R) (C38)", Outcome.HOLDS, strength)]
