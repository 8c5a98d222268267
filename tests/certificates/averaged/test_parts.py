"""Minorants, T₃ and T₄: against points, against brute force, and at the edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mpmath import mp, mpf

from sailtheory import InputError
from sailtheory.certificates.averaged import moments
from sailtheory.certificates.averaged.minorants import Minorants
from sailtheory.certificates.averaged.pairs import read_pairs, rotate
from sailtheory.certificates.averaged.tangents import constants, tangents
from tests.support.prompt_data import data_set


def pairs_of(seed=0, n=40, d=3, **knobs):
    return read_pairs(data_set(np.random.default_rng(seed), n, 2, d, **knobs))


def value(data, beta, gamma, i, t):
    """γv − j″ of one prompt in 50 digits."""
    with mp.workdps(50):
        odds = mpf(data.log_ref[i, 1]) - mpf(data.log_ref[i, 0]) + mpf(data.offset[i, 1])
        q, a, b = mpf(data.preference[i, 1, 0]), mpf(data.offset[i, 1]), mpf(beta)
        s = 1 / (1 + mp.exp(-(odds + t)))
        v, z = s * (1 - s), b * (a + t)
        h = mp.tanh(z / 2) / 2
        g, u = q * z - mp.log(mp.cosh(z / 2)), q - h
        j = 2 * (v * (1 - 6 * v) * g + 2 * v * (1 - 2 * s) * b * u - v * b**2 * (0.25 - h * h))
        return gamma * v - j


@pytest.mark.parametrize("kind", ["bt", "ties", "hard", "any"])
@pytest.mark.parametrize("radius", [0.3, 4.0])
def test_minorants_lie_below_and_close(kind, radius):
    pairs = pairs_of(3, n=12, kind=kind, radius=radius)
    data, (beta, _) = pairs.data, pairs.beta
    for gamma, share, bend in ((0.05, 1.0, 0.02), (0.3, 0.0, 0.0), (0.0, 0.5, 0.1)):
        made = Minorants(data, pairs.beta)
        slope = made.slopes.at(gamma, share)
        ours, theirs = made.constant(gamma, slope, bend), None
        if gamma:
            theirs = constants(data, pairs.beta, gamma, slope, bend)
        for i in range(0, 12, 6):
            reach = abs(data.reach[i, 1, 0])
            points = [mpf(x) * mpf(reach) for x in np.linspace(-1, 1, 41)]
            rest = [
                value(data, beta, gamma, i, t) - mpf(slope[i]) * t + bend * t * t for t in points
            ]
            assert ours[i] <= min(rest)
            assert min(rest) - ours[i] < 2e-3 * (reach + reach**2)
            if theirs is not None:
                assert theirs[i] <= min(rest)
                assert min(rest) - theirs[i] < 1e-3 * (1 + reach)


def test_tangents_agree():
    pairs = pairs_of(1)
    made = Minorants(pairs.data, pairs.beta)
    assert tangents(pairs.data, pairs.beta[0], 0.2) == pytest.approx(
        made.slopes.at(0.2, 1.0), abs=1e-7
    )


def sphere(rng, d, count=4000):
    x = rng.normal(size=(count, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_third_and_fourth_bound_every_direction(d):
    rng = np.random.default_rng(d)
    rotated = rotate(pairs_of(d, n=30, d=d))
    slope = rng.normal(size=30) + 0.5
    third, fourth = moments.third(rotated, slope), moments.fourth(rotated)
    a, b = sphere(rng, d), sphere(rng, d)
    b[:2000] = a[:2000] * np.sign(rotated.scale)
    along, across = a @ rotated.rows.T, (b @ rotated.white.T) ** 2
    cubic = abs((along * across) @ (rotated.weights * slope)).max()
    quartic = ((along**2 * across) @ rotated.weights).max()
    assert cubic <= third <= 4 * cubic
    assert quartic <= fourth <= 3 * quartic
    if d == 1:
        assert third == pytest.approx(cubic) and fourth == pytest.approx(quartic)


def test_both_ways_to_the_fourth_agree(monkeypatch):
    rotated = rotate(pairs_of(5, n=60, d=5))
    first = moments.fourth(rotated)
    monkeypatch.setattr(moments, "LARGEST", 0)
    assert moments.fourth(rotated) == pytest.approx(first, rel=0.01)
    monkeypatch.setattr(moments, "BLOCK", 25)
    assert moments.fourth(rotated) >= first * 0.99  # blocks cost


def test_the_norm_bounds_are_real():
    matrix = np.random.default_rng(0).normal(size=(5, 5))
    exact = np.linalg.norm(matrix, 2)
    assert exact <= moments.norm_above(matrix) <= exact * (1 + 1e-9)


def test_more_responses_and_singular_differences_are_told():
    with pytest.raises(InputError, match="two are expected"):
        read_pairs(data_set(np.random.default_rng(0), 3, 3, 2))
    assert rotate(pairs_of(0, n=3, d=5)) is None


def test_errors_of_rows_count():
    rotated = rotate(pairs_of(2))
    rough = replace(rotated, error=rotated.error + 1e-3)
    constant = np.ones(len(rotated.rows))
    assert moments.quadratic(rough, constant)[1] > 1e3 * moments.quadratic(rotated, constant)[1]
    assert moments.fourth(rough) > moments.fourth(rotated) * 1.001
    slope = np.ones(len(rotated.rows))
    assert moments.third(rough, slope) > moments.third(rotated, slope) * 1.001


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_both_ways_agree_for_any_share_of_the_eigenmatrix(part):
    rotated = rotate(pairs_of(6, n=60, d=4))
    values, vector = moments._top(rotated)
    matrix, tau = moments._as_matrix(rotated, vector), part * (values[0] - values[1])
    expected = max(values[0] - tau, values[1])
    left = moments._by_products(rotated, matrix, tau, expected)
    assert left == pytest.approx(expected, rel=0.01)
    assert moments._by_prompts(rotated, matrix, tau) == pytest.approx(expected, rel=0.03)


def test_an_estimate_that_is_too_low_is_not_believed(monkeypatch):
    rotated = rotate(pairs_of(6, n=60, d=4))
    values, vector = moments._top(rotated)
    matrix, tau = moments._as_matrix(rotated, vector), (values[0] - values[1]) / 2
    monkeypatch.setattr(moments, "_estimate", lambda *_: 0.6 * (values[0] - tau))
    assert moments._by_prompts(rotated, matrix, tau) >= (values[0] - tau) * 0.999
