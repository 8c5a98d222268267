"""C28, C29, C36: mutated formulas break a step, instances are many, exact numbers by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest
import sympy
from mpmath import findroot, mp, tanh

from proofs_check.arguments import field_steps, monotone_steps
from proofs_check.claims import c28_not_reward
from proofs_check.claims.c29_online_dpo import _cycle, worst_turn
from proofs_check.claims.c36_payoff_field import OnlineIPO, best_ipo_bound, k_v
from proofs_check.evidence.argument import argue
from proofs_check.evidence.battery import skewed
from sailtheory import SAIL, OnlineDPO
from sailtheory.theory import field_bound, fields, formulas, pair_form
from sailtheory.verdict import Outcome, conclude
from tests.support.claims import CLAIMS, details_of

STEPS = {
    "C36": field_steps.C36_STEPS,
    "C29 bounds": field_steps.C29_BOUNDS,
    "C29 solution": monotone_steps.SOLUTION,
    "C29 projected": monotone_steps.PROJECTED,
    "C29 mirror": monotone_steps.MIRROR,
    "C28": c28_not_reward.STEPS,
}


def scaled(factor):
    return lambda f: lambda *a, **k: factor * f(*a, **k)


MUTATIONS = [
    ("C36", field_bound, "payoff_field_bound", scaled(sympy.Rational(99, 100))),
    ("C36", field_bound, "field_bound", scaled(sympy.Rational(101, 100))),
    ("C36", field_bound, "field_limit", scaled(sympy.Rational(1, 2))),
    ("C36", fields, "field_curvature", scaled(2)),
    ("C36", fields, "dpo_curvature", scaled(-1)),
    ("C29 bounds", field_bound, "field_lower", scaled(sympy.Rational(1, 2))),
    ("C29 bounds", field_bound, "field_turning_bound", scaled(sympy.Rational(1, 2))),
    ("C29 bounds", fields, "field_turning", scaled(-1)),
    ("C29 bounds", pair_form, "laplacian", scaled(2)),
    ("C29 projected", field_bound, "monotone_smoothness", scaled(sympy.Rational(1, 2))),
    ("C29 mirror", field_bound, "implicit_contraction", scaled(sympy.Rational(1, 2))),
    ("C29 mirror", field_bound, "explicit_mirror_constant", scaled(sympy.Rational(1, 2))),
    ("C28", formulas, "off_policy_gradient", scaled(-1)),
    ("C28", formulas, "log_likelihood_value", scaled(2)),
    ("C28", formulas, "pair_mean", scaled(sympy.Rational(1, 2))),
]


@pytest.mark.parametrize(("name", "module", "formula", "change"), MUTATIONS)
def test_a_mutated_formula_breaks_a_step(monkeypatch, name, module, formula, change):
    monkeypatch.setattr(module, formula, change(getattr(module, formula)))
    assert conclude(argue("after", STEPS[name])).outcome is not Outcome.HOLDS


@pytest.mark.parametrize("name", sorted(STEPS))
def test_without_a_mutation_every_step_is_shown(name):
    assert conclude(argue("before", STEPS[name])).outcome is Outcome.HOLDS


@pytest.mark.parametrize(("claim_id", "minimum"), [("C28", 1000), ("C36", 3000)])
def test_enough_instances_are_tried(claim_id, minimum):
    for detail in details_of(claim_id, "sampled"):
        found = re.search(r"(\d+) instances", detail)
        if found and not re.search("worst points|≤ 2β:", detail):
            assert int(found[1]) >= minimum


def test_c28s_number_by_fifty_digits():
    with mp.workdps(50):
        root = findroot(lambda t: t * tanh(t / 2) - 1, 1.5)
        share = 1 / (1 + mp.exp(-root))
    assert abs(root - 1.5434046384) < 1e-9 and abs(share - 0.8239) < 1e-4


def test_c28_on_a_grid_no_policy_beyond_the_root_has_the_largest_j():
    for beta in (0.001, 0.1, 3.0):
        t = np.linspace(-8, 8, 3201)[:, None]
        problem = skewed("0.5", beta=beta, radius=8.0)
        value = SAIL(problem).value(t)
        best = float(t[value.argmax(), 0])
        assert 0 < best <= 1.5435 + 0.005  # the grid's width
        assert (OnlineDPO(problem).gradient(t) > 0).all()


def test_c36_is_attained_as_the_winner_gets_rare():
    shares = []
    for chance in ("1e-1", "1e-3", "1e-6"):
        problem = skewed(chance, beta=0.3, radius=2.0)
        (eta,) = OnlineDPO(problem).relative_pair_curvature(np.array([-2.0]))
        shares.append(float(eta[0, 0, 1]) / k_v(problem))
    assert shares == sorted(shares) and 1 - 1e-4 < shares[-1] <= 1


def test_c36_for_ipo_is_attained_too():
    problem = skewed("1e-6", beta=0.5, radius=1.0)
    (eta,) = OnlineIPO(problem).relative_pair_curvature(np.array([-1.0]))
    assert 1 - 1e-4 < float(eta[0, 0, 1]) / best_ipo_bound(problem) <= 1


def test_three_responses_in_turn_reach_ninety_percent_of_the_turning():
    problem = _cycle()
    size, _, _ = worst_turn(problem, np.zeros(2))
    bound = 4 / np.pi * 0.5 * 0.5  # (4/π)βσ(0), β = ½
    assert size == pytest.approx(3**-0.5 / (2 / np.pi) * bound, rel=1e-9)


def test_there_are_enough_falsehoods():
    assert [len(CLAIMS[c].planted) for c in ("C28", "C29", "C36")] == [6, 8, 7]
