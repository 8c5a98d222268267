"""Operators against dense autodiff of a loss written out in the test, and against peers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.sparse.linalg import LinearOperator, eigsh

from sailtheory import InputError
from sailtheory.curvature import (
    EmpiricalFisherOperator,
    FisherOperator,
    FisherRange,
    GaussNewtonOperator,
    HessianOperator,
    curvature_split,
    extremal,
    pointwise_bound,
    random_vector,
    relative_curvature,
    witness,
)
from sailtheory.policies import CandidateData, CandidateObjective, MLPPolicy
from tests.support.small_network import (
    BETA,
    EIGENVALUE,
    F64,
    GENERALISED,
    OPERATOR,
    Case,
    close,
    dense,
    generator,
)

CASES = [
    {"seed": 0}, {"seed": 1, "gamma": 0.7, "chunk": None}, {"seed": 2, "activation": "gelu"},
    {"seed": 3, "gamma": 1.5, "divergence": "kl_policy_ref", "chunk": 1},
]  # fmt: skip


@pytest.mark.parametrize("settings", CASES)
def test_operators_against_dense_matrices(settings):
    case = Case(**settings)
    hessian = HessianOperator(case.objective)
    assert close(dense(hessian), case.hessian(), OPERATOR)
    fisher = case.fisher()
    assert close(dense(FisherOperator(case.objective)), fisher, OPERATOR)
    # Gauss–Newton: the Hessian in the logits, pulled back.
    jacobian = torch.func.jacrev(case.logits)(case.flat).reshape(-1, case.size)
    logits = case.logits(case.flat).reshape(-1)

    class At(Case):
        def __init__(self):
            self.__dict__.update(case.__dict__)

        def logits(self, flat):
            return flat.reshape(6, 4)

    inner = torch.func.hessian(At().value)(logits)
    wanted = jacobian.mT @ inner @ jacobian
    assert close(dense(GaussNewtonOperator(case.objective)), wanted, OPERATOR)
    assert not close(case.hessian(), wanted, 1e-3)  # the network's part is not small
    chosen = torch.tensor([0, 3, 1, 2, 2, 0])
    s = torch.func.jacrev(case.log_policy)(case.flat)[torch.arange(6), chosen]
    w = case.weights / case.weights.sum()
    empirical = EmpiricalFisherOperator(case.objective, chosen)
    assert close(dense(empirical), torch.einsum("n,ni,nj->ij", w, s, s), OPERATOR)


def test_empirical_fisher_averages_to_the_fisher_matrix():
    case = Case(4)
    chance = case.log_policy(case.flat).exp()
    total = torch.zeros(case.size, case.size, dtype=F64)
    for y in range(4):  # linear in the weights: one response for all prompts at a time
        chosen = torch.full((6,), y)
        s = torch.func.jacrev(case.log_policy)(case.flat)[torch.arange(6), chosen]
        w = case.weights / case.weights.sum() * chance[:, y]
        total += torch.einsum("n,ni,nj->ij", w, s, s)
    assert close(dense(FisherOperator(case.objective)), total, OPERATOR)


def test_extremal_eigenvalues_with_bounds_and_scipy():
    for seed in range(3):
        case = Case(seed, gamma=0.3)
        wanted = torch.linalg.eigvalsh(case.hessian())
        operator = HessianOperator(case.objective)
        low, high = extremal(operator, random_vector(case.flat, generator()), tolerance=1e-9)
        for end, value in ((low, wanted[0]), (high, wanted[-1])):
            assert abs(end.value - value) <= EIGENVALUE * abs(wanted).max()
            assert float((wanted - end.value).abs().min()) <= end.residual + 1e-14
            assert end.converged
        assert isinstance(operator, LinearOperator)
        peer = eigsh(operator, k=1, which="LA", return_eigenvectors=False)[0]
        assert abs(peer - wanted[-1]) <= EIGENVALUE * abs(wanted).max()


def test_a_stopped_run_still_bounds_its_error():
    case = Case(1)
    wanted = torch.linalg.eigvalsh(case.hessian())
    operator = HessianOperator(case.objective)
    _, high = extremal(operator, random_vector(case.flat, generator()), products=4, tolerance=1e-12)
    assert not high.converged and high.residual > 1e-6
    assert float((wanted - high.value).abs().min()) <= high.residual
    assert high.value <= wanted[-1] + 1e-15


def test_generalised_eigenvalues_on_the_range_and_damped():
    for seed in range(3):
        case = Case(seed, gamma=0.2 * seed)
        hessian, fisher = case.hessian().numpy(), case.fisher().numpy()
        found = relative_curvature(
            HessianOperator(case.objective), FisherRange(case.objective), generator(),
            tolerance=1e-9,
        )  # fmt: skip
        values, vectors = np.linalg.eigh(fisher)
        keep = values > 1e-12 * values[-1]
        root = vectors[:, keep] / np.sqrt(values[keep])
        wanted = np.linalg.eigvalsh(root.T @ hessian @ root)
        assert found.rank == keep.sum() == 18  # prompts × (candidates − 1) < d
        size = abs(wanted).max()
        assert abs(found.top.value - wanted[-1]) <= GENERALISED * size
        assert abs(found.bottom.value - wanted[0]) <= GENERALISED * size
        v = found.top.vector.numpy()
        assert abs(v @ fisher @ v - 1) < 1e-8
        assert abs(v @ hessian @ v - found.top.value) <= GENERALISED * size
        for level, value in found.damped.items():
            shift = level * values[-1] * np.eye(case.size)
            peer = scipy.linalg.eigh(hessian, fisher + shift, eigvals_only=True)[-1]
            assert abs(value - peer) <= GENERALISED * abs(peer)
        # The curvature off range(F̄) shows: a decade of damping is a decade of value.
        assert found.damped[1e-4] > 5 * found.damped[1e-3] > 25 * found.damped[1e-2]


def test_c11_bounds_the_gauss_newton_part_and_not_the_whole():
    exceeded = 0
    for seed in range(6):
        case = Case(seed)
        fisher, bound = FisherRange(case.objective), pointwise_bound(case.objective)
        inner = GaussNewtonOperator(case.objective)
        part = relative_curvature(inner, fisher, generator(), dampings=())
        assert part.top.value <= bound + 1e-9
        whole = relative_curvature(
            HessianOperator(case.objective), fisher, generator(), dampings=()
        )
        exceeded += whole.top.value > bound
    assert exceeded  # not a theorem about networks


def test_split_against_dense_norms():
    case = Case(2)
    inner = dense(GaussNewtonOperator(case.objective))
    network = case.hessian() - inner
    split = curvature_split(case.objective, generator(), probes=200)
    wanted = float(network.norm() / (network.norm() + inner.norm()))
    assert abs(split.network_share - wanted) < 5 * split.error
    assert split.error < 0.04
    last = curvature_split(
        case.objective, generator(), select=lambda name: name.startswith("network.4")
    )
    assert last.network_share < 1e-12  # the last layer is log-linear


def test_witnesses_replay_by_values_only():
    case = Case(5)
    operator = HessianOperator(case.objective)
    for end in extremal(operator, random_vector(case.flat, generator())):
        seen = witness(operator, end)
        assert abs(seen.replay() - seen.value) < 1e-6
        assert seen.confirmed
    assert seen.value > 0  # J is not concave here


def test_parameter_subsets():
    case = Case(1)
    rule = lambda name: "0" in name  # noqa: E731
    operator = HessianOperator(case.objective, select=rule)
    first = sum(p.numel() for n, p in case.policy.named_parameters() if rule(n))
    assert operator.subset.size == first == 24
    assert close(dense(operator), case.hessian()[:24, :24], OPERATOR)
    with pytest.raises(InputError, match="select"):
        HessianOperator(case.objective, select=lambda name: False)


def test_float32_and_chunks_give_the_same_products():
    case = Case(3)
    v = torch.randn(case.size, generator=generator(1), dtype=F64)
    wide = HessianOperator(case.objective)(v)
    policy = MLPPolicy(3, [6, 5], generator=generator(), dtype=torch.float32)
    policy.load_state_dict(case.policy.state_dict())
    data = CandidateData(
        case.inputs.float(), case.ref.float(), rewards=case.rewards.float(),
        weights=case.weights,
    )  # fmt: skip
    narrow = HessianOperator(CandidateObjective(policy, data, beta=BETA))
    assert narrow.dtype == np.float32
    error = float((narrow(v).double() - wide).norm() / wide.norm())
    assert error < 200 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("kind", [HessianOperator, GaussNewtonOperator, FisherOperator])
def test_a_kept_graph_gives_every_product_again(kind):
    whole, pieces = (Case(4, gamma=0.5, chunk=chunk) for chunk in (None, 2))
    v, w = torch.randn(2, whole.size, generator=generator(1), dtype=F64)
    operator, calls = kind(whole.objective), []
    whole.policy.register_forward_hook(lambda *_: calls.append(1))
    first, other, again = operator(v), operator(w), operator(v)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not calls  # the network is not run again
    in_pieces = kind(pieces.objective)
    assert close(first, in_pieces(v), OPERATOR) and close(other, in_pieces(w), OPERATOR)
