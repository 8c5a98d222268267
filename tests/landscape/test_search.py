"""The search on C: what it finds, that more effort finds no less, and when it is not trusted."""

from __future__ import annotations

import itertools
import tomllib
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq

from proofs_check.evidence.instances import random_problem
from sailtheory import PreferenceProblem, SAILRevKL, examples
from sailtheory.analysis.check import check
from sailtheory.landscape import Domain, Search, gamma_star, largest_curvature_on
from sailtheory.landscape.bfgs import ascend
from sailtheory.landscape.concavity import concavity as concavity_verdict
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.landscape.single_prompts import SinglePrompts
from sailtheory.objectives.sail import SAIL
from sailtheory.verdict import Evidence, Outcome, Strength
from studies.search_trust import __main__ as search_trust
from tests.support.instances import Instance

NOT_CONCAVE_AT = (
    -4.97040913479845, -7.0260251561046845, 4.307934061295383,
    8.102360641650982, 1.2155772940869976, 9.810495988315141,
)  # fmt: skip


@pytest.fixture(scope="module")
def hidden():
    """The problem whose γ* few starts find, checked just below it."""
    return check(examples.load("many-maxima"), gamma=1.45)


def test_the_hidden_worst_point_is_found(hidden):
    """At γ = 1.45 a point in C has curvature 4.0e-6 in 50 digits: J_γ is not concave."""
    problem = examples.load("many-maxima")
    data = tomllib.loads(examples.text("many-maxima"))
    prompts = data["prompts"]
    reference = Instance(
        features=[np.array(x["features"]) for x in prompts],
        preferences=[np.array(x["preferences"]) for x in prompts],
        rewards=None,
        weights=np.ones(len(prompts)),
        ref_params=np.array(data["ref_params"]),
        beta=data["beta"],
        base=[np.ones(4)] * len(prompts),
        theta=np.array([NOT_CONCAVE_AT]),
    ).reference()
    with mpmath.workdps(50):
        theta = [mpmath.mpf(t) for t in NOT_CONCAVE_AT]
        hessian = mpmath.matrix(reference.hessian("sail", theta))
        fisher = mpmath.matrix(reference.kl_ref_policy(theta)[2])
        largest = max(mpmath.eigsy(hessian - mpmath.mpf("1.45") * fisher, eigvals_only=True))
    assert problem.contains(np.array(NOT_CONCAVE_AT))
    assert float(largest) == pytest.approx(4.0e-6, rel=0.02)
    verdict, _ = hidden.sail_revkl
    assert (verdict.outcome, verdict.strength) == (Outcome.REFUTED, Strength.PROVED)
    assert verdict.witness.replay()
    assert hidden.gamma_star.value >= 1.53
    assert hidden.gamma_star.search.trusted


@pytest.mark.parametrize("seed", range(6))
def test_more_effort_never_finds_less(seed):
    """Each effort's rounds are the first rounds of the next, so not even rounding differs."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, radius=float(rng.uniform(1, 8)), dimension=1 + seed)
    found = [gamma_star(problem, effort, seed) for effort in ("light", "quick", "full")]
    values = [each.value for each in found]
    assert values == sorted(values)
    traces = [each.search.trace for each in found]
    for less, more in itertools.pairwise(traces):
        assert more[: len(less)] == less
    rounds = [each.search.rounds for each in found]
    assert rounds == sorted(rounds)
    assert found[2].search.agreeing >= 12 or rounds[2] == 640


def test_a_function_of_many_peaks_is_not_trusted():
    """Peaks too narrow for most rounds: what the rounds found differs, and that is said."""
    domain = Domain(random_problem(np.random.default_rng(0), dimension=3, prompts=3, radius=1.0))
    rng = np.random.default_rng(1)
    peaks = domain.embed(domain.project(rng.uniform(-1, 1, (600, domain.dimension))))
    heights = rng.uniform(0.5, 1, len(peaks))

    def nearest(theta):
        gap = np.linalg.norm(theta[:, None] - peaks, axis=-1)
        height = heights * np.maximum(0, 1 - 20 * gap)
        return height, height.argmax(1)

    def slope(theta):
        height, top = nearest(theta)
        return 20 * (heights[top] * (height.max(1) > 0))[:, None] * (peaks[top] - theta)

    found = Search(domain, "quick").maximise(lambda t: nearest(t)[0].max(1), slope)
    assert not found.trusted
    assert found.agreeing < 3
    assert found.rounds == 64
    assert found.value < heights.max()


def test_a_concave_function_is_trusted_after_one_wave():
    domain = Domain(random_problem(np.random.default_rng(0), dimension=3, prompts=3))
    found = Search(domain).maximise(lambda t: -(t**2).sum(-1), lambda t: -2 * t)
    assert found.trusted
    assert found.agreeing == found.rounds == 4


def quadratic(seed, outside):
    """−½xᵀAx + bᵀx on a ball, and its maximum there: by the secular equation if outside."""
    rng = np.random.default_rng(seed)
    dimension, radius = 5, 2.0
    basis = np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    spectrum = rng.uniform(0.01, 3, dimension)
    top = rng.normal(size=dimension)
    top *= radius * (3.0 if outside else 0.5) / np.linalg.norm(top)
    a = basis @ np.diag(spectrum) @ basis.T
    b = a @ top

    def solution(shift):
        return np.linalg.solve(a + shift * np.eye(dimension), b)

    best = top
    if outside:
        shift = brentq(lambda s: np.linalg.norm(solution(s)) - radius, 0, 1e3, xtol=1e-15)
        best = solution(shift)
    return a, b, radius, best


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_ascent_reaches_the_maximum_of_a_quadratic_on_a_ball(seed, outside):
    a, b, radius, best = quadratic(seed, outside)

    def value(x):
        return x @ b - ((x @ a) * x).sum(1) / 2

    rng = np.random.default_rng(seed)
    start = rng.normal(size=(20, len(b)))
    start *= radius * rng.random((20, 1)) / np.linalg.norm(start, axis=1, keepdims=True)
    x, reached = ascend(value, lambda x: b - x @ a, start, value(start), radius, 200, 1e-15)
    assert (np.linalg.norm(x, axis=1) <= radius * (1 + 1e-14)).all()
    np.testing.assert_allclose(reached, value(best[None])[0], rtol=1e-12)
    np.testing.assert_allclose(x, np.broadcast_to(best, x.shape), atol=1e-5)


def test_ascents_do_not_influence_each_other():
    _, b, radius, _ = quadratic(0, True)

    def value(x):
        return np.sin(3 * x).sum(1) + (x * b).sum(1) / 4

    def slope(x):
        return 3 * np.cos(3 * x) + b / 4

    start = np.random.default_rng(0).uniform(-0.5, 0.5, (12, len(b)))
    together = ascend(value, slope, start, value(start), radius, 60, 1e-12)[0]
    alone = [ascend(value, slope, s[None], value(s[None]), radius, 60, 1e-12)[0] for s in start]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_no_ascent_ends_below_its_start_and_undefined_points_stay():
    start = np.array([[0.1, 0.0], [0.5, 0.5], [np.sqrt(0.5), 0.5]])
    values = np.array([1.0, -np.inf, 2.0])
    x, reached = ascend(
        lambda x: -np.ones(len(x)), lambda x: np.ones_like(x), start, values, 1.0, 20, 1e-9
    )
    np.testing.assert_array_equal(reached, values)
    np.testing.assert_allclose(x, start, atol=1e-15)


def few_prompts(seed):
    """n(m − 1) ≤ d: the spans of the prompts meet in 0 only (C24)."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((2, 3, 5)) / 2
    rewards = rng.integers(0, 2, (2, 3, 3))
    preferences = [np.triu(r, 1) + np.tril(1 - r.T, -1) + np.eye(3) / 2 for r in rewards]
    return PreferenceProblem(features=features, preferences=preferences, beta=0.1, radius=8.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_worst_prompt_alone_sets_gamma_star_where_spans_are_apart(seed):
    """C24: γ* is the largest γ*_x, each found on a dense grid of its own plane."""
    problem = few_prompts(seed)
    radius = float(problem.radius)
    level = np.linspace(-radius, radius, 241)
    plane = np.stack(np.meshgrid(level, level), -1).reshape(-1, 2)
    plane = plane[np.linalg.norm(plane, axis=1) <= radius]
    alone = []
    for x in range(2):
        one = PreferenceProblem(
            features=problem.features[x : x + 1], preferences=problem.preferences[x : x + 1],
            beta=0.1, radius=radius,
        )  # fmt: skip
        domain = Domain(one)
        alone.append(
            np.nanmax(largest_relative_curvature(SAIL(one), domain, domain.embed(plane))[0])
        )
    found = gamma_star(problem)
    assert found.search.trusted
    assert max(alone) <= found.value * (1 + 1e-9)
    assert found.value == pytest.approx(max(alone), rel=2e-3)


def test_points_of_single_prompts_lie_in_the_domain_and_beat_random_ones():
    problem = search_trust.problem(5)
    domain, rng = Domain(problem), np.random.default_rng(0)
    points = SinglePrompts(domain)(200, rng)
    assert points.shape == (200, problem.dimension)
    distance = np.linalg.norm(points - problem.center.astype(float), axis=1)
    assert (distance <= float(problem.radius) * (1 + 1e-12)).all()
    random = domain.embed(domain.starts(256, rng))
    values = [
        largest_relative_curvature(SAIL(problem), domain, each)[0] for each in (points, random)
    ]
    assert np.median(values[0]) > np.median(values[1])


def test_a_search_that_does_not_agree_supports_nothing():
    problem = examples.load("bradley-terry")
    objective = SAILRevKL(problem, 0.2)
    worst = largest_curvature_on(objective, Search(Domain(problem)))
    star = gamma_star(problem)
    assert concavity_verdict(objective, worst, relative=star)[0].outcome is Outcome.HOLDS
    doubtful = replace(star, search=replace(star.search, trusted=False, agreeing=1))
    verdict, _ = concavity_verdict(objective, worst, relative=doubtful)
    assert verdict.outcome is Outcome.UNDECIDED
    theorem = Evidence("argument", "γ ≥ K_B (C11)", Outcome.HOLDS, Strength.PROVED)
    proved, _ = concavity_verdict(objective, worst, proofs=[theorem], relative=doubtful)
    assert (proved.outcome, proved.strength) == (Outcome.HOLDS, Strength.PROVED)


def test_a_positive_curvature_that_is_not_confirmed_supports_nothing():
    problem = examples.load("bradley-terry")
    objective = SAILRevKL(problem, 0.2)
    worst = largest_curvature_on(objective, Search(Domain(problem)))
    concave_there = replace(worst, value=1e-20)
    verdict, _ = concavity_verdict(objective, worst, [concave_there], relative=gamma_star(problem))
    assert verdict.outcome is Outcome.UNDECIDED


def test_quick_is_within_one_percent_of_a_search_ten_times_as_long():
    row = search_trust.compare(0)
    assert row["longer_evaluations"] >= 10 * row["evaluations"]
    assert row["trusted"]
    assert row["quick"] >= 0.99 * row["longer"]
