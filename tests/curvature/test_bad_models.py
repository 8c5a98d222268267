"""Models and arguments whose curvature cannot be measured are named."""

from __future__ import annotations

import math

import pytest
import torch

from sailtheory import InputError
from sailtheory.curvature import (
    EmpiricalFisherOperator,
    FisherOperator,
    FisherRange,
    HessianOperator,
    Subset,
    curvature_split,
    extremal,
    pointwise_bound,
    random_vector,
    relative_curvature,
)
from sailtheory.policies import CandidateObjective, CandidatePolicy
from tests.support.small_network import BETA, F64, Case, generator


def objective_of(network, case=None):
    case = case or Case(0)
    return CandidateObjective(CandidatePolicy(network), case.objective.data, beta=BETA)


class Once(torch.autograd.Function):
    """Tanh whose backward pass cannot be differentiated."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (1 - torch.tanh(x) ** 2)


class Silent(Once):
    """Tanh whose backward pass leaves the graph without saying so."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (1 - torch.tanh(x.detach()) ** 2)


class Restless(torch.autograd.Function):
    """Tanh whose first derivative is another one at each call, though not its second."""

    scale = 1.0

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        Restless.scale *= 1.01 if torch.is_grad_enabled() else 1.0
        return Restless.scale * g * (1 - torch.tanh(x) ** 2)


class Layer(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function.apply(x)


def linear(a, b, seed=0):
    layer = torch.nn.Linear(a, b, dtype=F64)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randn(p.shape, generator=generator(seed + a), dtype=F64))
    return layer


def test_models_that_cannot_be_measured_are_named():
    dropout = torch.nn.Sequential(
        linear(3, 5), torch.nn.Tanh(), torch.nn.Dropout(0.5), linear(5, 1)
    )
    with pytest.raises(InputError, match="deterministic"):
        HessianOperator(objective_of(dropout))
    dropout.eval()
    HessianOperator(objective_of(dropout))
    for function in (Once, Silent):
        network = torch.nn.Sequential(linear(3, 5), Layer(function), linear(5, 1))
        with pytest.raises(InputError, match="double backward"):
            HessianOperator(objective_of(network))
    restless = torch.nn.Sequential(linear(3, 5), Layer(Restless), linear(5, 1))
    for kind in (HessianOperator, FisherOperator):
        with pytest.raises(InputError, match="two that differ"):
            kind(objective_of(restless))
    good = torch.nn.Sequential(linear(3, 5), torch.nn.Tanh(), linear(5, 1))
    HessianOperator(objective_of(good))
    with torch.no_grad():
        good[0].weight[0, 0] = math.nan
    with pytest.raises(InputError, match="parameters"):
        HessianOperator(objective_of(good))
    with pytest.raises(InputError, match="logits"):
        HessianOperator(objective_of(torch.nn.Sequential(linear(3, 1), Bad())))
    root = torch.nn.Sequential(linear(3, 5), Root(), linear(5, 1))
    with pytest.raises(InputError, match="product"):
        HessianOperator(objective_of(root))


class Bad(torch.nn.Module):
    def forward(self, x):
        return x + math.nan


class Root(torch.nn.Module):
    """Finite values, infinite slopes."""

    def forward(self, x):
        return torch.sqrt((x - x.detach()).abs()) + x


def test_bad_arguments_are_named():
    case = Case(0)
    operator = HessianOperator(case.objective)
    start = random_vector(case.flat, generator())
    cases = [
        (lambda: operator(start[:3]), "vector"),
        (lambda: extremal(operator, 0 * start), "start"),
        (lambda: extremal(operator, start, tolerance=0.0), "tolerance"),
        (lambda: extremal(operator, start, products=0), "products"),
        (lambda: EmpiricalFisherOperator(case.objective, torch.arange(6)), "responses"),
        (lambda: curvature_split(case.objective, generator(), probes=1), "probes"),
        (lambda: relative_curvature(operator, FisherRange(case.objective), generator(),
                                    dampings=(0.0,)), "dampings"),
        (lambda: relative_curvature(
            operator, FisherRange(case.objective, select=lambda n: "0" in n), generator()),
         "fisher"),
        (lambda: pointwise_bound(Case(0, gamma=1.0, divergence="kl_policy_ref").objective),
         "divergence"),
    ]  # fmt: skip
    for action, field in cases:
        with pytest.raises(InputError, match=field):
            action()
    assert Subset(case.policy).size == case.size
