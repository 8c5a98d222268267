"""C35, C37, C38: mutated formulas break a step, instances are many, exact numbers by hand."""

from __future__ import annotations

import re

import pytest
import sympy

from proofs_check.arguments import divergence_steps, payoff_steps, self_play_steps
from proofs_check.evidence.payoff_battery import three_responses
from sailtheory import KLRefPolicy
from sailtheory.objectives.payoff import PayoffObjective
from sailtheory.theory import divergences, fields, formulas
from sailtheory.theory.payoffs import named_payoff
from tests.support.claims import CLAIMS, details_of

STEPS = {
    "C35": payoff_steps.C35_STEPS,
    "C37": self_play_steps.C37_STEPS,
    "C38": divergence_steps.C38_STEPS,
}


def scaled(factor):
    return lambda f: lambda *a, **k: factor * f(*a, **k)


MUTATIONS = [
    ("C35", formulas, "score_curvature", scaled(2), (0,)),
    ("C35", formulas, "dpo_curvature", scaled(-1), (11,)),
    ("C37", fields, "score_mean_curvature", scaled(2), (0, 3)),
    ("C37", formulas, "pair_sum", scaled(2), (4, 6)),
    ("C37", formulas, "off_policy_gradient", scaled(sympy.Rational(1, 2)), (5,)),
    ("C38", divergences, "divergence_curvature", scaled(2), (0,)),
    ("C38", divergences, "_chi2", lambda f: lambda xp, log_w: f(xp, 2 * log_w), (1,)),
    ("C38", divergences, "divergence_threshold", scaled(2), (10,)),
    ("C38", divergences, "divergence_smoothness", scaled(0.9), (9,)),
]


@pytest.mark.parametrize(("name", "module", "formula", "change", "steps"), MUTATIONS)
def test_a_mutated_formula_breaks_a_step(monkeypatch, name, module, formula, change, steps):
    changed = change(getattr(module, formula))
    monkeypatch.setattr(module, formula, changed)
    for place in (divergence_steps,):
        if hasattr(place, formula):
            monkeypatch.setattr(place, formula, changed)
    if formula == "_chi2":
        from dataclasses import replace

        made = replace(divergences.DIVERGENCES["chi2"], parts=changed)
        monkeypatch.setitem(divergences.DIVERGENCES, "chi2", made)
    assert not all(STEPS[name][i].check() for i in steps)


@pytest.mark.parametrize(("claim_id", "minimum"), [("C35", 1500), ("C37", 500), ("C38", 800)])
def test_enough_instances_are_tried(claim_id, minimum):
    counts = [re.search(r"(\d+) instances", each) for each in details_of(claim_id, "sampled")]
    assert sum(int(found[1]) for found in counts if found) >= minimum


def test_there_are_enough_falsehoods():
    assert [len(CLAIMS[c].planted) for c in ("C35", "C37", "C38")] == [13, 7, 17]


def test_the_squares_nearly_reach_their_constant():
    """IPO, β = .1, Z = 1: 254 but for the chance of the rare response."""
    problem, theta, v = three_responses(0.1, 1.0, 0.3)
    objective = PayoffObjective(problem, named_payoff("ipo"))
    spread = float(KLRefPolicy(problem).curvature(theta, v))
    assert float(objective.curvature(theta, v)) / spread == pytest.approx(254, rel=1e-5)
