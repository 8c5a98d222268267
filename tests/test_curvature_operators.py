"""Operators against dense autodiff of a loss written out in the test, and against peers."""

from __future__ import annotations

import math

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
    Subset,
    curvature_split,
    extremal,
    pointwise_bound,
    random_vector,
    relative_curvature,
    witness,
)
from sailtheory.policies import CandidateData, CandidateObjective, CandidatePolicy, MLPPolicy

F64 = torch.float64
OPERATOR, EIGENVALUE, GENERALISED = 1e-9, 1e-6, 1e-5  # relative; the tolerances
BETA = 0.4


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Case:
    """A small net, its data, and J_γ as a plain function of the flat parameters."""

    def __init__(self, seed=0, gamma=0.0, divergence="kl_ref_policy", activation="tanh", chunk=4):
        g = generator(seed)
        n, m, k = 6, 4, 3
        self.inputs = torch.randn(n, m, k, generator=g, dtype=F64)
        self.ref = torch.log_softmax(torch.randn(n, m, generator=g, dtype=F64), -1)
        self.rewards = torch.randn(n, m, generator=g, dtype=F64)
        self.weights = torch.rand(n, generator=g, dtype=F64) + 0.2
        self.policy = MLPPolicy(k, [6, 5], generator=g, activation=activation)
        with torch.no_grad():
            for p in self.policy.parameters():
                p += 0.3 * torch.randn(p.shape, generator=g, dtype=F64)
        self.gamma, self.divergence = gamma, divergence
        data = CandidateData(self.inputs, self.ref, rewards=self.rewards, weights=self.weights)
        self.objective = CandidateObjective(
            self.policy, data, beta=BETA, gamma=gamma, divergence=divergence, chunk=chunk
        )
        self.flat = torch.cat([p.detach().reshape(-1) for p in self.policy.parameters()])
        self.size = len(self.flat)

    def log_policy(self, flat):
        return torch.log_softmax(self.logits(flat), -1)

    def logits(self, flat):
        parts, start = {}, 0
        for name, p in self.policy.named_parameters():
            parts[name] = flat[start : start + p.numel()].reshape(p.shape)
            start += p.numel()
        return torch.func.functional_call(self.policy, parts, (self.inputs,))

    def value(self, flat):
        """J_γ by its definition."""
        log_p = self.log_policy(flat)
        p, r = log_p.exp(), self.ref.exp()
        total = 0
        for a in range(4):
            for b in range(4):
                ratio = log_p - self.ref
                z = BETA * (ratio[:, a] - ratio[:, b])
                win = torch.sigmoid(self.rewards[:, a] - self.rewards[:, b])
                g = win * torch.log(torch.sigmoid(z)) + (1 - win) * torch.log(torch.sigmoid(-z))
                total = total + p[:, a] * p[:, b] * g
        if self.divergence == "kl_ref_policy":
            kl = (r * (self.ref - log_p)).sum(-1)
        else:
            kl = (p * (log_p - self.ref)).sum(-1)
        w = self.weights / self.weights.sum()
        return (w * (total - self.gamma * kl)).sum()

    def hessian(self):
        return torch.func.hessian(self.value)(self.flat)

    def fisher(self):
        """E_x Σ_y π(y|x) s sᵀ."""
        s = torch.func.jacrev(self.log_policy)(self.flat)
        w = self.weights / self.weights.sum()
        return torch.einsum("nm,nmi,nmj->ij", w[:, None] * self.log_policy(self.flat).exp(), s, s)


def dense(operator):
    return torch.stack([operator(row) for row in torch.eye(operator.subset.size, dtype=F64)])


def close(found, wanted, tolerance):
    return float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max())


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


# --- bad models ---------------------------------------------------------------------------


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


# --- peers ----------------------------------------------------------------------------------


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
