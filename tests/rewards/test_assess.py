"""Thresholds, intervals and maximisers of measured pass rates, each computed another way too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import beta as beta_law
from scipy.stats import binom

from sailtheory import InputError
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.rewards.assess import Settings, assess
from sailtheory.rewards.intervals import clopper_pearson, hoeffding
from sailtheory.rewards.read import PassRates
from sailtheory.theory.reward_maximiser import maximiser_policy_ref, maximiser_ref_policy
from sailtheory.theory.reward_methods import METHODS, reward_method


def rates(samples, correct):
    names = tuple(f"q{i}" for i in range(len(samples)))
    return PassRates(names, np.array(samples), np.array(correct, float), True, 0, 1, ())


def test_clopper_pearson_is_scipys_and_covers():
    n, k = np.array([16, 16, 8, 1, 1]), np.array([0, 16, 3, 0, 1])
    low, high = clopper_pearson(k, n, 0.9)
    for i in range(len(n)):
        a = 0.0 if k[i] == 0 else beta_law.ppf(0.05, k[i], n[i] - k[i] + 1)
        b = 1.0 if k[i] == n[i] else beta_law.ppf(0.95, k[i] + 1, n[i] - k[i])
        assert (low[i], high[i]) == pytest.approx((a, b), abs=1e-12)
    counts = np.arange(13)
    low, high = clopper_pearson(counts, np.full(13, 12), 0.9)
    for p in np.linspace(0.01, 0.99, 99):
        assert binom.pmf(counts, 12, p)[(low <= p) & (p <= high)].sum() >= 0.9 - 1e-12


def test_hoeffding_stays_within_the_bounds():
    low, high = hoeffding(np.array([0.0, 2.0]), np.array([4, 400]), -1, 3, 0.95)
    assert (low[0], high[0]) == (-1, pytest.approx(4 * np.sqrt(np.log(40) / 8)))
    assert high[1] - low[1] == pytest.approx(8 * np.sqrt(np.log(40) / 800))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("gamma", "p"), [(0.05, 0.2), (0.7, 0.01), (3.0, 0.4), (20.0, 0.1)])
def test_the_maximiser_maximises(name, gamma, p):
    """V is what matters, as π keeps π_ref's proportions within correct and wrong."""
    method = reward_method(name, 6)
    (found,) = maximiser_ref_policy(method, np.array(gamma), np.array([p]))

    def lost(t):
        v, w = FLOAT64.sigmoid(t), FLOAT64.sigmoid(-t)
        gap = p * np.log(p / v) + (1 - p) * np.log((1 - p) / w)
        return gamma * gap - method.value(FLOAT64, v, w)

    grid = np.linspace(-12, 25, 500)
    start = grid[np.argmin(lost(grid))]
    best = minimize_scalar(
        lambda t: float(lost(np.array(t))), bounds=(start - 0.1, start + 0.1), method="bounded",
        options={"xatol": 1e-12},
    )  # fmt: skip
    if found == 1:
        assert start == grid[-1]
    else:
        assert lost(np.log(found / (1 - found))) <= best.fun + 1e-12 * (1 + abs(best.fun))
        assert found == pytest.approx(float(FLOAT64.sigmoid(best.x)), abs=1e-5)


def test_at_the_threshold_the_pass_rate_is_the_root_of_p():
    p = np.array([1e-6, 0.1, 0.5, 0.99])
    assert maximiser_ref_policy(reward_method("reward"), np.array(1.0), p) == pytest.approx(
        np.sqrt(p), rel=1e-12
    )
    tilted = maximiser_policy_ref(reward_method("reward"), np.array(0.5), p)
    assert tilted == pytest.approx(p * np.e**2 / (p * np.e**2 + 1 - p), rel=1e-12)
    both = (maximiser_ref_policy, maximiser_policy_ref)
    for solve in both:
        ends = solve(reward_method("grpo"), np.array(0.1), np.array([0.0, 1.0]))
        assert ends.tolist() == [0, 1]


def test_the_other_divergence_stops_at_the_first_root():
    method, p = reward_method("grpo", 16), np.array([0.3])
    for gamma in (0.3, 0.5, 2.0):
        (found,) = maximiser_policy_ref(method, np.array(gamma), p)
        t = np.linspace(np.log(p / (1 - p)), 40, 20_001).ravel()
        v, w = FLOAT64.sigmoid(t), FLOAT64.sigmoid(-t)
        up = method.slope(FLOAT64, v, w) > gamma * (t - t[0])
        first = t[np.argmin(up)]
        assert found == pytest.approx(float(FLOAT64.sigmoid(first)), abs=1e-3)


def test_numbers_of_each_prompt():
    data = rates([16, 16, 16, 8, 16], [3, 0, 16, 1, 3])
    found = assess(data, Settings("grpo", 8, "sample", gamma=2.0))
    k = 7 / np.sqrt(8)
    assert found.chosen.threshold == pytest.approx(k, rel=1e-14)
    path = found.chosen.path
    assert path.value[1] == pytest.approx(k, rel=1e-14)  # as p = 0
    assert path.value[2] == 0
    assert path.value[0] == path.value[4]
    assert (path.low <= path.value).all()
    assert (path.value <= path.high).all()
    method = reward_method("grpo", 8, "sample")
    low, high = clopper_pearson(np.array([1]), np.array([8]))
    assert path.high[3] == pytest.approx(float(method.path(FLOAT64, low, 1 - low)[0]), rel=1e-12)
    assert path.low[3] == pytest.approx(float(method.path(FLOAT64, high, 1 - high)[0]), rel=1e-12)
    assert found.chosen.alone == pytest.approx((path.value < 2).mean())
    assert found.chosen.alone_sure == pytest.approx((path.high < 2).mean())
    assert found.chosen.factor is None
    enough = assess(data, Settings("grpo", 8, "sample", gamma=3.0)).chosen
    assert enough.factor == pytest.approx(1 - (3 - k) / (3 + k))
    assert enough.alone_sure == 1
    none = assess(data, Settings("grpo", 8, "sample", gamma=0.0)).chosen
    assert (none.alone, none.factor, none.at_gamma) == (0, None, None)
    gamma = found.chosen.at_gamma
    expected = maximiser_ref_policy(method, np.array(2.0), data.mean)
    assert gamma.value == pytest.approx(expected)
    assert (gamma.low <= gamma.value).all()
    assert (gamma.value <= gamma.high).all()


def test_unbounded_methods_and_sequences():
    data = rates([16, 16], [3, 0])
    log = assess(data, Settings("log", gamma=5.0, rho=1.8))
    assert log.chosen.threshold is None
    assert np.isinf(log.chosen.path.value[1])
    assert log.chosen.sequence is None
    reward = next(each for each in log.beside if each.title.startswith("reward"))
    assert reward.sequence == pytest.approx(1.8)
    grpo = next(each for each in log.beside if each.title.startswith("GRPO"))
    assert grpo.sequence is None  # C31 is open for sequences
    statements = dict((a, b) for a, b in [(r["statement"], r["holds_for"])
                                          for r in log.as_dict()["rests_on"]])  # fmt: skip
    assert "1.8" in statements["sequences of tokens"]


def test_the_other_divergence_has_no_threshold():
    found = assess(rates([16], [3]), Settings("reward", gamma=2.0, kl="policy-ref"))
    assert found.chosen.threshold is None
    assert found.chosen.path is None
    assert found.chosen.factor is None
    assert found.chosen.at_gamma.value[0] == pytest.approx(
        float(FLOAT64.sigmoid(np.log(3 / 13) + 0.5))
    )


def test_real_rewards_need_bounds():
    data = PassRates(("a", "b"), np.array([10, 40]), np.array([5.0, 60.0]), False, -1, 2, ())
    with pytest.raises(InputError, match="--range"):
        assess(data, Settings("reward"))
    with pytest.raises(InputError, match="bounds of the rewards"):
        assess(data, Settings("reward", bounds=(0.0, 2.0)))
    found = assess(data, Settings("reward", gamma=4.0, bounds=(-1.0, 2.0)))
    assert found.chosen.threshold == 3
    assert found.chosen.path.value.tolist() == [1.5, 0.5]
    assert found.chosen.at_gamma is None
    by_title = {each.title: each for each in found.beside}
    grpo = by_title["GRPO, sample std, G = 8"]
    assert grpo.threshold == pytest.approx(7 / np.sqrt(8))  # C32, whatever the rewards
    assert grpo.path is None
    assert by_title["pass@8"].threshold is None
    assert by_title["Dr. GRPO, G = 8"].threshold == pytest.approx(21 / 8)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"gamma": -0.1}, "gamma"), ({"gamma": float("nan")}, "gamma"), ({"rho": 0.5}, "rho"),
        ({"confidence": 1.0}, "confidence"), ({"kl": "k3"}, "kl = k3"), ({"method": "ppo"}, "ppo"),
        ({"group": 1}, "group"),
    ],
)  # fmt: skip
def test_settings_that_are_refused(settings, named):
    with pytest.raises(InputError, match=named):
        assess(rates([4], [1]), Settings(**settings))
