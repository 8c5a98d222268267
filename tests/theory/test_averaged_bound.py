"""The closed forms of C26 and C27 against 50-digit differentiation."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp, mpf

from sailtheory.numeric.balls import BALLS, Balls
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.theory.averaged_bound import path_factor, shortfall, steepness, two_responses

CASES = [(0.7, 0.3, -0.4, 0.21, 0.9), (0.1, -2.0, 1.5, -0.5, -3.0), (3.0, 0.0, 0.0, 0.5, 2.0)]


def parts(beta, odds, offset, q):
    def chance(t):
        s = 1 / (1 + mp.exp(-(odds + t)))
        return s * (1 - s)

    def value(t):
        z = beta * (offset + t)
        return 2 * chance(t) * (q * z - mp.log(mp.cosh(z / 2)))

    return chance, value


@pytest.mark.parametrize("case", CASES)
def test_against_numerical_derivatives(case):
    beta, odds, offset, q, t = case
    made = two_responses(FLOAT64, beta, odds, offset, q, t)
    with mp.workdps(50):
        chance, value = parts(*map(mpf, case[:4]))
        for k in range(3):
            assert made.chance[k] == pytest.approx(float(mp.diff(chance, mpf(t), k)), rel=1e-11)
            expected = float(mp.diff(value, mpf(t), k + 2))
            assert made.curvature[k] == pytest.approx(expected, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("case", CASES)
def test_balls_hold_the_points_of_an_interval(case):
    beta, odds, offset, q, t = case
    wide = two_responses(BALLS, Balls(beta), Balls(np.array([odds])), offset, q, Balls([t], 0.05))
    for at in np.linspace(t - 0.05, t + 0.05, 11):
        made = two_responses(FLOAT64, beta, odds, offset, q, at)
        for name in ("chance", "curvature"):
            for ball, value in zip(getattr(wide, name), getattr(made, name), strict=True):
                assert ball.lower[0] <= value <= ball.upper[0]


def test_steepness_bounds_the_second_derivative():
    rng = np.random.default_rng(0)
    tightest = np.inf
    for _ in range(200):
        beta, gamma = 10 ** rng.uniform(-2, 1), 10 ** rng.uniform(-3, 1)
        odds, offset, q = 3 * rng.normal(), 3 * rng.normal(), rng.uniform(-0.5, 0.5)
        t = np.linspace(-4, 4, 161)
        made = two_responses(FLOAT64, beta, odds, offset, q, t)
        bend = abs(gamma * made.chance[2] - made.curvature[2]) / made.chance[0]
        most = steepness(beta, gamma, beta * abs(offset + t).max())
        assert (bend <= most).all()
        tightest = min(tightest, most / bend.max())
    assert tightest < 3


def test_path_factor_and_shortfall():
    assert path_factor(FLOAT64, 2.0) == pytest.approx((np.exp(-2) + 1) / 4)
    grid = (np.arange(100_000) + 0.5) / 100_000
    mean = float(((1 - grid) * np.exp(-0.7 * grid)).mean())
    assert path_factor(FLOAT64, 0.7) == pytest.approx(mean)
    assert shortfall(2.0, 0.3, 0.5, 0.1) == pytest.approx(2 * 0.3 + 0.5 * 4 * 0.1)
