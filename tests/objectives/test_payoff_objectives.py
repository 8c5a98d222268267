"""Payoffs, divergences and self-play as objectives, against sums over pairs in 50 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

import sailtheory
from sailtheory import PreferenceProblem
from sailtheory.errors import InputError
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.divergence import DivergenceObjective
from sailtheory.objectives.payoff import PayoffField, PayoffObjective
from sailtheory.objectives.registry import kind, names, target
from sailtheory.objectives.self_play import SelfPlay, WinsAgainst
from sailtheory.theory.divergences import divergence
from sailtheory.theory.payoffs import custom_payoff, named_payoff

PHI = np.array([[0.8, 0.1], [-0.3, 0.6], [0.1, -0.9]])
WINS = np.array([[0.5, 0.9, 0.2], [0.1, 0.5, 0.75], [0.8, 0.25, 0.5]])
BASE = np.array([1.0, 2.0, 0.5])
PROBLEM = PreferenceProblem(
    features=[PHI], preferences=[WINS], beta=0.5, radius=2, ref_params=[0.25, -0.125], base=[BASE]
)
THETA, V = np.array([0.5, -1.25]), np.array([1.0, 0.5])


def policy(theta, base=BASE):
    """π_θ in mpmath."""
    mass = [mp.mpf(b) * mp.exp(sum(mp.mpf(a) * t for a, t in zip(row, theta, strict=True)))
            for b, row in zip(base, PHI, strict=True)]  # fmt: skip
    return [m / sum(mass) for m in mass]


def pair_sum(theta, payoff):
    """Σ π_kπ_l p_kl G(z_kl), doubled: both orders of a pair are in the sum."""
    pi = policy(theta)
    delta = [t - mp.mpf(r) for t, r in zip(theta, (0.25, -0.125), strict=True)]
    tilt = [mp.mpf("0.5") * sum(mp.mpf(a) * d for a, d in zip(row, delta, strict=True))
            for row in PHI]  # fmt: skip
    return 2 * sum(
        pi[k] * pi[j] * mp.mpf(WINS[k, j]) * payoff(tilt[k] - tilt[j])
        for k in range(3) for j in range(3)
    )  # fmt: skip


def divergence_sum(theta, f):
    ref = policy([mp.mpf(0.25), mp.mpf(-0.125)])
    return sum(r * f(p / r) for p, r in zip(policy(theta), ref, strict=True))


def agree(objective, value):
    """Value, slope, curvature and its slope along V."""
    with mp.workdps(60):
        at = [mp.mpf(t) for t in THETA]

        def line(s):
            return value([t + s * mp.mpf(v) for t, v in zip(at, V, strict=True)])

        exact = [mp.diff(line, 0, k, h=mp.mpf("1e-15")) for k in range(4)]
    along = float(V @ objective.gradient(THETA)), float(objective.curvature(THETA, V))
    found = (float(objective.value(THETA)), *along,
             float(objective.curvature_gradient(THETA, V) @ V))  # fmt: skip
    np.testing.assert_allclose(found, [float(x) for x in exact], rtol=1e-12, atol=1e-12)
    form = V @ objective.hessian(THETA) @ V
    np.testing.assert_allclose(form, float(exact[2]), rtol=1e-12, atol=1e-12)
    ball = objective.value(arb_numbers().asarray(THETA))
    assert abs(float(ball.mid()) - float(exact[0])) < 1e-14 * (1 + abs(float(exact[0])))


PAYOFFS = {
    "ipo": lambda z: -((z - mp.mpf("0.5")) ** 2) * 4,
    "exponential": lambda z: -mp.exp(-z),
    "savage": lambda z: -1 / (1 + mp.exp(z)) ** 2,
    "truncated-squared": lambda z: -(max(1 - z, mp.mpf(0)) ** 2),
}


@pytest.mark.parametrize("name", PAYOFFS)
def test_payoffs(name):
    agree(PayoffObjective(PROBLEM, named_payoff(name)), lambda t: pair_sum(t, PAYOFFS[name]))


@pytest.mark.parametrize(
    ("name", "f"),
    [
        ("kl-ref", lambda w: -mp.log(w)), ("chi2-ref", lambda w: 1 / w - 1),
        ("chi2", lambda w: (w - 1) ** 2), ("alpha=0.5", lambda w: 2 * (1 + w - 2 * mp.sqrt(w))),
        ("chipo", lambda w: (w - 1) ** 2 / 2 + w * mp.log(w)),
        ("js", lambda w: (w * mp.log(w) - (1 + w) * mp.log((1 + w) / 2)) / 2),
    ],
)  # fmt: skip
def test_divergences(name, f):
    agree(DivergenceObjective(PROBLEM, divergence(name)), lambda t: divergence_sum(t, f))


def test_entropy():
    made = DivergenceObjective(PROBLEM, divergence("entropy"))
    agree(made, lambda t: sum(p * mp.log(p) for p in policy(t)))


def test_a_player_of_the_game():
    opponent = np.array([-0.5, 1.0])
    other = policy([mp.mpf(x) for x in opponent])
    agree(WinsAgainst(PROBLEM, opponent), lambda t: sum(
        p * mp.mpf(WINS[k, j]) * other[j] for k, p in enumerate(policy(t)) for j in range(3)
    ))  # fmt: skip


@pytest.mark.parametrize("made", [SelfPlay(PROBLEM), PayoffField(PROBLEM, named_payoff("squared"))])
def test_jacobians_of_fields(made):
    step = 1e-6 * np.eye(2)
    slopes = [(made.gradient(THETA + s) - made.gradient(THETA - s)) / 2e-6 for s in step]
    np.testing.assert_allclose(made.jacobian(THETA), np.stack(slopes, -1), atol=1e-9)
    bends = [(made.curvature(THETA + s, V) - made.curvature(THETA - s, V)) / 2e-6 for s in step]
    np.testing.assert_allclose(made.curvature_gradient(THETA, V), bends, atol=1e-9)
    with pytest.raises(InputError, match="with a value"):
        made.value(THETA)


def test_self_play_is_the_linear_field_over_four_beta():
    linear = PayoffField(PROBLEM, custom_payoff("z")) * (1 / (4 * 0.5))
    np.testing.assert_allclose(SelfPlay(PROBLEM).gradient(THETA), linear.gradient(THETA))
    np.testing.assert_allclose(SelfPlay(PROBLEM).jacobian(THETA), linear.jacobian(THETA))


def test_payoffs_are_told_apart_at_one_point():
    one, two = (PayoffObjective(PROBLEM, custom_payoff(t)) for t in ("z - z**2", "z - 2*z**2"))
    assert one.value(THETA) != two.value(THETA)


def test_objectives_by_name():
    assert {"sail", "ipo", "hinge", "payoff"} <= set(names())
    made = target(PROBLEM, "squared:margin=2")
    assert made.settings() == {"margin": 2.0} and made.bounds().claims == "C35"
    mine = target(PROBLEM, "payoff:-(z - 2)**2")
    np.testing.assert_allclose(made.objective.value(THETA), mine.objective.value(THETA))
    assert kind("payoff:z").name == "payoff"
    for wrong in ("squared:m=2", "squared:margin=x", "payoff:", "payoff:abs(z)", "square"):
        with pytest.raises(InputError):
            target(PROBLEM, wrong)


def test_check_takes_them():
    small = PreferenceProblem(
        features=[[[0.5], [-0.5]]], preferences=[WINS[:2, :2]], beta=0.5, radius=1
    )
    report = sailtheory.check(small, objective="payoff:-max(0, 1 - z)**2")
    known = report.as_dict()["thresholds"]
    assert 0 < known["instance"] <= known["relative"]
    assert report.as_dict()["concavity"]["penalised"]["strength"] == "certified"  # by K_data
    above = sailtheory.check(small, objective="payoff:-max(0, 1 - z)**2", gamma=known["relative"])
    assert above.as_dict()["concavity"]["penalised"]["strength"] == "proved"
