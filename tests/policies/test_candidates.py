"""Candidate policies and their objectives: closed forms, exact numbers, C18's estimator."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sailtheory import (
    SAIL,
    BradleyTerry,
    InputError,
    KLPolicyRef,
    KLRefPolicy,
    PreferenceProblem,
    SAILRevKL,
)
from sailtheory.curvature import FisherOperator, HessianOperator
from sailtheory.objectives.sail import fisher
from sailtheory.policies import (
    CandidateData,
    CandidateObjective,
    CandidatePolicy,
    LastLayerPolicy,
    MLPPolicy,
    kl,
    sampled_sail,
    score,
)

F64 = torch.float64
AGREE = 1e-8  # the tolerance for the log-linear case


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=F64)


def problem(seed=0, n=3, m=4, d=3, beta=0.3):
    rng = np.random.default_rng(seed)
    return PreferenceProblem(
        features=rng.normal(size=(n, m, d)),
        preferences=[BradleyTerry(r) for r in rng.normal(size=(n, m))],
        weights=rng.random(n) + 0.1,
        ref_params=rng.normal(size=d) / 3,
        beta=beta,
        radius=9,
    )


def last_layer(p, theta):
    policy = LastLayerPolicy(p.dimension)
    with torch.no_grad():
        policy.theta.copy_(torch.as_tensor(theta)[None])
    return policy


def dense(operator):
    size = operator.subset.size
    return torch.stack([operator(row) for row in torch.eye(size, dtype=F64)]).numpy()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("chunk", [None, 2])
def test_last_layer_agrees_with_the_closed_forms(seed, chunk):
    p = problem(seed)
    theta = np.random.default_rng(seed + 50).normal(size=p.dimension)
    policy = last_layer(p, theta)
    data = CandidateData.from_problem(p)
    cases = [
        (SAIL(p), {}),
        (SAILRevKL(p, 0.7), {"gamma": 0.7}),
        (SAIL(p) - 0.7 * KLPolicyRef(p), {"gamma": 0.7, "divergence": "kl_policy_ref"}),
        (-1.0 * KLPolicyRef(p), {"gamma": 1.0, "divergence": "kl_policy_ref", "sail": 0.0}),
    ]
    for closed, settings in cases:
        neural = CandidateObjective(policy, data, beta=float(p.beta), chunk=chunk, **settings)
        operator = HessianOperator(neural)
        assert abs(neural.value().item() - closed.value(theta)) < AGREE
        assert np.abs(operator.gradient().numpy() - closed.gradient(theta)).max() < AGREE
        assert np.abs(dense(operator) - closed.hessian(theta)).max() < AGREE
    assert np.abs(dense(FisherOperator(neural)) - fisher(p, theta)).max() < AGREE
    summary = neural.summary()
    assert abs(summary["kl_ref_policy"] - KLRefPolicy(p).value(theta)) < AGREE
    assert abs(summary["kl_policy_ref"] - KLPolicyRef(p).value(theta)) < AGREE


def test_a_wrong_divergence_is_seen():
    """The agreement above can fail: the other KL is far away."""
    p = problem(1)
    theta = np.full(p.dimension, 0.7)
    neural = CandidateObjective(
        last_layer(p, theta), CandidateData.from_problem(p), beta=float(p.beta), gamma=0.7,
        divergence="kl_policy_ref",
    )  # fmt: skip
    assert abs(float(neural.value()) - SAILRevKL(p, 0.7).value(theta)) > 1e-3


@pytest.mark.parametrize(
    ("features", "ref", "p_win", "fisher", "curvature"),
    [
        ([[1.0], [0.0]], [0.25, 0.75], 1.0, 3 / 16, 57 / 3200),
        ([[1.0], [0.0], [0.0]], [1 / 3] * 3, 1.0, 2 / 9, 37 / 2700),
        ([[1.0], [0.0], [0.0]], [1 / 3] * 3, 11 / 20, 2 / 9, 1 / 2700),
    ],
)
def test_exact_numbers_of_c04_through_the_neural_path(features, ref, p_win, fisher, curvature):
    m = len(ref)
    matrix = torch.full((1, m, m), 0.5, dtype=F64)
    matrix[0, 0, 1:], matrix[0, 1:, 0] = p_win, 1 - p_win
    policy = LastLayerPolicy(1)
    with torch.no_grad():
        policy.theta.fill_(math.log(ref[0] / ref[1]))
    data = CandidateData(
        torch.tensor([features], dtype=F64), torch.tensor([ref], dtype=F64).log(),
        preferences=matrix,
    )  # fmt: skip
    objective = CandidateObjective(policy, data, beta=0.1)
    assert abs(dense(HessianOperator(objective)).item() - curvature) < 1e-14
    assert abs(dense(FisherOperator(objective)).item() - fisher) < 1e-14
    assert curvature > 0  # not concave


def enumerated(policy, inputs, ref, judge_matrix, beta, gamma):
    """J_γ of one prompt by the definitions, with loops."""
    log_p = torch.log_softmax(policy(inputs), -1)[0]
    log_r = torch.log_softmax(ref(inputs), -1)[0].detach()
    total = 0
    for k in range(len(log_p)):
        for j in range(len(log_p)):
            z = beta * (log_p[k] - log_r[k] - log_p[j] + log_r[j])
            g = judge_matrix[k, j] * torch.log(torch.sigmoid(z))
            g = g + judge_matrix[j, k] * torch.log(torch.sigmoid(-z))
            total = total + torch.exp(log_p[k] + log_p[j]) * g
    return total - gamma * (log_r.exp() * (log_r - log_p)).sum()


class Scheduled:
    """The policy, but its draws are dictated: so an expectation can be summed exactly."""

    def __init__(self, policy, draws):
        self.policy, self.draws = policy, list(draws)

    def sample(self, prompts, generator):
        return torch.tensor([self.draws.pop(0)])

    def log_prob(self, prompts, responses):
        return self.policy.log_prob(prompts, responses)


def expected_derivatives(policy, ref, inputs, judge, beta, gamma, m):
    """Exact expectation of the estimator's value, gradient and Hessian over all draws."""
    names = [name for name, _ in policy.named_parameters()]
    shapes = [p.shape for p in policy.parameters()]
    flat = torch.cat([p.detach().reshape(-1) for p in policy.parameters()])

    def at(vector):
        parts = torch.split(vector, [s.numel() for s in shapes])
        return {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}

    with torch.no_grad():
        chance = policy.log_policy(inputs)[0].exp()
        chance_ref = ref.log_policy(inputs)[0].exp()
    value, gradient = 0.0, torch.zeros_like(flat)
    hessian = torch.zeros(len(flat), len(flat), dtype=F64)
    for k in range(m):
        for j in range(m):
            for i in range(m):

                def draw(vector, k=k, j=j, i=i):
                    moved = At(policy, at(vector))
                    return sampled_sail(
                        Scheduled(moved, [k, j]), Scheduled(ref, [i]), inputs, judge,
                        beta=beta, gamma=gamma, generator=generator(),
                    )  # fmt: skip

                weight = chance[k] * chance[j] * chance_ref[i]
                value += float(weight * draw(flat))
                gradient += weight * torch.autograd.functional.jacobian(draw, flat)
                hessian += weight * torch.autograd.functional.hessian(draw, flat)
    return value, gradient, hessian, at, flat


class At(CandidatePolicy):
    """A policy at other parameters."""

    def __init__(self, policy, parameters):
        super().__init__(policy)
        self.values = parameters

    def forward(self, inputs):
        return torch.func.functional_call(self.network, self.values, (inputs,))


def test_sampling_and_enumeration_agree_to_second_order():
    """C18, summed over all draws: value, gradient and Hessian of J_γ are unbiased."""
    m, beta, gamma = 3, 0.8, 0.4
    inputs = normal(1, m, 2, seed=3)
    policy, ref = (MLPPolicy(2, [2], generator=generator(s)) for s in (1, 2))
    matrix = torch.tensor([[0.5, 0.9, 0.3], [0.1, 0.5, 0.6], [0.7, 0.4, 0.5]], dtype=F64)

    def judge(prompts, first, second):
        return matrix[first, second]

    value, gradient, hessian, at, flat = expected_derivatives(
        policy, ref, inputs, judge, beta, gamma, m
    )

    def direct(vector):
        return enumerated(At(policy, at(vector)), inputs, ref, matrix, beta, gamma)

    assert abs(value - float(direct(flat))) < 1e-13
    assert (gradient - torch.autograd.functional.jacobian(direct, flat)).abs().max() < 1e-13
    assert (hessian - torch.autograd.functional.hessian(direct, flat)).abs().max() < 1e-12
    # and the package's own enumeration, with the judge called on indices
    ref_log = ref.log_policy(inputs).detach()
    for source in ({"judge": judge}, {"preferences": matrix[None]}):
        neural = CandidateObjective(
            policy, CandidateData(inputs, ref_log, **source), beta=beta, gamma=gamma
        )
        assert abs(float(neural.value()) - float(direct(flat))) < 1e-13
    # Without the score term, E sg(π)∇g, the agreement fails.
    chance = policy.log_policy(inputs)[0].exp().detach()

    def without_score(vector):
        log_p = At(policy, at(vector)).log_policy(inputs)[0]
        z = beta * ((log_p - ref_log[0])[:, None] - (log_p - ref_log[0])[None])
        return (chance[:, None] * chance * torch.log(torch.sigmoid(z)) * 2 * matrix).sum()

    assert (torch.autograd.functional.jacobian(without_score, flat) - gradient).abs().max() > 1e-3


def test_sampling_with_real_draws():
    inputs, rewards = normal(5, 4, 3, seed=5), normal(5, 4, seed=6)
    policy, ref = (MLPPolicy(3, [5], generator=generator(s)) for s in (1, 2))
    data = CandidateData(inputs, ref.log_policy(inputs).detach(), rewards=rewards)

    def judge(prompts, first, second):
        gap = rewards.gather(1, first[:, None]) - rewards.gather(1, second[:, None])
        return torch.sigmoid(gap)[:, 0]

    g = generator(7)
    with torch.no_grad():
        draws = torch.stack([
            sampled_sail(policy, ref, inputs, judge, beta=0.5, gamma=0.3, generator=g)
            for _ in range(1000)
        ])  # fmt: skip
    exact = float(CandidateObjective(policy, data, beta=0.5, gamma=0.3).value())
    error = float(draws.std()) / len(draws) ** 0.5
    assert abs(float(draws.mean()) - exact) < 5 * error
    assert 5 * error < 0.1


def test_score_is_the_gradient_of_log_prob_and_averages_to_zero():
    inputs = normal(1, 3, 2)
    policy = MLPPolicy(2, [4], generator=generator(1))
    scores = score(policy, inputs.expand(3, 3, 2), torch.arange(3))
    mean = (policy.log_policy(inputs)[0].exp()[:, None] * scores).sum(0)
    assert mean.abs().max() < 1e-15
    assert scores.abs().max() > 0.1


def test_both_divergences_by_enumeration_and_by_estimate():
    inputs = normal(2, 5, 3)
    p, q = (MLPPolicy(3, [4], generator=generator(s)) for s in (1, 2))
    a, b = p.log_policy(inputs).detach(), q.log_policy(inputs).detach()
    assert (kl(p, q, inputs) - (a.exp() * (a - b)).sum(-1)).abs().max() < 1e-14
    assert (kl(q, p, inputs) - (b.exp() * (b - a)).sum(-1)).abs().max() < 1e-14
    assert (kl(p, q, inputs) - kl(q, p, inputs)).abs().max() > 1e-4

    class NoForm:
        sample, log_prob = staticmethod(p.sample), staticmethod(p.log_prob)

        def parameters(self):
            return p.parameters()

    rows = torch.stack([kl(NoForm(), q, inputs, samples=1, generator=g).detach()
                        for g in [generator(3)] for _ in range(3000)])  # fmt: skip
    error = rows.std(0) / len(rows) ** 0.5
    assert ((rows.mean(0) - kl(p, q, inputs)).abs() < 5 * error).all()
    with pytest.raises(InputError, match="samples"):
        kl(NoForm(), q, inputs)


def test_gradient_of_the_kl_estimate_is_unbiased():
    """Summed over all draws: ∇KL(p‖q), score term included."""
    inputs = normal(1, 3, 2)
    p, q = (MLPPolicy(2, [3], generator=generator(s)) for s in (1, 2))
    wanted = torch.autograd.grad(kl(p, q, inputs).sum(), list(p.parameters()), allow_unused=True)
    chance = p.log_policy(inputs)[0].exp().detach()
    total = [torch.zeros_like(w) for w in p.parameters()]
    for k in range(3):
        value = kl(Scheduled(p, [k]), q, inputs, samples=1, generator=generator()).sum()
        parts = torch.autograd.grad(value, list(p.parameters()))
        total = [t + chance[k] * part for t, part in zip(total, parts, strict=True)]
    for t, w in zip(total, wanted, strict=True):
        assert (t - w).abs().max() < 1e-14


def test_minibatches_and_chunks():
    inputs, rewards = normal(40, 3, 2, seed=1), normal(40, 3, seed=2)
    policy = MLPPolicy(2, [4], generator=generator(1))
    weights = torch.rand(40, generator=generator(4)) + 0.1
    data = CandidateData(inputs, normal(40, 3, seed=3), rewards=rewards, weights=weights)
    whole = float(CandidateObjective(policy, data, beta=0.5, gamma=0.2).value())
    parts = float(CandidateObjective(policy, data, beta=0.5, gamma=0.2, chunk=7).value())
    assert abs(whole - parts) < 1e-14
    g = generator(9)
    draws = torch.tensor([
        float(CandidateObjective(policy, data.minibatch(8, g), beta=0.5, gamma=0.2).value())
        for _ in range(600)
    ])  # fmt: skip
    assert abs(float(draws.mean()) - whole) < 5 * float(draws.std()) / 600**0.5


def test_float32_agrees_with_float64():
    inputs, ref, rewards = normal(6, 3, 4), normal(6, 3, seed=1), normal(6, 3, seed=2)
    wide = MLPPolicy(4, [8], generator=generator(3))
    narrow = MLPPolicy(4, [8], generator=generator(), dtype=torch.float32)
    narrow.load_state_dict(wide.state_dict())
    a = CandidateObjective(wide, CandidateData(inputs, ref, rewards=rewards), beta=0.2)
    b = CandidateObjective(
        narrow, CandidateData(inputs.float(), ref.float(), rewards=rewards.float()), beta=0.2
    )
    assert b.value().dtype == torch.float32
    assert abs(float(a.value()) - float(b.value())) < 50 * torch.finfo(torch.float32).eps


def test_save_and_load(tmp_path):
    policy = MLPPolicy(3, [5, 4], generator=generator(1), activation="gelu")
    policy.save(tmp_path / "p.npz")
    inputs = normal(2, 3, 3)
    assert torch.equal(MLPPolicy.load(tmp_path / "p.npz")(inputs), policy(inputs))
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    for name in ("bad.npz", "absent.npz", "objects.npz"):
        with pytest.raises(InputError, match="policy"):
            MLPPolicy.load(tmp_path / name)


def test_bad_input_is_named():
    inputs, ref = normal(2, 3, 2), normal(2, 3)
    policy = MLPPolicy(2, [3], generator=generator())
    good = CandidateData(inputs, ref, rewards=normal(2, 3))
    nan = torch.full((2, 3), math.nan, dtype=F64)
    lopsided = torch.full((2, 3, 3), 0.6, dtype=F64)
    cases = [
        (lambda: CandidateData(inputs, ref), "preferences"),
        (lambda: CandidateData(inputs, ref, rewards=nan), r"rewards\[0, 0\]"),
        (lambda: CandidateData(inputs, nan, rewards=ref), r"log_ref\[0, 0\]"),
        (lambda: CandidateData(inputs, ref, preferences=lopsided), "p₁₂"),
        (lambda: CandidateData(inputs, ref, preferences=2 * lopsided), "probabilities"),
        (lambda: CandidateData(inputs, ref, rewards=ref, weights=-torch.ones(2)), "weights"),
        (lambda: CandidateData(inputs, normal(2, 4), rewards=ref), "log_ref"),
        (lambda: CandidateObjective(policy, good, beta=0.0), "beta"),
        (lambda: CandidateObjective(policy, good, beta=0.1, gamma=-1.0), "gamma"),
        (lambda: CandidateObjective(policy, good, beta=0.1, divergence="reverse"), "divergence"),
        (lambda: CandidateObjective(policy, good, beta=0.1, chunk=0).value(), "chunk"),
        (lambda: MLPPolicy(2, [3], generator=generator(), activation="relu"), "activation"),
    ]
    for action, field in cases:
        with pytest.raises(InputError, match=field):
            action()
    with torch.no_grad():
        next(policy.parameters())[0, 0] = math.nan
    with pytest.raises(InputError, match="logits"):
        CandidateObjective(policy, good, beta=0.1).value()
    with pytest.raises(InputError, match="log_policy"):
        policy.log_prob(inputs, torch.zeros(2, dtype=torch.long))
