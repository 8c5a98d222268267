"""Certified evidence in the ledger, and that it can say no."""

from __future__ import annotations

import pytest

from proofs_check.arguments.first_order import inward
from proofs_check.arguments.trapping_region import Trap, trapping_squares
from proofs_check.claims.c11_relative_curvature import constants
from proofs_check.claims.c14_projection import ascend, instance
from proofs_check.trials.certified import NAMES, enclosures
from sailtheory import SAIL, SAILRevKL, examples
from sailtheory.certificates import certify_gamma
from sailtheory.certificates.replay import Replay
from sailtheory.claims import Context
from sailtheory.verdict import Outcome, Strength


def test_enclosures_of_gamma_star_beside_k_b():
    found = list(enclosures(lambda p: constants(p)["∇²J ⪯ K_B F̄"], "K_B"))
    assert len(found) == len(NAMES)
    assert all(e.strength is Strength.CERTIFIED and "certificate" in e.detail for e in found)


def test_a_bound_that_is_too_small_is_refuted():
    found = list(enclosures(lambda p: constants(p)["∇²J ⪯ K_B F̄"] / 40, "K_B/40"))
    refuted = [e for e in found if e.outcome is Outcome.REFUTED]
    assert refuted and all(e.witness.replay() for e in refuted)


def test_a_bound_inside_the_enclosure_is_neither_held_nor_refuted():
    enclosed = certify_gamma(examples.load(NAMES[0]), 0.01)
    middle = float(enclosed.lower + enclosed.gamma) / 2
    first = next(enclosures(lambda p: middle, "the middle"))
    assert first.outcome is Outcome.UNDECIDED and "does not tell which" in first.detail


def test_a_certificate_that_does_not_replay_is_a_defect(monkeypatch):
    refused = Replay(False, "altered", 0, 0.0)
    monkeypatch.setattr("proofs_check.trials.certified.replay", lambda made: refused)
    with pytest.raises(ArithmeticError, match="not certified: altered"):
        list(enclosures(lambda p: 1.0, "one"))


@pytest.fixture(scope="module")
def stops():
    return ascend(SAIL(instance()), Context(), 100)


def test_the_trap_is_certified(stops):
    problem = instance()
    assert trapping_squares(SAIL(problem), stops.trap, inward(problem, stops.best)) > 100


@pytest.mark.parametrize(
    "trap",
    [Trap(core=0.1), Trap(outer=0.31), Trap(inner=0.01, outer=0.11)],
    ids=["core too large", "shell thinner than a step", "shell too near"],
)
def test_wrong_traps_are_not(stops, trap):
    problem = instance()
    assert not trapping_squares(SAIL(problem), stops.trap, inward(problem, stops.best), trap)


def test_no_trap_at_the_maximum_or_under_regularisation(stops):
    problem = instance()
    better = inward(problem, stops.best)
    assert not trapping_squares(SAIL(problem), better, better)
    assert not trapping_squares(SAILRevKL(problem, 0.05), stops.trap, better)
