"""Z_max, and an upper bound of it that no rounding undercuts."""

from __future__ import annotations

import itertools

import mpmath as mp
import numpy as np
import pytest

from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.numeric.exact import to_fraction


def exact(values):
    """Numbers as given, in the working precision."""
    fractions = (to_fraction(value, "x") for value in values)
    return [mp.mpf(f.numerator) / f.denominator for f in fractions]


def z_exactly(problem):
    """β max [(c − θ_ref)ᵀΔ + B‖Δ‖] over the pairs of each prompt."""
    center, ref = exact(problem.center), exact(problem.given_ref_params)
    beta, radius = exact([problem.beta, problem.radius])
    best = mp.mpf(0)
    for phi in problem.features:
        for a, b in itertools.product(map(exact, phi), repeat=2):
            gap = [x - y for x, y in zip(a, b, strict=True)]
            shift = mp.fsum((c - t) * g for c, t, g in zip(center, ref, gap, strict=True))
            best = max(best, shift + radius * mp.sqrt(mp.fsum(g * g for g in gap)))
    return beta * best


@pytest.mark.parametrize("far", [0.0, 1.0, 1e4, 1e9])
def test_z_max_above_is_above_however_far_the_data_lie_from_zero(far):
    rng = np.random.default_rng(5)
    for _ in range(30):
        d = int(rng.integers(1, 4))
        center = np.round(rng.normal(size=d) + far * rng.normal(size=d), 3)
        problem = PreferenceProblem(
            features=np.round(rng.normal(size=(2, 4, d)) + far * rng.normal(size=d), 3),
            preferences=[BradleyTerry(r) for r in rng.normal(size=(2, 4))],
            beta=0.3,
            radius=2.5,
            center=center,
            ref_params=center + np.round(rng.normal(size=d) / 4, 3),
        )
        with mp.workdps(60):
            z = z_exactly(problem)
            assert z <= problem.z_max_above
            assert problem.z_max_above - z <= 1e-12 * (1 + far) ** 2


def test_decimals_that_float64_cannot_hold():
    typed = PreferenceProblem(
        features=[[["1000000000.3"], [1000000000]]],
        preferences=[BradleyTerry([0, 1])],
        beta=1,
        radius=1,
    )
    assert typed.z_max < 0.3 < typed.z_max_above
