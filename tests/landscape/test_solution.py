"""Solutions of the variational inequality on C: where online DPO with KL comes to rest (C29)."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import (
    BradleyTerry,
    KLRefPolicy,
    OnlineDPO,
    OnlineDPORevKL,
    PreferenceProblem,
    SAILRevKL,
)
from sailtheory.ascent import bregman_divergence, field_constants, projected_ascent
from sailtheory.landscape import Domain, Search, largest_relative_curvature_on, maximise
from sailtheory.landscape.solution import _Conditions, inequality_gap, solve

WINS = [[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]


def problem_of(seed, *, n=2, m=4, d=3, beta=0.3, radius=2.0):
    rng = np.random.default_rng(seed)
    return PreferenceProblem(
        features=rng.normal(size=(n, m, d)) / d**0.5, beta=beta, radius=radius,
        preferences=[BradleyTerry(r) for r in 2 * rng.normal(size=(n, m))],
        ref_params=0.3 * rng.normal(size=d), center=np.zeros(d),
    )  # fmt: skip


def cycle(**extra):
    """Three responses that beat each other in turn: V = 0 at a uniform π_ref, and turns."""
    options = {"beta": 0.5, "radius": 2.0} | extra
    return PreferenceProblem(
        features=[[[1, 0], [-0.5, 0.9], [-0.5, -0.9]]], preferences=[WINS], **options
    )


def test_the_gap_is_the_largest_over_the_ball():
    problem = problem_of(0)
    field, domain = OnlineDPORevKL(problem, 0.1), Domain(problem)
    rng = np.random.default_rng(1)
    theta = domain.embed(domain.starts(8, rng))
    gap = inequality_gap(field, domain, theta)
    others = rng.normal(size=(4000, 3))
    others *= 2.0 / np.linalg.norm(others, axis=1, keepdims=True)
    best = ((others[None] - theta[:, None]) @ field.gradient(theta)[..., None]).max((1, 2))
    assert (best <= gap + 1e-12).all() and (best >= 0.9 * gap).all()


@pytest.mark.parametrize("gamma", [0.0, 0.05, 0.6])
@pytest.mark.parametrize("seed", range(2))
def test_a_solution_is_where_small_steps_end(seed, gamma):
    problem = problem_of(seed, radius=1.0)
    field = OnlineDPORevKL(problem, gamma)
    found = solve(field, Domain(problem))
    assert found.found and found.gap < 1e-12
    run = projected_ascent(
        field, problem.ref_params, step=10 / (1 + 10 * gamma), steps=400, record=400
    )
    assert run.theta[0] == pytest.approx(found.theta, abs=1e-2)


def test_above_k_v_every_start_leads_to_the_one_solution():
    problem = problem_of(5)
    gamma = 1.2 * field_constants(problem, 0.0).relative
    field, domain = OnlineDPORevKL(problem, gamma), Domain(problem)
    starts = domain.embed(domain.starts(16, np.random.default_rng(0)))[-8:]
    ends = np.array([solve(field, domain, start).theta for start in starts])
    assert np.ptp(ends, axis=0).max() < 1e-8


def test_below_its_threshold_the_field_may_have_several_solutions():
    """A rare response that wins: V pulls to it only once it is met often."""
    problem = PreferenceProblem(
        features=[[[0.5], [-0.5]], [[0.5], [-0.5]]], beta=1.0, radius=12.0, weights=[0.5, 0.5],
        preferences=[[[0.5, 1], [0, 0.5]], [[0.5, 0], [1, 0.5]]], base=[[1e-4, 1], [1, 1]],
    )  # fmt: skip
    domain = Domain(problem)
    star = largest_relative_curvature_on(OnlineDPO(problem), Search(domain)).value
    assert 0 < star <= 2
    grid = np.linspace(-12, 12, 4001)[:, None]
    below = OnlineDPORevKL(problem, 0.05 * star).gradient(grid)[:, 0]
    above = OnlineDPORevKL(problem, star).gradient(grid)[:, 0]
    assert (np.diff(below) > 0).any() and (np.diff(above) <= 1e-12).all()


def test_a_gradient_field_has_the_maximiser_for_its_solution():
    problem = problem_of(2)
    objective, domain = SAILRevKL(problem, 1.5), Domain(problem)
    best = maximise(objective, Search(domain))
    assert solve(objective, domain).theta == pytest.approx(best.theta, abs=1e-7)


def test_where_the_field_turns_newton_needs_all_of_its_jacobian():
    """The symmetric part alone would take hundreds of steps, or none that helps."""
    problem = cycle(ref_params=[0.0, 0.0])
    conditions = _Conditions(OnlineDPORevKL(problem, 0.02), Domain(problem))
    start = np.array([0.05, -0.02])
    assert np.linalg.norm(conditions.newton(start)) < 1e-9
    found = solve(OnlineDPORevKL(problem, 0.02), Domain(problem), np.array([1.0, 0.5]))
    assert found.found and np.linalg.norm(found.theta) < 1e-8


def test_newton_on_the_sphere():
    problem = problem_of(4).replace(ref_params=np.zeros(3), radius=0.2)
    found = solve(OnlineDPORevKL(problem, 0.01), Domain(problem))
    assert found.found
    assert np.linalg.norm(found.theta) == pytest.approx(0.2, abs=1e-12)


def test_the_gap_bounds_both_divergences():
    problem = problem_of(6)
    at = field_constants(problem, 0.9)
    field, domain = OnlineDPORevKL(problem, 0.9), Domain(problem)
    best = solve(field, domain).theta
    theta = domain.embed(domain.starts(16, np.random.default_rng(3)))
    there = bregman_divergence(problem, best, theta)
    back = np.array([bregman_divergence(problem, t, best) for t in theta])
    gap = inequality_gap(field, domain, theta)
    assert (at.relative_modulus * (there + back) <= gap + 1e-12).all()


def test_one_point_and_one_policy():
    still = problem_of(0).replace(radius=0, ref_params=np.zeros(3))
    assert solve(OnlineDPO(still), Domain(still)).found
    alone = PreferenceProblem(
        features=[[[1.0, 0.0]]], preferences=[[[0.5]]], beta=0.1, radius=1, ref_params=[0.2, 0]
    )
    found = solve(OnlineDPO(alone), Domain(alone))
    assert found.found and found.gap == 0 and float(KLRefPolicy(alone).value(found.theta)) == 0
