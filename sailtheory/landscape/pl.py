"""Polyak–Łojasiewicz constants on C: plain, and proximal for the constrained problem (C13).

plain:  ‖∇J‖² ≥ 2μ (J* − J)
prox:   2Λ max_{y∈C}[⟨∇J, y − θ⟩ − (Λ/2)‖y − θ‖²] ≥ 2μ (J* − J)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sailtheory.landscape.concavity import Curvature, agreement
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.maximiser import Maximiser, newton_distance, stationary_point
from sailtheory.landscape.pencil import flattest, largest_curvature
from sailtheory.landscape.search import Proposal, Search
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.curvature_sign import curvature_sign
from sailtheory.verdict import (
    Evidence,
    Outcome,
    Strength,
    Verdict,
    Witness,
    conclude,
)

__all__ = ["PLConstant", "Slopes", "pl_constant", "pl_ratio"]

Kind = Literal["plain", "prox"]

_GAP_FLOOR = 1e-9
_STATIONARY = 1e-10
_SETTLED = 1e-6  # of B: a Newton step this short is none
_LINES, _FAR = 8, (-3.0, np.log10(2))
_SEGMENT = 65
_REMEMBERED = 1 << 22  # numbers


@dataclass(frozen=True)
class PLConstant:
    """The smallest PL ratio found on C.

    Attributes:
        constant: inf over C of the ratio, by search: an upper bound of the true
            constant. None if S = {0} or the objective is constant on C.
        theta: Where, (d,).
        verdict: Whether PL holds with some μ > 0.
        convex: Where a refutation shows that the objective is not concave; None without one.
    """

    constant: float | None
    theta: np.ndarray
    verdict: Verdict | None
    convex: Curvature | None = None


class Slopes:
    """The objective at points of C, and its gradient on S; small arrays of points are remembered.

    Args:
        objective: Any objective.
        domain: C.
    """

    def __init__(self, objective: Objective, domain: Domain) -> None:
        self._objective, self._domain = objective, domain
        self._known: dict[tuple[tuple[int, ...], bytes], tuple[np.ndarray, np.ndarray]] = {}
        self._left = _REMEMBERED

    def __call__(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """At θ (..., d): values (...) and gradients (..., r)."""
        key = theta.shape, theta.tobytes()
        found = self._known.get(key)
        if found is None:
            value = np.asarray(self._objective.value(theta))
            found = value, self._domain.reduce(self._objective.gradient(theta))
            self._left -= 2 * theta.size
            if self._left > 0:
                self._known[key] = found
        return found


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
    return _ratio(domain, theta, Slopes(objective, domain)(theta), best, kind, smoothness)


def _ratio(
    domain: Domain,
    theta: np.ndarray,
    found: tuple[np.ndarray, np.ndarray],
    best: float,
    kind: Kind,
    smoothness: float,
) -> np.ndarray:
    value, g = found
    progress, _ = _progress(domain, theta, g, kind, smoothness)
    gap = best - value
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
    x, free = domain.coordinates(theta), g / smoothness
    beyond = np.linalg.norm(x + free, axis=-1, keepdims=True) > domain.radius
    move = np.where(beyond, domain.project(x + free) - x, free)
    return 2 * smoothness * ((g - smoothness / 2 * move) * move).sum(-1), move


def _log_ratio_gradient(
    objective: Objective,
    domain: Domain,
    theta: np.ndarray,
    found: tuple[np.ndarray, np.ndarray],
    best: float,
    kind: Kind,
    smoothness: float,
) -> np.ndarray:
    """∇ log(ratio) by the envelope theorem, (..., d)."""
    value, g = found
    progress, move = _progress(domain, theta, g, kind, smoothness)
    turned = domain.reduce(objective.hessian_product(theta, domain.lift(move)))
    if kind == "plain":
        rise = 2 * turned
    else:
        rise = 2 * smoothness * (turned - g + smoothness * move)
    gap = best - value
    return domain.lift(rise / progress[..., None] + g / gap[..., None])


def pl_constant(
    objective: Objective,
    search: Search,
    maximiser: Maximiser,
    kind: Kind,
    smoothness: float,
    proofs: Sequence[Evidence] = (),
    slopes: Slopes | None = None,
) -> PLConstant:
    """The worst PL ratio on C.

    Args:
        objective: Any objective.
        search: Engine.
        maximiser: The objective's maximiser on C.
        kind: ``plain`` or ``prox``.
        smoothness: Λ > 0.
        proofs: What proves or certifies PL here, such as γ > K_B (C13).
        slopes: What is known of the objective at points: the searches for both kinds of PL
            evaluate it at the same draws.
    """
    domain = search.domain
    nothing = PLConstant(None, maximiser.theta, None)
    if domain.dimension == 0 or domain.radius == 0.0:
        return nothing
    known = Slopes(objective, domain) if slopes is None else slopes

    def badness(theta: np.ndarray) -> np.ndarray:
        ratio = _ratio(domain, theta, known(theta), maximiser.value, kind, smoothness)
        return np.asarray(-np.log(np.maximum(ratio, 1e-300)))

    def slope(theta: np.ndarray) -> np.ndarray:
        arguments = (known(theta), maximiser.value, kind, smoothness)
        return -_log_ratio_gradient(objective, domain, theta, *arguments)

    lines = _along_the_curvature(objective, domain, maximiser)
    found = search.maximise(badness, slope, propose=lines, small_range=False)
    constant, theta = float(np.exp(-found.value)), found.theta
    candidate = domain.embed(
        stationary_point(objective, domain, domain.coordinates(theta), ascend=False)
    )
    reached = pl_ratio(objective, domain, candidate, maximiser.value, kind, smoothness)
    if reached < constant:
        constant, theta = max(float(reached), 0.0), candidate
    if not maximiser.on_boundary:
        limit = -float(largest_curvature(objective, domain, maximiser.theta)[0])
        if limit < constant:
            constant, theta = max(limit, 0.0), maximiser.theta
    if not np.isfinite(constant):
        return nothing
    stop = convex = None
    small = constant < _STATIONARY * smoothness and theta is not maximiser.theta
    if small and not proofs and _settled(objective, domain, theta):
        convex = _convex_between(objective, domain, theta, maximiser.theta)
        if convex is not None:
            stop = _spurious_stop(objective, domain, theta, maximiser, convex, kind, smoothness)
    detail = (
        f"smallest {kind} PL ratio found {constant:.6g} over {found.evaluations} points; "
        f"{agreement(found)}"
    )
    clear = constant > 1e-6 * smoothness and found.trusted and maximiser.trusted
    return PLConstant(constant, theta, _verdict(detail, stop, clear, proofs), convex)


def _along_the_curvature(objective: Objective, domain: Domain, maximiser: Maximiser) -> Proposal:
    """Draws points of the lines through the maximiser along the eigenvectors of its Hessian.

    Where one direction is far flatter than the others, the ratio is small only next to the
    line along it, too thin for points drawn at random.
    """
    x = domain.coordinates(maximiser.theta)
    lines = flattest(objective, domain, maximiser.theta, _LINES)

    def draw(count: int, rng: np.random.Generator) -> np.ndarray:
        chosen = lines[rng.integers(len(lines), size=count)]
        distance = domain.radius * 10 ** rng.uniform(*_FAR, (count, 1))
        distance *= rng.choice([-1.0, 1.0], (count, 1))
        return domain.embed(domain.project(x + distance * chosen))

    return draw


def _settled(objective: Objective, domain: Domain, theta: np.ndarray) -> bool:
    """Whether Newton's step from θ is nothing: a stationary point and not only a flat one."""
    distance = newton_distance(objective, domain, domain.coordinates(theta))
    return distance <= _SETTLED * domain.radius


def _convex_between(
    objective: Objective, domain: Domain, start: np.ndarray, end: np.ndarray
) -> Curvature | None:
    """Where the objective is certainly convex along the segment.

    It does not rise from a stationary point towards the maximiser at first, and does in the
    end. So a point like this exists unless the stationary point is none, and a concave
    objective is never refuted.
    """
    v = end - start
    points = start + np.linspace(0, 1, _SEGMENT)[:, None] * v
    along = objective.curvature(points, v)
    for i in np.argsort(-along)[:3]:
        point = domain.inside(points[i])
        if point is not None and curvature_sign(objective, point, v) > 0:
            return Curvature(float(along[i] / (v @ v)), point, v, None)
    return None


def _spurious_stop(
    objective: Objective,
    domain: Domain,
    theta: np.ndarray,
    maximiser: Maximiser,
    convex: Curvature,
    kind: Kind,
    smoothness: float,
) -> Witness:
    """A first-order point below the maximum: PL fails there for every μ > 0."""
    best = maximiser.value
    ratio = float(pl_ratio(objective, domain, theta, best, kind, smoothness))

    def replay() -> bool:
        again = pl_ratio(objective, domain, theta, best, kind, smoothness)
        stationary = bool(again < _STATIONARY * smoothness)
        return stationary and curvature_sign(objective, convex.theta, convex.direction) > 0

    data = {
        "best_theta": maximiser.theta.tolist(),
        "best_value": best,
        "convex_at": convex.theta.tolist(),
    }
    said = "stationary, yet below the maximum"
    return Witness(objective.problem, theta, said, ratio, replay, data)


def _verdict(detail: str, stop: Witness | None, clear: bool, proofs: Sequence[Evidence]) -> Verdict:
    if proofs:
        return conclude(
            [*proofs, Evidence("search", detail, Outcome.UNDECIDED, Strength.SUPPORTED)]
        )
    if stop is not None:
        return conclude([Evidence("search", detail, Outcome.REFUTED, Strength.SUPPORTED, stop)])
    outcome = Outcome.HOLDS if clear else Outcome.UNDECIDED
    return conclude([Evidence("search", detail, outcome, Strength.SUPPORTED)])
