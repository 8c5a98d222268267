"""The maximiser of an objective on C, and what its policy is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator, minres

from sailtheory.landscape.bfgs import ascend
from sailtheory.landscape.domain import DENSE, Domain
from sailtheory.landscape.pencil import hessian_on_span, hessian_operator
from sailtheory.landscape.search import Search
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.fields import Gain
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["Maximiser", "gain", "maximise", "newton_distance", "stationary_point"]

_NEWTON_STEPS = 12
_CLIMB_STEPS, _CLIMB_TOLERANCE = 200, 1e-12
_STATIONARY, _NEAR = 1e-10, 1e-6


@dataclass(frozen=True)
class Maximiser:
    """A maximiser found on C and the policy's worth there.

    Attributes:
        theta: (d,).
        value: The objective.
        on_boundary: Whether ‖θ − c‖ = B up to rounding.
        stationarity: ‖Proj(θ + ∇) − θ‖, 0 at a point that satisfies the
            first-order conditions.
        kl_ref_policy: E_x KL(π_ref‖π_θ).
        win_rate: E_x Σ π_θ(y₁) π_ref(y₂) p₁₂; nan where no preferences are stated.
        gain: win_rate − ½.
        maxima: Distinct local maxima met, best first.
        trusted: Whether independent rounds of the search agree on it.
    """

    theta: np.ndarray
    value: float
    on_boundary: bool
    stationarity: float
    kl_ref_policy: float
    win_rate: float
    gain: float
    maxima: tuple[float, ...]
    trusted: bool


def gain(problem: PreferenceProblem, theta: np.ndarray) -> np.ndarray:
    """Win rate of π_θ against π_ref, less ½: E_x Σ π_θ(y₁)π_ref(y₂)q (section 1).

    Args:
        problem: The problem.
        theta: (..., d).

    Returns:
        (...), in [−½, ½].
    """
    return np.asarray(Gain(problem).value(np.asarray(theta, dtype=float)))


def maximise(
    objective: Objective,
    search: Search,
    extra_starts: np.ndarray | None = None,
    concave: bool = False,
) -> Maximiser:
    """The best point of an objective on C.

    Args:
        objective: Any objective.
        search: Engine; its effort and seed apply.
        extra_starts: Further starting points, (k, d).
        concave: Whether the objective is proved concave on C: then a stationary point is its
            maximiser, and one climb finds it. Where that climb ends elsewhere, the search runs.
    """
    x = _top_of_concave(objective, search.domain, extra_starts) if concave else None
    if x is not None:
        return _maximiser(objective, search.domain, x, None, True)
    found = search.maximise(objective.value, objective.gradient, extra_starts)
    x = search.domain.coordinates(found.theta)
    x = stationary_point(objective, search.domain, x, ascend=True)
    return _maximiser(objective, search.domain, x, found.spread, found.trusted)


def _maximiser(
    objective: Objective,
    domain: Domain,
    x: np.ndarray,
    maxima: tuple[float, ...] | None,
    trusted: bool,
) -> Maximiser:
    theta, problem = domain.embed(x), domain.problem
    value = float(objective.value(theta))
    ahead = float(gain(problem, theta)) if problem.states_preferences else np.nan
    return Maximiser(
        theta=theta,
        value=value,
        on_boundary=bool(domain.on_boundary(x)),
        stationarity=_stationarity(objective, domain, x),
        kl_ref_policy=float(KLRefPolicy(problem).value(theta)),
        win_rate=0.5 + ahead,
        gain=ahead,
        maxima=(value,) if maxima is None else maxima,
        trusted=trusted,
    )


@np.errstate(all="ignore")
def _top_of_concave(
    objective: Objective, domain: Domain, starts: np.ndarray | None
) -> np.ndarray | None:
    """The maximiser of a concave objective, (r,); None where one climb stops before it."""
    if domain.dimension == 0 or domain.radius == 0.0:
        return None
    near = domain.ref[None] if starts is None else domain.coordinates(np.atleast_2d(starts)[:1])
    start = domain.project(near)

    def value(x: np.ndarray) -> np.ndarray:
        return np.asarray(objective.value(domain.embed(x)))

    def slope(x: np.ndarray) -> np.ndarray:
        return domain.reduce(objective.gradient(domain.embed(x)))

    ends, _ = ascend(value, slope, start, value(start), domain.radius, _CLIMB_STEPS,
                     _CLIMB_TOLERANCE)  # fmt: skip
    x = stationary_point(objective, domain, ends[0], ascend=True)
    small = _STATIONARY * (1.0 + float(np.linalg.norm(slope(start))))
    if not _stationarity(objective, domain, x) <= small:
        return None
    return x if newton_distance(objective, domain, x) <= _NEAR * domain.radius else None


def _stationarity(objective: Objective, domain: Domain, x: np.ndarray) -> float:
    g = domain.reduce(objective.gradient(domain.embed(x)))
    return float(np.linalg.norm(domain.project(x + g) - x))


def stationary_point(
    objective: Objective, domain: Domain, x: np.ndarray, ascend: bool
) -> np.ndarray:
    """Newton steps on the first-order conditions of the ball, kept only while they help.

    Args:
        objective: Any objective.
        domain: C.
        x: Coordinates of a point near a stationary one, (r,).
        ascend: Whether a step may not lower the objective.
    """
    if domain.dimension == 0 or domain.radius == 0.0:
        return x
    best = _stationarity(objective, domain, x)
    for _ in range(_NEWTON_STEPS):
        theta = domain.embed(x)
        trial = domain.project(x + _newton_step(objective, domain, x))
        reached = _stationarity(objective, domain, trial)
        lost = objective.value(theta) - objective.value(domain.embed(trial))
        if not reached < best or (ascend and lost > 1e-12 * (1 + abs(objective.value(theta)))):
            break
        x, best = trial, reached
    return x


def newton_distance(objective: Objective, domain: Domain, x: np.ndarray) -> float:
    """Length of Newton's step from x (r,) on the first-order conditions; ∞ where it has none.

    It does not depend on the scale of the objective along any direction, so it tells a
    stationary point from one where the objective is only flat.
    """
    length = float(np.linalg.norm(_newton_step(objective, domain, x, singular=np.inf)))
    return length if np.isfinite(length) else np.inf


def _newton_step(
    objective: Objective, domain: Domain, x: np.ndarray, singular: float | None = None
) -> np.ndarray:
    """Newton's step from x (r,): towards ∇ = 0 inside, ∇ = λx with ‖x‖ = B, λ > 0 on the sphere.

    Args:
        objective: Any objective.
        domain: C.
        x: Coordinates of a point, (r,).
        singular: Entries of the step where the equations have no unique solution; by
            default it is the shortest of least residual.
    """
    size, theta, radius = domain.dimension, domain.embed(x), domain.radius
    g = domain.reduce(objective.gradient(theta))
    outward = float(g @ x) / radius**2
    inside = np.linalg.norm(x) < radius * (1 - 1e-6) or outward <= 0
    right = -g if inside else np.append(outward * x - g, (radius**2 - x @ x) / 2)
    if size > DENSE:
        return _by_products(hessian_operator(objective, domain, theta), x, right, outward)
    system = hessian_on_span(objective, domain, theta)
    if not inside:
        column = x[:, None]
        shifted = system - outward * np.eye(size)
        system = np.block([[shifted, -column], [column.T, np.zeros((1, 1))]])
    if singular is None:
        return np.asarray(np.linalg.lstsq(system, right, rcond=None)[0][:size])
    try:
        return np.asarray(np.linalg.solve(system, right)[:size])
    except np.linalg.LinAlgError:
        return np.full(size, singular)


def _by_products(
    hessian: LinearOperator, x: np.ndarray, right: np.ndarray, outward: float
) -> np.ndarray:
    """The step by MINRES, from products with the Hessian alone."""
    size = len(x)
    if len(right) == size:
        return np.asarray(minres(hessian, right, rtol=1e-12)[0])

    def bordered(v: np.ndarray) -> np.ndarray:
        head, last = v[:size], v[size]
        return np.append(hessian @ head - outward * head - last * x, -(x @ head))

    system = LinearOperator((size + 1, size + 1), matvec=bordered, dtype=float)
    symmetric = np.append(right[:size], -right[size])
    return np.asarray(minres(system, symmetric, rtol=1e-12)[0][:size])
