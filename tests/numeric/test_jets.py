"""Jets: derivatives against 50 digits and SymPy, enclosures of pieces, and what kinks they see."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy
from flint import arb

from sailtheory.numeric.jets import FUNCTIONS, variable
from sailtheory.numeric.numbers import FLOAT64, arb_numbers, sympy_numbers, torch_numbers
from sailtheory.theory.payoff_expression import parsed

EXPRESSIONS = {
    "exp(-z)*z - 2/(1 + z**2)": lambda z: mp.exp(-z) * z - 2 / (1 + z**2),
    "log(1 + exp(z))*tanh(z/3)": lambda z: mp.log(1 + mp.exp(z)) * mp.tanh(z / 3),
    "sigmoid(z)**3 - softplus(2*z - 1)": lambda z: (
        (1 / (1 + mp.exp(-z))) ** 3 - mp.log(1 + mp.exp(2 * z - 1))
    ),
    "max(0, 1 - z)**2 + min(z, 2) + abs(z - 1/2)": lambda z: (
        max(mp.mpf(0), 1 - z) ** 2 + min(z, mp.mpf(2)) + abs(z - mp.mpf(1) / 2)
    ),
}
POINTS = np.array([-3.25, -0.5, 0.125, 0.75, 1.5, 4.0])


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_derivatives_against_fifty_digits(text):
    made, found = parsed(text), parsed(text)(variable(FLOAT64, POINTS), 1.0).parts
    balls = made(variable(arb_numbers(), arb_numbers().asarray(POINTS)), arb(1)).parts
    with mp.workdps(60):
        for i, z in enumerate(POINTS):
            for order in range(4):
                # at order ≥ 1 a difference with a step of 1e-15, away from kinks
                exact = mp.diff(EXPRESSIONS[text], mp.mpf(float(z)), order, h=mp.mpf("1e-15"))
                size = 1e-12 * (1 + abs(exact))
                assert abs(found[order][i] - exact) < size
                assert abs(float(balls[order][i].mid()) - exact) < size


def test_tensors_give_the_same():
    xp = torch_numbers()
    for text in EXPRESSIONS:
        tensors = parsed(text)(variable(xp, xp.asarray(POINTS)), 1.0).parts
        floats = parsed(text)(variable(FLOAT64, POINTS), 1.0).parts
        for one, two in zip(tensors, floats, strict=True):
            np.testing.assert_allclose(np.asarray(one), two, rtol=1e-13, atol=1e-13)


def test_sympy_derives_the_same():
    z = sympy.Symbol("z")
    found = parsed("z**3*exp(-z)")(variable(sympy_numbers(), z), 1).parts
    value = z**3 * sympy.exp(-z)
    assert all(sympy.simplify(part - value.diff(z, k)) == 0 for k, part in enumerate(found))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_piece_holds_what_its_points_give(text):
    made, xp = parsed(text), arb_numbers()
    whole = made(variable(xp, arb(-2).union(arb(3))), arb(1)).parts
    for z in np.linspace(-2, 3, 11):
        for part, piece in zip(made(variable(xp, arb(float(z))), arb(1)).parts, whole, strict=True):
            assert piece.overlaps(part)


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("max(0, z)", True, False), ("min(z, 0)", False, True), ("-abs(z)", False, True),
        ("2 - 3*max(z, 0)", False, True), ("exp(-max(z, 0))", False, True),
        ("(z - 1)*max(0, z)", False, True), ("min(z, 0) + max(z, 0)", True, True),
    ],
)  # fmt: skip
def test_which_way_the_slope_may_jump(text, up, down):
    kink = parsed(text)(variable(arb_numbers(), arb(-0.1).union(arb(0.125))), arb(1)).kink
    assert kink is not None
    assert (kink.up, kink.down) == (up, down)


@pytest.mark.parametrize("text", ["max(0, z)**2", "max(abs(z) - 1, 0)**3", "min(z, 0)**2 + z"])
def test_powers_of_what_vanishes_at_a_kink_have_none(text):
    for end in (0.0, 1.0):
        piece = arb(end - 0.1).union(arb(end + 0.125))
        jet = parsed(text)(variable(arb_numbers(), piece), arb(1))
        assert jet.kink is None
    assert set(FUNCTIONS) >= {"max", "min", "abs"}
