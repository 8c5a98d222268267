"""Statistics against textbook values, quadrature, brute force, simulation, and rliable."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from sailtheory import InputError
from sailtheory.compare import statistics as st


def reference_power(shift, critical, freedom):
    """P(|T'| > c) by integrating over the chi distribution, without scipy's nct."""

    def inside(s):
        width = critical * s / np.sqrt(freedom)
        mass = stats.norm.cdf(width - shift) - stats.norm.cdf(-width - shift)
        return mass * stats.chi.pdf(s, freedom)

    top = stats.chi.isf(1e-15, freedom)
    return 1 - integrate.quad(inside, 0, top, epsabs=1e-12, limit=400)[0]


@pytest.mark.parametrize("freedom", [1, 2, 4, 18, 100_000])
@pytest.mark.parametrize("t", [-3.0, 0.0, 1e-6, 0.5, 4.0, 1e6])
def test_noncentral_t_against_quadrature_in_the_other_variable(freedom, t):
    for shift in (-5.0, 0.0, 2.7, t):

        def inside(s, shift=shift):
            chi = stats.chi.pdf(s, freedom)
            return stats.norm.cdf(t * s / np.sqrt(freedom) - shift) * chi

        jump = [(shift + k) * np.sqrt(freedom) / t for k in (-9, 0, 9)] if t else []
        top = stats.chi.isf(1e-16, freedom)
        middle = np.sqrt(freedom)
        points = sorted(p for p in [*jump, middle - 2, middle + 2] if 0 < p < top)
        edges = [0, *points, top]
        reference = sum(
            integrate.quad(inside, a, b, epsabs=1e-12, limit=500)[0]
            for a, b in itertools.pairwise(edges)
        )
        assert st.noncentral_t(t, freedom, shift) == pytest.approx(reference, abs=1e-9)


@pytest.mark.parametrize("n, m", [(2, 2), (3, 5), (10, 10), (64, 64), (2, None), (5, None)])
@pytest.mark.parametrize("d", [0.0, 0.3, 0.872, 2.0, -0.872])
def test_power_against_quadrature(n, m, d):
    freedom, size = (n - 1, n) if m is None else (n + m - 2, n * m / (n + m))
    reference = reference_power(abs(d) * size**0.5, stats.t.isf(0.025, freedom), freedom)
    assert st.power(d, n, m) == pytest.approx(reference, abs=1e-8)
    if d == 0:
        assert st.power(d, n, m) == pytest.approx(0.05, abs=1e-9)


def test_power_against_textbook_tables():
    """Cohen (1988), tables 2.4.1, and G*Power for pairs."""
    found = [st.runs_needed(d, paired=False) for d in (0.2, 0.5, 0.8, -0.8, 30)]
    assert found == [394, 64, 26, 26, 2]
    assert [st.runs_needed(d, paired=True) for d in (0.2, 0.5, 0.8)] == [199, 34, 15]
    assert st.power(0.5, 64, 64) == pytest.approx(0.8015, abs=1e-4)


@pytest.mark.parametrize(
    "n, m", [(2, 2), (3, 3), (5, 5), (10, 4), (2, None), (3, None), (10, None)]
)
def test_detectable_effects_are_seen_four_times_of_five(n, m):
    assert st.power(st.detectable(n, m), n, m) == pytest.approx(0.8, abs=1e-8)
    stricter = st.detectable(n, m, alpha=0.01)
    assert st.power(stricter, n, m, alpha=0.01) == pytest.approx(0.8, abs=1e-8)
    smaller = st.detectable(n + 1, m)
    assert smaller < st.detectable(n, m)


def test_detectable_by_simulation():
    d, rng = st.detectable(6, 6), np.random.default_rng(0)
    x, y = rng.normal(d, 1, (20_000, 6)), rng.normal(0, 1, (20_000, 6))
    seen = (stats.ttest_ind(x, y, axis=1).pvalue < 0.05).mean()
    assert abs(seen - 0.8) < 4 * (0.16 / 20_000) ** 0.5


def test_effect_sizes_by_hand():
    x, y = np.array([3.0, 5.0, 7.0]), np.array([1.0, 2.0, 3.0])
    assert st.cohens_d(x, y).value == pytest.approx(3 / (2.5**0.5))
    assert st.paired_d(x, y).value == pytest.approx(3 / 1)  # differences 2, 3, 4
    assert st.cohens_d(y, x).value == -st.cohens_d(x, y).value
    one, other = st.cohens_d(x, y), st.cohens_d(y, x)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_interval_excludes_zero_exactly_when_the_t_test_rejects():
    rng = np.random.default_rng(1)
    for n, m in itertools.product((2, 3, 8), (2, 5)):
        for _ in range(8):
            x, y = rng.normal(1, 1, n), rng.normal(0, 2, m)
            found, test = st.cohens_d(x, y), stats.ttest_ind(x, y)
            assert found.excludes_zero == (test.pvalue < 0.05)
            assert found.low <= found.value <= found.high
        x, y = rng.normal(1, 1, n), rng.normal(0, 1, n)
        p = stats.ttest_rel(x, y).pvalue
        assert st.paired_d(x, y).excludes_zero == (p < 0.05)
        assert st.paired_d(x, y, 0.8).excludes_zero == (p < 0.2)


@pytest.mark.parametrize("paired", [False, True])
def test_coverage_of_effect_sizes(paired):
    """Exact for normal scores: 95 % of intervals hold the true d, within binomial error."""
    rng, trials, true = np.random.default_rng(2), 250, 0.872
    hits = 0
    for _ in range(trials):
        y = rng.normal(0, 1, 5)
        x = y + rng.normal(true, 1, 5) if paired else rng.normal(true, 1, 5)
        found = st.paired_d(x, y) if paired else st.cohens_d(x, y)
        hits += found.low <= true <= found.high
    low, high = stats.binom.interval(0.9999, trials, 0.95)
    assert low <= hits <= high


def test_extreme_scores():
    close = st.cohens_d(np.array([1.0, 1.0 + 1e-6]), np.array([0.0, 1e-6]))
    assert np.isfinite([close.low, close.high]).all() and close.low < close.value < close.high
    same = st.cohens_d(np.ones(3), np.ones(3))
    assert np.isnan([same.value, same.low, same.high]).all() and not same.excludes_zero
    for bad in (lambda: st.cohens_d(np.ones(1), np.ones(3)),
                lambda: st.paired_d(np.ones(1), np.ones(1))):  # fmt: skip
        with pytest.raises(InputError, match="at least two"):
            bad()


@pytest.mark.parametrize("scale", [1e-200, 2.0**-1000, 1e200, 1e306])
def test_effect_sizes_have_no_unit(scale):
    x, y = np.array([1.0, 2, 4, 3]), np.array([4.0, 9, 25, 16])
    for d in (st.cohens_d, st.paired_d):
        one, other = d(x, y), d(x * scale, y * scale)
        wanted = pytest.approx([one.value, one.low, one.high], rel=1e-12)
        assert [other.value, other.low, other.high] == wanted
    still = st.paired_d(x * scale, x * scale + scale)
    assert np.isnan(still.value)


@pytest.mark.parametrize("scale", [2.0**-1050, 2.0**-600, 1.0, 2.0**600, 2.0**1018])
def test_mean_and_deviation_where_squares_and_sums_overflow(scale):
    x = np.array([1.0, 2, 4, 3, 30])
    assert st.mean_and_deviation(x * scale) == pytest.approx((8 * scale, np.sqrt(152.5) * scale))
    assert st.iqm(x * scale) == pytest.approx(3 * scale)
    assert st.mean_and_deviation(np.zeros(2)) == (0, 0)


def test_shares_by_wilson():
    for hits, of in [(0, 1), (0, 7), (3, 7), (7, 7), (50, 1000)]:
        wanted = stats.binomtest(hits, of).proportion_ci(0.95, "wilson")
        assert st.wilson(hits, of) == pytest.approx(tuple(wanted), abs=1e-12)
        assert 0 <= st.wilson(hits, of)[0] and st.wilson(hits, of)[1] <= 1
    assert st.wilson(np.float64(2.5), np.int64(5)) == pytest.approx((0.17042358, 0.82957642))


RNG = np.random.default_rng
GOOD = np.array([1.0, 2, 4, 3])
STATISTICS = {
    "iqm": st.iqm,
    "iqm_interval": lambda x: st.iqm_interval([GOOD, x], RNG(0)),
    "iqm_curve": lambda x: st.iqm_curve(np.stack([x, x]), RNG(0)),
    "improvement": lambda x: st.improvement([x], [GOOD], RNG(0)),
    "improvement on": lambda x: st.improvement([GOOD], [x], RNG(0)),
    "cohens_d": lambda x: st.cohens_d(x, GOOD),
    "cohens_d on": lambda x: st.cohens_d(GOOD, x),
    "paired_d": lambda x: st.paired_d(x, GOOD),
    "paired_d on": lambda x: st.paired_d(GOOD, x),
}


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize(
    ("scores", "place"),
    [
        (np.array([1, np.nan, 2, 3]), "[1]"),
        (np.array([1, np.inf, 2, 3]), "[1]"),
        (np.array([1, 2, 3, -np.inf], np.float32), "[3]"),
        (np.array(["1", "2", "3", "4"]), ""),
        (np.array([1, None, 2, 3], object), ""),
        (np.array([1j, 2, 3, 4]), ""),
        (np.zeros((0,)), ""),
    ],
    ids=["nan", "inf", "-inf", "text", "none", "complex", "empty"],
)
def test_scores_that_are_no_finite_numbers(name, scores, place):
    with pytest.raises(InputError) as caught:
        STATISTICS[name](scores)
    assert caught.value.field.endswith(place) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", STATISTICS)
def test_true_and_false_are_one_and_zero(name):
    found, wanted = (
        STATISTICS[name](np.array([True, False, True, True], kind)) for kind in (bool, float)
    )
    assert np.array_equal(found, wanted) and np.all(found == wanted)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: st.iqm(3.0), "scores"),
        (lambda: st.iqm([[1.0], [1.0, 2.0]]), "scores"),
        (lambda: st.iqm_interval([], RNG(0)), "scores"),
        (lambda: st.iqm_interval([GOOD, np.ones((2, 2))], RNG(0)), "scores[1]"),
        (lambda: st.iqm_curve(GOOD, RNG(0)), "curves"),
        (lambda: st.improvement([], [], RNG(0)), "x"),
        (lambda: st.improvement([GOOD], [GOOD, GOOD], RNG(0)), "y"),
        (lambda: st.cohens_d(np.ones((2, 2)), GOOD), "x"),
        (lambda: st.paired_d(GOOD, GOOD[:3]), "y"),
        (lambda: st.paired_d(GOOD, GOOD[:1]), "y"),  # which numpy would take for each
        (lambda: st.paired_d(GOOD, GOOD[:, None]), "y"),
        (lambda: st.paired_d(GOOD, GOOD**2, 0), "level"),
        (lambda: st.paired_d(GOOD, GOOD**2, 1), "level"),
        (lambda: st.paired_d(GOOD, GOOD**2, np.nan), "level"),
        (lambda: st.wilson(np.nan, 5), "hits"),
        (lambda: st.wilson(6, 5), "hits"),
        (lambda: st.wilson(-1, 5), "hits"),
        (lambda: st.wilson(True, 5), "hits"),
        (lambda: st.wilson("1", 5), "hits"),
        (lambda: st.wilson(0, 0), "of"),
        (lambda: st.wilson(1, -3), "of"),
        (lambda: st.wilson(1, np.nan), "of"),
        (lambda: st.wilson(1, 2.5), "of"),
        (lambda: st.power(np.nan, 5), "d"),
        (lambda: st.power(np.inf, 5), "d"),
        (lambda: st.power(True, 5), "d"),
        (lambda: st.power(1, 1), "n"),
        (lambda: st.power(1, 2.5), "n"),
        (lambda: st.power(1, np.nan), "n"),
        (lambda: st.power(1, 5, 0), "m"),
        (lambda: st.power(1, 5, 1), "m"),
        (lambda: st.power(1, 5, alpha=0), "alpha"),
        (lambda: st.power(1, 5, alpha=1), "alpha"),
        (lambda: st.power(1, 5, alpha=np.nan), "alpha"),
        (lambda: st.detectable(1), "n"),
        (lambda: st.detectable(5, chance=1), "chance"),
        (lambda: st.detectable(5, chance=0.05), "chance"),
        (lambda: st.detectable(5, chance=np.nan), "chance"),
        (lambda: st.runs_needed(0, paired=True), "d"),
        (lambda: st.runs_needed(np.nan, paired=True), "d"),
        (lambda: st.runs_needed(np.inf, paired=True), "d"),
        (lambda: st.runs_needed(1e-200, paired=True), "d"),
        (lambda: st.runs_needed("0.5", paired=True), "d"),
        (lambda: st.runs_needed(0.5, paired=True, chance=1.5), "chance"),  # never reached
        (lambda: st.runs_needed(0.5, paired=True, chance=np.nan), "chance"),
        (lambda: st.noncentral_t(np.nan, 3, 0), "t, freedom, shift"),
        (lambda: st.noncentral_t(1, 0, 0), "t, freedom, shift"),
    ],
)
def test_arguments_outside_their_domain(call, field):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field and "\n" not in str(caught.value)


def test_one_run_has_a_value_and_no_interval():
    """All draws of one run are the same: an interval of width 0 would be a claim."""
    one, rng = np.array([3.0]), RNG(0)
    for found, value in [
        (st.iqm_interval([one], rng), 3.0),
        (st.iqm_interval([GOOD, one], rng), 8 / 3),
        (st.improvement([one], [GOOD], rng), 2.5 / 4),
        (st.improvement([GOOD], [one], rng), 1.5 / 4),
    ]:
        assert found.value == pytest.approx(value) and not found.excludes_zero
        assert np.isnan([found.low, found.high]).all()
    value, low, high = st.iqm_curve(np.array([[1.0, 2.0]]), rng)
    assert value.tolist() == [1, 2] and np.isnan([low, high]).all()


def test_iqm():
    assert st.iqm(np.array([9.0, 1, 2, 100, 3, 4, -50, 0])) == pytest.approx(2.5)
    assert st.iqm(np.array([1.0, 5.0, 6.0])) == 4  # of three nothing is cut
    rng = np.random.default_rng(0)
    for n in (2, 4, 7, 20):
        scores = rng.normal(size=(3, n))
        assert st.iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25, axis=1))


def test_coverage_of_the_iqm():
    """At 20 runs a bootstrap interval is nearly right; of 3 runs it is much too narrow."""
    covered = {}
    for runs in (3, 20):
        rng, hits, trials = np.random.default_rng(3), 0, 300
        for _ in range(trials):
            found = st.iqm_interval([rng.normal(5, 1, runs)], rng)
            hits += found.low <= 5 <= found.high
        covered[runs] = hits / trials
    assert 0.88 < covered[20] < 0.98
    assert covered[3] < 0.88


def test_strata_are_kept_apart():
    """Tasks of different level: drawn within tasks, the spread is that of runs alone."""
    rng = np.random.default_rng(4)
    tasks = [level + rng.normal(0, 1, 10) for level in (0, 1000)]
    found = st.iqm_interval(tasks, rng)
    assert found.high - found.low < 100
    mixed = st.iqm_interval([np.concatenate(tasks)], rng)
    assert mixed.high - mixed.low > 300


def test_curves_hold_the_final_interval():
    rng = np.random.default_rng(5)
    curves = rng.normal(size=(8, 3)).cumsum(1)
    value, low, high = st.iqm_curve(curves, rng)
    assert value == pytest.approx([st.iqm(curves[:, i]) for i in range(3)])
    final = st.iqm_interval([curves[:, -1]], rng)
    # two bootstraps of the same thing: their ends differ by Monte Carlo error
    assert (low[-1], high[-1]) == pytest.approx((final.low, final.high), abs=0.2)
    assert (low <= value).all() and (value <= high).all()


def test_probability_of_improvement():
    rng = np.random.default_rng(6)
    x, y = [np.array([1.0, 2, 3])], [np.array([2.0, 2, 0])]
    assert st.improvement(x, y, rng).value == pytest.approx((1 + 2 + 3) / 9)
    two = st.improvement([*x, np.ones(2)], [*y, np.zeros(2)], rng)
    assert two.value == pytest.approx((6 / 9 + 1) / 2)
    trials, true, hits = 80, float(stats.norm.cdf(0.872 / 2**0.5)), 0
    for _ in range(trials):
        found = st.improvement([rng.normal(0.872, 1, 12)], [rng.normal(0, 1, 12)], rng)
        hits += found.low <= true <= found.high
    assert 0.85 < hits / trials < 0.99


@pytest.mark.filterwarnings("ignore:random_state is deprecated")
def test_against_rliable():
    pytest.importorskip("rliable")
    from rliable import library, metrics

    rng = np.random.default_rng(7)
    x, y = rng.normal(1, 1, (12, 3)), rng.normal(0, 1, (12, 3))
    assert st.iqm(x.ravel()) == pytest.approx(metrics.aggregate_iqm(x))
    assert st.improvement(list(x.T), list(y.T), rng).value == pytest.approx(
        metrics.probability_of_improvement(x, y)
    )
    scores, intervals = library.get_interval_estimates(
        {"x": x}, lambda s: np.array([metrics.aggregate_iqm(s)]), reps=2000,
        random_state=np.random.RandomState(0),
    )  # fmt: skip
    mine = st.iqm_interval(list(x.T), rng)
    assert mine.value == pytest.approx(scores["x"][0])
    # the ends of two bootstraps of 2,000 and 5,000 draws agree within Monte Carlo error
    width = mine.high - mine.low
    assert [mine.low, mine.high] == pytest.approx(intervals["x"].ravel(), abs=0.1 * width)
