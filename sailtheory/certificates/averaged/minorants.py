"""Quadratic minorants of f = γv − j″ on each prompt's interval, enclosed (C26).

The interval |t| ≤ B‖D‖ is cut into pieces c ± h. On a piece, with k = ℓt − κt²,

    f(t) − k(t) ≥ f(c) − k(c) − h|f′(c) − k′(c)| − ½h² max{0, −inf(f″ + 2κ)},

f, f′ at c and the infimum of f″ on the piece from balls in float64
(:mod:`sailtheory.numeric.balls`), which hold the errors of the data too. A is the
least over the pieces. The last combination has fewer than 24 roundings, each of u times a term
of ``size`` at most; 2⁻⁴⁷ size is taken off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sailtheory.numeric.balls import BALLS, Balls
from sailtheory.problem.reduced import Reduced
from sailtheory.theory.averaged_bound import TwoResponses, two_responses

__all__ = ["Minorants", "Slopes", "enclose"]

PIECES = 64
_CHUNK = 1 << 19  # pieces at a time
_LOSS = 2.0**-47


class Slopes(NamedTuple):
    """The tangent of f at 0 is γ·chance − curvature, in float64: (n,) each."""

    chance: np.ndarray
    curvature: np.ndarray

    def at(self, gamma: float, share: float) -> np.ndarray:
        """ℓ: a share of that tangent."""
        return np.asarray(share * (gamma * self.chance - self.curvature))


class _Enclosed(NamedTuple):
    """What f is made of on each piece, (n, pieces).

    Attributes:
        chance: Lower ends of v at the centres.
        curvature: Upper ends of j″ at the centres.
        chance_slope, curvature_slope: Middles of v′ and j‴ there, with radii.
        chance_bend: Lower ends of v″ on the pieces.
        curvature_bend: Upper ends of j⁗ on the pieces.
    """

    chance: np.ndarray
    curvature: np.ndarray
    chance_slope: np.ndarray
    chance_off: np.ndarray
    curvature_slope: np.ndarray
    curvature_off: np.ndarray
    chance_bend: np.ndarray
    curvature_bend: np.ndarray


class Minorants:
    """A for any γ ≥ 0, ℓ and κ ≥ 0: what depends on the data alone is enclosed once.

    Attributes:
        slopes: Of f at 0.
    """

    def __init__(self, data: Reduced, beta: tuple[float, float], pieces: int = PIECES) -> None:
        reach = abs(data.reach[:, 1, 0])
        self.half = reach / pieces + 2.0**-50 * reach  # centres are rounded
        self.center = reach[:, None] * (np.arange(1 - pieces, pieces, 2) / pieces)
        self._parts = self._enclosed(data, beta, pieces)
        at = enclose(data, beta, np.zeros((len(reach), 1)), np.zeros(len(reach)))
        self.slopes = Slopes(at.chance[1].mid[:, 0], at.curvature[1].mid[:, 0])

    def _enclosed(self, data: Reduced, beta: tuple[float, float], pieces: int) -> _Enclosed:
        step, found = max(1, _CHUNK // pieces), []
        for i in range(0, len(self.half), step):
            part = slice(i, i + step)
            center, half = self.center[part], self.half[part]
            at = enclose(data.take(part), beta, center, np.zeros(len(half)))
            on = enclose(data.take(part), beta, center, half)
            (v, v1, _), (j2, j3, _) = at
            found.append((
                v.lower, j2.upper, v1.mid, v1.rad, j3.mid, j3.rad,
                on.chance[2].lower, on.curvature[2].upper,
            ))  # fmt: skip
        return _Enclosed(*(np.concatenate(values) for values in zip(*found, strict=True)))

    def constant(self, gamma: float, slope: np.ndarray, bend: float) -> np.ndarray:
        """A with f(t) ≥ A + ℓt − κt² on each interval.

        Args:
            gamma: γ ≥ 0.
            slope: ℓ, (n,).
            bend: κ ≥ 0.

        Returns:
            (n,).
        """
        p, t, h = self._parts, self.center, self.half[:, None]
        slope = slope[:, None]
        value = gamma * p.chance - p.curvature - (slope - bend * t) * t
        tilt = abs(gamma * p.chance_slope - p.curvature_slope - slope + 2 * bend * t)
        tilt = tilt + gamma * p.chance_off + p.curvature_off
        hollow = np.maximum(p.curvature_bend - gamma * p.chance_bend - 2 * bend, 0)
        lost = h * (tilt + h * hollow / 2)
        reach = abs(t).max(1)
        size = gamma + abs(p.curvature).max(1) + reach * (abs(slope[:, 0]) + 4 * bend * reach)
        size = size + self.half * (gamma + abs(p.curvature_slope).max(1) + abs(slope[:, 0]))
        size = size + lost.max(1)
        return np.asarray((value - lost).min(1) - _LOSS * size)


def enclose(
    data: Reduced, beta: tuple[float, float], center: np.ndarray, half: np.ndarray
) -> TwoResponses:
    """v, j″ and their derivatives on t = center ± half, in balls: (n, pieces)."""
    error = data.error[:, None]
    log_ref = Balls(data.log_ref, error)
    offset = Balls(data.offset[:, 1:], error)
    odds = log_ref[:, 1:] - log_ref[:, :1] + offset
    q = Balls(data.preference[:, 1, :1], error)
    t = Balls(center, np.broadcast_to(half[:, None], center.shape))
    return two_responses(BALLS, Balls(*beta), odds, offset, q, t)
