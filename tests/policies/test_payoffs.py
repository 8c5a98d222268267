"""Networks trained with rewards: the last layer against the closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sailtheory import InputError, examples
from sailtheory.curvature import HessianOperator
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.registry import target
from sailtheory.objectives.sail import regularised
from sailtheory.policies import (
    CandidateData,
    CandidateObjective,
    LastLayerPolicy,
    candidate_payoff,
)
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.theory.reward_methods import reward_method

AGREE = 1e-8


def last_layer(theta):
    policy = LastLayerPolicy(len(theta))
    with torch.no_grad():
        policy.theta.copy_(torch.as_tensor(theta)[None])
    return policy


def dense(operator):
    size = operator.subset.size
    return torch.stack([operator(row) for row in torch.eye(size, dtype=torch.float64)]).numpy()


@pytest.mark.parametrize("name", ["grpo", "log"])
def test_rewards_of_a_last_layer_agree_with_the_closed_forms(name):
    rng = np.random.default_rng(3)
    p = reward_problem(
        features=rng.normal(size=(3, 4, 2)), radius=2, ref_params=[0.2, 0.1],
        response_rewards=[[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0]],
    )  # fmt: skip
    theta = np.array([0.4, -0.7])
    data, flat = CandidateData.from_problem(p), p
    closed = regularised(target(flat, name).objective, 0.3)
    neural = CandidateObjective(
        last_layer(theta), data, payoff=candidate_payoff(name), gamma=0.3, chunk=2
    )
    operator = HessianOperator(neural)
    assert abs(neural.value().item() - closed.value(theta)) < AGREE
    assert np.abs(operator.gradient().numpy() - closed.gradient(theta)).max() < AGREE
    assert np.abs(dense(operator) - closed.hessian(theta)).max() < AGREE
    at = neural.summary()
    rates = target(flat, name).objective.pass_rates(theta)
    assert at["mean_reward"] == pytest.approx(rates.mean())
    method = reward_method(name, 8, "sample")
    assert neural.payoff.pointwise(at) == pytest.approx(
        max(float(method.path(FLOAT64, v, 1 - v)) for v in rates)
    )
    with pytest.raises(InputError, match="response_rewards"):
        without = CandidateData.from_problem(examples.load("bradley-terry"))
        CandidateObjective(last_layer(theta), without, payoff=candidate_payoff(name))
    with pytest.raises(InputError, match="none is expected"):
        candidate_payoff(name, beta=0.1)
