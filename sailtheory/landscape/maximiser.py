"""The maximiser of an objective on C, and what its policy is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.landscape.domain import Domain
from sailtheory.landscape.search import Search
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas

__all__ = ["Maximiser", "gain", "maximise", "newton_distance", "stationary_point"]

_NEWTON_STEPS = 12
_ON_BOUNDARY = 1e-9


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
        win_rate: E_x Σ π_θ(y₁) π_ref(y₂) p₁₂.
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
    total = np.zeros(np.shape(theta)[:-1])
    for at in KLRefPolicy(problem).points(np.asarray(theta, dtype=float)):
        beaten = formulas.expectation(at.ref[:, None, :], at.block.preference)
        total = total + formulas.expectation(at.policy, beaten) @ at.block.weights
    return np.asarray(total)


def maximise(
    objective: Objective, search: Search, extra_starts: np.ndarray | None = None
) -> Maximiser:
    """The best point of an objective on C.

    Args:
        objective: Any objective.
        search: Engine; its effort and seed apply.
        extra_starts: Further starting points, (k, d).
    """
    domain = search.domain
    found = search.maximise(objective.value, objective.gradient, extra_starts)
    x = stationary_point(objective, domain, domain.coordinates(found.theta), ascend=True)
    theta = domain.embed(x)
    problem = domain.problem
    ahead = float(gain(problem, theta))
    return Maximiser(
        theta=theta,
        value=float(objective.value(theta)),
        on_boundary=bool(np.linalg.norm(x) >= domain.radius * (1 - _ON_BOUNDARY)),
        stationarity=_stationarity(objective, domain, x),
        kl_ref_policy=float(KLRefPolicy(problem).value(theta)),
        win_rate=0.5 + ahead,
        gain=ahead,
        maxima=found.spread,
        trusted=found.trusted,
    )


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
        system, right = _first_order_system(objective, domain, x)
        step = np.linalg.lstsq(system, right, rcond=None)[0][: domain.dimension]
        trial = domain.project(x + step)
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
    system, right = _first_order_system(objective, domain, x)
    try:
        step = np.linalg.solve(system, right)
    except np.linalg.LinAlgError:
        return np.inf
    length = float(np.linalg.norm(step[: domain.dimension]))
    return length if np.isfinite(length) else np.inf


def _first_order_system(
    objective: Objective, domain: Domain, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's equations at x (r,): ∇ = 0 inside; on the sphere ∇ = λx, ‖x‖ = B, λ > 0."""
    theta, radius = domain.embed(x), domain.radius
    g = domain.reduce(objective.gradient(theta))
    h = domain.reduce_matrix(objective.hessian(theta))
    outward = float(g @ x) / radius**2
    if np.linalg.norm(x) < radius * (1 - 1e-6) or outward <= 0:
        return h, -g
    bordered = [
        [h - outward * np.eye(domain.dimension), -x[:, None]],
        [x[None, :], np.zeros((1, 1))],
    ]
    return np.block(bordered), np.concatenate([outward * x - g, [(radius**2 - x @ x) / 2]])
