"""How tight is a threshold? The preferences, and the reference, that need the largest γ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.errors import InputError, whole_number
from sailtheory.landscape.concavity import largest_relative_curvature_on
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.landscape.search import Search
from sailtheory.objectives.sail import SAIL
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas, pair_form

__all__ = ["WorstCase", "worst_preferences"]

_ROUNDS = 20


@dataclass(frozen=True)
class WorstCase:
    """The hardest problem found.

    Attributes:
        problem: The given one with other preferences (and base measure).
        value: Its γ*, a lower bound of the supremum.
        theta: Where the curvature is attained, (d,).
        searches: How many worst-point searches were made.
    """

    problem: PreferenceProblem
    value: float
    theta: np.ndarray
    searches: int


def worst_preferences(
    problem: PreferenceProblem,
    *,
    min_reference: float | None = None,
    restarts: int = 8,
    effort: str = "light",
    seed: int = 0,
) -> WorstCase:
    """Search for sup γ* over all preferences p*, optionally over π_ref as well.

    γ* is convex in p*, because ∇²J is affine in it, so the supremum is attained where
    every p is 0 or 1. The search alternates: the worst point θ and direction v for the
    preferences at hand, then the preferences that maximise vᵀ∇²J(θ)v, in closed form.
    Each round can only raise γ*.

    Args:
        problem: Features, weights, β, domain; its own preferences are one start.
        min_reference: When given, also search over π_ref with every probability at
            least this much (0 < it < 1/m), θ_ref staying where it is.
        restarts: Random 0/1 starts besides "one response beats all".
        effort: Of each search.
        seed: Seed of the starts and searches.

    Raises:
        InputError: S = {0}; ``min_reference`` or the seed outside its domain.
    """
    if problem.span.dimension == 0:
        raise InputError("problem", repr(problem), "S = {0}: there is no curvature")
    highest = 1 / max(problem.responses)
    if min_reference is not None and not 0 < min_reference < highest:
        accepted = f"a probability in (0, {highest:.3g}) is expected"
        raise InputError("min_reference", min_reference, accepted)
    rng = np.random.default_rng(whole_number("seed", seed))
    best = _climb(problem, effort, seed)
    for preferences in _starts(problem, restarts, rng):
        found = _climb(problem.replace(preferences=preferences), effort, seed)
        best = _better(best, found)
    if min_reference is None:
        return best
    for x, m in enumerate(problem.responses):
        for peak in range(m):
            base = list(best.problem.base)
            base[x] = _peaked(problem, x, peak, min_reference)
            best = _better(best, _climb(best.problem.replace(base=base), effort, seed))
    return best


def _climb(problem: PreferenceProblem, effort: str, seed: int) -> WorstCase:
    """Alternate worst point and worst preferences until γ* no longer rises."""
    best: WorstCase | None = None
    theta = None
    for searches in range(1, _ROUNDS + 1):
        domain = Domain(problem)
        found = largest_relative_curvature_on(SAIL(problem), Search(domain, effort, seed), theta)
        value = -np.inf if found.value is None else found.value
        if best is not None and not value > best.value + 1e-12 * abs(best.value):
            return WorstCase(best.problem, best.value, best.theta, searches)
        best = WorstCase(problem, value, found.theta, searches)
        theta = found.theta
        problem = problem.replace(preferences=_respond(problem, theta))
    assert best is not None
    return best


def _respond(problem: PreferenceProblem, theta: np.ndarray) -> list[np.ndarray]:
    """The preferences in {0, ½, 1} that maximise vᵀ∇²J(θ)v at the worst direction v."""
    _, v = largest_relative_curvature(SAIL(problem), Domain(problem), theta)
    out: list[np.ndarray] = [np.empty(0)] * problem.prompts
    for at in SAIL(problem).points(theta):
        along = pair_form.logits(v, at.block.features)
        slope = formulas.preference_gradient(at.block.beta, at.policy, at.z, along)
        for i, x in enumerate(at.block.prompts):
            out[x] = (1 + np.sign(slope[i])) / 2
    return out


def _starts(
    problem: PreferenceProblem, restarts: int, rng: np.random.Generator
) -> list[list[np.ndarray]]:
    winners = [
        [_winner(m, k % m) for m in problem.responses] for k in range(max(problem.responses))
    ]
    drawn = []
    for _ in range(restarts):
        upper = [np.triu(rng.integers(0, 2, (m, m)), 1) for m in problem.responses]
        drawn.append([_complete(u.astype(float)) for u in upper])
    return winners + drawn


def _winner(m: int, best: int) -> np.ndarray:
    p = np.full((m, m), 0.5)
    p[best], p[:, best] = 1.0, 0.0
    p[best, best] = 0.5
    return p


def _complete(upper: np.ndarray) -> np.ndarray:
    return np.asarray(upper + np.tril(1 - upper.T, -1) + np.eye(len(upper)) / 2)


def _peaked(problem: PreferenceProblem, x: int, peak: int, smallest: float) -> np.ndarray:
    """A base measure for which π_ref of prompt x is ``smallest`` but at one response."""
    m = problem.responses[x]
    target = np.full(m, smallest)
    target[peak] = 1 - (m - 1) * smallest
    tilt = problem.features[x].astype(float) @ problem.ref_params
    return np.asarray(target * np.exp(tilt.min() - tilt))


def _better(a: WorstCase, b: WorstCase) -> WorstCase:
    best = b if b.value > a.value else a
    return WorstCase(best.problem, best.value, best.theta, a.searches + b.searches)
