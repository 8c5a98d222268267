"""Strategies for users, and the counterexample finder; test_tutorial.py has it shrink a failure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from sailtheory import SAIL, InputError, examples
from sailtheory.landscape import Domain, largest_relative_curvature
from sailtheory.problem.problem_file import dumps, loads
from sailtheory.testing import (
    find_counterexample,
    points_in_ball,
    policies,
    preference_matrices,
    preference_problems,
)
from sailtheory.theory.bounds import closed_form_threshold, relative_bound

RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
UNSHRUNK = settings(RELAXED, phases=[Phase.generate], database=None)


@RELAXED
@given(st.integers(1, 6).flatmap(lambda m: st.tuples(st.just(m), preference_matrices(m))))
def test_preference_matrices_are_valid(drawn):
    m, p = drawn
    assert p.shape == (m, m)
    np.testing.assert_allclose(p + p.T, 1, atol=1e-15)
    assert ((p >= 0) & (p <= 1)).all()


@RELAXED
@given(preference_matrices(4, "deterministic"))
def test_deterministic_matrices_hold_only_three_values(p):
    assert set(np.unique(p)) <= {0.0, 0.5, 1.0}


@RELAXED
@given(preference_matrices(3, "bradley-terry"))
def test_bradley_terry_matrices_are_transitive_in_odds(p):
    odds = np.log(p / (1 - p))
    assert odds[0, 2] == pytest.approx(odds[0, 1] + odds[1, 2], abs=1e-9)


@RELAXED
@given(policies(5, smallest=0.01))
def test_policies_sum_to_one_and_stay_positive(policy):
    assert policy.sum() == pytest.approx(1, abs=1e-15)
    assert policy.min() >= 0.01 / 5


@RELAXED
@given(st.data(), preference_problems(degenerate=True, extreme=True))
def test_problems_and_points_are_valid_and_round_trip(data, problem):
    theta = data.draw(points_in_ball(problem))
    assert problem.contains(theta)
    assert np.isfinite(SAIL(problem).value(theta))
    assert dumps(loads(dumps(problem))) == dumps(problem)


@RELAXED
@given(preference_problems(tabular=True))
def test_tabular_problems_have_one_hot_features(problem):
    assert problem.span.dimension == problem.responses[0] - 1


def test_knobs():
    fixed = preference_problems(beta=0.3, radius=2.0, base_measure=False, ragged=False)
    problem = find(fixed, lambda p: p.prompts == 2, settings=UNSHRUNK)
    assert (float(problem.beta), float(problem.radius)) == (0.3, 2.0)
    assert problem.base == (None, None)
    assert len(set(problem.responses)) == 1
    ragged = find(preference_problems(), lambda p: len(set(p.responses)) > 1, settings=UNSHRUNK)
    assert ragged.prompts >= 2


def test_strategies_shrink_to_small_problems():
    smallest = find(preference_problems(), lambda p: True, settings=settings(database=None))
    assert (smallest.prompts, smallest.responses, smallest.dimension) == (1, (2,), 1)


def curvature(problem, theta):
    """The largest generalised eigenvalue of (∇²J, F̄) at θ."""
    return largest_relative_curvature(SAIL(problem), Domain(problem), theta)[0]


def constant(value):
    return lambda problem, theta: np.full(len(theta), value(problem))


def closed_form(problem):
    offset = float(np.linalg.norm(problem.ref_params))
    return closed_form_threshold(
        float(problem.beta), problem.feature_diameter, float(problem.radius), offset
    )


def test_a_side_that_is_no_function_is_one_line():
    with pytest.raises(InputError, match="a function of a problem"):
        find_counterexample(curvature, 0.01, preference_problems())


def test_a_true_bound_has_no_counterexample():
    assert find_counterexample(
        curvature, constant(closed_form), preference_problems(), max_examples=25
    ) is None  # fmt: skip


def test_a_bound_on_one_problem():
    problem = examples.load("bradley-terry")
    star = 0.07246765870509529
    below = find_counterexample(curvature, constant(lambda p: 0.99 * star), problem)
    assert below is not None
    assert below.replay()
    assert len(str(below.theta.tolist())) < 30, "θ is rounded to few digits"
    assert find_counterexample(curvature, constant(lambda p: 1.001 * star), problem) is None


def test_k_b_has_no_counterexample_under_extreme_settings():
    def k_b(problem):
        return relative_bound(float(problem.beta), problem.z_max * (1 + 1e-14))

    problems = preference_problems(extreme=True, kind="deterministic", max_responses=3)
    assert find_counterexample(curvature, constant(k_b), problems, max_examples=25) is None


def test_bad_tolerance_is_refused():
    with pytest.raises(InputError, match="tolerance"):
        find_counterexample(curvature, curvature, examples.load("tabular"), tolerance=-1)


@pytest.mark.parametrize(
    ("lhs", "rhs", "words"),
    [
        (lambda p, theta: theta[:, 0], lambda p, theta: np.full(len(theta), np.nan), "rhs = nan"),
        (lambda p, theta: np.full(len(theta), np.nan), lambda p, theta: 0.0, "lhs = nan at every"),
        (lambda p, theta: theta[:3, 0], lambda p, theta: 0.0, r"lhs = shape \(3,\)"),
        (lambda p, theta: theta[:, 0], lambda p, theta: np.zeros((2, 2)), "rhs = shape"),
    ],
)
def test_a_side_that_is_no_number_is_not_taken_for_a_true_bound(lhs, rhs, words):
    with pytest.raises(InputError, match=words):
        find_counterexample(lhs, rhs, examples.load("c04-one-winner"), effort="light")


def test_infinity_exceeds_every_bound_and_a_number_stands_for_all_points():
    problem = examples.load("c04-one-winner")
    found = find_counterexample(
        lambda p, theta: np.full(len(theta), np.inf), lambda p, theta: 5.0, problem, effort="light"
    )
    assert found.data == {"lhs": np.inf, "rhs": 5.0} and found.replay()
    assert find_counterexample(lambda p, theta: 1.0, lambda p, theta: np.inf, problem) is None
