"""Online DPO beside SAIL in check and frontier: thresholds, verdicts, and what each earns."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sailtheory import (
    BradleyTerry,
    KLRefPolicy,
    OnlineDPO,
    OnlineDPORevKL,
    PreferenceProblem,
    examples,
)
from sailtheory.analysis.check import check
from sailtheory.analysis.frontier import frontier
from sailtheory.analysis.monotone import monotone
from sailtheory.analysis.online import FIELD_STRENGTHS, field_thresholds
from sailtheory.landscape import Domain, Search, gain, largest_relative_curvature_on
from sailtheory.landscape.solution import solve
from sailtheory.report.words import earned, learning, percent

EARNED = {
    "gamma", "theta", "win_rate", "gain", "share", "reward", "reward_share", "kl_ref_policy",
    "on_boundary", "settled",
}  # fmt: skip


@pytest.fixture(scope="module")
def report():
    return check(examples.load("bradley-terry"), gamma=0.1)


def winner(rewards=None, **extra):
    """Two responses, uniform π_ref, the first always preferred."""
    options = {"beta": 0.1, "radius": 4.0} | extra
    wins = [[0.5, 1], [0, 0.5]] if rewards is None else BradleyTerry(rewards)
    return PreferenceProblem(features=[[[0.5], [-0.5]]], preferences=[wins], **options)


def test_json_has_the_stable_names(report):
    data = report.as_dict()["online_dpo"]
    assert set(data) == {"thresholds", "strengths", "monotone", "earned"}
    assert set(data["thresholds"]) == {"instance", "data", "relative", "limit"}
    assert data["strengths"] == FIELD_STRENGTHS
    assert set(data["monotone"]) == {"verdict", "strength", "relative_curvature", "theta"}
    assert set(data["earned"]) == {"best", "sail", "online"}
    for found in (data["earned"]["sail"], data["earned"]["online"]):
        assert set(found) == {"zero", "gamma", "certain", "proved"}
        assert all(set(each) == EARNED for each in found.values())
    json.dumps(data, allow_nan=False)


def test_thresholds_fall_to_what_a_search_finds(report):
    found, beta, z = report.online.thresholds, 0.1, report.problem.z_max
    assert 0 < found.instance < found.data <= found.relative < found.limit == 2 * beta
    up = 1 / (1 + np.exp(-z))
    assert found.relative == pytest.approx(2 * beta * up - 2 * beta**2 * up * (1 - up), rel=1e-9)
    star = report.online.gamma_star
    hessian = OnlineDPO(report.problem).hessian(star.theta)
    fisher = KLRefPolicy(report.problem).hessian(star.theta)
    v = star.direction
    assert v @ hessian @ v / (v @ fisher @ v) == pytest.approx(found.instance, rel=1e-9)


def test_two_responses_have_thresholds_of_their_own():
    rng = np.random.default_rng(2)
    problem = PreferenceProblem(
        features=rng.normal(size=(1, 2, 3)), preferences=[BradleyTerry([0.7, -0.4])],
        beta=0.5, radius=2.0, base=[[0.1, 0.9]], ref_params=[0.3, 0, 0],
    )  # fmt: skip
    star = largest_relative_curvature_on(OnlineDPO(problem), Search(Domain(problem)))
    found = field_thresholds(problem, star.value)
    assert star.value <= found.data <= 1.05 * star.value < 0.9 * found.relative


def test_monotone_is_refuted_below_and_proved_above():
    problem = examples.load("bradley-terry")
    levels = field_thresholds(problem)
    search = Search(Domain(problem))
    star = largest_relative_curvature_on(OnlineDPO(problem), search)
    found = {}
    for gamma in (0.0, star.value * 0.99, star.value * 1.01, levels.data, levels.relative):
        verdict, _ = monotone(OnlineDPO(problem), gamma, star, levels.proofs(gamma))
        found[gamma] = (verdict.outcome.value, verdict.strength.value)
        for piece in verdict.evidence:
            if piece.witness is not None:
                assert piece.witness.replay()
                assert problem.contains(piece.witness.theta)
    expected = [("refuted", "proved")] * 2 + [("holds", "supported"), ("holds", "certified"),
                                             ("holds", "proved")]  # fmt: skip
    assert list(found.values()) == expected


def test_argmax_of_j_stops_at_c28s_root_and_the_field_does_not():
    """π₁ = σ(1.5434…) = .824 as β → 0, whatever B; without the score term all of C is used."""
    report = check(winner(beta=0.001, radius=8.0), 0.0, "light")
    sail, field = report.online.sail["zero"], report.online.online["zero"]
    assert float(report.problem.policy(sail.theta)[0][0]) == pytest.approx(0.824, abs=5e-4)
    assert field.theta[0] == pytest.approx(8.0) and field.on_boundary and field.settled
    assert field.share == pytest.approx(1.0, abs=1e-9)
    assert sail.share == pytest.approx((0.82396 - 0.5) / (1 / (1 + np.exp(-8)) - 0.5), abs=1e-3)
    assert report.online.best.theta[0] == pytest.approx(8.0)


def test_rewards_are_told_where_they_are_known():
    known = check(winner(rewards=[2.0, -1.0]), 0.05, "light").online
    for each in (*known.sail.values(), *known.online.values(), known.best):
        p = 1 / (1 + np.exp(-each.theta[0]))
        assert each.reward == pytest.approx(3 * p - 1, abs=1e-9)
        assert each.reward_share == pytest.approx(
            (p - 0.5) / (1 / (1 + np.exp(-4)) - 0.5), abs=1e-6
        )
    unknown = check(winner(), 0.05, "light").online
    assert unknown.best.reward is None and unknown.best.reward_share is None


def test_online_dpo_keeps_more_at_what_is_proved(report):
    sail, field = report.online.sail["proved"], report.online.online["proved"]
    assert sail.gamma == report.thresholds.relative
    assert field.gamma == report.online.thresholds.relative
    assert field.share > 4 * sail.share > 0
    assert percent(field.share) in learning(report) and percent(sail.share) in learning(report)
    assert len(earned(report)) == 9


def test_nobody_gains_where_everything_ties():
    tie = PreferenceProblem(
        features=[[[0.5], [-0.5]]], preferences=[[[0.5, 0.5], [0.5, 0.5]]], beta=0.1, radius=1
    )
    report = check(tie, 0.1, "light")
    assert report.online.best.share is None and learning(report) == ""
    assert report.online.online["zero"].theta == pytest.approx([0.0], abs=1e-9)


def test_one_policy_has_no_thresholds():
    alone = PreferenceProblem(features=[[[1.0]]], preferences=[[[0.5]]], beta=0.1, radius=1)
    report = check(alone)
    assert report.online.monotone[0] is None
    assert set(report.online.thresholds.__dict__.values()) == {None}
    assert set(report.online.online) == {"zero", "gamma"}


def test_a_rare_response_that_hides_gamma_star_leaves_the_thresholds():
    """F̄ singular in float64: nothing is found by search, and what is certain stands."""
    hidden = winner(base=[[1e-300, 1]], radius=1.0)
    report = check(hidden, 0.2, "light")
    assert report.online.thresholds.data <= report.online.thresholds.relative < 0.2


def test_frontier_has_both():
    curve = frontier(examples.load("bradley-terry"), count=7, effort="light")
    assert curve.online.relative in [p.gamma for p in curve.points]
    rates = [p.online.win_rate for p in curve.points]
    assert (np.diff(rates) <= 1e-6).all() and all(p.online.found for p in curve.points)
    assert [p.online.guaranteed for p in curve.points] == [
        p.gamma >= curve.online.relative for p in curve.points
    ]
    assert all(p.online.win_rate > p.win_rate for p in curve.points if p.gamma < 0.2)
    json.dumps(curve.as_dict(), allow_nan=False)


def test_the_gamma_that_online_dpo_affords_loses_the_tolerance():
    problem = examples.load("bradley-terry")
    curve = frontier(problem, tolerance=0.02, count=6, effort="light")
    domain = Domain(problem)
    free, paid = (
        float(gain(problem, solve(OnlineDPORevKL(problem, gamma), domain).theta))
        for gamma in (0.0, curve.online_affordable)
    )
    assert free - paid == pytest.approx(0.02, abs=1e-4)
    all_of_it = frontier(problem, tolerance=1.0, count=5, effort="light")
    assert all_of_it.online_affordable == all_of_it.points[-1].gamma == 2 * all_of_it.relative
