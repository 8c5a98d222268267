"""fit_exponent: exponents with and without a log factor, and undecided."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import linregress
from scipy.stats import t as student

from sailtheory import InputError
from sailtheory.convergence import fit_exponent

EPS = np.geomspace(0.1, 1e-5, 12)
LOG = np.log(1 / EPS)


def noise(seed: int, sigma: float, n: int = len(EPS)) -> np.ndarray:
    return np.exp(sigma * np.random.default_rng(seed).normal(size=n))


def test_exact_log_factor_wins_and_a_is_one():
    fit = fit_exponent(EPS, 7 * LOG / EPS)
    assert fit.model == "power-log"
    assert fit.intervals["a"][0] <= 1 <= fit.intervals["a"][1]
    assert fit.intervals["C"][0] <= 7 <= fit.intervals["C"][1]
    assert fit.bic["power"] - fit.bic["power-log"] > 10
    # A power fitted to the same data would put a well above 1.
    assert linregress(LOG, np.log(7 * LOG / EPS)).slope > 1.1


@pytest.mark.parametrize("a", [0.5, 1.0, 3.0])
def test_exact_power(a):
    fit = fit_exponent(EPS, 7 * EPS**-a)
    assert fit.model == "power"
    assert fit.intervals["a"][0] <= a <= fit.intervals["a"][1]
    assert fit.parameters["a"] == pytest.approx(a, rel=1e-11)


def test_interval_is_students_or_wider():
    samples = EPS**-2.0 * noise(1, 0.01)
    fit = fit_exponent(EPS, samples)
    line = linregress(LOG, np.log(samples))
    half = student.ppf(0.975, len(EPS) - 2) * line.stderr
    low, high = fit.intervals["a"]
    assert fit.model == "power"
    assert (low + high) / 2 == pytest.approx(line.slope, rel=1e-12)
    assert high - low >= 2 * half * (1 - 1e-9)
    assert high - low < 4 * half


@pytest.mark.parametrize("log_factor", [False, True])
def test_coverage_on_unequal_noise(log_factor):
    """200 fits at 95 %: 180 or fewer cover with probability 0.3 %."""
    covers = 0
    for seed in range(200):
        spread = 0.01 * LOG / LOG.max()
        e = spread * np.random.default_rng(seed).normal(size=len(EPS))
        samples = EPS**-1.5 * np.exp(e) * (LOG if log_factor else 1)
        fit = fit_exponent(EPS, samples)
        assert fit.model == ("power-log" if log_factor else "power")
        covers += fit.intervals["a"][0] <= 1.5 <= fit.intervals["a"][1]
    assert 180 < covers


def test_noise_makes_the_log_factor_undecided_with_an_interval_for_both():
    samples = LOG / EPS * noise(1, 0.3)
    fit = fit_exponent(EPS, samples)
    assert fit.model == "undecided" and fit.parameters == {}
    low, high = fit.intervals["a"]
    plain = linregress(LOG, np.log(samples)).slope
    log_factor = linregress(LOG, np.log(samples / LOG)).slope
    assert low < log_factor < plain < high


@pytest.mark.parametrize(
    "samples, has_interval",
    [
        (np.full(12, 100.0), False),
        (EPS**0.5, False),
        (noise(1, 0.5), False),
        (np.exp(0.1 * LOG**2), False),
    ],
)
def test_undecided(samples, has_interval):
    fit = fit_exponent(EPS, samples)
    assert fit.model == "undecided" and bool(fit.intervals) == has_interval


def test_too_few_precisions_and_eps_above_one():
    few = np.repeat([0.1, 0.01, 0.001], 4)
    assert fit_exponent(few, few**-2.0).model == "undecided"
    wide = np.geomspace(10, 1e-3, 10)
    fit = fit_exponent(wide, wide**-2.0)
    assert fit.model == "undecided" and fit.intervals["a"][0] <= 2 <= fit.intervals["a"][1]


def test_relations():
    samples = EPS**-2.0 * noise(1, 0.01)
    one = fit_exponent(EPS, samples)
    scaled = fit_exponent(EPS, 8 * samples)
    assert scaled.parameters["C"] == pytest.approx(8 * one.parameters["C"], rel=1e-9)
    assert scaled.intervals["a"] == pytest.approx(one.intervals["a"], rel=1e-9)
    order = np.random.default_rng(0).permutation(len(EPS))
    shuffled = fit_exponent(EPS[order], samples[order])
    assert shuffled.intervals["a"] == pytest.approx(one.intervals["a"], rel=1e-9)
    squared = fit_exponent(EPS**2, samples)
    assert squared.intervals["a"] == pytest.approx([x / 2 for x in one.intervals["a"]], rel=1e-9)
    data = json.loads(json.dumps(one.as_dict(), allow_nan=False))
    assert data["schema"] == "sailtheory.exponent/1" and data["model"] == "power"


@pytest.mark.parametrize(
    "field, eps, samples",
    [
        ("eps", [0.1, 0.2], [1, 2]),
        ("samples", [0.1, 0.2, 0.3], [1, 2]),
        ("eps[1]", [0.1, 0.0, 0.3], [1, 2, 3]),
        ("eps[0]", [np.nan, 0.2, 0.3], [1, 2, 3]),
        ("samples[2]", [0.1, 0.2, 0.3], [1, 2, 0]),
        ("samples", [0.1, 0.2, 0.3], ["a", "b", "c"]),
    ],
)
def test_bad_input_is_refused(field, eps, samples):
    with pytest.raises(InputError) as caught:
        fit_exponent(eps, samples)
    assert caught.value.field == field
