"""K_B of C11: the minimum over b, its corollaries, and the curvature of instances below it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest

from sailtheory.numeric.numbers import FLOAT64
from sailtheory.theory import bounds, inner_supremum
from tests.support.bounds_reference import (
    DIGITS,
    ROUNDING,
    sharp_curvature,
    sigma,
    supremum_reference,
)

BETAS = (1e-6, 0.1, 1.0, 10.0, 1e3)
RANGES = (0.0, 1e-9, 0.3, 1.0, 4.0, 30.0, 1e3, 1e6)


def objective(beta, z, b):
    """2b + log 2 + log(1 + e^Z) + 2β² sup₊ in 50 digits, with its own supremum."""
    z = mp.mpf(z)
    level = 2 * b + mp.log(2) + mp.log(1 + mp.exp(z))
    return level + 2 * mp.mpf(beta) ** 2 * supremum_reference(b, z)


@pytest.mark.parametrize("z", [0.3, 1.0, 4.0, 30.0])
@pytest.mark.parametrize("beta", [0.1, 1.0, 10.0])
def test_relative_bound_is_the_minimum_over_b(beta, z):
    found = bounds.relative_bound(beta, z)
    with mp.workdps(30):
        best = inner_supremum.best_margin(beta, z)
        around = [best * f for f in (0.2, 0.9, 0.999, 1, 1.001, 1.1, 5)]
        values = [objective(beta, z, mp.log(sigma(mp.mpf(z))) + m) for m in around]
        sharp = sharp_curvature(mp.mpf(beta), mp.mpf(z))
        # Valid: not below the objective at its own b, nor (convexity) below a grid's.
        assert found >= min(values[3], sharp)
        # Tight: within 1e-9 of every other choice of b.
        assert all(found <= value * (1 + mp.mpf("1e-9")) for value in values)
        # The objective is convex in b, so a local minimum is the minimum.
        assert values[0] >= values[3] * (1 - mp.mpf("1e-9")) and values[6] >= values[3]


@pytest.mark.parametrize("z", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_relative_bound_dominates_a_saddle_point_on_a_dense_grid(beta, z):
    """min_b max over a finite set of z is below min_b sup: a lower bound for K_B."""
    grid = np.linspace(-z, z, 4001)
    s = 1 / (1 + np.exp(-grid))
    start = np.log(s[-1])

    def value(margin):
        heights = (1 - s) ** 2 / (start + margin - np.log(s)) - s * (1 - s)
        return (
            2 * (start + margin)
            + np.log(2)
            + np.logaddexp(0, z)
            + 2 * beta**2 * max(heights.max(), 0)
        )

    low, high = 1e-12, 2 * beta
    for _ in range(200):
        third = (high - low) / 3
        if value(low + third) < value(high - third):
            high -= third
        else:
            low += third
    floor = value((low + high) / 2)
    found = bounds.relative_bound(beta, z)
    # Rounding: log s carries 1e-16 against a margin of at least 1e-3, squared weight < 10.
    assert floor * (1 - 1e-12) <= found


@pytest.mark.parametrize("beta", BETAS)
def test_relative_bound_lies_below_its_corollaries_and_rises_in_z(beta):
    found = [bounds.relative_bound(beta, z) for z in RANGES]
    for z, value in zip(RANGES, found, strict=True):
        assert math.isfinite(value)
        assert value <= bounds.linear_curvature(beta, z)
        sharp = bounds.sharp_curvature(FLOAT64, beta, z)
        assert value <= sharp + ROUNDING * (abs(sharp) + beta**2)
    assert all(low < high for low, high in itertools.pairwise(found))


@pytest.mark.parametrize("beta", [*BETAS, 2.0, 3.0])
def test_relative_bound_at_the_reference(beta):
    """Z = 0: exactly 2β − β²/2, which C03 attains as p̄ → 1 (any β)."""
    found = bounds.relative_bound(beta, 0.0)
    exact = 2 * Fraction(beta) - Fraction(beta) ** 2 / 2
    assert 0 <= Fraction(found) - exact <= abs(exact) * Fraction(1e-9)


def test_positive_part_costs_something_only_for_large_beta():
    """With the positive part the minimum at Z = 0 is 2 once β ≥ 2, not 2β − β²/2."""
    level = -math.log(2)
    assert bounds.pointwise_relative_bound(3.0, 0.0, level) == pytest.approx(2.0, rel=1e-9)
    assert bounds.relative_bound(3.0, 0.0) == 1.5
    assert bounds.pointwise_relative_bound(0.5, 0.0, level) == pytest.approx(0.875, rel=1e-9)


def test_pointwise_bound_for_given_b():
    beta, z, value = 0.7, 2.5, -1.25
    with mp.workdps(DIGITS):
        for b in (-0.05, 0.0, 0.4):
            exact = 2 * (mp.mpf(b) - value) + 2 * mp.mpf(beta) ** 2 * supremum_reference(
                mp.mpf(b), z
            )
            found = bounds.pointwise_relative_bound(beta, z, value, offset=b)
            assert exact <= found <= exact * (1 + mp.mpf("2e-11"))
            best = bounds.pointwise_relative_bound(beta, z, value)
            assert best <= found * (1 + 1e-9)
    # b = 0 and Z → ∞ is corollary (ii).
    limit = bounds.pointwise_relative_bound(beta, 1e6, value, offset=0.0)
    assert limit == pytest.approx(bounds.pointwise_curvature(beta, -value), rel=2e-11)
    assert bounds.pointwise_relative_bound(beta, z, value) < limit


def scalar_instance(rng, beta):
    """One prompt, d = 1: J, J'' (by 40-digit differentiation), F, Z and min log π_ref."""
    m = int(rng.integers(2, 5))
    phi = [mp.mpf(x) for x in rng.normal(size=m)]
    base = [mp.mpf(x) for x in rng.normal(size=m) * 2]
    theta = mp.mpf(rng.normal() * 10.0 ** rng.uniform(-3, 1))
    wins = rng.integers(0, 2, size=(m, m))

    def policy(t):
        weights = [mp.exp(a + t * f) for a, f in zip(base, phi, strict=True)]
        return [w / sum(weights) for w in weights]

    def value(t):
        pi, total = policy(t), mp.mpf(0)
        for k, j in itertools.product(range(m), repeat=2):
            win = (
                mp.mpf("0.5")
                if k == j
                else wins[min(k, j)][max(k, j)] * (1 if k < j else -1) + (k > j)
            )
            z = beta * t * (phi[k] - phi[j])
            total += pi[k] * pi[j] * (win * mp.log(sigma(z)) + (1 - win) * mp.log(sigma(-z)))
        return total

    pi = policy(theta)
    mean = mp.fdot(pi, phi)
    fisher = mp.fdot(pi, [(f - mean) ** 2 for f in phi])
    z = beta * abs(theta) * (max(phi) - min(phi))
    return value(theta), mp.diff(value, theta, 2), fisher, z, min(map(mp.log, policy(0)))


@pytest.mark.parametrize("beta", [0.1, 1.0, 6.0])
def test_bounds_dominate_the_curvature_of_random_instances(beta):
    """C11 and its corollaries against J''/F, J differentiated numerically in 40 digits."""
    rng = np.random.default_rng(7)
    with mp.workdps(40):
        for _ in range(25):
            value, second, fisher, z, log_min = scalar_instance(rng, mp.mpf(beta))
            ratio, z_up = second / fisher, math.nextafter(float(z), math.inf)
            assert ratio <= bounds.relative_bound(beta, z_up)
            assert ratio <= bounds.sharp_curvature(FLOAT64, beta, z_up) + ROUNDING * beta**2
            down = math.nextafter(float(value), -math.inf)
            assert ratio <= bounds.pointwise_relative_bound(beta, z_up, down)
            assert ratio <= bounds.pointwise_curvature(beta, -down)
            assert ratio <= bounds.limit_curvature(FLOAT64, beta, -float(log_min))
            assert -ratio <= bounds.lower_curvature(FLOAT64, beta, z_up)
            assert -value <= bounds.value_floor(FLOAT64, z_up) * (1 + ROUNDING)
