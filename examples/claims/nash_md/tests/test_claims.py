"""Each claim ends as expected, as strongly as it can; each planted falsehood is refuted."""

from __future__ import annotations

import numpy as np
import pytest

from nash_md_claims import steps
from nash_md_claims.claims import all_claims
from nash_md_claims.game import CYCLE, game, ladder
from sailtheory.claims import Context, run
from sailtheory.theory import formulas
from sailtheory.verdict import Outcome, conclude

CLAIMS = all_claims()
PLANTED = [wrong for claim in CLAIMS for wrong in claim.planted]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_it_ends_as_expected(claim):
    verdict = run(claim, Context()).verdict
    assert (verdict.outcome, verdict.strength) == (claim.expected, claim.reachable)


@pytest.mark.parametrize("wrong", PLANTED, ids=lambda w: w.name)
def test_a_falsehood_is_refuted_and_replays(wrong):
    verdict = conclude(wrong.check(Context()))
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.witness.replay()


def scaled(factor):
    return lambda f: lambda *a, **k: factor * f(*a, **k)


@pytest.mark.parametrize(("chain", "index"), [(steps.NASHMD01_STEPS, 2), (steps.NASHMD02_STEPS, 0)])
def test_a_mutated_formula_breaks_a_step(monkeypatch, chain, index):
    def other(policy, log_ratio):
        return -(policy * log_ratio).sum() / 2

    monkeypatch.setattr(formulas, "kl_policy_ref", other)
    assert not chain[index].check()


def reference_step(policy, mu, p, eta, tau):
    """Nash-MD on probabilities."""
    mix = policy ** (1 - eta * tau) * mu ** (eta * tau)
    mix /= mix.sum()
    after = mix * np.exp(eta * p @ mix)
    return after / after.sum()


def softmax(level):
    return np.exp(level) / np.exp(level).sum()


def test_the_equilibrium_and_a_step_by_another_road():
    star, tau, eta = np.array([1.0, 2.0, 4.0]) / 7, 0.5, 0.25
    mu = star * np.exp(-(CYCLE @ star) / tau)
    mu /= mu.sum()
    found = mu
    for _ in range(5000):  # what is left is of the order of η
        found = reference_step(found, mu, CYCLE, 1 / 256, tau)
    assert np.abs(found - star).max() < 2e-3
    made, theta = game(CYCLE, star, tau), np.array([0.5, -1.0, 2.0])
    policy = softmax(np.log(star) + theta)
    stepped = softmax(np.log(star) + made.step(theta, eta))
    assert np.allclose(stepped, reference_step(policy, mu, CYCLE, eta, tau), rtol=1e-12)
    kl = (star * np.log(star / policy)).sum()
    assert np.isclose(float(made.distance(theta)), kl)


def test_win_rates_spread_no_further_than_the_ladder():
    """E_q e^{η(P(· ≻ q) − ½)} by hand, random tournaments and laws: at most sinh(η/2)/(η/2)."""
    rng, eta = np.random.default_rng(0), 3.0
    bound = np.sinh(eta / 2) / (eta / 2)
    for _ in range(200):
        m = int(rng.integers(2, 7))
        upper = np.triu(rng.random((m, m)) < rng.random(), 1)
        p = upper + np.tril(1 - upper.T, -1) + np.eye(m) / 2
        q = rng.dirichlet(np.ones(m))
        assert q @ np.exp(eta * (p @ q - 0.5)) < bound
    made, theta = ladder()
    at = made.at(theta).policy[0]
    assert bound * 0.998 < at @ np.exp(eta * made.lead(theta)) < bound
