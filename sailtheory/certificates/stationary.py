"""Spurious stops: first-order points of J_γ on C that lie below another point of C.

At an interior one ∇J_γ vanishes on S while the gap is positive, so neither plain PL nor
prox-PL holds with any μ > 0. At one on the sphere, where ∇J_γ points straight out, the
prox-PL bracket vanishes: prox-PL fails for every μ, and projected ascent stops there.
Existence is shown by Krawczyk's operator, which maps a small box into its interior only if
the box contains exactly one zero.
"""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb

from sailtheory.ascent import projected_ascent
from sailtheory.certificates.certificate import Stop
from sailtheory.certificates.region import Region, ball
from sailtheory.landscape import Domain
from sailtheory.numeric.exact import to_fraction
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.objectives.sail import SAIL, KLRefPolicy, SAILRevKL

__all__ = ["REFUTED", "kind", "spurious_stop", "starting_points"]

_STARTS, _STEPS, _NEWTON = 64, 500, 30
_FLAT = 1e-10
_WIDTHS = (1e-13, 1e-11, 1e-9, 1e-7)

REFUTED = {
    "interior": "an interior stationary point lies below another point: no μ for plain or prox-PL",
    "boundary": "projected ascent stops at a boundary point below another point: no μ for "
    "prox-PL; plain PL is not refuted",
}
"""What each kind of stop shows."""


def spurious_stop(
    region: Region, gamma: Fraction, starts: np.ndarray, deadline: float = float("inf")
) -> Stop | None:
    """A stop that replays, from where projected ascent with a line search ends.

    Args:
        region: C.
        gamma: γ.
        starts: θ, (k, d).
        deadline: ``time.monotonic()`` at which to give up.
    """
    objective = SAILRevKL(region.problem, float(gamma))
    ends = projected_ascent(
        objective, starts, step="line-search", steps=_STEPS, tolerance=_FLAT, record=20,
        callback=lambda *_: time.monotonic() > deadline,
    ).theta  # fmt: skip
    values = objective.value(ends)
    best = int(values.argmax())
    for i in np.argsort(values):
        below = values[i] < values[best] - 1e-12 * (1 + abs(values[best]))
        if not below or time.monotonic() > deadline:
            return None
        stop = Stop(_newton(region, gamma, region.inside(ends[i])), region.inside(ends[best]))
        if kind(region, gamma, stop) is not None:
            return stop
    return None


def starting_points(region: Region, rng: np.random.Generator) -> np.ndarray:
    """Well-spread points of C, θ (k, d)."""
    domain = Domain(region.problem)
    return np.asarray(domain.embed(domain.starts(_STARTS, rng)))


def kind(region: Region, gamma: Fraction, stop: Stop) -> str | None:
    """``interior`` or ``boundary`` when a spurious stop is certain, in ball arithmetic."""
    if not region.contains(stop.better):
        return None
    system = _System(region, gamma)
    for where in ("interior", "boundary"):
        box = system.zero(stop.x, where == "boundary")
        if box is None:
            continue
        below = system.value(box[: region.dimension]) < system.value(
            arb_numbers().asarray(stop.better)
        )
        inside = (
            box[-1] > 0
            if where == "boundary"
            else system.square(box) < system.radius * system.radius
        )
        if below and inside:
            return where
    return None


class _System:
    """First-order conditions in coordinates x: g(x) = 0, or g(x) = λGx with xᵀGx = B²."""

    def __init__(self, region: Region, gamma: Fraction) -> None:
        xp = arb_numbers()
        radius = to_fraction(region.problem.radius, "radius")
        self._region = region
        self._gamma = ball(gamma)
        self._basis, self._gram = xp.asarray(region.basis), xp.asarray(region.gram)
        self.radius = ball(radius)

    def value(self, x: Array) -> Any:
        return self._combined("value", x)

    def square(self, x: Array) -> Any:
        return x @ self._gram @ x

    def zero(self, x: np.ndarray, boundary: bool) -> Array | None:
        """A box of unknowns with exactly one zero, next to x; None if none is certain."""
        start = arb_numbers().asarray(x)
        if boundary:
            outward = self._gram @ start
            scale = outward @ outward
            if not scale > 0:
                return None
            multiplier = (self._gradient(start) @ outward) / scale
            start = _append(start, arb(float(multiplier)))
        size = len(start)
        jacobian = self._jacobian(start, boundary).astype(float)
        if not np.isfinite(jacobian).all() or np.linalg.cond(jacobian) > 1e12:
            return None
        inverse = arb_numbers().asarray(np.linalg.inv(jacobian))
        shift = inverse @ self._residual(start, boundary)
        for width in _WIDTHS:
            sides = np.array([arb(0, width) for _ in range(size)], dtype=object)
            box = start + sides
            rest = np.eye(size, dtype=int) - inverse @ self._jacobian(box, boundary)
            image = rest @ sides - shift
            if all(abs(side) < arb(width) for side in image):
                return box
        return None

    def _residual(self, unknowns: Array, boundary: bool) -> Array:
        if not boundary:
            return self._gradient(unknowns)
        x, multiplier = unknowns[:-1], unknowns[-1]
        distance = (self.square(x) - self.radius * self.radius) / 2
        return _append(self._gradient(x) - multiplier * (self._gram @ x), distance)

    def _jacobian(self, unknowns: Array, boundary: bool) -> Array:
        x = unknowns[:-1] if boundary else unknowns
        hessian = self._basis.T @ self._combined("hessian", x) @ self._basis
        if not boundary:
            return hessian
        outward = self._gram @ x
        top = np.concatenate([hessian - unknowns[-1] * self._gram, -outward[:, None]], axis=1)
        return np.concatenate([top, _append(outward, arb(0))[None, :]])

    def _gradient(self, x: Array) -> Array:
        return self._basis.T @ self._combined("gradient", x)

    def _combined(self, name: str, x: Array) -> Any:
        """SAIL less γ KL(π_ref‖π_θ), with γ as a ball."""
        theta, problem = self._region.embed(arb_numbers(), x), self._region.problem
        own, divergence = getattr(SAIL(problem), name), getattr(KLRefPolicy(problem), name)
        return own(theta) - self._gamma * divergence(theta)


def _newton(region: Region, gamma: Fraction, x: np.ndarray) -> np.ndarray:
    """Refine a first-order point; which kind it is shows in the constraint being active."""
    system = _System(region, gamma)
    on_sphere = float(x @ region.gram.astype(float) @ x) > (1 - 1e-6) * float(system.radius) ** 2
    unknowns = arb_numbers().asarray(x)
    if on_sphere:
        outward = system._gram @ unknowns
        unknowns = _append(unknowns, (system._gradient(unknowns) @ outward) / (outward @ outward))
    for _ in range(_NEWTON):
        residual = system._residual(unknowns, on_sphere).astype(float)
        jacobian = system._jacobian(unknowns, on_sphere).astype(float)
        if not np.isfinite(jacobian).all() or not np.isfinite(residual).all():
            return x
        move = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        unknowns = arb_numbers().asarray(unknowns.astype(float) - move)
        if np.abs(move).max() < 1e-15:
            break
    return np.asarray(unknowns[: len(x)].astype(float))


def _append(vector: Array, last: arb) -> Array:
    return np.concatenate([vector, np.array([last], dtype=object)])
