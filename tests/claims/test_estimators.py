"""C18 and C22: how much is tried, and the numbers of docs/theory.md."""

import re

import numpy as np
import pytest

from proofs_check.claims import c18_estimator, c22_estimators
from sailtheory import SAIL, examples
from sailtheory.claims import run
from sailtheory.theory import bounds, formulas
from sailtheory.verdict import Outcome, Strength
from tests.support.claims import QUICK, details_of


def test_both_bounds_of_c18_are_tried_on_many_instances():
    details = details_of("C18", "sampled")
    counts = [int(re.search(r"(\d+) instances", d)[1]) for d in details if "instances" in d]
    assert len(counts) == 2
    assert min(counts) >= 2000


MUTATIONS = {
    "gradient": (formulas, "on_policy_gradient", lambda f: lambda *a: 1.5 * f(*a)),
    "bound": (bounds, "second_moment_bound", lambda f: lambda *a, **k: f(*a, **k) / 2),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_formula_changes_the_verdict_of_c18(monkeypatch, name):
    module, attribute, change = MUTATIONS[name]
    monkeypatch.setattr(module, attribute, change(getattr(module, attribute)))
    verdict = run(c18_estimator.CLAIMS[0], QUICK).verdict
    assert (verdict.outcome, verdict.strength) != (Outcome.HOLDS, Strength.PROVED)


def test_c22_instance_in_float64():
    problem = examples.load("c22-score-weight")
    policy = problem.policy(problem.ref_params)[0]
    payoff = np.full((3, 3), -np.log(2))
    true, found = c22_estimators.score_terms(policy, np.log(policy), payoff)
    assert true == pytest.approx([0, 0, 0], abs=1e-15)
    assert found == pytest.approx([1 / 4, -1 / 8, -1 / 8])
    assert SAIL(problem).gradient(problem.ref_params) == pytest.approx([0, 0, 0], abs=1e-15)
