"""Largest curvature, relative curvature γ*, and whether an objective is concave on C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sailtheory.landscape.domain import Domain
from sailtheory.landscape.pencil import largest_curvature, largest_relative_curvature
from sailtheory.landscape.search import Search, SearchResult
from sailtheory.landscape.single_prompts import SinglePrompts, form_of
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.curvature_sign import curvature_sign
from sailtheory.objectives.sail import SAIL, KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import (
    Evidence,
    Outcome,
    Strength,
    Verdict,
    Witness,
    conclude,
)

__all__ = [
    "Curvature",
    "Measure",
    "Remembered",
    "agreement",
    "concavity",
    "gamma_star",
    "largest_curvature_on",
    "largest_relative_curvature_on",
    "least_gamma_on",
]

Measure = Callable[[Objective, Domain, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""A curvature at points θ (..., d) and its direction, (...) and (..., d)."""

_REMEMBERED = 1 << 14
_RATIOS, _SETTLED = 12, 1e-10  # searches for a ratio, and its relative rise that ends them
_WORST = 4  # prompts above whose worst points the first round begins


@dataclass(frozen=True)
class Curvature:
    """A searched supremum of curvature over C.

    Attributes:
        value: Best value found: a lower bound of the supremum. None if S = {0}, or if it is
            defined at no point tried (F̄ singular in float64).
        theta: Where, (d,).
        direction: Along which direction, (d,).
        search: How hard the search was; None if S = {0}.
    """

    value: float | None
    theta: np.ndarray
    direction: np.ndarray
    search: SearchResult | None


class Remembered:
    """A measure at the latest points: a search asks again for the slope where it arrived.

    Args:
        measure: θ (k, d) to values (k,) and directions (k, d).
    """

    def __init__(self, measure: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
        self._measure = measure
        self._found: dict[bytes, tuple[float, np.ndarray]] = {}

    def __call__(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (k) and directions (k, d) at θ (k, d)."""
        keys = [row.tobytes() for row in theta]
        if not all(key in self._found for key in keys):
            if len(self._found) > _REMEMBERED:
                self._found.clear()
            values, directions = self._measure(theta)
            self._found.update(zip(keys, zip(values, directions, strict=True), strict=True))
            return values, directions
        found = [self._found[key] for key in keys]
        return np.array([value for value, _ in found]), np.array([v for _, v in found])


def _supremum(
    objective: Objective,
    search: Search,
    extra_starts: np.ndarray | None,
    measure: Measure,
    slope: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> Curvature:
    domain = search.domain
    if domain.dimension == 0:
        return Curvature(None, domain.embed(np.zeros(0)), np.zeros(domain.problem.dimension), None)
    remembered = Remembered(lambda theta: measure(objective, domain, theta))
    alone = SinglePrompts(domain, search.seed, form_of(objective))
    starts = alone.worst(_WORST) if extra_starts is None else np.atleast_2d(extra_starts)
    found = search.maximise(
        lambda theta: remembered(theta)[0],
        lambda theta: slope(theta, *remembered(theta)),
        starts,
        propose=alone,
        matrices=True,
    )
    direction = remembered(found.theta[None])[1][0]
    value = found.value if np.isfinite(found.value) else None
    return Curvature(value, found.theta, direction, found)


def largest_curvature_on(
    objective: Objective, search: Search, extra_starts: np.ndarray | None = None
) -> Curvature:
    """sup over C of λ_max(∇²) on S, by search."""

    def slope(theta: np.ndarray, _: np.ndarray, v: np.ndarray) -> np.ndarray:
        return np.asarray(objective.curvature_gradient(theta, v))

    return _supremum(objective, search, extra_starts, largest_curvature, slope)


def largest_relative_curvature_on(
    objective: Objective, search: Search, extra_starts: np.ndarray | None = None
) -> Curvature:
    """Sup over C of the generalised λ_max(∇², F̄) on S: γ* for SAIL or OnlineDPO, by search."""
    fisher = KLRefPolicy(search.domain.problem)

    def slope(theta: np.ndarray, value: np.ndarray, v: np.ndarray) -> np.ndarray:
        lift = objective.curvature_gradient(theta, v)
        return np.asarray(lift - value[..., None] * fisher.curvature_gradient(theta, v))

    return _supremum(objective, search, extra_starts, largest_relative_curvature, slope)


def least_gamma_on(objective: Objective, penalty: Objective, search: Search) -> Curvature:
    """The least γ ≥ γ* of J − γD on C, by search: the largest vᵀ∇²Jv/vᵀ∇²Dv.

    For D = KL(π_ref‖π_θ) one search for the largest curvature relative to F̄ = ∇²D. For another D
    searches of ∇²J − γ∇²D relative to F̄ in turn, each at the ratio that the last one found
    (Dinkelbach), until none finds more; 0 where J is concave.

    Args:
        objective: J.
        penalty: D.
        search: Engine.

    Returns:
        γ* with the point and direction of the largest ratio. Where a search ends at a direction in
        which D does not bend up, larger γ do not help there: ``value`` is ∞, no γ works.
    """
    if isinstance(penalty, KLRefPolicy):
        return largest_relative_curvature_on(objective, search)
    level, found, starts = 0.0, None, None
    for _ in range(_RATIOS):
        worst = largest_relative_curvature_on(objective - level * penalty, search, starts)
        if worst.value is None:
            return worst
        if worst.value <= 0:
            break
        starts = worst.theta[None]
        up, bend = (float(each.curvature(worst.theta, worst.direction))
                    for each in (objective, penalty))  # fmt: skip
        if bend <= 0:
            return replace(worst, value=np.inf)
        risen, found = up / bend, worst
        if risen <= level * (1 + _SETTLED):
            level = max(level, risen)
            break
        level = risen
    if found is None:
        return replace(worst, value=0.0)
    return replace(found, value=level, search=worst.search)


def concavity(
    objective: Objective,
    worst: Curvature,
    others: Sequence[Curvature] = (),
    proofs: Sequence[Evidence] = (),
    relative: Curvature | None = None,
) -> tuple[Verdict | None, Curvature]:
    """Is the objective concave on C?

    Args:
        objective: The objective.
        worst: Its largest curvature, from :func:`largest_curvature_on`.
        others: Further points and directions along which a search found it convex.
        proofs: What proves or certifies concavity here, such as γ ≥ K_B (C11).
        relative: The search for γ*, where there was one. It rather than ``worst`` then has
            to be trusted: it sees directions of small curvature too, unless F̄ is singular
            in float64, where it has no value.

    Returns:
        The verdict, None when S = {0} or nothing was found: ``refuted`` when ball
        arithmetic confirms a positive curvature at a point that lies in C exactly;
        ``holds`` as the proofs say, or supported by a search whose rounds agree;
        ``undecided`` otherwise. With it, the point it rests on.
    """
    if worst.value is None or worst.search is None:
        return None, worst
    domain = Domain(objective.problem)
    if domain.radius == 0:
        one = Evidence("argument", "B = 0: C is one point", Outcome.HOLDS, Strength.PROVED)
        return conclude([one]), worst
    for point in (worst, *others):
        theta = domain.inside(point.theta)
        if theta is not None and curvature_sign(objective, theta, point.direction) > 0:
            return _refutation(objective, domain, replace(point, theta=theta))
    evidence = list(proofs)
    doubt = _doubt(worst, others, worst if relative is None else relative)
    detail = (
        f"largest curvature found {worst.value:.6g} over {worst.search.evaluations} points "
        f"from {worst.search.starts} starts{doubt}"
    )
    outcome = Outcome.UNDECIDED if doubt else Outcome.HOLDS
    evidence.append(Evidence("search", detail, outcome, Strength.SUPPORTED))
    return conclude(evidence), worst


def _doubt(worst: Curvature, others: Sequence[Curvature], searched: Curvature) -> str:
    """Why the searches do not support concavity; empty if they do."""
    if others or (worst.value is not None and worst.value > 0):
        return "; a positive curvature was found, its sign not confirmed"
    if searched.value is None or searched.search is None:
        return "; F̄ is singular in float64, so curvature of either sign may be lost"
    if not searched.search.trusted:
        return f"; {agreement(searched.search)}, too few to rely on"
    return ""


def agreement(search: SearchResult) -> str:
    """How many independent rounds of a search ended at its best value, in words."""
    return f"{search.agreeing} of {search.rounds} rounds of the search end at the best value"


def _refutation(
    objective: Objective, domain: Domain, point: Curvature
) -> tuple[Verdict, Curvature]:
    """Positive curvature at one point, confirmed in ball arithmetic; and λ_max there."""
    v = point.direction / np.linalg.norm(point.direction)
    value = float(v @ objective.hessian(point.theta) @ v)
    says = "vᵀ∇²v > 0 at θ along v: not concave"
    if not objective.has_value:
        says = "vᵀ(Dh)v > 0 at θ along v, h the field: −h is not monotone"
    witness = Witness(
        problem=objective.problem,
        theta=point.theta,
        statement=says,
        value=value,
        replay=lambda: curvature_sign(objective, point.theta, point.direction) > 0,
        data={"direction": v.tolist()},
    )
    detail = f"curvature {value:.6g} > 0 at θ, its sign confirmed in ball arithmetic"
    shown = Evidence("exact", detail, Outcome.REFUTED, Strength.PROVED, witness)
    largest = float(largest_curvature(objective, domain, point.theta)[0])
    return conclude([shown]), replace(point, value=max(largest, value))


def gamma_star(problem: PreferenceProblem, effort: str = "quick", seed: int = 0) -> Curvature:
    """γ* of a problem by search: J_γ is concave on C for γ ≥ γ* and not below.

    Args:
        problem: The problem.
        effort: ``quick`` or ``full``.
        seed: Seed of the search.

    Returns:
        The best lower bound found; its ``value`` may be negative.
    """
    return largest_relative_curvature_on(SAIL(problem), Search(Domain(problem), effort, seed))
