"""Enclosures of one-dimensional suprema against known maxima and 50-digit arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from flint import arb, ctx

from sailtheory.errors import InputError
from sailtheory.numeric.enclose import Enclosure, float_above, float_below, on_balls, supremum

EVERYTHING = arb(0, math.inf)

SINE = on_balls(lambda t: (t.sin(), t.cos()))
PARABOLA = on_balls(lambda t: (t * (1 - t), 1 - 2 * t))
EXPONENTIAL = on_balls(lambda t: (t.exp(), t.exp()))
FALLING = on_balls(lambda t: ((-t).exp(), -(-t).exp()))


@pytest.mark.parametrize(
    ("oracle", "lo", "hi", "exact"),
    [
        (SINE, 0, 3, 1),
        (SINE, 2, 3, lambda: mp.sin(2)),
        (SINE, -1, 100, 1),
        (PARABOLA, 0, 1, 0.25),
        (PARABOLA, -1e6, 1e6, 0.25),
        (EXPONENTIAL, 0, 1, lambda: +mp.e),
        (FALLING, 0, 50, 1),
        (on_balls(lambda t: (arb(3), arb(0))), 0, 1, 3),
    ],
)
def test_encloses_known_maxima_to_the_requested_width(oracle, lo, hi, exact):
    found = supremum(oracle, lo, hi, relative=1e-13)
    with mp.workdps(50):
        value = mp.mpmathify(exact() if callable(exact) else exact)
        assert found.lower <= value <= found.upper
    assert found.upper - found.lower <= 1e-13 * found.upper


def test_several_peaks_against_a_dense_grid_and_newton():
    def balls(t):
        value = (10 * t).sin() + (33 * t / 10).sin() - t * t / 50
        return value, 10 * (10 * t).cos() + arb(33) / 10 * (33 * t / 10).cos() - t / 25

    found = supremum(on_balls(balls), -4, 5, relative=1e-13)
    grid = np.linspace(-4, 5, 200_001)
    values = np.sin(10 * grid) + np.sin(3.3 * grid) - grid**2 / 50
    with mp.workdps(50):

        def slope(t):
            return 10 * mp.cos(10 * t) + mp.mpf(33) / 10 * mp.cos(mp.mpf(33) / 10 * t) - t / 25

        peak = mp.findroot(slope, mp.mpf(grid[values.argmax()]))
        value = mp.sin(10 * peak) + mp.sin(mp.mpf(33) / 10 * peak) - peak**2 / 50
        assert found.lower <= value <= found.upper
    assert found.upper - found.lower <= 1e-13 * found.upper


def test_an_oracle_without_slopes_still_converges():
    # |t - 1/3| has its maximum 5/3 at the right end; no derivative is offered.
    found = supremum(on_balls(lambda t: (abs(t - arb(1) / 3), EVERYTHING)), -1, 2, relative=1e-9)
    assert Fraction(found.lower) <= Fraction(5, 3) <= Fraction(found.upper)
    assert found.upper - found.lower <= 2e-9


def test_one_point_and_balls_as_end_points():
    point = supremum(EXPONENTIAL, 1, 1)
    with mp.workdps(50):
        assert point.lower < mp.e < point.upper
    assert point.upper - point.lower < 1e-15
    third = arb(1) / 3
    for value in (supremum(PARABOLA, third, third), supremum(PARABOLA, 0, third)):
        assert Fraction(value.lower) <= Fraction(2, 9) <= Fraction(value.upper)
        assert value.upper - value.lower < 1e-15


def test_floor_gives_the_positive_part_and_ends_the_search_early():
    calls = []

    def oracle(a, b):
        calls.append(1)
        return PARABOLA(a, b)

    assert supremum(oracle, 2, 3, floor=0.0) == Enclosure(0.0, 0.0)
    assert len(calls) == 3
    assert supremum(PARABOLA, 2, 3).upper == -2.0


def test_an_exhausted_budget_widens_the_enclosure_but_keeps_it_valid():
    rough = supremum(SINE, -1, 100, budget=8)
    assert rough.lower <= 1 <= rough.upper
    assert rough.upper - rough.lower > 1e-6


def test_an_oracle_that_knows_nothing_gives_an_unbounded_enclosure():
    blind = supremum(lambda a, b: (EVERYTHING, EVERYTHING), 0, 1, budget=50)
    assert blind == Enclosure(-math.inf, math.inf)
    undefined = supremum(lambda a, b: (arb("nan"), arb("nan")), 0, 1, budget=50)
    assert undefined == Enclosure(-math.inf, math.inf)


@pytest.mark.parametrize(("lo", "hi"), [(1, 0), (math.nan, 1), (0, math.inf)])
def test_refuses_intervals_that_are_none(lo, hi):
    with pytest.raises(InputError):
        supremum(SINE, lo, hi)


def test_precision_is_restored():
    before = ctx.prec
    supremum(SINE, 0, 3, precision=200)
    assert ctx.prec == before


@pytest.mark.parametrize(
    "exact", [Fraction(1, 3), Fraction(-2, 7), Fraction(1), Fraction(10**40, 3)]
)
def test_rounding_is_outward_and_tight(exact):
    with ctx.workprec(96):
        ball = arb(exact.numerator) / exact.denominator
        below, above = float_below(ball), float_above(ball)
    assert Fraction(below) <= exact <= Fraction(above)
    assert above in (below, math.nextafter(below, math.inf))


def test_rounding_at_the_edges_of_float64():
    assert float_above(arb(10) ** 400) == math.inf
    assert float_below(arb(-1) * arb(10) ** 400) == -math.inf
    assert float_above(arb(-1_000_000).exp()) == 5e-324
    assert float_below(arb(-1_000_000).exp()) == 0.0
    assert float_above(arb("nan")) == math.inf
    assert float_below(arb("nan")) == -math.inf
