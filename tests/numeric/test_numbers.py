"""The trusted base: every primitive of every number system against mpmath at 50 digits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch
from flint import arb, fmpz
from mpmath import mp, mpf

from sailtheory.numeric.numbers import (
    FLOAT64,
    arb_numbers,
    numbers_of,
    sympy_numbers,
    torch_numbers,
    without_diagonal,
)

EPS = float(np.finfo(float).eps)
SMALLEST = float(np.finfo(float).tiny)
DIGITS = 50

POSITIVE = [1e-300, 1e-12, 1e-8, 0.1, 0.5, 1.0, 1.75, 2.0 - EPS, 2.0, 3.5, 36.0, 700.0, 745.0, 1e6]
POINTS = [0.0] + [sign * z for z in POSITIVE for sign in (1, -1)]

EXACT = {
    "exp": mp.exp,
    "log": mp.log,
    "tanh": mp.tanh,
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
    "log_sigmoid": lambda z: -mp.log1p(mp.exp(-z)),
    "log_cosh_half": lambda z: mp.log1p(2 * mp.sinh(z / 4) ** 2),
}
SCALAR = sorted(EXACT)


def points(name: str) -> list[float]:
    return POSITIVE if name == "log" else POINTS


def exact(name: str, z: float):
    with mp.workdps(DIGITS):
        return +EXACT[name](mpf(z))


def exact_log_softmax(row):
    with mp.workdps(DIGITS):
        total = sum(mp.exp(mpf(x)) for x in row)
        return [mpf(x) - mp.log(total) for x in row]


def evaluate(system, name: str, z: list[float]) -> np.ndarray:
    return np.asarray(getattr(system, name)(system.asarray(z)))


# --- floating point ------------------------------------------------------------------


@pytest.mark.parametrize("name", SCALAR)
@pytest.mark.parametrize("system", [FLOAT64, torch_numbers()], ids=lambda s: s.name)
def test_floating_point_is_relatively_accurate(system, name):
    with np.errstate(over="ignore"):
        found = evaluate(system, name, points(name))
    for z, value in zip(points(name), found, strict=True):
        expected = exact(name, z)
        if abs(expected) > mpf(np.finfo(float).max):
            assert np.isinf(value)
            continue
        # A handful of correctly rounded steps, and nothing below the normal range.
        assert abs(mpf(float(value)) - expected) <= 8 * EPS * abs(expected) + SMALLEST, (z, value)


@pytest.mark.parametrize("system", [FLOAT64, torch_numbers()], ids=lambda s: s.name)
def test_log_cosh_half_keeps_its_digits_near_zero(system):
    for z in np.geomspace(1e-150, 2.5, 200):
        value = float(evaluate(system, "log_cosh_half", [z])[0])
        assert abs(mpf(value) / exact("log_cosh_half", z) - 1) <= 8 * EPS


@pytest.mark.parametrize("system", [FLOAT64, torch_numbers()], ids=lambda s: s.name)
def test_log_softmax(system):
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=5) * scale for scale in (1e-9, 1.0, 1e3, 1e6)] + [np.array([3.25])]
    for row in rows:
        found = np.asarray(system.log_softmax(system.asarray(row)))
        for value, expected in zip(found, exact_log_softmax(row), strict=True):
            # Subtracting the largest entry costs half an ulp of the difference.
            assert abs(mpf(float(value)) - expected) <= 4 * EPS * (1 + abs(expected))


def test_log_softmax_works_on_the_last_axis_of_any_shape():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(2, 3, 4))
    whole = FLOAT64.log_softmax(a)
    exact_rows = arb_numbers().log_softmax(arb_numbers().asarray(a))
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(whole[index], FLOAT64.log_softmax(a[index]))
        for value, ball in zip(whole[index], exact_rows[index], strict=True):
            assert abs(float(ball.mid()) - value) <= 4 * EPS * (1 + abs(value))


def test_scalars_are_accepted():
    assert float(FLOAT64.log_cosh_half(1.0)) == pytest.approx(float(np.log(np.cosh(0.5))))
    assert float(FLOAT64.sigmoid(-1.0)) == pytest.approx(1 / (1 + np.e))


# --- torch: derivatives --------------------------------------------------------------


def derivatives(name: str, z: float) -> tuple[float, float]:
    x = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(getattr(torch_numbers(), name)(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x)
    return first.item(), second.item()


@pytest.mark.parametrize("z", [0.0, 1e-12, -1e-12, 0.5, -1.5, 2.0, -2.0, 30.0, 1e6, -1e6])
def test_torch_derivatives_are_exact_at_zero_and_far_out(z):
    with mp.workdps(DIGITS):
        sigma, other = exact("sigmoid", z), exact("sigmoid", -z)
        tanh = exact("tanh", z)
        expected = {
            "sigmoid": (sigma * other, sigma * other * (other - sigma)),
            "log_sigmoid": (other, -sigma * other),
            "log_cosh_half": ((sigma - other) / 2, sigma * other),
            "tanh": (1 - tanh**2, -2 * tanh * (1 - tanh**2)),
        }
    for name, pair in expected.items():
        for found, true in zip(derivatives(name, z), pair, strict=True):
            # 1 - tanh² is formed by subtraction: absolute accuracy.
            assert np.isfinite(found), name
            assert abs(mpf(found) - true) <= 8 * EPS, name


@pytest.mark.parametrize("name", [*SCALAR, "log_softmax"])
def test_torch_gradcheck_twice(name):
    generator = torch.Generator().manual_seed(0)
    z = torch.rand(6, generator=generator, dtype=torch.float64) * 5 + 0.1
    z = (z if name == "log" else z - 3).requires_grad_()
    function = getattr(torch_numbers(), name)
    assert torch.autograd.gradcheck(function, z)
    assert torch.autograd.gradgradcheck(function, z)


# --- Arb: enclosures -----------------------------------------------------------------


def ball_of(value) -> arb:
    """An mpf as an exact ball."""
    mantissa, exponent = (-value if value < 0 else value).man_exp
    ball = arb((fmpz(int(mantissa)), fmpz(int(exponent))))
    return -ball if value < 0 else ball


@pytest.mark.parametrize("name", SCALAR)
def test_arb_point_is_enclosed_tightly(name):
    for z, ball in zip(points(name), evaluate(arb_numbers(), name, points(name)), strict=True):
        expected = ball_of(exact(name, z))
        known = expected + expected * arb(0, 1e-48)  # the exact value lies in here
        assert ball.overlaps(known), (z, ball)
        assert ball.rad() <= 64 * EPS * abs(expected), (z, ball)


@pytest.mark.parametrize("name", SCALAR)
@pytest.mark.parametrize("width", [1e-9, 1e-2, 1.0, 20.0])
def test_arb_interval_is_enclosed_and_not_absurdly_wide(name, width):
    rng = np.random.default_rng(7)
    for _ in range(20):
        low = float(rng.normal() * rng.choice([0.1, 3, 40]))
        low = abs(low) + 0.01 if name == "log" else low
        z = arb(low).union(arb(low + width))
        ball = getattr(arb_numbers(), name)(z)
        inside = [float(t) for t in low + width * np.append(rng.random(20), [0.0, 1.0])]
        inside = [t for t in inside if z.contains(arb(t))]
        values = [exact(name, t) for t in inside]
        assert all(ball.contains(ball_of(v)) for v in values)
        if name == "log_cosh_half" and low < 0 < low + width:
            assert ball.contains(arb(0))
            values.append(mpf(0))
        spread, size = max(values) - min(values), max(abs(v) for v in values)
        # Arb itself encloses exp and log by their steepest side, at most twice the range.
        factor = 2.1 if name in ("exp", "log") else 1.01
        assert 2 * ball.rad() <= factor * ball_of(spread) + 1e-8 * ball_of(size), (z, ball)


def test_arb_log_softmax_of_intervals():
    rng = np.random.default_rng(3)
    for width in (1e-6, 0.3, 5.0):
        low = rng.normal(size=4) * 3
        row = np.array([arb(x).union(arb(x + width)) for x in low], dtype=object)
        balls = arb_numbers().log_softmax(row)
        corners = [low + width * rng.random(4) for _ in range(20)]
        for k in range(4):  # the extremes: one entry at one end, the others at the other
            up = low.copy()
            up[k] += width
            corners += [up, low + width - (up - low)]
        values = [exact_log_softmax(corner) for corner in corners]
        for k, ball in enumerate(balls):
            column = [v[k] for v in values]
            assert all(ball.contains(ball_of(v)) for v in column)
            assert 2 * ball.rad() <= ball_of(max(column) - min(column)) * 1.01 + 1e-8


def test_arb_log_softmax_is_relatively_accurate_for_a_sure_response():
    balls = arb_numbers().log_softmax(arb_numbers().asarray([0, -100]))
    expected = ball_of(exact("log_sigmoid", 100.0))
    assert balls[0].contains(expected)
    assert balls[0].rad() <= 64 * EPS * abs(expected)


def test_arb_follows_the_precision_in_force():
    from flint import ctx

    before = ctx.prec
    try:
        ctx.prec = 200
        ball = arb_numbers().log_sigmoid(arb(1))
        assert ball.rad() < 1e-55
        assert arb_numbers().log_2().rad() < 1e-55
    finally:
        ctx.prec = before


def test_arb_and_sympy_read_fractions_exactly():
    third = arb_numbers().asarray([Fraction(1, 3)])[0]
    assert (3 * third).contains(arb(1))
    assert third.rad() < 1e-15
    numbers = sympy_numbers().asarray([Fraction(1, 3), 0.5, 2, np.float64(0.1)])
    assert list(numbers) == [
        sympy.Rational(1, 3),
        sympy.Rational(1, 2),
        sympy.Integer(2),
        sympy.Rational(*(0.1).as_integer_ratio()),
    ]


# --- SymPy -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCALAR)
def test_sympy_expressions_have_the_exact_value(name):
    system = sympy_numbers()
    moderate = [z for z in points(name) if 1e-15 < abs(z) <= 50 or z == 0]
    for z in moderate:
        found = getattr(system, name)(system.asarray([z]))[0]
        # 60 digits beyond the 25 that log cosh(z/2) loses at z = 1e-12.
        with mp.workdps(DIGITS):
            value = mpf(str(sympy.N(found, 40, maxn=200)))
            assert abs(value - exact(name, z)) <= mpf(10) ** -38 * abs(exact(name, z))


def test_sympy_log_softmax():
    x = sympy.symbols("x", real=True)
    system = sympy_numbers()
    found = system.log_softmax(np.array([[x, 0 * x, sympy.log(3)]], dtype=object))[0]
    assert sympy.simplify(sum(sympy.exp(f) for f in found)) == 1
    assert sympy.simplify(found[0] - found[1] - x) == 0


# --- choice of the system ----------------------------------------------------------------


def test_numbers_of():
    assert numbers_of(np.zeros(2)) is FLOAT64
    assert numbers_of(np.array([Fraction(1, 3)], dtype=object)) is FLOAT64
    assert numbers_of(np.array([arb(1)], dtype=object)) is arb_numbers()
    assert numbers_of(np.array([sympy.Symbol("t")], dtype=object)) is sympy_numbers()
    for dtype in (torch.float64, torch.float32):
        system = numbers_of(torch.zeros(2, dtype=dtype))
        assert system.name == "torch"
        assert system.asarray([0.5]).dtype == dtype
    with pytest.raises(TypeError, match="decimal"):
        from decimal import Decimal

        numbers_of(np.array([Decimal(1)], dtype=object))


def test_without_diagonal_in_every_system():
    plain = np.arange(1.0, 10.0).reshape(1, 3, 3)
    expected = plain * (1 - np.eye(3))
    np.testing.assert_array_equal(without_diagonal(plain), expected)
    np.testing.assert_array_equal(without_diagonal(torch.as_tensor(plain)).numpy(), expected)
    for system in (arb_numbers(), sympy_numbers()):
        found = without_diagonal(system.asarray(plain))
        np.testing.assert_array_equal(found.astype(float), expected)
