"""Constants of the theorems against 50-digit references typed afresh from the theory."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy
from flint import arb, ctx

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import FLOAT64, arb_numbers, sympy_numbers, torch_numbers
from sailtheory.theory import bounds, inner_supremum
from tests.support.bounds_reference import DIGITS, ROUNDING, sharp_curvature, sigma, slope

# --- closed forms: one formula, four number systems, one independent reference ---------

CLOSED = {
    "value_floor": (
        lambda xp, b, z: bounds.value_floor(xp, z),
        lambda b, z: (mp.log(2) + mp.log(1 + mp.exp(z))) / 2,
    ),
    "sharp": (
        bounds.sharp_curvature,
        sharp_curvature,
    ),
    "linear": (
        lambda xp, b, z: bounds.linear_curvature(b, z),
        lambda b, z: mp.mpf("1.5") * z + 4 * b,
    ),
    "closed_form": (
        lambda xp, b, z: bounds.closed_form_threshold(b, 2 * z, z + 1, z / 3),
        lambda b, z: b * (mp.mpf("1.5") * 2 * z * (z + 1 + z / 3) + 4),
    ),
    "limit": (
        bounds.limit_curvature,
        lambda b, z: (
            2 * mp.log(2) + b * z + 4 * b / mp.e + 2 * inner_supremum.c_zero().upper * b**2
        ),
    ),
    "path": (
        lambda xp, b, z: bounds.path_threshold(xp, b),
        lambda b, z: 2 * mp.log(2) + 2 * inner_supremum.c_zero().upper * b**2,
    ),
    "pointwise": (
        lambda xp, b, z: bounds.pointwise_curvature(b, z),
        lambda b, z: 2 * z + 2 * inner_supremum.c_zero().upper * b**2,
    ),
    "lower": (
        bounds.lower_curvature,
        lambda b, z: (
            2 * (mp.log(sigma(z / 2)) + mp.log(1 + mp.exp(z))) + 4 * b * sigma(z) + b**2 / 2
        ),
    ),
    "self_preference": (
        lambda xp, b, z: bounds.self_preference_curvature(xp, b),
        lambda b, z: 2 * mp.log(2) + b**2 / 2,
    ),
    "fisher_floor": (lambda xp, b, z: bounds.fisher_floor(xp, z), lambda b, z: mp.exp(-z)),
    "uniform_fisher": (
        lambda xp, b, z: bounds.uniform_fisher_factor(xp, z, 5),
        lambda b, z: 5 / (1 + 4 * mp.exp(z)),
    ),
    "uniform_fisher_conjecture": (
        lambda xp, b, z: bounds.uniform_fisher_factor(xp, z, 5, conjectured=True),
        lambda b, z: mp.exp(-z) * 25 / (mp.exp(-z) + 4) ** 2,
    ),
    "strong_concavity": (
        lambda xp, b, z: bounds.strong_concavity(xp, b + z + 2, b + 1, z, z / 8, b),
        lambda b, z: (z + 1) * mp.exp(-z * z / 8) * b,
    ),
    "absolute": (
        lambda xp, b, z: bounds.absolute_threshold(xp, z, 2, b, b / 3),
        lambda b, z: z * 3 / (b * mp.exp(-2 * b)),
    ),
    "smoothness": (
        lambda xp, b, z: bounds.smoothness(b, z, 2 * b),
        lambda b, z: (b + z) * (2 * b) ** 2 / 4,
    ),
    "steps": (
        lambda xp, b, z: bounds.linear_steps(xp, b, b + 1, 9 * b, b / 7),
        lambda b, z: (b + 1) / b * mp.log(63),
    ),
    "samples": (
        lambda xp, b, z: bounds.stochastic_samples(xp, b, b + 1, 9 * b, z, b / 7),
        lambda b, z: 2 * z * (b + 1) / (b**2 * (b / 7)) * mp.log(63),
    ),
    "second_moment": (
        lambda xp, b, z: bounds.second_moment_bound(xp, b, z, 3, centred=False),
        lambda b, z: 6 * (mp.log(1 + mp.exp(z)) + b * sigma(z)) ** 2,
    ),
    "second_moment_centred": (
        lambda xp, b, z: bounds.second_moment_bound(xp, b, z, 3, centred=True),
        lambda b, z: 6 * (z / 2 + b * sigma(z)) ** 2,
    ),
    "bias": (
        lambda xp, b, z: bounds.bias_bound(xp, b, z),
        lambda b, z: b * (mp.log((mp.exp(z) - 1) / z) - 1 + z / (mp.exp(z) - 1)),
    ),
    "kl_ceiling": (lambda xp, b, z: bounds.kl_ceiling(xp, b), lambda b, z: mp.log(2) / b),
    "gain_ceiling": (
        lambda xp, b, z: bounds.gain_ceiling(b, z, b + z),
        lambda b, z: 4 * b**2 * z / (b + z),
    ),
}
# Dyadic, so that float64 and exact arithmetic start from the same numbers.
POINTS = [
    (Fraction(1, 8), Fraction(1, 1024)),
    (Fraction(3, 4), Fraction(5, 2)),
    (Fraction(2), Fraction(21)),
]


@pytest.mark.parametrize(("beta", "z"), POINTS)
@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_agree_in_every_number_system(name, beta, z):
    form, reference = CLOSED[name]
    with mp.workdps(DIGITS):
        exact = reference(
            mp.mpf(beta.numerator) / beta.denominator, mp.mpf(z.numerator) / z.denominator
        )
        symbolic = form(sympy_numbers(), sympy.Rational(beta), sympy.Rational(z))
        # c₀'s upper end is a float64 and leaves SymPy at its 53 bits.
        digits = 1e-15 if symbolic.has(sympy.Float) else mp.mpf(10) ** (8 - DIGITS)
        assert abs(mp.mpf(sympy.N(symbolic, DIGITS)) - exact) <= digits * abs(exact)
        assert abs(form(FLOAT64, float(beta), float(z)) - exact) <= ROUNDING * abs(exact)
    with ctx.workprec(200):
        xp = arb_numbers()
        ball = form(xp, arb(beta.numerator) / beta.denominator, arb(z.numerator) / z.denominator)
        assert ball.overlaps(arb(mp.nstr(exact, DIGITS), abs(float(exact)) * 1e-40))
        assert float(ball.rad()) <= 1e-40 * abs(float(exact))
    torch = torch_numbers()
    tensor = form(torch, *torch.asarray([float(beta), float(z)]))
    # bias_range_bound cancels against terms of size 1 in torch, hence the absolute part.
    assert abs(float(tensor) - float(exact)) <= ROUNDING * (1 + abs(float(exact)))


def test_closed_forms_are_vectorised_over_z():
    z = np.geomspace(1e-9, 1e7, 40)
    for form in (bounds.sharp_curvature, bounds.lower_curvature, bounds.limit_curvature):
        batch = form(FLOAT64, 0.5, z)
        assert batch.shape == z.shape
        np.testing.assert_array_equal(batch, [form(FLOAT64, 0.5, float(one)) for one in z])


@pytest.mark.parametrize("z", [1e-300, 1e-12, 1e-6, 700.0, 1e7])
def test_curvatures_keep_relative_accuracy_at_extreme_z(z):
    beta = 1e-12
    with mp.workdps(400):
        big, b = mp.mpf(z), mp.mpf(beta)
        level = big + mp.log(2 * sigma(big))
        sharp = level + 4 * b * sigma(big) - 2 * b**2 * slope(big)
        bracket = mp.log(sigma(big / 2)) + mp.log(1 + mp.exp(big))
        lower = 2 * bracket + 4 * b * sigma(big) + b**2 / 2
        assert abs(bounds.sharp_curvature(FLOAT64, beta, z) - sharp) <= ROUNDING * sharp
        assert abs(bounds.lower_curvature(FLOAT64, beta, z) - lower) <= ROUNDING * lower


# --- relations between the constants ------------------------------------------------------


@pytest.mark.parametrize(
    "range_", [1e-9, 1e-6, 1e-3, 0.5, 0.999, 1.0, 1.001, 2.0, 40.0, 700.0, 1e4, 1e7]
)
def test_bias_range_bound_is_the_largest_kl_of_its_range(range_):
    """K(R) = max_q log(1 − q + q e^R) − qR: KL between the ends of a two-point law."""
    found = bounds.bias_range_bound(FLOAT64, range_)
    with mp.workdps(60):
        r = mp.mpf(range_)
        q = 1 / r - 1 / mp.expm1(r)
        exact = mp.log(1 - q + q * mp.exp(r)) - q * r
        assert abs(found - exact) <= ROUNDING * exact
        for other in (q * mp.mpf("0.9"), q * mp.mpf("1.1")):
            assert mp.log(1 - other + other * mp.exp(r)) - other * r < exact
    assert 0 < found <= min(range_, range_**2 / 8) * (1 + ROUNDING)


def test_bias_range_bound_at_zero_and_on_arrays():
    assert bounds.bias_range_bound(FLOAT64, 0.0) == 0.0
    r = np.linspace(0, 3, 301)
    batch = bounds.bias_range_bound(FLOAT64, r)
    assert batch.shape == r.shape and np.all(np.diff(batch) > 0)


@pytest.mark.parametrize("range_", [0.0, 0.1, 1.0, 5.0, 800.0])
def test_fisher_factors_are_ordered(range_):
    assert bounds.uniform_fisher_factor(FLOAT64, range_, 2, conjectured=True) == pytest.approx(
        0.0 if range_ > 700 else 1 / math.cosh(range_ / 2) ** 2, rel=ROUNDING, abs=5e-324
    )
    floor = bounds.fisher_floor(FLOAT64, range_)
    for m in (2, 3, 10):
        proved = bounds.uniform_fisher_factor(FLOAT64, range_, m)
        seen = bounds.uniform_fisher_factor(FLOAT64, range_, m, conjectured=True)
        assert floor * (1 - ROUNDING) <= proved <= seen * (1 + ROUNDING) <= 1 + 2 * ROUNDING


def test_strong_concavity_and_smoothness_bracket_the_curvature():
    """μ ≤ F(γ − J''/F) ≤ Λ on the instance of C13, where L = 1, D = 2, F(0) = 1."""
    beta, gamma, radius = 1.0, 3.0, 0.2
    z = beta * 2 * radius
    relative = bounds.relative_bound(beta, z)
    mu = bounds.strong_concavity(FLOAT64, gamma, relative, 2.0, radius, 1.0)
    smooth = bounds.smoothness(gamma, bounds.lower_curvature(FLOAT64, beta, z), 2.0)
    with mp.workdps(40):

        def value(t):
            p = sigma(2 * t)
            up, down = mp.log(sigma(2 * beta * t)), mp.log(mp.mpf("0.5"))
            kl = -mp.log(4 * p * (1 - p)) / 2
            return 2 * p * (1 - p) * up + (p**2 + (1 - p) ** 2) * down - gamma * kl

        for t in np.linspace(-radius, radius, 21):
            assert mu <= -mp.diff(value, mp.mpf(t), 2) <= smooth
    assert 1.73 < relative < 1.74


def test_rates_reach_the_accuracy_they_promise():
    modulus, smooth, distance, variance, accuracy = 0.2, 3.0, 1.7, 5.0, 1e-3
    initial = smooth * distance**2
    steps = math.ceil(bounds.linear_steps(FLOAT64, modulus, smooth, initial, accuracy))
    batch = bounds.stochastic_batch(modulus, variance, accuracy)
    assert bounds.linear_gap(modulus, smooth, steps, initial) <= accuracy
    assert bounds.stochastic_gap(modulus, smooth, steps, initial, variance, batch) <= accuracy
    assert bounds.stochastic_gap(modulus, smooth, steps, initial, variance, batch / 2) > accuracy
    samples = bounds.stochastic_samples(FLOAT64, modulus, smooth, initial, variance, accuracy)
    assert (steps - 1) * batch < samples <= steps * batch
    finer = bounds.stochastic_samples(FLOAT64, modulus, smooth, initial, variance, accuracy / 10)
    assert 10 < finer / samples < 20


def test_the_noise_floor_is_reached_within_a_factor_of_two():
    """J = −½Λθ², step 1/Λ: θ_T = ξ/Λ whatever θ_0, so E gap_T = σ²/(2ΛN) exactly."""
    smooth, variance, batch = 3.0, 5.0, 7.0
    exact = variance / (2 * smooth * batch)
    claimed = bounds.stochastic_gap(smooth, smooth, 1, 0.1, variance, batch)
    assert exact < claimed == pytest.approx(2 * exact)


@pytest.mark.parametrize("steps", [0, 0.5, -1, math.nan, math.inf, np.array([2.0, 0.0])])
def test_the_stochastic_bound_needs_a_step(steps):
    with pytest.raises(InputError, match=r"steps = .*>= 1"):
        bounds.stochastic_gap(0.2, 3.0, steps, 1.0, 1.0, 1.0)


# --- refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize(
    "use",
    [
        lambda b: bounds.relative_bound(b, 1.0),
        lambda b: inner_supremum.best_margin(b, 1.0),
        lambda b: bounds.pointwise_relative_bound(b, 1.0, -1.0),
        lambda b: bounds.sharp_curvature(FLOAT64, b, 1.0),
        lambda b: bounds.linear_curvature(b, 1.0),
        lambda b: bounds.closed_form_threshold(b, 1.0, 1.0, 0.0),
        lambda b: bounds.pointwise_curvature(b, 1.0),
        lambda b: bounds.path_threshold(FLOAT64, b),
        lambda b: bounds.lower_curvature(FLOAT64, b, np.ones(3)),
        lambda b: bounds.second_moment_bound(FLOAT64, b, 1.0, 1.0, centred=True),
        lambda b: bounds.kl_ceiling(FLOAT64, b),
        lambda b: bounds.gain_ceiling(b, 0.1, 1.0),
        lambda b: bounds.contraction(b, 1.0),
        lambda b: bounds.stochastic_batch(0.1, 1.0, b),
    ],
)
def test_refuses_what_must_be_positive(use, beta):
    with pytest.raises(InputError):
        use(beta)


@pytest.mark.parametrize("bad", [-1e-9, math.nan, math.inf])
@pytest.mark.parametrize(
    "use",
    [
        lambda v: bounds.relative_bound(1.0, v),
        lambda v: inner_supremum.inner_supremum(1.0, v),
        lambda v: bounds.pointwise_relative_bound(1.0, v, -1.0),
        lambda v: bounds.pointwise_relative_bound(1.0, 1.0, -v),
        lambda v: bounds.value_floor(FLOAT64, v),
        lambda v: bounds.sharp_curvature(FLOAT64, 1.0, np.array([1.0, v])),
        lambda v: bounds.limit_curvature(FLOAT64, 1.0, v),
        lambda v: bounds.fisher_floor(FLOAT64, v),
        lambda v: bounds.bias_bound(FLOAT64, 1.0, v),
        lambda v: bounds.strong_concavity(FLOAT64, 1.0, 0.5, v, 1.0, 1.0),
        lambda v: bounds.smoothness(v, 1.0, 1.0),
    ],
)
def test_refuses_what_must_not_be_negative(use, bad):
    with pytest.raises(InputError):
        use(bad)


@pytest.mark.parametrize(
    "use",
    [
        lambda: inner_supremum.inner_supremum(-0.4, 1.0),
        lambda: inner_supremum.inner_supremum(math.nan, 1.0),
        lambda: bounds.pointwise_relative_bound(1.0, 1.0, -1.0, offset=-5.0),
        lambda: bounds.pointwise_relative_bound(1.0, 1.0, 0.5),
        lambda: bounds.relative_bound("1", 1.0),
        lambda: bounds.relative_bound(True, 1.0),
        lambda: bounds.uniform_fisher_factor(FLOAT64, 1.0, 1),
        lambda: bounds.uniform_fisher_factor(FLOAT64, 1.0, 2.5),
        lambda: bounds.strong_concavity(FLOAT64, 1.0, math.nan, 1.0, 1.0, 1.0),
        lambda: bounds.absolute_threshold(FLOAT64, 1.0, 1.0, 1.0, 0.0),
    ],
)
def test_refuses_other_nonsense(use):
    with pytest.raises(InputError):
        use()
