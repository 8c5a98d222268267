"""Ascent against hand-written loops, enumeration and optimality conditions."""

from __future__ import annotations

import numpy as np
import pytest

from proofs_check.evidence.instances import random_points, random_problem
from sailtheory import SAIL, InputError, KLPolicyRef, SAILRevKL
from sailtheory.ascent import (
    BiasedEstimator,
    Decaying,
    Estimator,
    FixedBatch,
    constants,
    mirror_ascent,
    moments,
    natural_gradient_ascent,
    projected_ascent,
    spawn,
    stochastic_ascent,
)
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.objectives.sail import fisher


def case(seed, excess=0.5, **knobs):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, beta=0.3, radius=1.0, **knobs)
    gamma = max(constants(SAIL(problem)).relative, 0) + excess
    return problem, SAILRevKL(problem, gamma), random_points(rng, problem, 6)


def pair_by_hand(problem, theta, baseline, bernoulli):
    """Σ over prompts, responses and labels of probability · ĝ by the definition (C18)."""
    total = np.zeros(problem.dimension)
    delta, beta = theta - problem.ref_params, float(problem.beta)
    for x, pi in enumerate(problem.policy(theta)):
        phi = problem.features[x].astype(float)
        from sailtheory.numeric.numbers import FLOAT64

        p = problem.preferences[x].centred(FLOAT64) + 0.5
        s = phi - pi @ phi
        for k in range(len(pi)):
            for j in range(len(pi)):
                z = beta * delta @ (phi[k] - phi[j])
                up = 1 / (1 + np.exp(-z))
                labels = [(p[k, j], 1.0), (1 - p[k, j], 0.0)] if bernoulli else [(1.0, p[k, j])]
                for chance, label in labels:
                    g = label * np.log(up) + (1 - label) * np.log1p(-up)
                    each = (g - baseline) * (s[k] + s[j]) + beta * (label - up) * (phi[k] - phi[j])
                    total += problem.weights[x] * pi[k] * pi[j] * chance * each
    return total


def test_one_projected_step_by_hand():
    problem, objective, theta = case(0)
    eta = 0.7
    move = theta + eta * objective.gradient(theta) - problem.center
    move = problem.span.project(move)
    norm = np.linalg.norm(move, axis=1, keepdims=True)
    expected = problem.center + move * np.minimum(1, float(problem.radius) / norm)
    found = projected_ascent(objective, theta, step=eta, steps=1).theta
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("seed", range(6))
def test_projected_ascent_keeps_c15(seed):
    problem, objective, theta = case(seed)
    at = constants(objective)
    assert at.modulus is not None
    best = maximise(objective, Search(Domain(problem), "quick", 0)).value
    run = projected_ascent(objective, theta, steps=60, best=best)
    bound = (1 - at.modulus / at.smooth) ** run.steps[:, None] * run.gap[0]
    assert (run.gap <= bound + 1e-12).all()
    assert problem.contains(run.path).all()
    searched = projected_ascent(objective, theta, step="line-search", steps=60, best=best)
    assert (np.diff(searched.value, axis=0) >= -1e-13).all()


@pytest.mark.parametrize("seed", range(6))
def test_mirror_steps_satisfy_their_conditions(seed):
    problem, objective, theta = case(seed)
    domain = Domain(problem)
    size = 1 / constants(objective).relative_smooth

    def mean(at):  # ∇A on S, from the definition
        policies = problem.policy(at)
        rows = [
            w * pi @ phi.astype(float)
            for w, pi, phi in zip(problem.weights, policies, problem.features, strict=True)
        ]
        return domain.reduce(sum(rows))

    goal = mean(theta) + size * domain.reduce(objective.gradient(theta))
    free = mirror_ascent(objective, theta, constrained=False, steps=1).theta
    np.testing.assert_allclose(mean(free), goal, atol=1e-12)
    for step in (size, 50 * size):
        goal = mean(theta) + step * domain.reduce(objective.gradient(theta))
        y = mirror_ascent(objective, theta, step=step, steps=1).theta
        x, rest = domain.reduce(y - problem.center), goal - mean(y)
        inside = np.linalg.norm(x, axis=1) < float(problem.radius) * (1 - 1e-9)
        np.testing.assert_allclose(rest[inside], 0, atol=1e-10)
        nu = (rest * x).sum(1) / np.maximum((x * x).sum(1), 1e-300)
        assert (nu[~inside] >= -1e-10).all()
        np.testing.assert_allclose(
            rest[~inside], (nu[:, None] * x)[~inside], atol=1e-8 * (1 + np.abs(goal).max())
        )


def test_natural_gradient_solves_with_fisher():
    problem, objective, _ = case(3, dimension=2, responses=4)
    small = 1e-3
    found = natural_gradient_ascent(objective, problem.center, step=small, steps=1).theta[0]
    center = problem.center.astype(float)
    np.testing.assert_allclose(
        fisher(problem, center) @ (found - center), small * objective.gradient(center), atol=1e-14
    )


@pytest.mark.parametrize("baseline", ["none", "-log 2", "mid-range", "optimal"])
@pytest.mark.parametrize("labels", ["exact", "bernoulli"])
@pytest.mark.parametrize("prompts", ["exact", "sampled"])
def test_estimator_is_unbiased(baseline, labels, prompts):
    for seed in range(4):
        problem, _, theta = case(seed)
        estimator = Estimator(baseline, labels, prompts)
        true = SAIL(problem).gradient(theta)
        np.testing.assert_allclose(moments(problem, theta, estimator).mean, true, atol=1e-12)
        by_hand = [pair_by_hand(problem, t, -0.3, labels == "bernoulli") for t in theta]
        np.testing.assert_allclose(by_hand, true, atol=1e-12)


def test_optimal_baseline_has_least_variance():
    problem, _, theta = case(2, prompts=1)
    variance = {
        b: moments(problem, theta, Estimator(b)).variance
        for b in ("none", "-log 2", "mid-range", "optimal")
    }
    assert all((variance["optimal"] <= v + 1e-12).all() for v in variance.values())


@pytest.mark.parametrize("batch", [4, 5000])
@pytest.mark.parametrize("labels", ["exact", "bernoulli"])
@pytest.mark.parametrize("prompts", ["exact", "sampled"])
def test_one_stochastic_step_has_the_right_mean_and_variance(batch, labels, prompts):
    problem, _, theta = case(1, prompts=2, responses=4, deterministic=True)
    problem = problem.replace(radius=1e3)
    start, runs, estimator = theta[0], 4000, Estimator("-log 2", labels, prompts)
    run = stochastic_ascent(
        SAIL(problem), start, FixedBatch(1.0, batch, 1), spawn(7, runs), estimator=estimator
    )
    found, at = run.theta - run.path[0], moments(problem, start, estimator)
    standard = np.sqrt(at.variance[0] / batch / runs)
    assert (np.abs(found.mean(0) - at.mean[0]) <= 5 * standard).all()
    ratio = found.var(0).sum() / (at.variance[0] / batch)
    assert abs(ratio - 1) < 0.15


@pytest.mark.parametrize("batch", [3, 4000])
def test_runs_are_independent_and_reproducible(batch):
    _, objective, theta = case(4)
    plan = Decaying(1.0, batch, 30)
    together = stochastic_ascent(objective, theta, plan, spawn(3, 6), record=10)
    again = stochastic_ascent(objective, theta, plan, spawn(3, 6), record=10)
    assert np.array_equal(together.path, again.path)
    for i in range(6):
        alone = stochastic_ascent(objective, theta[i], plan, [spawn(3, 6)[i]], record=10)
        assert np.array_equal(alone.path[:, 0], together.path[:, i])
        assert np.array_equal(alone.average[0], together.average[i])


def test_published_kl_terms_have_the_wrong_mean():
    problem, _, theta = case(5)
    from sailtheory.ascent.pairs import Draws, Layout

    layout, plain = Layout(problem), SAIL(problem).gradient(theta)
    at = layout.frame(theta.T.copy())
    pairs, factor, prompt = layout.outcomes(False)
    flat = at.policy.reshape(layout.n * layout.m, -1)
    chance = (
        layout.weights[prompt][:, None]
        * factor
        * flat[pairs.first[:, 0]]
        * flat[pairs.second[:, 0]]
    )
    draws = Draws(pairs.first, pairs.second, pairs.preference, chance)

    def mean(kl):
        return layout.gradient(BiasedEstimator(kl=kl).coefficients(layout, at, draws, 2.0)).T

    np.testing.assert_allclose(mean("detached"), plain, atol=1e-12)
    away = plain + 2.0 * KLPolicyRef(problem).gradient(theta)
    np.testing.assert_allclose(mean("differentiated"), away, atol=1e-12)
    right = SAILRevKL(problem, 2.0).gradient(theta)
    np.testing.assert_allclose(mean("exact"), right, atol=1e-12)
    assert np.abs(mean("detached") - right).max() > 1e-3


def test_published_score_weight_at_the_instance():
    from sailtheory import examples

    problem = examples.load("c22-score-weight")
    theta, beta = problem.ref_params, float(problem.beta)
    found = moments(problem, theta, BiasedEstimator(score="g/log pi")).mean[0]
    dpo = SAIL(problem).gradient(theta)  # the score term is 0 there
    np.testing.assert_allclose(found - dpo, [1 / 4, -1 / 8, -1 / 8], atol=1e-12)
    assert beta > 0


def test_csv_and_early_stop(tmp_path):
    _, objective, theta = case(0)
    run = projected_ascent(objective, theta, steps=5000, tolerance=1e-6, record=1000)
    assert run.stopped.all() and (run.mapping_norm[-1] <= 1e-6).all()
    run.to_csv(tmp_path / "run.csv")
    lines = (tmp_path / "run.csv").read_text().splitlines()
    assert len(lines) == 1 + run.runs * len(run.steps)


def test_bad_input_is_one_line():
    _, objective, theta = case(0)
    for call in (
        lambda: projected_ascent(objective, theta, step="quick", steps=1),
        lambda: projected_ascent(objective, theta, step=-1.0, steps=1),
        lambda: projected_ascent(objective, theta * np.nan, steps=1),
        lambda: projected_ascent(objective, theta[:, :0], steps=1),
        lambda: projected_ascent(objective, theta, steps=-1),
        lambda: projected_ascent(KLPolicyRef(objective.problem), theta, steps=1),
        lambda: Estimator(baseline="best"),
        lambda: FixedBatch(1.0, 0, 1),
        lambda: stochastic_ascent(objective, theta, FixedBatch(1.0, 1, 1), spawn(0, 2)),
        lambda: spawn(-1, 2),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert "\n" not in str(caught.value)
