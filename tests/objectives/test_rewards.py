"""Objectives of rewards against the enumeration of all groups and against autodiff (C30–C32)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from sailtheory import InputError, KLRefPolicy, PreferenceProblem
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives import rewards
from sailtheory.objectives.rewards import GroupField, RewardObjective
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.theory.reward_methods import METHODS, reward_method

RNG = np.random.default_rng(3)
FEATURES = [RNG.normal(size=(4, 2)), RNG.normal(size=(3, 2)), RNG.normal(size=(4, 2))]
HITS = [[1, 0, 0, 1], [0, 1, 0], [1, 0, 0, 0]]
REAL = [[1.3, 0.2, -1, 0.5], [0, 1, 0.3], [1, 0, 0, 0]]


def problem(rewards=HITS, **more):
    return reward_problem(
        features=FEATURES, response_rewards=rewards, radius=3, weights=[1, 2, 3],
        base=[None, [1, 2, 3], [0.1, 1, 1, 5]], **more,
    )  # fmt: skip


def spread(r, sample=False):
    return r.std(ddof=1 if sample else 0)


def normalised(r, sample=False, epsilon=0.0):
    d = spread(r, sample)
    return (r - r.mean()) / (d + epsilon) if d > 1e-12 else 0 * r


def leave_one_out(r):
    return r - (r.sum() - r) / (len(r) - 1)


def of_mean(r):
    return (r - r.mean()) / r.mean() if r.any() else 0 * r


def alone(r):
    """MaxRL without a baseline: correct samples, divided by how many they are."""
    return r / r.mean() if r.any() else 0 * r


def best_of(r):
    """The gradient of P(some sample is correct), by each sample's marginal effect."""
    others = np.array([1 - np.delete(r, i).max() for i in range(len(r))])
    return len(r) * r * others


RULES = {
    "reward": (leave_one_out, {}),
    "dr-grpo": (lambda r: r - r.mean(), {}),
    "grpo": (normalised, {}),
    "grpo, sample": (lambda r: normalised(r, sample=True), {"std": "sample"}),
    "grpo, ε": (lambda r: normalised(r, epsilon=0.3), {"epsilon": 0.3}),
    "grpo, sample, ε": (lambda r: normalised(r, True, 0.3), {"std": "sample", "epsilon": 0.3}),
    "maxrl": (alone, {}),
    "pass-at-k": (best_of, {}),
}


def expected_update(at, theta, group, rule, drawn_again=False):
    """E[(1/G) Σ A_i s_i] by all m^G groups of every prompt."""
    total = 0
    for x, phi in enumerate(at.features):
        base = np.ones(len(phi)) if at.base[x] is None else at.base[x]
        mass = base * np.exp(phi @ theta)
        policy, rewards = mass / mass.sum(), at.response_rewards[x].astype(float)
        score = phi - policy @ phi
        update, kept = np.zeros(phi.shape[1]), 0.0
        for chosen in itertools.product(range(len(phi)), repeat=group):
            which = list(chosen)
            chance, r = math.prod(policy[which]), rewards[which]
            if drawn_again and spread(r) < 1e-12:
                continue
            kept += chance
            update += chance * (rule(r)[:, None] * score[which]).sum(0) / group
        total = total + at.weights[x] * update / (kept if drawn_again else 1)
    return total


@pytest.mark.parametrize("group", [2, 3, 4])
@pytest.mark.parametrize("label", RULES)
def test_the_field_is_the_mean_over_all_groups(label, group):
    rule, settings = RULES[label]
    at, theta = problem(), np.array([0.7, -0.4])
    method = reward_method(label.split(",")[0], group, **settings)
    wanted = expected_update(at, theta, group, rule)
    assert np.allclose(RewardObjective(at, method).gradient(theta), wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("group", [2, 3, 4])
def test_groups_drawn_again_and_groups_divided_by_their_mean(group):
    at, theta = problem(), np.array([-0.3, 0.9])
    drawn = RewardObjective(at, reward_method("dynamic-sampling", group)).gradient(theta)
    wanted = expected_update(at, theta, group, normalised, drawn_again=True)
    assert np.allclose(drawn, wanted, rtol=0, atol=1e-13)
    divided = RewardObjective(at, reward_method("maxrl", group - 1)).gradient(theta)
    wanted = expected_update(at, theta, group, of_mean)
    assert np.allclose(divided, wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("std", "epsilon"), [("population", 0.0), ("sample", 0.2)])
def test_real_rewards_by_all_groups(std, epsilon):
    at, theta = problem(REAL), np.array([0.2, 0.5])
    wanted = expected_update(at, theta, 3, lambda r: normalised(r, std == "sample", epsilon))
    field = GroupField(at, 3, std, epsilon)
    assert np.allclose(field.gradient(theta), wanted, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", METHODS)
def test_derivatives_by_torch_and_by_balls(name):
    objective = RewardObjective(problem(), reward_method(name, 4))
    theta, v = np.array([0.4, -0.7]), np.array([1.0, 0.3])
    at, along = torch.tensor(theta), torch.tensor(v)
    slope = torch.autograd.functional.jacobian(objective.value, at).numpy()
    bend = torch.autograd.functional.hessian(objective.value, at).numpy()
    moved = torch.autograd.functional.jacobian(lambda t: objective.curvature(t, along), at)
    assert np.allclose(objective.gradient(theta), slope, atol=1e-13)
    assert np.allclose(objective.hessian(theta), bend, atol=1e-13)
    assert np.allclose(objective.curvature_gradient(theta, v), moved, atol=1e-13)
    assert np.allclose(objective.hessian_product(theta, v), bend @ v, atol=1e-13)
    balls = objective.hessian(arb_numbers().asarray(theta))
    assert all(abs(b - float(h)) < 1e-12 for b, h in zip(balls.flat, bend.flat, strict=True))


@pytest.mark.parametrize("settings", [(4, "population", 0.0), (3, "sample", 0.1)])
def test_the_jacobian_of_a_group_by_torch_and_by_balls(settings):
    field = GroupField(problem(REAL), *settings)
    theta, v = np.array([0.4, -0.7]), np.array([1.0, 0.3])
    at, along = torch.tensor(theta), torch.tensor(v)
    jacobian = torch.autograd.functional.jacobian(field.gradient, at).numpy()
    moved = torch.autograd.functional.jacobian(lambda t: field.curvature(t, along), at)
    assert np.allclose(field.jacobian(theta), jacobian, atol=1e-13)
    assert np.allclose(field.hessian(theta), (jacobian + jacobian.T) / 2, atol=1e-13)
    assert np.allclose(field.curvature_gradient(theta, v), moved, atol=1e-13)
    assert abs(jacobian - jacobian.T).max() > 1e-3  # no gradient
    balls = field.jacobian(arb_numbers().asarray(theta))
    assert all(abs(b - float(h)) < 1e-12 for b, h in zip(balls.flat, jacobian.flat, strict=True))


def test_few_groups_at_a_time_change_nothing(monkeypatch):
    at, theta, v = problem(REAL), RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))
    whole, systems = GroupField(at, 4, epsilon=0.1), (theta, arb_numbers().asarray(theta[0]))
    wanted = [(whole.jacobian(t), whole.gradient(t)) for t in systems]
    bend = whole.curvature_gradient(theta, v)
    for limit in ("_ENTRIES", "_KEPT"):
        monkeypatch.setattr(rewards, limit, 1)
    parts = GroupField(at, 4, epsilon=0.1)
    for t, found in zip(systems, wanted, strict=True):
        for part, all_at_once in zip((parts.jacobian(t), parts.gradient(t)), found, strict=True):
            assert abs((part - all_at_once).astype(float)).max() < 1e-14
    assert np.allclose(parts.curvature_gradient(theta, v), bend, atol=1e-14)


def test_with_binary_rewards_the_field_is_the_gradient_of_f():
    at, theta = problem(), np.array([0.4, -0.7])
    for std, epsilon in (("population", 0.0), ("sample", 0.1)):
        field = GroupField(at, 5, std, epsilon)
        of_v = RewardObjective(at, reward_method("grpo", 5, std, epsilon))
        assert np.allclose(field.gradient(theta), of_v.gradient(theta), atol=1e-14)
        assert np.allclose(field.jacobian(theta), of_v.hessian(theta), atol=1e-14)


def test_real_rewards_where_f_is_linear():
    at, theta = problem(REAL), np.array([0.4, -0.7])
    half = RewardObjective(at, reward_method("dr-grpo", 2))
    mean = sum(w * (p @ r) for w, p, r in zip(at.weights, at.policy(theta), REAL, strict=True))
    assert float(half.value(theta)) == pytest.approx(mean / 2, abs=1e-14)


def test_batches_and_sums_with_a_divergence():
    at = problem()
    objective = RewardObjective(at, reward_method("grpo", 4)) - 0.3 * KLRefPolicy(at)
    points = RNG.normal(size=(5, 2))
    each = np.stack([objective.hessian(t) for t in points])
    assert np.allclose(objective.hessian(points), each, rtol=0, atol=1e-14)


def objective_refused():
    at = problem()
    grpo, log = reward_method("grpo", 4), reward_method("log")
    plain = PreferenceProblem(features=FEATURES[:1], preferences=[np.full((4, 4), 0.5)], beta=1,
                              radius=1)  # fmt: skip
    yield lambda: RewardObjective(plain, grpo), "response_rewards = missing"
    yield lambda: RewardObjective(problem(REAL), grpo), r"prompts\[0\].response_rewards = 1.3"
    none = problem([[0, 0, 0, 0], *HITS[1:]])
    yield lambda: RewardObjective(none, log), "all 0"
    every = problem([*HITS[:2], [1, 1, 1, 1]])
    yield lambda: RewardObjective(every, reward_method("arcsine")), "all 1"
    yield lambda: GroupField(at, 64), "groups"
    yield lambda: GroupField(at, 4, "batch"), "std = batch"
    yield lambda: GroupField(at, 4).value(np.zeros(2)), "GroupField"
    yield lambda: problem([[1, 0], *HITS[1:]]), "2 entries"


@pytest.mark.parametrize(("make", "named"), list(objective_refused()))
def test_what_is_refused(make, named):
    with pytest.raises(InputError, match=named):
        make()


def test_a_prompt_that_is_always_right_or_wrong_is_constant():
    at = problem([[0, 0, 0, 0], [1, 1, 1], HITS[2]])
    objective = RewardObjective(at, reward_method("grpo", 4))
    theta = np.array([0.4, -0.7])
    assert abs(objective.prompt_hessians(theta)[:2]).max() == 0
    assert objective.pass_rates(theta)[:2].tolist() == pytest.approx([0, 1])
