"""Polyak–Łojasiewicz constants on C: plain, and proximal for the constrained problem (C13).

plain:  ‖∇J‖² ≥ 2μ (J* − J)
prox:   2Λ max_{y∈C}[⟨∇J, y − θ⟩ − (Λ/2)‖y − θ‖²] ≥ 2μ (J* − J)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sailtheory.algebra import Objective
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.maximiser import Maximiser, stationary_point
from sailtheory.landscape.search import Search
from sailtheory.verdict import Evidence, Outcome, Strength, Verdict, Witness, conclude

Kind = Literal["plain", "prox"]

_GAP_FLOOR = 1e-9
_STATIONARY = 1e-10


@dataclass(frozen=True)
class PLConstant:
    """The smallest PL ratio found on C.

    Attributes:
        constant: inf over C of the ratio, by search: an upper bound of the true
            constant. None if S = {0} or the objective is constant on C.
        theta: Where, (d,).
        verdict: Whether PL holds with some μ > 0.
    """

    constant: float | None
    theta: np.ndarray
    verdict: Verdict | None


def pl_ratio(
    objective: Objective,
    domain: Domain,
    theta: np.ndarray,
    best: float,
    kind: Kind,
    smoothness: float,
) -> np.ndarray:
    """The largest μ for which the PL inequality holds at θ.

    Args:
        objective: Any objective.
        domain: C.
        theta: (..., d).
        best: J*, the maximum on C.
        kind: ``plain`` or ``prox``.
        smoothness: Λ > 0, used by ``prox``.

    Returns:
        (...); nan where the gap is too small for float64 to tell.
    """
    g = domain.reduce(objective.gradient(theta))
    progress, _ = _progress(domain, theta, g, kind, smoothness)
    gap = best - objective.value(theta)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(
            np.where(gap > _GAP_FLOOR * (1 + abs(best)), progress / (2 * gap), np.nan)
        )


def _progress(
    domain: Domain, theta: np.ndarray, g: np.ndarray, kind: Kind, smoothness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Left side of the inequality, (...), and the move y − θ that attains it, (..., r)."""
    if kind == "plain":
        return (g * g).sum(-1), g
    x = domain.coordinates(theta)
    move = domain.project(x + g / smoothness) - x
    return 2 * smoothness * ((g - smoothness / 2 * move) * move).sum(-1), move


def _log_ratio_gradient(
    objective: Objective,
    domain: Domain,
    theta: np.ndarray,
    best: float,
    kind: Kind,
    smoothness: float,
) -> np.ndarray:
    """∇ log(ratio) by the envelope theorem, (..., d)."""
    g = domain.reduce(objective.gradient(theta))
    h = domain.reduce_matrix(objective.hessian(theta))
    progress, move = _progress(domain, theta, g, kind, smoothness)
    turned = (h @ move[..., None])[..., 0]
    if kind == "plain":
        rise = 2 * turned
    else:
        rise = 2 * smoothness * (turned - g + smoothness * move)
    gap = best - objective.value(theta)
    return domain.lift(rise / progress[..., None] + g / gap[..., None])


def pl_constant(
    objective: Objective,
    search: Search,
    maximiser: Maximiser,
    kind: Kind,
    smoothness: float,
    guaranteed: bool = False,
) -> PLConstant:
    """The worst PL ratio on C.

    Args:
        objective: Any objective.
        search: Engine.
        maximiser: The objective's maximiser on C.
        kind: ``plain`` or ``prox``.
        smoothness: Λ > 0.
        guaranteed: Whether a theorem proves PL here (γ > K_B, C13).
    """
    domain = search.domain
    nothing = PLConstant(None, maximiser.theta, None)
    if domain.dimension == 0 or domain.radius == 0.0:
        return nothing

    def badness(theta: np.ndarray) -> np.ndarray:
        ratio = pl_ratio(objective, domain, theta, maximiser.value, kind, smoothness)
        return np.asarray(-np.log(np.maximum(ratio, 1e-300)))

    def slope(theta: np.ndarray) -> np.ndarray:
        arguments = (maximiser.value, kind, smoothness)
        return -_log_ratio_gradient(objective, domain, theta, *arguments)

    found = search.maximise(badness, slope)
    constant, theta = float(np.exp(-found.value)), found.theta
    candidate = domain.embed(
        stationary_point(objective, domain, domain.coordinates(theta), ascend=False)
    )
    reached = pl_ratio(objective, domain, candidate, maximiser.value, kind, smoothness)
    if reached < constant:
        constant, theta = max(float(reached), 0.0), candidate
    if not maximiser.on_boundary:
        hessian = domain.reduce_matrix(objective.hessian(maximiser.theta))
        limit = float(np.linalg.eigvalsh(-hessian)[0])
        if limit < constant:
            constant, theta = max(limit, 0.0), maximiser.theta
    if not np.isfinite(constant):
        return nothing
    stationary = constant < _STATIONARY * smoothness and theta is not maximiser.theta
    return PLConstant(
        constant, theta, _verdict(objective, domain, constant, theta, kind, smoothness,
                                  maximiser, stationary, guaranteed, found.evaluations)
    )  # fmt: skip


def _verdict(
    objective: Objective,
    domain: Domain,
    constant: float,
    theta: np.ndarray,
    kind: Kind,
    smoothness: float,
    maximiser: Maximiser,
    stationary: bool,
    guaranteed: bool,
    evaluations: int,
) -> Verdict:
    detail = f"smallest {kind} PL ratio found {constant:.6g} over {evaluations} points"
    if stationary:

        def replay() -> bool:
            ratio = pl_ratio(objective, domain, theta, maximiser.value, kind, smoothness)
            return bool(ratio < _STATIONARY * smoothness)

        witness = Witness(
            objective.problem, theta, "stationary, yet below the maximum", constant, replay,
            {"best_theta": maximiser.theta.tolist(), "best_value": maximiser.value},
        )  # fmt: skip
        return conclude([Evidence("search", detail, Outcome.REFUTED, Strength.SUPPORTED, witness)])
    evidence = []
    if guaranteed:
        evidence.append(Evidence("argument", "γ > K_B (C12, C13)", Outcome.HOLDS, Strength.PROVED))
    clear = constant > 1e-6 * smoothness
    outcome = Outcome.HOLDS if clear else Outcome.UNDECIDED
    evidence.append(Evidence("search", detail, outcome, Strength.SUPPORTED))
    return conclude(evidence)
