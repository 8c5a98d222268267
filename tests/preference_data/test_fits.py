"""Bradley-Terry, temperature and confidence against independent maximisation and known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from sailtheory import InputError
from sailtheory.preference_data.fits import (
    fit_confidence,
    fit_rewards,
    fit_temperature,
    has_fit,
)

RNG = np.random.default_rng(0)


def counts(k, m, low=1):
    return RNG.integers(low, 9, size=(k, m, m)) * (1 - np.eye(m))


@pytest.mark.parametrize("prior", [0.5, 3.0, np.inf])
@pytest.mark.parametrize("m", [2, 3, 6])
def test_rewards_maximise_the_likelihood(m, prior):
    wins = counts(4, m)

    def loss(r, w):
        z = r[:, None] - r[None]
        return (w * np.logaddexp(0, -z)).sum() + (r @ r) / (2 * prior**2) + r.mean() ** 2

    for w, rewards in zip(wins, fit_rewards(wins, prior), strict=True):
        best = minimize(loss, np.zeros(m), args=(w,), tol=1e-12).x
        assert rewards == pytest.approx(best - best.mean(), abs=1e-5)


def test_two_responses_have_a_closed_form():
    wins = np.array([[[0, 30.0], [10, 0]], [[0, 0.5], [0.5, 0]]])
    assert fit_rewards(wins, np.inf)[:, 0] == pytest.approx([np.log(3) / 2, 0])


def test_lopsided_counts_settle():
    wins = np.array([[[0, 1e6, 1], [1, 0, 1e6], [1e-3, 1, 0]]])
    rewards = fit_rewards(wins, 50.0)[0]
    assert rewards[0] > rewards[1] > rewards[2]


FITS = {
    "cycle": ([(0, 1), (1, 2), (2, 0)], True),
    "chain": ([(0, 1), (1, 2)], False),
    "apart": ([(0, 1), (1, 0)], False),
    "both ways": ([(0, 1), (1, 0), (1, 2), (2, 1)], True),
    "one only loses": ([(0, 1), (1, 0), (0, 2), (1, 2)], False),
}


@pytest.mark.parametrize("name", FITS)
def test_when_there_is_a_finite_fit(name):
    edges, expected = FITS[name]
    w = np.zeros((1, 3, 3))
    for k, j in edges:
        w[0, k, j] = 1
    assert has_fit(w)[0] == expected


def test_long_cycles_are_followed():
    w = np.roll(np.eye(17), 1, axis=1)[None]
    assert has_fit(w)[0]
    w[0, 3, 4] = 0
    assert not has_fit(w)[0]


def test_the_temperature_of_made_comparisons():
    gaps = RNG.normal(size=20_000) * 3
    wins = (RNG.random(20_000) < 1 / (1 + np.exp(-gaps / 1.7))).astype(float)
    fit = fit_temperature(gaps, wins, 1 - wins)
    assert abs(fit.value - 1.7) < 4 * fit.error < 0.2
    one = fit_temperature(np.array([2.0]), np.array([3.0]), np.array([1.0]))
    assert one.value == pytest.approx(2 / np.log(3))


NO_TEMPERATURE = {
    "no gaps": ([0.0], [1], [1], "unlike scores"),
    "all agree": ([1.0, -2], [3, 0], [0, 4], "every comparison follows"),
    "none agrees": ([1.0], [0], [3], "do not follow the scores"),
    "chance": ([1.0], [1], [1], "do not follow the scores"),
}


@pytest.mark.parametrize("name", NO_TEMPERATURE)
def test_no_temperature_is_made_up(name):
    gaps, wins, losses, expected = NO_TEMPERATURE[name]
    with pytest.raises(InputError, match=expected):
        fit_temperature(np.array(gaps), np.array(wins, float), np.array(losses, float))


def test_the_confidence_of_made_labels():
    right = RNG.binomial(3, 0.8, size=5000)
    fit = fit_confidence(right.astype(float), 3.0 - right)
    assert abs(fit.value - 0.8) < 0.01 and fit.comparisons == 15_000


@pytest.mark.parametrize(("one", "two", "expected"), [
    ([1], [0], "no pair has them"), ([2], [0], "never differ"), ([1], [1], "by chance"),
])  # fmt: skip
def test_no_confidence_is_made_up(one, two, expected):
    with pytest.raises(InputError, match=expected):
        fit_confidence(np.array(one, float), np.array(two, float))
