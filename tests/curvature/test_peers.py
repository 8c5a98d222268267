"""The same curvature by other libraries."""

from __future__ import annotations

import pytest
import torch

from sailtheory.curvature import HessianOperator, extremal, random_vector
from tests.support.small_network import EIGENVALUE, F64, OPERATOR, Case, close, generator


class Loss(torch.nn.Module):
    """The objective as a loss of (logits, target) in one batch, for the peers."""

    reduction = "sum"

    def __init__(self, case):
        super().__init__()
        self.objective = case.objective
        (self.batch,) = case.objective.batches()

    def forward(self, logits, target=None):
        return self.objective.of_logits(logits, self.batch)


def test_same_numbers_as_curvlinops():
    curvlinops = pytest.importorskip("curvlinops", reason="curvlinops is not installed")
    case = Case(1, gamma=0.5, chunk=None)
    target = torch.zeros(6, dtype=torch.long)
    parameters = [p for p in case.policy.parameters() if p.requires_grad]
    peer = curvlinops.HessianLinearOperator(
        case.policy, Loss(case), parameters, [(case.inputs, target)], num_data=6,
        check_deterministic=False,
    )  # fmt: skip
    v = torch.randn(case.size, generator=generator(3), dtype=F64)
    assert close(HessianOperator(case.objective)(v), peer @ v, OPERATOR)


def test_same_numbers_as_hessian_eigenthings():
    peer = pytest.importorskip("hessian_eigenthings", reason="hessian-eigenthings is not installed")
    case = Case(2, gamma=0.5, chunk=None)
    loss = Loss(case)
    other = peer.HessianOperator(
        case.policy, [case.inputs], lambda model, batch: loss(model(batch))
    )
    found = peer.lanczos(
        other, k=1, which="LA", tol=1e-10, max_iter=60, seed=0, reorthogonalize=True
    )
    _, high = extremal(
        HessianOperator(case.objective), random_vector(case.flat, generator()), tolerance=1e-10
    )
    assert abs(float(found.eigenvalues[0]) - high.value) <= EIGENVALUE * abs(high.value)
