"""Each claim ends as expected, as strongly as it can; each planted falsehood is refuted."""

from __future__ import annotations

import numpy as np
import pytest

from dpo_claims import steps
from dpo_claims.claims import all_claims
from dpo_claims.problems import best, of_rewards
from proofs_check.arguments import gibbs
from sailtheory import DPO
from sailtheory.claims import Context, run
from sailtheory.theory import formulas
from sailtheory.theory.payoff import Payoff
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


def steeper(f):
    return lambda *a: Payoff(*(2 * part for part in f(*a)))


@pytest.mark.parametrize(
    ("chain", "formula", "change", "broken"),
    [
        (gibbs.GIBBS_STEPS, "kl_policy_ref", scaled(2), [0, 1]),
        (steps.DPO02_STEPS, "log_policy", scaled(2), [2]),
        (steps.DPO04_STEPS, "log_likelihood_payoff", steeper, [0]),
        (steps.DPO04_STEPS, "margins", scaled(2), [1]),
        (steps.DPO04_STEPS, "dpo_curvature", scaled(-1), [2]),
        (steps.DPO05_STEPS, "log_likelihood_payoff", steeper, [0]),
    ],
)
def test_a_mutated_formula_breaks_a_step(monkeypatch, chain, formula, change, broken):
    monkeypatch.setattr(formulas, formula, change(getattr(formulas, formula)))
    assert [i for i in broken if not chain[i].check()] == broken


def loss(policy, ref, rewards, beta):
    """DPO's population loss, pair by pair."""
    total = 0.0
    for k in range(3):
        for j in range(3):
            p = 1 / (1 + np.exp(rewards[j] - rewards[k]))
            z = beta * np.log(policy[k] * ref[j] / (policy[j] * ref[k]))
            total += ref[k] * ref[j] * (p * np.log1p(np.exp(-z)) + (1 - p) * np.log1p(np.exp(z)))
    return total


def test_no_policy_near_the_minimiser_has_a_smaller_loss():
    rewards, ref, beta = np.array([1.0, -0.5, 0.25]), np.array([0.5, 0.25, 0.25]), 0.5
    star = ref * np.exp(rewards / beta)
    star /= star.sum()
    problem = of_rewards(rewards[None], ref[None], beta)
    assert np.allclose(loss(star, ref, rewards, beta), -DPO(problem).value(best(problem)))
    for seed in range(20):
        near = star * np.exp(np.random.default_rng(seed).normal(size=3) / 100)
        assert loss(near / near.sum(), ref, rewards, beta) > loss(star, ref, rewards, beta)
