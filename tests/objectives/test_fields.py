"""Online DPO's field, win rate and reward against the independent reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mpmath import mp, mpf

from sailtheory import (
    BradleyTerry,
    ExpectedReward,
    Gain,
    InputError,
    KLRefPolicy,
    OnlineDPO,
    OnlineDPORevKL,
    PreferenceProblem,
)
from sailtheory.numeric.numbers import arb_numbers
from tests.support.instances import ordinary
from tests.support.reference import lists, minus, plus, scaled

GAMMA = 0.3


def pull(reference, theta):
    """V = βE[uΔ]."""
    return reference.gradient_terms("sail", theta)[1]


def slopes(function, theta, h):
    """Central differences of a vector function: entry ij is ∂_j of component i."""
    columns = []
    for j in range(len(theta)):
        step = [h if i == j else mpf(0) for i in range(len(theta))]
        ends = function(plus(theta, step)), function(minus(theta, step))
        columns.append(scaled(1 / (2 * h), minus(*ends)))
    return np.array(columns, dtype=object).T


def as_float(matrix):
    return np.array(matrix, dtype=float)


@pytest.mark.parametrize("seed", range(6))
def test_field_and_jacobian_are_those_of_the_reference(seed):
    instance = ordinary(seed, dimension=3)
    problem, theta = instance.problem(), instance.theta
    with mp.workdps(50):
        reference, point = instance.reference(), lists(instance.theta)
        field = as_float(pull(reference, point))
        jacobian = as_float(slopes(lambda t: pull(reference, t), point, mpf(10) ** -18))
        fisher = as_float(reference.kl_ref_policy(point)[2])
    scale = 1 + abs(jacobian).max()
    assert np.allclose(OnlineDPO(problem).gradient(theta), field, rtol=0, atol=1e-12 * scale)
    found = OnlineDPO(problem).jacobian(theta)
    assert np.allclose(found, jacobian, rtol=0, atol=1e-11 * scale)
    even = (jacobian + jacobian.T) / 2
    assert np.allclose(OnlineDPO(problem).hessian(theta), even, rtol=0, atol=1e-11 * scale)
    both = OnlineDPORevKL(problem, GAMMA).jacobian(theta)
    assert np.allclose(both, jacobian - GAMMA * fisher, rtol=0, atol=1e-11 * scale)


def test_batches_blocks_and_systems_agree():
    instance = ordinary(3, dimension=2, prompts=3)
    problem = instance.problem()
    theta = np.random.default_rng(1).normal(size=(4, 2))
    field = OnlineDPO(problem)
    each = np.stack([field.jacobian(t) for t in theta])
    assert np.allclose(field.jacobian(theta), each, rtol=0, atol=1e-14)
    tensor = torch.tensor(theta[0], requires_grad=True)
    automatic = torch.autograd.functional.jacobian(field.gradient, tensor)
    assert np.allclose(automatic.numpy(), each[0], rtol=0, atol=1e-12)
    balls = field.jacobian(arb_numbers().asarray(theta[0]))
    assert all(abs(b - float(e)) < 1e-12 for b, e in zip(balls.flat, each[0].flat, strict=True))


def test_a_field_has_no_value_and_says_so():
    problem = ordinary(1).problem()
    for field in (OnlineDPO(problem), OnlineDPORevKL(problem, 0.1)):
        assert not field.has_value
        with pytest.raises(InputError, match="OnlineDPO"):
            field.value(np.zeros(problem.dimension))
    assert KLRefPolicy(problem).has_value
    with pytest.raises(InputError, match="gamma"):
        OnlineDPORevKL(problem, -1.0)


def test_win_rate_and_reward_by_enumeration():
    rng = np.random.default_rng(7)
    rewards = [rng.normal(size=m) for m in (3, 2, 3)]
    problem = PreferenceProblem(
        features=[rng.normal(size=(len(r), 2)) for r in rewards], weights=[1, 2, 3],
        preferences=[BradleyTerry(r) for r in rewards], beta=0.1, radius=2, ref_params=[0.3, -0.2],
    )  # fmt: skip
    theta = rng.normal(size=2)
    win = earned = 0.0
    for weight, phi, r in zip((1 / 6, 1 / 3, 1 / 2), problem.features, rewards, strict=True):
        mass, ref = (np.exp(phi @ t) for t in (theta, problem.ref_params))
        mass, ref = mass / mass.sum(), ref / ref.sum()
        win += weight * mass @ (1 / (1 + np.exp(r - r[:, None]))) @ ref
        earned += weight * mass @ r
    assert float(Gain(problem).value(theta)) == pytest.approx(win - 0.5, abs=1e-14)
    assert float(ExpectedReward(problem).value(theta)) == pytest.approx(earned, abs=1e-14)


@pytest.mark.parametrize("kind", [Gain, ExpectedReward])
def test_their_derivatives_by_torch(kind):
    problem = ordinary(2, bradley_terry=True, dimension=2).problem()
    objective, theta = kind(problem), np.array([0.4, -0.7])
    tensor = torch.tensor(theta)
    slope = torch.autograd.functional.jacobian(objective.value, tensor).numpy()
    bend = torch.autograd.functional.hessian(objective.value, tensor).numpy()
    assert np.allclose(objective.gradient(theta), slope, atol=1e-13)
    assert np.allclose(objective.hessian(theta), bend, atol=1e-13)


def test_rewards_that_are_not_known_are_refused():
    problem = ordinary(2, bradley_terry=False).problem()
    with pytest.raises(InputError, match="rewards"):
        ExpectedReward(problem)
