"""Each claim ends as expected, as strongly as it can; each planted falsehood is refuted."""

from __future__ import annotations

from fractions import Fraction as F
from itertools import product

import numpy as np
import pytest

from ipo_claims import steps
from ipo_claims.claims import all_claims, root
from proofs_check.evidence.cases import tabular
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
        (steps.IPO01_STEPS, "expectation", scaled(2), [0, 1]),
        (steps.IPO02_STEPS, "squared_payoff", steeper, [2]),
        (steps.IPO02_STEPS, "off_policy_gradient", lambda f: lambda b, p, g: f(b, p, g) + p, [1]),
    ],
)
def test_a_mutated_formula_breaks_a_step(monkeypatch, chain, formula, change, broken):
    monkeypatch.setattr(formulas, formula, change(getattr(formulas, formula)))
    assert [i for i in broken if not chain[i].check()] == broken


P = [[F(1, 2), F(3, 4), F(0)], [F(1, 4), F(1, 2), F(1)], [F(1), F(0), F(1, 2)]]
MU, TAU = [F(1, 2), F(1, 4), F(1, 4)], F(1, 8)


def losses(ratio):
    """Three forms of the loss at rational log-ratios: root-finding, labels, sampled."""
    rate = [sum(MU[j] * P[k][j] for j in range(3)) for k in range(3)]
    found = [F(0)] * 3
    for k, j in product(range(3), repeat=2):
        h, weight = ratio[k] - ratio[j], MU[k] * MU[j]
        found[0] += weight * (h - (rate[k] - rate[j]) / TAU) ** 2
        found[1] += weight * (P[k][j] * (h - 1 / TAU) ** 2 + P[j][k] * h**2)
        for sign, chance in ((1, P[k][j]), (-1, P[j][k])):
            found[2] += weight * chance * (sign * h - 1 / (2 * TAU)) ** 2
    return rate, found


def test_three_forms_differ_by_constants_and_the_root_is_least():
    """In rational arithmetic, and the root is that of the claims."""
    rate, _ = losses([F(0)] * 3)
    star = [r / TAU for r in rate]
    at_root, here = losses(star)[1], losses([F(1), F(-2), F(1, 3)])[1]
    assert at_root[0] == 0 < here[0]
    assert len({b - a for a, b in zip(at_root, here, strict=True)}) == 1
    found = np.array([float(x) for x in root(tabular([P], [MU], 0.125))()])
    assert np.allclose(np.diff(found), np.diff([float(x) for x in star]))
