"""Certifying γ*, or concavity at one γ, of an objective that bounds its own curvature."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from sailtheory.certificates.bounded.certificate import BoundCertificate, data_digest
from sailtheory.landscape.concavity import least_gamma_on
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.search import Search
from sailtheory.objectives.curvature_sign import curvature_sign
from sailtheory.objectives.target import Target

__all__ = ["certify_bound", "convex_at", "never_concave"]

_SHORT_OF = (1e-12, 1e-9, 1e-6, 1e-3)  # of γ*: what float64 may have added to the search's
NO_GAMMA = "J bends up and D down at the witness: no γ works"
"""What a refuted enclosure of γ* says."""
_NO_POLICY = "S = {0}: no policy depends on θ"
_OPEN = "neither a bound nor a witness decides this γ: --property gamma has both"


def certify_bound(
    target: Target,
    gamma: Fraction | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> BoundCertificate:
    """Enclose γ* between a witness and the bounds of a target, or decide concavity at γ.

    Args:
        target: The objective, with its problem.
        gamma: None for γ*; else the γ, exact, at which it is to be concave on C.
        progress: Receives the stage.

    Returns:
        ``certified`` where the bounds say so, ``refuted`` where ball arithmetic confirms a point
        of C and a direction of convexity at γ (without one, at every γ), else ``undecided``.
    """
    began = time.monotonic()
    progress("thresholds by prompt")
    known, problem = target.bounds(), target.problem

    def made(
        verdict: str, level: Fraction | None, lower: Fraction | None,
        witness: tuple[np.ndarray, np.ndarray] | None, note: str = "",
    ) -> BoundCertificate:  # fmt: skip
        return BoundCertificate(
            verdict, "gamma" if gamma is None else "concave", target.name, target.title,
            target.settings(), level, None if known is None else known.prompts, lower, witness,
            data_digest(problem), "", note, time.monotonic() - began,
        )  # fmt: skip

    if known is None:
        return made("certified", gamma, None, None, _NO_POLICY)
    least = None if known.least is None else Fraction(known.least)
    if gamma is not None and least is not None and gamma >= least:
        return made("certified", gamma, None, None)
    progress("γ*")
    search = Search(Domain(problem), "quick", 0)
    star = least_gamma_on(target.objective, target.penalty, search)
    theta = search.domain.inside(star.theta)
    found = None if theta is None or star.value is None else (theta, star.direction)
    if gamma is not None:
        if found is not None and convex_at(target, gamma, *found):
            return made("refuted", gamma, gamma, found)
        return made("undecided", gamma, None, None, _OPEN)
    lower = None
    if found is not None and star.value == np.inf:
        if never_concave(target, *found):
            return made("refuted", None, None, found, NO_GAMMA)
    elif found is not None and star.value is not None and star.value > 0:
        tried = (Fraction(star.value * (1 - short)) for short in _SHORT_OF)
        lower = next((level for level in tried if convex_at(target, level, *found)), None)
    verdict = "undecided" if least is None else "certified"
    note = "" if least is not None else known.why or "no bound of its curvature is certain"
    return made(verdict, least, lower, None if lower is None else found, note)


def convex_at(target: Target, gamma: Fraction, theta: np.ndarray, direction: np.ndarray) -> bool:
    """Whether the objective less γD is convex at θ along a direction, in ball arithmetic."""
    level = float(gamma)
    while Fraction(level) < gamma:  # a larger γ is harder to be convex at
        level = float(np.nextafter(level, np.inf))
    return curvature_sign(target.penalised(level), theta, direction) > 0


def never_concave(target: Target, theta: np.ndarray, direction: np.ndarray) -> bool:
    """Whether J bends up and D does not at θ along a direction, in ball arithmetic: no γ works."""
    return (
        curvature_sign(target.objective, theta, direction) > 0
        and curvature_sign(target.penalty, theta, direction) < 0
    )
