"""fit_rate: every model recovered, undecided where it must be, metamorphic relations."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.convergence import fit_rate
from sailtheory.convergence.bootstrap import correlation, resample
from sailtheory.convergence.estimate import Estimate
from sailtheory.convergence.models import Points, fit_plain
from sailtheory.convergence.search import MODEL_ERROR, survey
from studies.rates_validation.__main__ import CATEGORIES, judge

TEST_SEED = 77  # neither that of development nor that of validation
T = np.arange(2.0, 402.0)
EXACT = {
    "linear": (3 * 0.97**T, {"C": 3.0, "q": 0.97}),
    "power": (2 * T**-1.5, {"C": 2.0, "a": 1.5}),
    "logarithmic": (5 / np.log(T), {"C": 5.0}),
}


def noise(seed: int, sigma: float, rho: float = 0.0, n: int = len(T)) -> np.ndarray:
    """exp of AR(1) errors, written independently of the benchmark."""
    rng = np.random.default_rng(seed)
    e = [rng.normal()]
    for _ in range(n - 1):
        e.append(rho * e[-1] + np.sqrt(1 - rho * rho) * rng.normal())
    return np.exp(sigma * np.array(e))


@pytest.mark.parametrize("model", EXACT)
def test_exact_series_are_recovered_to_rounding(model):
    gaps, truth = EXACT[model]
    fit = fit_rate(gaps, T)
    assert fit.model == fit.decay == model
    assert set(fit.parameters) == set(fit.intervals) == set(truth)
    for name, value in truth.items():
        low, high = fit.intervals[name]
        assert low <= value <= high
        # log C and the slope solve a system of condition ≲ 1e3 in scaled columns.
        assert fit.parameters[name] == pytest.approx(value, rel=1e3 * 400 * np.finfo(float).eps)


@pytest.mark.parametrize("model", EXACT)
def test_noisy_series_are_recovered_within_their_standard_error(model):
    sigma = 0.01
    gaps, truth = EXACT[model]
    fit = fit_rate(gaps * noise(3, sigma), T)
    assert fit.model == model
    name = {"linear": "q", "power": "a", "logarithmic": "C"}[model]
    x = {"linear": T, "power": np.log(T)}.get(model)
    spread = np.sqrt(len(T)) if x is None else np.sqrt(np.sum((x - x.mean()) ** 2))
    scale = {"q": 0.97, "a": 1.0, "C": 5.0}[name]
    standard_error = scale * sigma / spread  # of least squares with all points
    # A window that leaves out early points costs at most a factor 2 here.
    assert abs(fit.parameters[name] - truth[name]) < 2 * 4 * standard_error
    low, high = fit.intervals[name]
    assert 2 * 1.5 * standard_error < high - low < 2 * 2 * 2.5 * standard_error


@pytest.mark.parametrize("kind, decay", [("linear", 2 * 0.9**T), ("power", 2 * T**-2.0)])
def test_floor_and_the_decay_above_it(kind, decay):
    gaps = (decay + 1e-4) * noise(5, 0.05)
    fit = fit_rate(gaps, T)
    assert (fit.model, fit.decay) == ("floor", kind)
    low, high = fit.intervals["floor"]
    assert low <= 1e-4 <= high
    # 0.05 over the root of at least 200 points on the floor, four standard errors.
    assert fit.parameters["floor"] == pytest.approx(1e-4, rel=4 * 0.05 / np.sqrt(200))
    name, value = ("q", 0.9) if kind == "linear" else ("a", 2.0)
    assert fit.intervals[name][0] <= value <= fit.intervals[name][1]


def test_noise_around_zero_is_a_floor_that_does_not_bend_the_decay():
    rng = np.random.default_rng(8)
    gaps = np.abs(0.93**T + 1e-6 * rng.normal(size=len(T)))
    fit = fit_rate(gaps, T)
    assert (fit.model, fit.decay) == ("floor", "linear")
    low, high = fit.intervals["q"]
    assert low <= 0.93 <= high and high - low < 1e-3
    # Geometric mean of |N(0, 1)|: exp(−(γ + log 2)/2) = 0.5298.
    assert fit.parameters["floor"] == pytest.approx(0.5298e-6, rel=0.4)


def test_burn_in_is_left_out():
    gaps = np.where(T < 100, 1.0, 0.95 ** (T - 100)) * noise(2, 0.05)
    fit = fit_rate(gaps, T)
    assert fit.model == "linear"
    assert 98 <= fit.window[0] <= 98 + 40
    assert fit.intervals["q"][0] <= 0.95 <= fit.intervals["q"][1]
    whole = np.exp(np.polyfit(T, np.log(gaps), 1)[0])  # what ignoring burn-in would give
    assert not fit.intervals["q"][0] <= whole <= fit.intervals["q"][1]


def test_gaps_below_resolution_are_not_used():
    computed = np.abs(1 - (1 + 0.8**T))
    fit = fit_rate(computed, T)
    assert fit.model == "linear" and fit.window[1] < 150
    low, high = fit.intervals["q"]
    assert low <= 0.8 <= high and high - low < 1e-3
    wrong = np.polyfit(T[: fit.window[1] + 30], np.log(computed[: fit.window[1] + 30]), 1)[0]
    assert not low <= np.exp(wrong) <= high


UNDECIDED = {
    "too short": 0.5 ** np.arange(1.0, 16.0),
    "constant": np.full(100, 0.3),
    "zeros": np.zeros(100),
    "noise": noise(1, 0.3),
    "growing": 1.01**T * noise(1, 0.05),
    "growing like a power": T**0.3 * noise(1, 0.05),
    "too noisy": T**-0.1 * noise(1, 1.0),
    "random walk": np.exp(np.cumsum(np.log(noise(4, 0.1)))),
    "falls then grows": np.exp(8 * np.abs(T / 400 - 0.5)) * noise(1, 0.1),
    "of another kind": np.exp(-np.sqrt(T)) * noise(1, 0.01),
    "a power of t + 5": 1 / (np.arange(2.0, 1002.0) + 5),
    "competitors too close": (3 * 0.98**T * noise(1, 0.3))[:30],
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_undecided(name):
    fit = fit_rate(UNDECIDED[name])
    assert fit.model == fit.decay == "undecided"
    assert fit.parameters == {} and fit.intervals == {}
    assert fit.reason and "\n" not in fit.reason


def test_white_noise_does_not_hide_a_random_walk():
    """Residuals of a line: drift is found in walks under noise, and not in noise or AR(0.8)."""
    found = dict.fromkeys(("walk", "white", "autocorrelated"), 0)
    for seed in range(50):
        walk = np.cumsum(0.1 * np.random.default_rng(seed).normal(size=len(T)))
        series = {
            "walk": walk + np.log(noise(100 + seed, 0.2)),
            "white": np.log(noise(seed, 0.2)),
            "autocorrelated": np.log(noise(seed, 0.2, 0.8)),
        }
        for name, y in series.items():
            curve = fit_plain(Points(T, y, np.zeros(len(T))), "linear", 0, 0.0)
            found[name] += Estimate(curve, 0.0, np.inf, {}, {}).drifts()
    assert found["walk"] >= 35 and found["white"] <= 1 and found["autocorrelated"] <= 5
    walk = np.cumsum(0.1 * np.random.default_rng(3).normal(size=len(T)))
    assert fit_rate(np.exp(walk) * noise(103, 0.2)).model == "undecided"


def test_scaling_gaps_scales_c_and_the_floor_only():
    gaps = (2 * 0.9**T + 1e-3) * noise(6, 0.1)
    one, other = fit_rate(gaps, T), fit_rate(2.0**-7 * gaps, T)
    assert one.model == other.model == "floor" and one.window == other.window
    for name, factor in (("C", 2.0**-7), ("floor", 2.0**-7), ("q", 1.0)):
        # Levenberg–Marquardt stops when a step gains less than 1e-9 of the cost.
        assert other.parameters[name] == pytest.approx(factor * one.parameters[name], rel=1e-4)
        assert other.intervals[name] == pytest.approx(
            [factor * x for x in one.intervals[name]], rel=1e-4
        )


def test_rescaling_iterations_rescales_the_rate():
    t = T + 98  # far enough from 1 that both scales keep every point
    linear = 0.97**t * noise(6, 0.1)
    one, other = fit_rate(linear, t), fit_rate(linear, 4 * t)
    assert one.model == other.model == "linear"
    assert other.parameters["q"] ** 4 == pytest.approx(one.parameters["q"], rel=1e-9)
    assert other.parameters["C"] == pytest.approx(one.parameters["C"], rel=1e-6)
    power = t**-1.5 * noise(6, 0.01)
    one, other = fit_rate(power, t), fit_rate(power, 4 * t)
    assert one.model == other.model == "power"
    a = one.parameters["a"]
    assert other.parameters["a"] == pytest.approx(a, rel=1e-9)
    assert other.parameters["C"] == pytest.approx(4**a * one.parameters["C"], rel=1e-6)


def test_order_matters():
    gaps = 0.97**T * noise(6, 0.1)
    assert fit_rate(gaps, T).model == "linear"
    assert fit_rate(np.random.default_rng(0).permutation(gaps), T).model == "undecided"


def test_same_seed_same_answer_and_json():
    gaps = 0.97**T * noise(6, 0.1)
    one = fit_rate(gaps, seed=1)
    assert one == fit_rate(list(gaps), np.arange(1, 401), seed=1)
    assert one.intervals != fit_rate(gaps, seed=2).intervals
    data = json.loads(json.dumps(one.as_dict(), allow_nan=False))
    names = {"schema"} | {field.name for field in dataclasses.fields(one)}
    assert set(data) == names and data["schema"] == "sailtheory.rate/1"
    late = fit_rate(0.5 ** np.arange(200.0), np.arange(200.0) + 1100)  # C = 2^1100
    assert late.model == "linear" and late.as_dict()["parameters"]["C"] is None


# --- errors of neighbours ---------------------------------------------------------------


def interval_width(z: np.ndarray, rho: float, block: int) -> float:
    """Width of a 95 % interval of the slope of log gap."""
    x = np.arange(float(len(z))) - (len(z) - 1) / 2
    operator = (x / (x @ x))[None, :]
    rng = np.random.default_rng(0)
    errors = resample(operator, z, rho, rng, block=block, vary=False, draws=4000)[:, 0]
    return float(np.subtract(*np.quantile(errors, [0.975, 0.025])))


def test_blocks_widen_intervals_under_autocorrelation():
    rho, n = 0.7, 2000
    z = np.log(noise(9, 1.0, rho, n))
    x = np.arange(float(n)) - (n - 1) / 2
    covariance = rho ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    exact = 2 * 1.96 * np.sqrt(x @ covariance @ x) / (x @ x)
    independent, blocks = interval_width(z, 0.0, 1), interval_width(z, 0.0, 60)
    recoloured = interval_width(z, rho, 12)
    # True ratio √((1 + ρ)/(1 − ρ)) = 2.38; quantiles of 4,000 draws are good to 4 %.
    assert independent < 0.5 * exact
    assert blocks > 1.8 * independent
    # z is one series: its variance, of n(1 − ρ²)/(1 + ρ²)/2 ≈ 340 values, is good to 8 %.
    assert recoloured == pytest.approx(exact, rel=0.2)


def test_intervals_of_a_fit_widen_too():
    rho = 0.7
    e = np.log(noise(9, 0.1, rho))
    correlated = fit_rate(0.97**T * np.exp(e), T)
    shuffled = fit_rate(0.97**T * np.exp(np.random.default_rng(1).permutation(e)), T)
    width = [np.subtract(*f.intervals["q"][::-1]) for f in (correlated, shuffled)]
    assert width[0] > 1.6 * width[1]
    # The standard error of ρ̂ is √((1 − ρ²)/400) = 0.036.
    assert abs(correlated.correlation - rho) < 4 * 0.036 and shuffled.correlation < 4 / 20


def test_correlation_undoes_the_bias_of_regression():
    rho, n, found, plain = 0.6, 60, [], []
    x = np.stack([np.ones(n), np.arange(n)], axis=1)
    for seed in range(200):
        y = np.log(noise(seed, 1.0, rho, n))
        r = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        found.append(correlation(r))
        plain.append(float(r[1:] @ r[:-1] / (r @ r)))
    error = np.std(found) / np.sqrt(200)
    assert abs(np.mean(found) - rho) < 4 * error
    assert np.mean(plain) < rho - 4 * error  # the raw one is biased, and seen to be


def test_a_wrong_model_may_not_excuse_itself_with_correlation():
    points = Points(T, np.log(EXACT["power"][0]), np.zeros(len(T)))
    found = survey(points)
    wrong = fit_plain(points, "linear", 0, 0.0)
    assert correlation(wrong.residuals) > 0.9  # what it would claim
    assert found.decays["linear"].bic > found.decays["power"].bic + 1000
    assert found.rho < 0.1
    assert found.model_error == pytest.approx(MODEL_ERROR * np.ptp(points.y))


# --- a seeded part of the validation ----------------------------------------------------


def test_a_sample_of_series_with_known_truth():
    rows = []
    for index, make in enumerate(CATEGORIES.values()):
        rng = np.random.default_rng([TEST_SEED, index])
        rows += [judge(make(rng)) for _ in range(3)]
    assert len(rows) == 54
    # At a rate of 2 % each, 4 or more of 54 has probability 2.4 %; at 95 % coverage of
    # about 30 intervals, 5 or more misses 1.6 %.
    assert sum(r["wrong"] for r in rows) <= 3
    assert sum(r["covers"] is False for r in rows) <= 4
    clear = [r["decided"] for r in rows if r["clear"]]
    assert len(clear) >= 15 and np.mean(clear) >= 0.9


@pytest.mark.parametrize(
    "field, gaps, iterations, keywords",
    [
        ("gaps", [1.0, 0.5], None, {}),
        ("gaps", "abc", None, {}),
        ("gaps", [[1.0, 2.0, 3.0]], None, {}),
        ("gaps[1]", [1.0, np.nan, 0.5], None, {}),
        ("gaps[1]", [1.0, -1e-9, 0.5], None, {}),
        ("gaps[2]", [1.0, 0.5, np.inf], None, {}),
        ("iterations", [1.0, 0.5, 0.2], [1, 2], {}),
        ("iterations[2]", [1.0, 0.5, 0.2], [1, 2, 2], {}),
        ("iterations[0]", [1.0, 0.5, 0.2], [-1, 2, 3], {}),
        ("iterations[1]", [1.0, 0.5, 0.2], [1, np.nan, 3], {}),
        ("block", [1.0, 0.5, 0.2], None, {"block": 0}),
        *(
            ("block", [1.0, 0.5, 0.2], None, {"block": block})
            for block in (1.5, np.nan, np.inf, "x", [1], True)
        ),
        *(("seed", [1.0, 0.5, 0.2], None, {"seed": seed}) for seed in (-1, 0.5, np.nan, "x", None)),
    ],
)
def test_bad_input_is_refused(field, gaps, iterations, keywords):
    with pytest.raises(InputError) as caught:
        fit_rate(gaps, iterations, **keywords)
    assert caught.value.field == field and "\n" not in str(caught.value)
    if field in keywords:
        assert str(keywords[field]) in str(caught.value)
