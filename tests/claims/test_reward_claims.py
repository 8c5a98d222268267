"""C30–C34: mutated formulas break a step, instances are many, exact numbers by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from proofs_check.arguments import group_steps, other_kl_steps, reward_steps
from proofs_check.claims.c30_reward import regularised, two_prompts
from proofs_check.claims.c32_group_advantage import norm
from proofs_check.evidence.argument import argue
from proofs_check.evidence.reward_battery import tied
from proofs_check.evidence.two_tokens import TwoTokens
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.rewards import GroupField
from sailtheory.theory import fields, formulas, reward_bounds
from sailtheory.verdict import Outcome, conclude
from tests.support.claims import CLAIMS, details_of

STEPS = {
    "C30": reward_steps.C30_STEPS,
    "C31": reward_steps.C31_STEPS,
    "C32": group_steps.C32_STEPS,
    "C33": other_kl_steps.C33_STEPS,
    "C34": other_kl_steps.C34_STEPS,
}


def scaled(factor):
    return lambda f: lambda *a, **k: factor * f(*a, **k)


MUTATIONS = [
    ("C30", fields, "score_mean_curvature", scaled(2)),
    ("C33", fields, "score_mean_gradient", scaled(-1)),
    ("C33", formulas, "kl_policy_ref_gradient", scaled(2)),
    ("C33", reward_bounds, "inverse_path_factor", scaled(2)),
    ("C33", reward_bounds, "realisable_modulus", scaled(2)),
    ("C34", formulas, "kl_policy_ref_gradient", scaled(-1)),
]


@pytest.mark.parametrize(("name", "module", "formula", "change"), MUTATIONS)
def test_a_mutated_formula_breaks_a_step(monkeypatch, name, module, formula, change):
    monkeypatch.setattr(module, formula, change(getattr(module, formula)))
    assert not all(step.check() for step in STEPS[name])


@pytest.mark.parametrize("name", sorted(STEPS))
def test_without_a_mutation_every_step_is_shown(name):
    assert conclude(argue("before", STEPS[name])).outcome is Outcome.HOLDS


@pytest.mark.parametrize(
    ("claim_id", "minimum"), [("C30", 4000), ("C31", 5000), ("C32", 150), ("C34", 500)]
)
def test_enough_instances_are_tried(claim_id, minimum):
    counts = [re.search(r"(\d+) instances", each) for each in details_of(claim_id, "sampled")]
    assert all(int(found[1]) >= minimum for found in counts if found)


def test_there_are_enough_falsehoods():
    found = [len(CLAIMS[c].planted) for c in ("C30", "C31", "C32", "C33", "C34")]
    assert found == [8, 11, 6, 7, 6]


def test_c30_is_approached_and_c32_too():
    shares = [norm(GroupField(tied(q), 4), np.zeros(1))[0] for q in ("1e-2", "1e-4", "1e-6")]
    assert shares == sorted(shares)
    assert 1 - 1e-5 < shares[-1] / 3**0.5 <= 1


def test_the_two_prompts_by_hand():
    """J_γ at (.36, ±3.5) and between, written out."""

    def value(x, y, gamma=0.505):
        first = np.array([-8 * x + y, -8 * x - y, np.log(2)])
        first -= np.logaddexp.reduce(first)
        second = np.array([x, 0.0])
        second -= np.logaddexp.reduce(second)
        ref = np.log([0.25, 0.25, 0.5])
        kl = [np.exp(ref) @ (ref - first), np.log(0.5) - second.mean()]
        rates = [np.exp(first[:2]).sum(), np.exp(second[0])]
        return sum(w * (v - gamma * k) for w, v, k in zip((0.1, 0.9), rates, kl, strict=True))

    objective = regularised(two_prompts(), 0.505)
    for y in (3.5, 0.0, -3.5):
        assert float(objective.value(np.array([0.36, y]))) == pytest.approx(value(0.36, y))
    assert value(0.36, 3.5) > 0.5 < value(0.36, -3.5)
    assert value(0.36, 0.0) < 0.5


def test_two_tokens_by_enumeration():
    """The mean gradients of k3, plain and corrected, over every pair of tokens."""
    rng = np.random.default_rng(5)
    tokens = TwoTokens(
        rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=(3, 2, 2)),
        rng.normal(size=(3, 2)),
    )  # fmt: skip
    theta, h = rng.normal(size=2), 1e-6

    def chances(at):
        first = tokens.first @ at + tokens.log_first
        second = tokens.second @ at + tokens.log_second
        first = first - np.logaddexp.reduce(first)
        return first, second - np.logaddexp.reduce(second, axis=1)[:, None]

    ref = chances(np.zeros(2))

    def slope(function):
        ends = [(function(theta + h * e) - function(theta - h * e)) / (2 * h) for e in np.eye(2)]
        return np.array(ends)

    def k3(at, weighed):
        """The sample mean of k3 with samples of θ held fixed, with the ratio where ``weighed``."""
        now, fixed, total = chances(at), chances(theta), 0.0
        for i in range(3):
            for j in range(2):
                drawn = np.exp(fixed[0][i] + fixed[1][i, j])
                for a, b, c in ((now[0][i], fixed[0][i], ref[0][i]),
                                (now[1][i, j], fixed[1][i, j], ref[1][i, j])):  # fmt: skip
                    u = np.exp(c - a)
                    total += drawn * (u - np.log(u) - 1) * (np.exp(a - b) if weighed else 1)
        return total

    def sequence(at, forward):
        now, total = chances(at), 0.0
        for i in range(3):
            for j in range(2):
                p, q = now[0][i] + now[1][i, j], ref[0][i] + ref[1][i, j]
                total += np.exp(q) * (q - p) if forward else np.exp(p) * (p - q)
        return total

    at = tokens.at(FLOAT64, theta)
    held, whole = at.other_kls()
    for found, function in (
        (at.k3, lambda t: k3(t, False)), (held, lambda t: k3(t, True)),
        (at.sequence_kl, lambda t: sequence(t, True)), (whole, lambda t: sequence(t, False)),
    ):  # fmt: skip
        assert np.allclose(found, slope(function), atol=1e-8)
