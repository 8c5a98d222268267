"""K of each prompt for any payoff, with its own preferences and intervals of z (C35).

With g̃ = p₁₂G(z) + p₂₁G(−z) − G(0), u = g̃', h = g̃'', any b > max(0, g̃) and v ≥ −J̃_x,

    ∇²J_x ⪯ [2(b + v) + 2β² max_{k<l} sup_z (u²/(b − g̃) + h)] F_x,

z over the interval that the pair reaches on C: C25 for any G. The suprema are enclosed in ball
arithmetic on pieces of each interval, an array of pairs at a time; a few b are tried.
"""

from __future__ import annotations

import numpy as np

from sailtheory.numeric.balls import BALLS, Balls
from sailtheory.theory.payoff import Payoff
from sailtheory.theory.payoffs import PairPayoff, pair_payoff

__all__ = ["payoff_data_bound"]

_PIECES = 16
_OFFSETS = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3)  # of β max|u|, above max(0, g̃)
_UP = 2.0**-46


def payoff_data_bound(
    payoff: PairPayoff,
    beta: float,
    preference: Balls,
    low: np.ndarray,
    high: np.ndarray,
    responses: int,
    floor: np.ndarray,
    pieces: int = _PIECES,
) -> np.ndarray:
    """K of each prompt (C35).

    Args:
        payoff: G, semiconcave on all intervals and their mirror images.
        beta: β > 0.
        preference: q = p₁₂ − ½ of the pairs k < l, (n, p).
        low: Lower ends of z over C, (n, p).
        high: Upper ends, (n, p).
        responses: m.
        floor: Bounds of −J̃_x that are known already, (n,); ∞ for none.
        pieces: Into how many each interval is cut.

    Returns:
        (n,), rounded up; ∞ where nothing is shown.
    """
    share = (np.arange(pieces) + 0.5) / pieces
    width = (high - low)[..., None]
    middle = low[..., None] + width * share
    away = Balls(0 * middle, (width / (2 * pieces) + abs(middle) * 2.0**-50) * (1 + _UP))
    piece, q = middle + away, preference.reshape(*preference.shape, 1)
    with np.errstate(all="ignore"):
        wide = pair_payoff(payoff, BALLS, q, piece, beta)
        near = pair_payoff(payoff, BALLS, q, Balls(middle), beta)
        rough = any(payoff.jet(BALLS, each, beta).rough for each in (piece, -piece))
        value = wide.value if rough else _nearer(near.value, wide.first, away, wide.value)
        above = np.maximum(_most(value), 0)
        steep = _most(abs(wide.first))
        v = np.fmin(floor, (1 - 1 / responses) * np.maximum(_most(-value), 0))
        found = np.full(len(low), np.inf)
        for factor in _OFFSETS:
            offset = above + factor * beta * steep + np.finfo(float).tiny
            inner = _most(_quotient(wide, near, away, offset[:, None, None], rough))
            parts = 2 * (offset + v), 2 * beta * beta * inner
            found = np.fmin(found, parts[0] + parts[1] + _UP * (parts[0] + abs(parts[1])))
    return np.where(np.isnan(found), np.inf, found)


def _most(values: Balls) -> np.ndarray:
    """The largest of each prompt, from above; what is no number bounds nothing."""
    upper = values.upper
    return np.asarray(np.where(np.isnan(upper), np.inf, upper).max((-2, -1), initial=-np.inf))


def _nearer(at: Balls, slope: Balls, away: Balls, wide: Balls) -> Balls:
    """A function on a piece, by its value in the middle and its slope; ``wide`` where better."""
    tight = at + slope * away
    better = tight.rad < wide.rad
    return Balls(np.where(better, tight.mid, wide.mid), np.where(better, tight.rad, wide.rad))


def _quotient(wide: Payoff, near: Payoff, away: Balls, offset: np.ndarray, rough: bool) -> Balls:
    """u²/(b − g̃) + h on pieces."""

    def of(at: Payoff) -> tuple[Balls, Balls]:
        room = offset - at.value
        return room, abs(at.first) * abs(at.first) / room + at.second

    room, value = of(wide)
    if rough:
        return value
    first, second, third = wide.first, wide.second, wide.third
    slope = first * (2 * second / room + first * first / (room * room)) + third
    return _nearer(of(near)[1], slope, away, value)
