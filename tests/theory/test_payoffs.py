"""Payoffs: derivatives and constants against 50 digits and grids typed afresh; refusals."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from flint import arb

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.theory import bounds, field_bound
from sailtheory.theory.payoff_bound import (
    loss_ceiling,
    payoff_bounds,
    payoff_curvature,
    payoff_maximum,
)
from sailtheory.theory.payoffs import PAYOFFS, custom_payoff, named_payoff, pair_payoff

HALF = mp.mpf(1) / 2


def logistic(z):
    return -mp.log(1 + mp.exp(-z))


AFRESH = {
    "logistic": lambda z, b: logistic(z),
    "smoothed": lambda z, b: mp.mpf(0.9) * logistic(z) + mp.mpf(0.1) * logistic(-z),
    "margin": lambda z, b: logistic(z - HALF),
    "ipo": lambda z, b: -((z - HALF) ** 2) / b**2,
    "squared": lambda z, b: -((z - 1) ** 2),
    "truncated-squared": lambda z, b: -(max(1 - z, mp.mpf(0)) ** 2),
    "hinge": lambda z, b: min(z - 1, mp.mpf(0)),
    "exponential": lambda z, b: -mp.exp(-z),
    "savage": lambda z, b: -1 / (1 + mp.exp(z)) ** 2,
    "sigmoid": lambda z, b: 1 / (1 + mp.exp(-z)),
}


def grid_bound(name, beta, z_range):
    """K of a payoff by a search over b, c and z, from differences: an estimate from below."""
    z = np.linspace(-z_range, z_range, 241)
    step = mp.mpf("1e-10")
    with mp.workdps(30):
        g, u, h = (
            np.array([float(mp.diff(lambda t: AFRESH[name](t, beta), mp.mpf(x), k, h=step))
                      for x in z + 1e-9]) for k in range(3)
        )  # fmt: skip
    t = z[120:] - 1e-15
    psi = np.maximum(-g[120:], -g[120::-1])
    floor = min((psi - c * t).max() + c * z_range / 2 for c in np.geomspace(1e-3, 1e3, 400))
    margins = np.geomspace(1e-7, 1e3, 600)
    inner = [((u * u) / (g.max() + m - g) + h).max() for m in margins]
    return float((2 * (g.max() + margins) + 2 * beta**2 * np.array(inner)).min() + 2 * floor)


@pytest.mark.parametrize("name", PAYOFFS)
def test_derivatives_against_fifty_digits(name):
    z, beta = np.array([-6.0, -0.7, 0.3, 0.9, 5.0]), 0.3
    found = named_payoff(name).jet(FLOAT64, z, beta).parts
    with mp.workdps(60):
        for i, at in enumerate(z):
            for order in range(4):
                exact = mp.diff(lambda t: AFRESH[name](t, mp.mpf(beta)), mp.mpf(float(at)), order,
                                h=mp.mpf("1e-15"))  # fmt: skip
                assert abs(found[order][i] - exact) < 1e-12 * (1 + abs(exact))


def test_two_responses_share_a_payoff():
    """p₁₂G(z) + p₂₁G(−z) − G(0): antisymmetric slope, in balls and in float64."""
    payoff, q, z = named_payoff("savage"), np.array([0.2, -0.2]), np.array([0.7, -0.7])
    found = pair_payoff(payoff, FLOAT64, q, z, 1.0)
    g = [float(AFRESH["savage"](mp.mpf(x), 1)) for x in (0.7, -0.7, 0.0)]
    np.testing.assert_allclose(found.value, 0.7 * g[0] + 0.3 * g[1] - g[2], atol=1e-15)
    assert found.first[0] == -found.first[1] and found.second[0] == found.second[1]
    xp = arb_numbers()
    balls = pair_payoff(payoff, xp, xp.asarray(q), xp.asarray(z), arb(1))
    for ball, number in zip(balls.first, found.first, strict=True):
        assert abs(ball - arb(float(number))) < 1e-15


@pytest.mark.parametrize("name", ["ipo", "hinge", "exponential", "sigmoid", "smoothed"])
def test_the_constant_is_above_the_grid_and_not_far(name):
    rough, found = grid_bound(name, 0.5, 1.5), payoff_curvature(named_payoff(name), 0.5, 1.5)
    assert rough * (1 - 2e-2) - 1e-9 <= found <= rough * (1 + 1e-2)


def test_the_logistic_constants_are_those_of_sail():
    found = payoff_bounds(named_payoff("logistic"), 0.3, 1.0)
    assert found.relative == pytest.approx(bounds.relative_bound(0.3, 1.0), rel=1e-6)
    assert found.field == pytest.approx(field_bound.field_bound(FLOAT64, 0.3, 1.0), rel=1e-6)
    assert found.lower <= bounds.lower_curvature(FLOAT64, 0.3, 1.0)


def test_exact_values_by_hand():
    """IPO at Z = 1: 5/(2β²) + 4; −e^{−z} at β = 1: 1 + e^Z; the hinge at small Z: 2N + 4β."""
    assert payoff_curvature(named_payoff("ipo"), 0.1, 1.0) == pytest.approx(254, rel=1e-7)
    exponential = payoff_curvature(named_payoff("exponential"), 1.0, 2.0)
    assert exponential == pytest.approx(1 + np.exp(2), rel=5e-4)
    hinge = payoff_bounds(named_payoff("hinge"), 1.0, 0.5)
    assert hinge.relative == pytest.approx(2 * 1.25 + 4 - 1, rel=1e-7)  # b − max G = 1 = β
    assert loss_ceiling(named_payoff("sigmoid"), 1.0, 4.0) == pytest.approx(-1 / (1 + np.exp(2)))
    top = payoff_maximum(named_payoff("squared"), 1.0, 2.0)
    assert top.lower <= 0 <= top.upper < 1e-12


def test_bounded_payoffs_have_a_constant_free_of_the_radius():
    """2 osc G + 6β²L for σ: L = √3/18, osc 1."""
    near, far = (payoff_curvature(named_payoff("sigmoid"), 0.5, z) for z in (4.0, 40.0))
    assert near < far < 2 + 6 * 0.25 * 3**0.5 / 18 + 1e-6


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("max(-(z - 1)**2, -4)", "convex kink"), ("abs(z)", "convex kink"),
        ("log(z)", "not finite"), ("1/z", "not finite"),
    ],
)  # fmt: skip
def test_what_has_no_constant_is_refused(formula, words):
    with pytest.raises(InputError, match=words):
        payoff_bounds(custom_payoff(formula), 0.5, 2.0)


def test_a_concave_kink_has_k_and_no_lower_constant():
    found = payoff_bounds(named_payoff("hinge"), 0.5, 2.0)
    assert np.isfinite(found.relative) and found.lower is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("__import__('os').getcwd() + z", "__import__"), ("z.real", "z.real"),
        ("z**z", "whole number"), ("z**0.5", "whole number"), ("exp(z, z)", "1 argument"),
        ("[z][0]", "not allowed"), ("z if z else 1", "not allowed"), ("1e999*z", "finite"),
        ("3", "expression in z"), ("gamma*z", "gamma"), ("z @ z", "not allowed"),
        ("(lambda z: z)(z)", "lambda"), ("z*True", "True"), ("z +", "an expression"),
        ("z" + "+z" * 300, "at most"), ("z**99", "powers from 1 to 12"), ("max(z)", "2 arguments"),
    ],
)  # fmt: skip
def test_an_expression_is_parsed_and_never_run(text, words):
    with pytest.raises(InputError, match=words.replace("(", r"\(")) as refused:
        custom_payoff(text)
    assert "\n" not in str(refused.value)


def test_a_function_of_jets_is_a_payoff_too():
    mine, theirs = custom_payoff(lambda z: -((z - 1) ** 2)), named_payoff("squared")
    for one, two in zip(*(p.jet(FLOAT64, np.ones(3) / 3, 1.0).parts for p in (mine, theirs)),
                        strict=True):  # fmt: skip
        np.testing.assert_array_equal(one, two)
    with pytest.raises(InputError, match="over jets"):
        custom_payoff(lambda z: np.sin(z)).jet(FLOAT64, np.ones(2), 1.0)


def test_options_are_checked():
    assert named_payoff("margin", margin=2.0).options == {"margin": 2.0}
    for name, options in (("ipo", {"margin": 1.0}), ("margin", {"margin": np.inf}), ("none", {}),
                          ("smoothed", {"label_smoothing": 0.5})):  # fmt: skip
        with pytest.raises(InputError):
            named_payoff(name, **options)
