"""sup γ* over preferences and references, and γ* from counted comparisons."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from proofs_check.evidence.instances import random_points, random_problem
from sailtheory import SAIL, InputError, PreferenceProblem, examples
from sailtheory.analysis.bootstrap import bootstrap_gamma_star
from sailtheory.landscape import gamma_star
from sailtheory.landscape.worst_preferences import worst_preferences
from sailtheory.problem.counts import from_counts
from sailtheory.theory import formulas
from sailtheory.theory.bounds import relative_bound


def test_preference_gradient_is_the_slope_of_an_affine_function():
    rng = np.random.default_rng(0)
    for _ in range(20):
        problem = random_problem(rng, prompts=1, responses=4, dimension=2, deterministic=False)
        theta = random_points(rng, problem, 1)[0]
        v = rng.normal(size=2)
        p = problem.preferences[0].matrix
        (at,) = SAIL(problem).points(theta)
        along = at.block.features @ v
        slope = formulas.preference_gradient(at.block.beta, at.policy, at.z, along)[0]
        step = np.zeros((4, 4))
        k, j = rng.choice(4, 2, replace=False)
        step[k, j], step[j, k] = 1, -1
        moved = [problem.replace(preferences=[np.clip(p + s * step, 0, 1)]) for s in (0.0, 1.0)]
        reach = moved[1].preferences[0].matrix[k, j] - p[k, j]
        change = np.subtract(*[v @ SAIL(q).hessian(theta) @ v for q in moved[::-1]])
        scale = np.abs(SAIL(problem).hessian(theta)).max() + np.abs(slope).max()
        assert change == pytest.approx(reach * slope[k, j], abs=1e-12 * scale)


def test_worst_preferences_equal_the_best_of_all_0_1_matrices():
    problem = PreferenceProblem(
        features=[[[0.6, 0.1], [-0.5, 0.4], [0.1, -0.7]]],
        preferences=[np.full((3, 3), 0.5)],
        beta=0.5,
        radius=1.5,
    )
    every = []
    for a, b, c in itertools.product((0.0, 0.5, 1.0), repeat=3):
        p = [[0.5, a, b], [1 - a, 0.5, c], [1 - b, 1 - c, 0.5]]
        every.append(gamma_star(problem.replace(preferences=[p])).value)
    found = worst_preferences(problem, effort="quick")
    assert found.value == pytest.approx(max(every), rel=1e-6)
    assert gamma_star(found.problem).value == pytest.approx(found.value, rel=1e-9)


def test_a_free_reference_can_only_be_worse_and_stays_below_the_theorem():
    problem = examples.load("bradley-terry")
    fixed = worst_preferences(problem, restarts=2)
    free = worst_preferences(problem, restarts=2, min_reference=0.02)
    given = gamma_star(problem).value
    k_b = relative_bound(float(problem.beta), problem.z_max * (1 + 1e-14))
    assert given < fixed.value <= free.value < k_b
    for policy in free.problem.policy(free.problem.ref_params):
        assert policy.min() >= 0.02 * (1 - 1e-9)


@pytest.mark.parametrize("smallest", [0.0, 0.25, -1.0])
def test_bad_minimum_is_refused(smallest):
    with pytest.raises(InputError, match="min_reference"):
        worst_preferences(examples.load("bradley-terry"), min_reference=smallest, restarts=0)


@pytest.mark.parametrize("seed", [-1, 0.5, "x"])
def test_a_seed_that_is_none(seed):
    with pytest.raises(InputError, match=r"seed = .*: an integer ≥ 0"):
        worst_preferences(examples.load("bradley-terry"), seed=seed, restarts=0)


FEATURES = [[[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]]


def wins(scale: int) -> list[np.ndarray]:
    return [scale * np.array([[0, 8, 9], [2, 0, 6], [1, 4, 0]])]


def test_from_counts_is_the_posterior_mean():
    problem = from_counts(features=FEATURES, wins=wins(1), beta=0.1, radius=1)
    p = problem.preferences[0].matrix
    assert p[0, 1] == pytest.approx(8.5 / 11)
    unseen = from_counts(features=FEATURES, wins=[np.zeros((3, 3))], beta=0.1, radius=1)
    assert (unseen.preferences[0].matrix == 0.5).all()


def test_more_comparisons_give_a_shorter_interval_around_the_truth():
    few, many = (
        bootstrap_gamma_star(features=FEATURES, wins=wins(s), beta=0.1, radius=1, draws=20)
        for s in (1, 100)
    )
    assert few.low < few.estimate < few.high
    assert many.high - many.low < 0.25 * (few.high - few.low)
    truth = from_counts(features=FEATURES, wins=wins(10**6), beta=0.1, radius=1)
    assert many.low <= gamma_star(truth).value <= many.high
    again = bootstrap_gamma_star(features=FEATURES, wins=wins(1), beta=0.1, radius=1, draws=20)
    np.testing.assert_array_equal(few.values, again.values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wins": [np.array([[0, -1, 0], [0, 0, 0], [0, 0, 0]])]}, "wins"),
        ({"wins": [np.array([[0, 0.5, 0], [0, 0, 0], [0, 0, 0]])]}, "wins"),
        ({"wins": [np.eye(3)]}, "diagonal"),
        ({"wins": [np.zeros((2, 3))]}, "wins"),
        ({"wins": [np.array([[0, 2**60, 0], [0, 0, 0], [0, 0, 0]])]}, "at most 9007199254740992"),
        ({"wins": [1e19 * wins(1)[0]]}, "at most"),  # which no binomial draw could hold
        ({"wins": 3}, "wins = 3"),
        ({"prior": 0}, "prior"),
        ({"prior": "x"}, "prior"),
        ({"draws": 3}, "draws"),
        ({"draws": 10.5}, "draws = 10.5"),
        ({"draws": float("nan")}, "draws = nan"),
        ({"level": 1.0}, "level"),
        ({"level": "x"}, "level"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": None}, "seed = None"),
    ],
)
def test_bad_counts_are_refused(change, message):
    arguments = {"features": FEATURES, "wins": wins(1), "beta": 0.1, "radius": 1} | change
    with pytest.raises(InputError, match=message):
        bootstrap_gamma_star(**arguments)
