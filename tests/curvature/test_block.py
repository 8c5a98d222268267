"""LOBPCG: several eigenvalues at once, multiplicities included."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator

from sailtheory import InputError
from sailtheory.curvature import HessianOperator, block_extremal, extremal, random_vector
from sailtheory.policies import CandidateData, CandidateObjective, MLPPolicy

F64 = torch.float64


class Matrix(LinearOperator):
    """A dense matrix that takes NumPy and torch vectors, and counts products."""

    def __init__(self, matrix: torch.Tensor) -> None:
        super().__init__(np.dtype("float64"), tuple(matrix.shape))
        self.matrix, self.count = matrix, 0

    def _matmat(self, block):
        self.count += block.shape[1]
        return self.matrix.numpy() @ block

    def __call__(self, vector):
        self.count += 1
        return self.matrix @ vector


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rotated(values):
    d = len(values)
    q, _ = torch.linalg.qr(torch.randn(d, d, generator=generator(5), dtype=F64))
    return Matrix(q @ torch.diag(torch.as_tensor(values, dtype=F64)) @ q.mT)


BULK = list(np.linspace(-1, 1, 116))


def test_a_double_eigenvalue_is_seen_twice_where_one_vector_sees_it_once():
    operator = rotated([*BULK, 9.0, 9.0, -7.0, -8.0])
    like = torch.zeros(120, dtype=F64)
    top = block_extremal(operator, like, generator(), count=3)
    np.testing.assert_allclose([e.value for e in top[:2]], [9, 9], atol=1e-9)
    assert abs(top[2].value - 1) < 1e-3
    assert abs(float(top[0].vector @ top[1].vector)) < 1e-6
    low = block_extremal(operator, like, generator(), count=2, largest=False)
    np.testing.assert_allclose([e.value for e in low], [-8, -7], atol=1e-9)
    assert all(e.converged for e in low) and operator.count == top[0].products + low[0].products


def test_it_says_when_it_did_not_converge():
    operator = rotated([*BULK, 1.01, 1.02, 1.03, 1.04])
    found = block_extremal(operator, torch.zeros(120, dtype=F64), generator(), count=1,
                           iterations=2)  # fmt: skip
    assert not found[0].converged
    # The residual still tells the truth: an eigenvalue lies within it.
    spectrum = np.array([*BULK, 1.01, 1.02, 1.03, 1.04])
    assert np.abs(spectrum - found[0].value).min() <= found[0].residual


def test_on_a_network_it_agrees_with_lanczos_and_with_the_dense_hessian():
    policy = MLPPolicy(4, [6], generator=generator(1))
    inputs = torch.randn(5, 3, 4, generator=generator(2), dtype=F64)
    rewards = torch.randn(5, 3, generator=generator(3), dtype=F64)
    data = CandidateData(inputs, torch.full((5, 3), 1 / 3, dtype=F64).log(), rewards=rewards)
    hessian = HessianOperator(CandidateObjective(policy, data, beta=0.5, gamma=0.1))
    like = hessian.subset.flat()
    dense = hessian @ np.eye(len(like))
    exact = np.linalg.eigvalsh((dense + dense.T) / 2)
    top = block_extremal(hessian, like, generator(4), count=2)
    np.testing.assert_allclose([e.value for e in top], exact[:-3:-1], rtol=1e-6)
    _, high = extremal(hessian, random_vector(like, generator(5)))
    assert abs(high.value - top[0].value) <= 1e-6 * abs(high.value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"count": 0}, "count"), ({"count": 24}, "count"), ({"tolerance": 0.0}, "tolerance"),
     ({"iterations": 0}, "iterations")],
)  # fmt: skip
def test_bad_arguments_are_named(changes, field):
    with pytest.raises(InputError, match=field):
        block_extremal(rotated([*BULK, 1, 2, 3, 4]), torch.zeros(120, dtype=F64), generator(),
                       **changes)  # fmt: skip
