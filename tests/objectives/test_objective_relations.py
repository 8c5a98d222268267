"""What must hold between objectives, and between two statements of one problem."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import SAIL, BradleyTerry, InputError, KLRefPolicy, PreferenceProblem, SAILRevKL
from tests.support.instances import OBJECTIVES, Instance, name_of, ordinary

# --- algebra ----------------------------------------------------------------------------------


def test_algebra():
    instance = ordinary(8, dimension=2)
    p, theta = instance.problem(), instance.theta
    j, kl = SAIL(p), KLRefPolicy(p)
    combined = 2 * (j - 0.3 * kl) + (-kl) * 0.5 - j
    for method in ("value", "gradient", "hessian"):
        a, b = getattr(j, method)(theta), getattr(kl, method)(theta)
        np.testing.assert_allclose(getattr(combined, method)(theta), a - 1.1 * b, rtol=1e-13)
        np.testing.assert_array_equal(
            getattr(SAILRevKL(p, 0.3), method)(theta), getattr(j - 0.3 * kl, method)(theta)
        )


@pytest.mark.parametrize("kind", OBJECTIVES, ids=name_of)
def test_hessian_is_the_laplacian_of_relative_pair_curvature(kind):
    """∇² = E_x ½ Σ π_kπ_l η_kl Δ_klΔ_klᵀ (C02), with a plain loop."""
    instance = ordinary(9, prompts=3, dimension=2)
    problem = instance.problem()
    etas = kind(problem).relative_pair_curvature(instance.theta)
    policies = problem.policy(instance.theta)
    total = np.zeros((2, 2))
    for block, eta in zip(problem.blocks(), etas, strict=True):
        for i, x in enumerate(block.prompts):
            for k, pk in enumerate(policies[x]):
                for j, pj in enumerate(policies[x]):
                    delta = problem.features[x][k] - problem.features[x][j]
                    weight = problem.weights[x] * pk * pj * eta[i, k, j] / 2
                    total += weight * np.outer(delta, delta)
    expected = kind(problem).hessian(instance.theta)
    np.testing.assert_allclose(total, expected, rtol=1e-11, atol=1e-13)


def test_refusals():
    a, b = ordinary(1).problem(), ordinary(1).problem()
    with pytest.raises(InputError, match="terms on different problems"):
        SAIL(a) - KLRefPolicy(b)
    for gamma in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match=f"gamma = {gamma}"):
            SAILRevKL(a, gamma)
    wrong = [np.zeros(a.dimension + 1), 0.0, np.full(a.dimension, np.nan)]
    for theta in wrong:
        with pytest.raises(InputError, match="theta = "):
            SAIL(a).value(theta)
    with pytest.raises(TypeError):
        SAIL(a) * KLRefPolicy(a)
    with pytest.raises(TypeError):
        SAIL(a) + 1


# --- metamorphic relations ----------------------------------------------------------------------


def changed(problem: PreferenceProblem, **arguments) -> PreferenceProblem:
    data = {
        "features": problem.features, "preferences": problem.preferences,
        "weights": problem.raw_weights, "ref_params": problem.given_ref_params,
        "beta": problem.beta, "radius": problem.radius, "base": problem.base,
    }  # fmt: skip
    return PreferenceProblem(**(data | arguments))


def rewritten(name: str, instance: Instance) -> tuple[PreferenceProblem, np.ndarray]:
    """The same problem said in another way, and the change of θ that goes with it."""
    problem, rng = instance.problem(), np.random.default_rng(0)
    if name == "permuted responses":
        orders = [rng.permutation(m) for m in problem.responses]
        matrices = [p[np.ix_(o, o)] for p, o in zip(instance.preferences, orders, strict=True)]
        features = [phi[o] for phi, o in zip(problem.features, orders, strict=True)]
        base = [nu[o] for nu, o in zip(problem.base, orders, strict=True)]
        return changed(problem, features=features, preferences=matrices, base=base), 0
    if name == "shifted features":
        features = [phi + rng.normal(size=phi.shape[1]) for phi in problem.features]
        return changed(problem, features=features), 0
    if name == "scaled base and weights":
        base = [nu * 7.5 for nu in problem.base]
        return changed(problem, base=base, weights=3 * instance.weights), 0
    if name == "a prompt in two halves":
        halves = [instance.weights[0] / 2, *instance.weights[1:], instance.weights[0] / 2]
        return changed(problem, weights=halves, features=[*problem.features, problem.features[0]],
                       preferences=[*problem.preferences, problem.preferences[0]],
                       base=[*problem.base, problem.base[0]]), 0  # fmt: skip
    base = problem.policy(instance.ref_params)
    return changed(problem, base=base, ref_params=None), -instance.ref_params


@pytest.mark.parametrize(
    "name",
    [
        "permuted responses",
        "shifted features",
        "a prompt in two halves",
        "scaled base and weights",
        "reference as base",
    ],
)
def test_the_same_problem_said_otherwise(name):
    for seed in range(3):
        instance = ordinary(seed, prompts=2, dimension=2, bradley_terry=False)
        problem = instance.problem()
        other, move = rewritten(name, instance)
        for kind in OBJECTIVES:
            for method in ("value", "gradient", "hessian"):
                expected = getattr(kind(problem), method)(instance.theta)
                found = getattr(kind(other), method)(instance.theta + move)
                scale = np.abs(expected).max()
                np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13 * (1 + scale))


def test_bradley_terry_equals_its_matrix():
    rewards = np.array([0.3, -1.0, 2.0])
    phi = np.random.default_rng(0).normal(size=(3, 2))
    matrix = 1 / (1 + np.exp(rewards - rewards[:, None]))
    theta = np.array([0.5, -0.7])
    model, table, reverse = (
        SAIL(PreferenceProblem(features=[phi], preferences=[p], beta=0.5, radius=2))
        for p in (BradleyTerry(rewards), matrix, matrix.T)
    )
    np.testing.assert_allclose(model.hessian(theta), table.hessian(theta), rtol=1e-12)
    assert not np.allclose(model.gradient(theta), reverse.gradient(theta))
