"""The supremum of one variable that C11's constant needs, enclosed in ball arithmetic.

S(b) = sup_{|z|≤Z} σ(−z)²/(b − log σ(z)) − σ'(z). Write t = −log σ(z) ∈ [t₀, t₀ + Z],
t₀ = log(1 + e^{−Z}). The function under the supremum is h(t) = N(r − s), s = e^{−t},
N = 1 − s, r = N/(b + t), and the *margin* x = b + t₀ = b − log σ(Z) > 0 stands for b,
which float64 cannot resolve at large Z.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from flint import arb, ctx

from sailtheory.errors import InputError, real_number, require
from sailtheory.numeric.enclose import PRECISION, Enclosure, Oracle, float_above, supremum
from sailtheory.numeric.numbers import Array

__all__ = ["best_margin", "c_zero", "curvature_at", "first_t", "inner_supremum", "margin_of"]


def _curvature_oracle(offset: arb) -> Oracle:
    """Enclose h and h' = r(2s − r) + s(1 − 2s) at b = ``offset``."""

    def oracle(lo: arb, hi: arb) -> tuple[arb, arb]:
        s = (-lo).exp().union((-hi).exp())
        n = -(-lo).expm1().union((-hi).expm1())
        r = _ratio(offset, lo, hi)
        return n * (r - s), r * (2 * s - r) + s * (1 - 2 * s)

    return oracle


def _ratio(offset: arb, lo: arb, hi: arb) -> arb:
    """Enclose r = N/(b + t) on [lo, hi], 0 ≤ lo, b + lo > 0.

    r' has the sign of b + t − (e^t − 1), which falls: so r is monotone on the piece or
    peaks inside it, where it equals s ≤ e^{−lo}.
    """
    r = (-(-lo).expm1() / (offset + lo)).union(-(-hi).expm1() / (offset + hi))
    if offset + lo <= lo.expm1() or offset + hi >= hi.expm1():
        return r
    return r.union((-lo).exp())


@cache
def c_zero() -> Enclosure:
    """c₀ = max_{0<s<1} (1 − s)²/(−ln s) − s(1 − s) = 0.26201…, enclosed (C11 (ii)).

    With s = e^{−t}: h(t) < N < t (as r < 1) and h(t) < 1/t, so t outside [1/8, 8] gives
    less than 1/8.
    """
    return supremum(_curvature_oracle(arb(0)), 0.125, 8.0, relative=1e-15)


def first_t(z: float) -> arb:
    """t₀ = −log σ(Z) = log(1 + e^{−Z})."""
    return (-arb(z)).exp().log1p()


def _margin_supremum(margin: arb, z: float, absolute: float, relative: float) -> Enclosure:
    """Positive part of S at b = margin − t₀."""
    start = first_t(z)
    oracle = _curvature_oracle(margin - start)
    return supremum(oracle, start, start + z, absolute=absolute, relative=relative, floor=0.0)


def margin_of(offset: float, z: float) -> arb:
    """The margin x = b − log σ(Z) > 0 of b = ``offset``; refuses one that is not positive."""
    b = real_number("offset", offset)
    margin = arb(b) + first_t(z)
    if not (math.isfinite(b) and margin > 0):
        raise InputError("offset", offset, f"a finite number above log sigmoid({z})")
    return margin


def inner_supremum(offset: float, z_range: float, *, relative: float = 1e-10) -> Enclosure:
    """Enclose sup_{|z|≤Z} [σ(−z)²/(b − log σ(z)) − σ'(z)]₊ (C11).

    Args:
        offset: b > log σ(Z), taken exactly.
        z_range: Z ≥ 0, taken exactly.
        relative: Accepted relative width.

    Returns:
        Rigorous (lower, upper).

    Raises:
        InputError: Z < 0, an argument not finite, or b not above log σ(Z).
    """
    z = real_number("z_range", z_range)
    require(">=", z_range=z)
    with ctx.workprec(PRECISION):
        return _margin_supremum(margin_of(offset, z), z, 0.0, relative)


def best_margin(beta: float, z_range: float) -> float:
    """A margin x = b − log σ(Z) > 0 that nearly minimises 2b + 2β² S₊(b), in floats.

    Any x gives a valid bound; this picks a good one. The objective is convex with slope
    2 − 2β² r², r at the maximiser of S, and the case of ``sharp_curvature`` shows that
    its minimiser is below 2β: bisection. Margins below 1e-10 min(β, 1) would change
    K_B by less than 1e-9 of itself.
    """
    b, z = real_number("beta", beta), real_number("z_range", z_range)
    require(">", beta=b)
    require(">=", z_range=z)
    low, high = 1e-10 * min(b, 1.0), 2.0 * b
    finest = min(1.0, 1e-3 * low / z) if z else 1.0
    steps = np.concatenate(([0.0], z * np.geomspace(finest, 1.0, 400)))
    for _ in range(48):
        middle = math.sqrt(low * high)
        value, r = _float_supremum(steps, math.log1p(math.exp(-z)), middle)
        low, high = (middle, high) if value > 0 and b * r > 1 else (low, middle)
    return high


def _float_supremum(steps: Array, start: float, margin: float) -> tuple[float, float]:
    """S, and r at its maximiser: best of t₀ + steps, then bisection on h' around it."""
    n = -np.expm1(-(start + steps))
    best = int(np.argmax(n * (n / (margin + steps) - (1 - n))))
    near, far = float(steps[max(best - 1, 0)]), float(steps[min(best + 1, len(steps) - 1)])
    for _ in range(50):
        middle = (near + far) / 2
        s = math.exp(-(start + middle))
        r = -math.expm1(-(start + middle)) / (margin + middle)
        rising = r * (2 * s - r) + s * (1 - 2 * s) > 0
        near, far = (middle, far) if rising else (near, middle)
    top = -math.expm1(-(start + far))
    r = top / (margin + far)
    return top * (r - (1 - top)), r


def curvature_at(margin: arb, beta: float, z: float, minus_value: arb) -> float:
    """2(b − J) + 2β² S₊(b) at b = margin − t₀, rounded up; S to 1e-11 of the result."""
    base = 2 * (margin - first_t(z) + minus_value)
    weight = 2 * arb(beta) ** 2
    absolute = max(1e-11 * float(base / weight), 0.0)
    return float_above(base + weight * _margin_supremum(margin, z, absolute, 1e-11).upper)
