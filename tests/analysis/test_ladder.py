"""Thresholds that hold for sure: their order, their strength, and what they license."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import BradleyTerry, PreferenceProblem, examples
from sailtheory.analysis.check import check, theorem_threshold
from sailtheory.analysis.ladder import Ladder, ladder
from sailtheory.landscape import gamma_star
from sailtheory.verdict import Outcome, Strength

RUNGS = Ladder(0.7, 0.5, 0.2, 0.1, 0.15, ())


@pytest.mark.parametrize("seed", range(6))
def test_each_rung_is_below_the_one_above_and_above_the_search(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 6, 5)
    problem = PreferenceProblem(
        features=[rng.normal(size=(m, 4)) for m in sizes],
        preferences=[BradleyTerry(rng.normal(size=m)) for m in sizes],
        beta=0.3,
        radius=0.5,
    )
    found = ladder(problem, theorem_threshold(problem))
    star = gamma_star(problem).value
    assert star <= found.per_prompt <= found.data <= found.relative
    assert found.per_prompt_lower <= found.per_prompt
    assert found.most_prompts <= found.per_prompt
    assert found.worst[0][0] in range(5)


def test_the_worst_prompt_is_named_and_the_rest_needs_less():
    """One prompt of 200, in a direction of its own, has long features and a sure label."""
    rng = np.random.default_rng(0)
    phi = np.zeros((200, 2, 3))
    phi[:, 0, :2] = 0.1 * rng.normal(size=(200, 2))
    phi[17, 0] = (0, 0, 3)
    p = [np.array([[0.5, 0.6], [0.4, 0.5]])] * 200
    p[17] = np.array([[0.5, 1.0], [0.0, 0.5]])
    problem = PreferenceProblem(features=phi, preferences=p, beta=0.3, radius=2)
    report = check(problem, gamma=0.5)
    assert report.ladder.worst[0][0] == 17
    assert report.ladder.most_prompts < report.ladder.per_prompt / 2
    data = report.as_dict()["prompts"]
    assert data["worst"][0]["prompt"] == 17
    assert data["upper_for_99_percent"] == report.ladder.most_prompts


@pytest.mark.parametrize(
    ("gamma", "strict", "strength"),
    [
        (0.7, False, Strength.PROVED),
        (0.7, True, Strength.CERTIFIED),
        (0.71, True, Strength.PROVED),
        (0.2, False, Strength.CERTIFIED),
        (0.2, True, None),
        (0.19, False, None),
    ],
)
def test_what_a_gamma_licenses(gamma, strict, strength):
    proofs = RUNGS.proofs(gamma, strict)
    assert [piece.strength for piece in proofs] == ([strength] if strength else [])
    assert all(piece.outcome is Outcome.HOLDS for piece in proofs)


def test_pl_and_its_modulus_follow_from_the_prompts_alone():
    """Between ḡ and K_B: certified, with a μ that the search does not undercut."""
    report = check(examples.load("bradley-terry"), gamma=0.2)
    assert report.thresholds.per_prompt < 0.2 < report.thresholds.relative
    for pl in (report.plain, report.prox):
        assert (pl.verdict.outcome, pl.verdict.strength) == (Outcome.HOLDS, Strength.CERTIFIED)
        assert 0 < report.mu <= pl.constant


def test_nothing_that_moves_has_no_ladder():
    still = PreferenceProblem(
        features=[np.ones((2, 3))], preferences=[BradleyTerry([0, 1])], beta=1, radius=1
    )
    assert ladder(still, 1.0) is None
    assert check(still).as_dict()["prompts"] is None
