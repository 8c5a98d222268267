"""Steps along online DPO's field (C29): constants, rates, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import InputError, KLRefPolicy, OnlineDPO, OnlineDPORevKL, PreferenceProblem
from sailtheory.ascent import (
    bregman_divergence,
    constants,
    field_constants,
    mirror_ascent,
    natural_gradient_ascent,
    projected_ascent,
)
from sailtheory.landscape import Domain
from sailtheory.landscape.fisher import least_fisher
from sailtheory.landscape.solution import solve

BETA = 0.2


def three(seed=1):
    """Two prompts whose responses beat each other in turn."""
    phi = np.random.default_rng(seed).normal(size=(2, 3, 2))
    turn = [[0.5, 0.9, 0.1], [0.1, 0.5, 0.8], [0.9, 0.2, 0.5]]
    return PreferenceProblem(features=phi, beta=BETA, radius=1, preferences=[turn, turn])


def two(seed=1):
    """Three prompts of two responses: there V is a gradient."""
    phi = np.random.default_rng(seed).normal(size=(3, 2, 2))
    wins = [[[0.5, p], [1 - p, 0.5]] for p in (0.9, 0.3, 1.0)]
    return PreferenceProblem(features=phi, beta=BETA, radius=1, preferences=wins)


def starts(problem, count=6):
    x = np.random.default_rng(5).normal(size=(count, 2))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_the_constants_are_those_of_the_theory():
    problem, gamma = three(), 0.5
    at = field_constants(problem, gamma)
    d, up = problem.feature_diameter, 1 / (1 + np.exp(-problem.z_max_above))
    assert at.relative == pytest.approx(2 * BETA * up - 2 * BETA**2 * up * (1 - up), rel=1e-11)
    assert at.lower == pytest.approx(2 * BETA * up + BETA**2 / 2, rel=1e-13)
    m, ell, a = gamma - at.relative, gamma + at.lower, 4 * BETA * up / np.pi
    assert at.smooth == pytest.approx(d**2 / 4 * (ell**0.5 + a / m**0.5) ** 2, rel=1e-9)
    decayed = m * np.exp(-d) * least_fisher(Domain(problem))
    assert at.modulus == pytest.approx(decayed, rel=1e-9)
    assert (at.relative_modulus, at.relative_smooth) == pytest.approx((m, ell), rel=1e-11)


def test_nothing_turns_between_two_responses():
    at = field_constants(two(), 0.5)
    assert at.smooth == pytest.approx(
        two().feature_diameter ** 2 / 4 * at.relative_smooth, rel=1e-12
    )


def test_at_or_below_k_v_there_is_no_modulus_and_no_step():
    problem = three()
    weak = field_constants(problem, field_constants(problem, 0.0).relative)
    assert weak.smooth is None and weak.modulus is None
    with pytest.raises(InputError, match="K_V"):
        projected_ascent(OnlineDPO(problem), np.zeros(2), steps=1)


@pytest.mark.parametrize("make", [three, two])
def test_projected_steps_keep_the_rate_and_end_at_the_solution(make):
    problem = make()
    at = field_constants(problem, 1.0)
    field = OnlineDPORevKL(problem, at.gamma)
    best = solve(field, Domain(problem)).theta
    run = projected_ascent(field, starts(problem), steps=60)
    distance = ((run.path - best) ** 2).sum(-1)
    rate = 1 - at.modulus / at.smooth
    assert (distance[1:] <= rate * distance[:-1] + 1e-20).all()
    assert (distance[-1] < 2e-3 * distance[0]).all()
    assert np.isnan(run.value).all() and np.isnan(run.gap).all()
    assert (run.mapping_norm[-1] < 0.1 * run.mapping_norm[0]).all()


def test_an_early_stop_uses_the_mapping():
    field = OnlineDPORevKL(three(), 1.0)
    run = projected_ascent(field, starts(three()), steps=500, tolerance=1e-8)
    assert run.stopped.all() and len(run.steps) < 400


def test_mirror_steps_of_two_responses_keep_c17():
    problem = two()
    at = field_constants(problem, 1.0)
    field = OnlineDPORevKL(problem, at.gamma)
    best = solve(field, Domain(problem)).theta
    run = mirror_ascent(field, starts(problem), steps=6)
    apart = np.stack([bregman_divergence(problem, best, theta) for theta in run.path])
    rate = 1 - at.relative_modulus / at.relative_smooth
    assert (apart[1:] <= rate * apart[:-1] + 1e-14).all()


def test_natural_steps_reach_it_too():
    field = OnlineDPORevKL(three(), 1.0)
    best = solve(field, Domain(three())).theta
    run = natural_gradient_ascent(field, starts(three()), steps=80)
    assert np.allclose(run.theta, best, atol=1e-6)


def test_what_needs_a_value_is_refused():
    problem = three()
    field = OnlineDPORevKL(problem, 1.0)
    with pytest.raises(InputError, match="line-search"):
        projected_ascent(field, np.zeros(2), step="line-search", steps=1)
    with pytest.raises(InputError, match="best"):
        projected_ascent(field, np.zeros(2), steps=1, best=0.0)
    with pytest.raises(InputError, match="objective"):
        constants(field)
    with pytest.raises(InputError, match="OnlineDPO"):
        mirror_ascent(2 * OnlineDPO(problem) - KLRefPolicy(problem), np.zeros(2), steps=1)
