"""Balls in float64 hold the exact result of every operation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp, mpf

from sailtheory.numeric import balls
from sailtheory.numeric.balls import BALLS, Balls, upper_end
from sailtheory.numeric.exact import lift
from sailtheory.theory import formulas
from tests.support.reference import mpf_of

RNG = np.random.default_rng(7)
SCALES = 10.0 ** RNG.uniform(-30, 30, 60)


def some(shape=60, rad=True):
    mid = RNG.normal(size=shape) * np.resize(SCALES, shape)
    return Balls(mid, abs(mid) * RNG.random(shape) * 1e-3 * rad)


def chosen(ball):
    """A point of each ball, exactly."""
    out = []
    for m, r in zip(ball.mid.ravel(), np.broadcast_to(ball.rad, ball.shape).ravel(), strict=True):
        out.append(Fraction(float(m)) + Fraction(float(r)) * int(RNG.integers(-8, 9)) / 8)
    return np.array(out, dtype=object).reshape(ball.shape)


def holds(ball, exact):
    mid, rad = (np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(np.array(v))
                for v in (ball.mid, np.where(np.isfinite(ball.rad), ball.rad, 1e308)))  # fmt: skip
    return bool((abs(mid - exact) <= rad).all())


OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "one over": lambda a, b: 1 / b,
    "less": lambda a, b: 2 - a,
    "cube": lambda a, b: a**3,
    "abs": lambda a, b: abs(a) - b,
    "array first": lambda a, b: np.arange(60) * 1.0 * a + b,
    "maximum": lambda a, b: np.maximum(a, b),
    "minimum": lambda a, b: np.minimum(a, b),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("rad", [True, False])
def test_arithmetic(name, rad):
    a, b = some(rad=rad), some(rad=rad)
    left, right = chosen(a), chosen(b)
    operation = OPERATIONS[name]
    if name == "array first":
        exact = np.array([Fraction(i) for i in range(60)], dtype=object) * left + right
    else:
        exact = operation(left, right)
    assert holds(operation(a, b), exact)


def test_sums_and_products_of_matrices():
    a, b = some((5, 6)), some((6, 4))
    left, right = chosen(a), chosen(b)
    assert holds(a @ b, left @ right)
    assert holds(a.sum(-1), left.sum(-1))
    assert holds(
        a.mid @ b, np.vectorize(lambda v: Fraction(float(v)), otypes=[object])(a.mid) @ right
    )


def test_without_rounding_it_fails(monkeypatch):
    """The checks above can fail."""
    monkeypatch.setattr(balls, "_U", 0.0)
    monkeypatch.setattr(balls, "_UP", 1.0)
    a, b = some(rad=False), some(rad=False)
    assert not holds(a + b, chosen(a) + chosen(b))


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid", "log_sigmoid", "log_cosh_half"])
def test_functions(name):
    reference = {
        "exp": mp.exp, "log": mp.log, "tanh": mp.tanh,
        "sigmoid": lambda z: 1 / (1 + mp.exp(-z)), "log_sigmoid": lambda z: -mp.log1p(mp.exp(-z)),
        "log_cosh_half": lambda z: mp.log(mp.cosh(z / 2)),
    }[name]  # fmt: skip
    mid = np.concatenate([RNG.normal(size=300) * 10.0 ** RNG.uniform(-9, 2.5, 300), [0.0]])
    mid = abs(mid[:-1]) if name == "log" else mid
    ball = Balls(mid, abs(mid) * RNG.choice([0, 1e-15, 1e-3], len(mid)))
    found = getattr(BALLS, name)(ball)
    with mp.workdps(60):
        for i, point in enumerate(chosen(ball)):
            exact = reference(mpf(point.numerator) / point.denominator)
            assert abs(mpf_of(found.mid[i]) - exact) <= mpf_of(found.rad[i]), (name, mid[i])


def test_log_softmax_and_a_formula():
    a = Balls(RNG.normal(size=(9, 4)) * 30, 1e-9 * RNG.random((9, 4)))
    found = BALLS.log_softmax(a)
    with mp.workdps(50):
        for row, mids, rads in zip(chosen(a), found.mid, found.rad, strict=True):
            values = [mpf(v.numerator) / v.denominator for v in row]
            total = mp.log(sum(mp.exp(v) for v in values))
            for v, m, r in zip(values, mids, rads, strict=True):
                assert abs(v - total - mpf_of(m)) <= mpf_of(r)
    z = Balls(RNG.normal(size=(2, 3, 3)))
    payoff = formulas.log_likelihood_payoff(BALLS, 0.1, z)
    assert (payoff.value.upper - payoff.value.lower < 1e-14).all()


def test_ends_are_outside_and_exact():
    a = some()
    exact = chosen(a)
    for i in range(60):
        assert Fraction(float(a.lower[i])) <= exact[i] <= Fraction(float(a.upper[i]))
    assert (upper_end(a).rad == 0).all()


def test_a_divisor_that_may_be_zero_gives_everything():
    with np.errstate(invalid="ignore"):
        found = 1 / Balls(np.array([1.0, 1.0]), np.array([0.5, 1.5]))
    assert np.isfinite(found.rad[0]) and not found.rad[1] < np.inf


def test_data_that_float64_does_not_store_lie_in_their_balls():
    """A decimal, a third, and a number beside them that is stored exactly."""
    exact = [Fraction(1, 10), Fraction(1, 3), Fraction(-7, 11), Fraction(1, 4)]
    for given in (np.array(exact, dtype=object), np.array([float(x) for x in exact])):
        ball = lift(BALLS, given)
        for value, low, high in zip(exact, ball.lower, ball.upper, strict=True):
            assert Fraction(float(low)) <= value <= Fraction(float(high))
            assert high - low < 1e-15
        assert (ball.rad > 0).all()
