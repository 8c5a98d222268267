"""c₀ and the supremum inside C11, enclosed."""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from flint import arb

from sailtheory.theory import inner_supremum
from tests.support.bounds_reference import DIGITS, inner, sigma, supremum_reference


def test_c_zero_is_enclosed():
    found = inner_supremum.c_zero()
    s = np.linspace(0, 1, 100_001)[1:-1]
    heights = (1 - s) ** 2 / -np.log(s) - s * (1 - s)
    assert heights.max() <= found.upper
    with mp.workdps(DIGITS):
        start = mp.mpf(s[heights.argmax()])
        peak = mp.findroot(lambda s: mp.diff(lambda t: inner(t, 0), s), start)
        assert found.lower <= inner(peak, 0) <= found.upper
    assert math.floor(found.lower * 1e5) == math.floor(found.upper * 1e5) == 26201
    assert found.upper - found.lower <= 1e-15


@pytest.mark.parametrize("offset", [-0.05, 0.0, 1e-3, 1.0, 50.0])
def test_the_oracle_encloses_value_and_slope_on_random_pieces(offset):
    """The step that everything rests on, in pieces from tiny to wide, at random points."""
    rng = np.random.default_rng(3)
    oracle = inner_supremum._curvature_oracle(arb(offset))
    tiniest = math.log10(max(1e-6, -1.001 * offset))
    for _ in range(60):
        lo, hi = sorted(10.0 ** rng.uniform(tiniest, 3, size=2))
        value, slope = oracle(arb(lo), arb(hi))
        ratio = inner_supremum._ratio(arb(offset), arb(lo), arb(hi))
        for t in [lo, hi, *np.exp(np.linspace(math.log(lo), math.log(hi), 15)[1:-1])]:
            with mp.workdps(60):
                s, q = mp.exp(-mp.mpf(t)), mp.mpf(offset) + mp.mpf(t)
                r = (1 - s) / q
                rate = 2 * s * (1 - s) / q - (1 - s) ** 2 / q**2 + s - 2 * s**2
                exact = [r, r * (1 - s) - s * (1 - s), rate]
                for ball, number in zip((ratio, value, slope), exact, strict=True):
                    # The true number is within 1e-50 of this; at an end the ball is thin.
                    assert ball.overlaps(arb(mp.nstr(number, 55), 1e-40))


@pytest.mark.parametrize("z", [1e-6, 0.3, 1.0, 4.0, 30.0, 1e4])
@pytest.mark.parametrize("margin", [1e-3, 0.3, 2.0])
def test_inner_supremum_is_enclosed(margin, z):
    with mp.workdps(DIGITS):
        b = float(mp.log(sigma(z)) + margin)
        exact = supremum_reference(mp.mpf(b), z)
        found = inner_supremum.inner_supremum(b, z)
        assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= 1e-10 * found.upper


def test_inner_supremum_at_one_point_and_at_huge_z():
    # Z = 0: [(1/4)/(b + log 2) - 1/4]₊.
    for b in (-0.69, -0.5, 0.0, 0.3068, 0.31, 5.0):
        with mp.workdps(DIGITS):
            exact = max(0, (1 / (mp.mpf(b) + mp.log(2)) - 1) / 4)
            found = inner_supremum.inner_supremum(b, 0.0)
            assert found.lower <= exact <= found.upper
    # b = 0 and σ(−Z) far below the float64 range: c₀ itself.
    for z in (800.0, 1e7):
        found, c_zero = inner_supremum.inner_supremum(0.0, z), inner_supremum.c_zero()
        assert found.lower <= c_zero.upper and c_zero.lower <= found.upper
        assert found.upper <= c_zero.upper * (1 + 2e-10)


def test_inner_supremum_falls_in_b_and_rises_in_z():
    values = [inner_supremum.inner_supremum(b, 2.0) for b in (-0.1, 0.0, 0.2, 1.0)]
    assert all(high.lower > low.upper for high, low in itertools.pairwise(values))
    values = [inner_supremum.inner_supremum(0.0, z) for z in (0.0, 0.1, 0.5, 1.0, 2.0)]
    assert all(low.upper <= high.lower for low, high in itertools.pairwise(values))
