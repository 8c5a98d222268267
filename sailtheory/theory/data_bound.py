"""K_data (C25): C11's constant with each prompt's own preferences and intervals of z.

For b ≥ 0 above every g̃_kl and v ≥ −J̃ on the set of policies that is looked at,

    ∇²J_x ⪯ [2(b + v) + 2β² max_{k<l} sup_z (u²/(b − g̃) − σ')] F_x,

z over the interval that the pair reaches there, g̃ = qz − log cosh(z/2), u = q − ½tanh(z/2).
On a piece [z₀, z₁] the supremum is at most max(u₀², u₁²)/(b − sup g̃) + max(t₀², t₁²) − ¼, with
t = ½tanh(z/2): u falls, and g̃, concave, has its supremum at an end unless u changes sign, when
it is at most its supremum over the whole interval. Any b above that gives a bound; a few are tried.

**Rounding.** Each function is computed in float64 within a few units of the scale
S = Z + β + β², Z = max|z|, and 2β²u²/(b − g̃) loses at most 22 S u for b ≥ sup g̃ + .3 βU,
U = max|u|. The result is raised by 2⁻⁴⁰ S, 8,192 units.
"""

from __future__ import annotations

import numpy as np

from sailtheory.numeric.numbers import FLOAT64
from sailtheory.theory.bounds import sharp_curvature
from sailtheory.theory.formulas import log_likelihood_value

__all__ = ["data_bound", "inner_bound", "value_bound"]

PIECES = 12
_OFFSETS = (0.3, 0.45, 0.6, 0.8, 1.05)  # of βU, above sup g̃
_MARGIN = 2.0**-40


def data_bound(
    beta: float, preference: np.ndarray, low: np.ndarray, high: np.ndarray, responses: int
) -> np.ndarray:
    """K_data of each prompt, with K_B's closed form where that is smaller (C25, C11 (i)).

    Args:
        beta: β > 0.
        preference: q of the pairs k < l, (..., p).
        low: Lower ends of z over C, (..., p).
        high: Upper ends, (..., p).
        responses: m.

    Returns:
        (...), rounded up.
    """
    reach = np.maximum(abs(low), abs(high)).max(-1)
    value = value_bound(preference, low, high, responses)
    closed = sharp_curvature(FLOAT64, beta, reach)
    bound = np.minimum(inner_bound(beta, preference, low, high, value), closed)
    return np.asarray(bound + _MARGIN * (reach + beta + beta * beta))


def value_bound(
    preference: np.ndarray, low: np.ndarray, high: np.ndarray, responses: int
) -> np.ndarray:
    """v_x ≥ −J̃: the smaller of ½(h(Z) + qZ) and (1 − 1/m) max sup(−g̃) (C25): (...)."""
    reach = np.maximum(abs(low), abs(high)).max(-1)
    lean = abs(preference).max(-1)
    ends = [log_likelihood_value(FLOAT64, preference, z) for z in (low, high)]
    most = (1 - 1 / responses) * np.maximum(-np.minimum(*ends).min(-1), 0)
    return np.asarray(np.minimum((FLOAT64.log_cosh_half(reach) + lean * reach) / 2, most))


def inner_bound(
    beta: float, preference: np.ndarray, low: np.ndarray, high: np.ndarray, value: np.ndarray,
    pieces: int = PIECES,
) -> np.ndarray:  # fmt: skip
    """min over a few b of 2(b + v) + 2β² sup(u²/(b − g̃) − σ'), without a margin: (...).

    Args:
        beta: β > 0.
        preference: q of the pairs, (..., p).
        low: Lower ends of z, (..., p).
        high: Upper ends, (..., p).
        value: v, (...).
        pieces: Into how many each interval is cut.
    """
    with np.errstate(divide="ignore"):
        top = np.log1p(2 * preference) - np.log1p(-2 * preference)
    highest = log_likelihood_value(FLOAT64, preference, np.clip(top, low, high))
    last = _node(preference, low)
    steepest = np.maximum(abs(last[0]), abs(preference - np.tanh(high / 2) / 2)).max(-1)
    above = np.maximum(highest.max(-1), 0.0)
    offsets = above + beta * steepest * np.reshape(_OFFSETS, (-1, *[1] * above.ndim))
    offsets = offsets + np.finfo(float).tiny
    largest = np.full(offsets.shape, -np.inf)
    for i in range(1, pieces + 1):
        following = _node(preference, high if i == pieces else low + (high - low) * (i / pieces))
        slope, tanh, payoff = (
            np.maximum(a, b) for a, b in zip(last[1:], following[1:], strict=True)
        )
        peak = np.where((last[0] > 0) & (following[0] < 0), highest, payoff)
        flat = tanh - 0.25
        for found, offset in zip(largest, offsets, strict=True):
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                ratio = slope / (offset[..., None] - peak)
            ratio = np.where(np.isnan(ratio), np.inf, ratio)  # what is no number bounds nothing
            np.maximum(found, (ratio + flat).max(-1), out=found)
        last = following
    return np.asarray((2 * (offsets + value) + 2 * beta * beta * largest).min(0))


def _node(preference: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, ...]:
    """u, u², t² and g̃ at z."""
    half = np.tanh(z / 2) / 2
    first = preference - half
    return first, first * first, half * half, log_likelihood_value(FLOAT64, preference, z)
