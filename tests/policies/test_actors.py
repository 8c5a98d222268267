"""Gaussian actors and token policies against torch.distributions, quadrature, enumeration."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.distributions import Independent, Normal, TransformedDistribution, kl_divergence
from torch.distributions.transforms import TanhTransform

from sailtheory import InputError
from sailtheory.curvature import FisherRange, HessianOperator, relative_curvature
from sailtheory.policies import (
    CandidateData,
    CandidateObjective,
    GaussianPolicy,
    TanhGaussianPolicy,
    TokenPolicy,
    kl,
    score,
)

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def actor(kind, seed, inputs=3, actions=2, scale=0.3):
    linear = torch.nn.Linear(inputs, 2 * actions, dtype=F64)
    with torch.no_grad():
        for p in linear.parameters():
            p.copy_(torch.randn(p.shape, generator=generator(seed), dtype=F64) * scale)
    return kind(linear, actions)


def peer(policy, states):
    mean, log_std = policy(states)
    return Independent(Normal(mean, log_std.exp()), 1)


STATES = torch.randn(6, 3, generator=generator(9), dtype=F64)


@pytest.mark.parametrize("kind", [GaussianPolicy, TanhGaussianPolicy])
def test_gaussian_log_prob_and_both_divergences(kind):
    p, q = actor(kind, 1), actor(kind, 2)
    actions = p.sample(STATES, generator(3))
    wanted = peer(p, STATES)
    if kind is TanhGaussianPolicy:
        wanted = TransformedDistribution(wanted.base_dist, [TanhTransform()])
        assert (p.log_prob(STATES, actions) - wanted.log_prob(actions).sum(-1)).abs().max() < 1e-10
    else:
        assert (p.log_prob(STATES, actions) - wanted.log_prob(actions)).abs().max() < 1e-12
    exact = kl_divergence(peer(p, STATES), peer(q, STATES))
    other = kl_divergence(peer(q, STATES), peer(p, STATES))
    assert (kl(p, q, STATES) - exact).abs().max() < 1e-12
    assert (kl(q, p, STATES) - other).abs().max() < 1e-12
    assert (exact - other).abs().min() > 1e-6
    with torch.no_grad():
        g = generator(4)
        rows = torch.stack([
            p.log_prob(STATES, y) - q.log_prob(STATES, y)
            for y in (p.sample(STATES, g) for _ in range(4000))
        ])  # fmt: skip
    error = rows.std(0) / len(rows) ** 0.5
    assert ((rows.mean(0) - exact).abs() < 5 * error).all()


def test_divergence_between_a_squashed_and_a_plain_actor_has_no_closed_form():
    p, q = actor(TanhGaussianPolicy, 1), actor(GaussianPolicy, 2)
    with pytest.raises(InputError, match="samples"):
        kl(p, q, STATES)
    assert kl(p, q, STATES, samples=3, generator=generator()).shape == (6,)


def test_squashed_density_integrates_to_one():
    p = actor(TanhGaussianPolicy, 5, actions=1)
    u = torch.linspace(-12, 12, 20001, dtype=F64)
    actions = torch.tanh(u)[:, None]
    inside = actions.abs().flatten() < 1 - 1e-11
    density = p.log_prob(STATES[:1].expand(len(u), 3), actions).exp() * (1 - actions[:, 0] ** 2)
    assert abs(float(torch.trapezoid(density[inside], u[inside])) - 1) < 1e-8


def test_ratios_before_squashing_are_those_of_the_actions():
    """As far as an action tells its u; where tanh rounds to 1 they stay finite and exact."""
    p, q = actor(TanhGaussianPolicy, 1), actor(TanhGaussianPolicy, 2)
    noise = torch.empty(6, 2, dtype=F64).normal_(generator=generator(4))
    with torch.no_grad():
        u = p.draw_unsquashed(STATES, noise)
        actions, log_prob = p.draw(STATES, noise)
        assert torch.equal(torch.tanh(u), actions)
        slope = torch.log1p(-(actions**2)).sum(-1)
        assert (p.log_prob_unsquashed(STATES, u) - slope - log_prob).abs().max() < 1e-12
        ratio = p.log_prob_unsquashed(STATES, u) - q.log_prob_unsquashed(STATES, u)
        squashed = p.log_prob(STATES, actions) - q.log_prob(STATES, actions)
        assert (ratio - squashed).abs().max() < 1e-10
        far = torch.full_like(u, 25.0)
        wanted = sum(
            sign * torch.distributions.Normal(mean, log_std.exp()).log_prob(far).sum(-1)
            for sign, (mean, log_std) in ((1, p(STATES)), (-1, q(STATES)))
        )
        found = p.log_prob_unsquashed(STATES, far) - q.log_prob_unsquashed(STATES, far)
        assert (found - wanted).abs().max() < 1e-9 * wanted.abs().max()


def test_gaussian_bad_input():
    with pytest.raises(InputError, match="network"):
        GaussianPolicy(torch.nn.Linear(3, 3, dtype=F64), 2)(STATES)
    with pytest.raises(InputError, match="responses"):
        actor(TanhGaussianPolicy, 1).log_prob(STATES, torch.full((6, 2), 2.0, dtype=F64))
    p = actor(GaussianPolicy, 1)
    with torch.no_grad():
        p.network.bias[0] = float("nan")
    with pytest.raises(InputError, match="gaussian"):
        p.log_prob(STATES, torch.zeros(6, 2, dtype=F64))


class TinyLM(torch.nn.Module):
    """Embedding, mean over the past, tanh, head: causal and smooth."""

    def __init__(self, vocabulary=4, width=5, seed=0, head_scale=1.5):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, width, dtype=F64)
        self.inner = torch.nn.Linear(width, width, dtype=F64)
        self.lm_head = torch.nn.Linear(width, vocabulary, bias=False, dtype=F64)
        g = generator(seed)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=g, dtype=F64))
            self.lm_head.weight.mul_(head_scale)

    def forward(self, tokens):
        x = self.embedding(tokens)
        count = torch.arange(1, tokens.shape[1] + 1, dtype=F64)[:, None]
        return self.lm_head(torch.tanh(self.inner(x.cumsum(1) / count + x)))


def candidates(vocabulary, length, prompt):
    rows = list(itertools.product(range(vocabulary), repeat=length))
    return torch.tensor([[*prompt, *row] for row in rows])[None]


def test_token_log_probs_by_definition_and_sum_to_one():
    policy = TokenPolicy(TinyLM(), 2, 3)
    inputs = candidates(4, 3, (1, 2))
    found = policy(inputs)[0]
    for row, value in zip(inputs[0], found, strict=True):
        total = 0.0
        for t in range(2, 5):
            total += torch.log_softmax(policy.model(row[None, :t])[0, -1], -1)[row[t]]
        assert abs(float(total - value)) < 1e-13
    assert abs(float(found.exp().sum()) - 1) < 1e-13


def test_what_follows_the_end_token_counts_nothing():
    policy = TokenPolicy(TinyLM(), 1, 3, end=0)
    with torch.no_grad():
        by_prefix = {}
        for row in candidates(4, 3, (1,))[0]:
            response = row[1:].tolist()
            cut = response.index(0) + 1 if 0 in response else 3
            by_prefix.setdefault(tuple(response[:cut]), []).append(float(policy(row[None, None])))
    assert all(max(v) - min(v) < 1e-14 for v in by_prefix.values())
    assert abs(sum(torch.tensor(v[0]).exp() for v in by_prefix.values()) - 1) < 1e-6
    drawn = policy.sample(torch.full((50, 1), 1), generator())
    ended = (drawn == 0).cumsum(-1) > 0
    assert (drawn[ended] == 0).all() and ended.any()


def test_token_sampling_frequencies():
    policy = TokenPolicy(TinyLM(seed=2), 1, 2)
    count = 20000
    drawn = policy.sample(torch.ones(count, 1, dtype=torch.long), generator(1))
    chance = policy(candidates(4, 2, (1,)))[0].exp().detach()
    seen = torch.bincount(drawn[:, 0] * 4 + drawn[:, 1], minlength=16) / count
    assert ((seen - chance).abs() < 5 * (chance * (1 - chance) / count).sqrt() + 1e-9).all()


def test_token_score_averages_to_zero():
    policy = TokenPolicy(TinyLM(seed=3), 1, 2)
    inputs = candidates(4, 2, (1,))[0]
    scores = score(policy, inputs[:, :1], inputs[:, 1:])
    mean = (policy(inputs[None])[0].exp()[:, None] * scores).sum(0)
    assert mean.abs().max() < 1e-13


def kl_against_fisher(length, seed=0):
    """Extremal generalised eigenvalues of (∇²KL(π_ref‖π), F) in the lm_head."""
    policy = TokenPolicy(TinyLM(seed=seed), 1, length)
    ref = TokenPolicy(TinyLM(seed=seed + 1), 1, length)
    inputs = candidates(4, length, (1,))
    data = CandidateData(inputs, ref(inputs).detach(), rewards=torch.zeros(1, 4**length))
    objective = CandidateObjective(policy, data, beta=1.0)
    head = dict(select=lambda name: "lm_head" in name)
    found = relative_curvature(
        HessianOperator(objective.fisher_potential(), **head),
        FisherRange(objective, **head), generator(), dampings=(),
    )  # fmt: skip
    return found.bottom.value, found.top.value


def test_a_token_level_lm_head_is_log_linear_over_one_token_only():
    """C07 says ∇²KL(π_ref‖π) = F for log-linear policies: both ends 1 (theory, section 4)."""
    one = kl_against_fisher(1)
    assert abs(one[0] - 1) < 1e-8 and abs(one[1] - 1) < 1e-8
    two = kl_against_fisher(2)
    assert two[0] < 0.8 and two[1] > 1.5
    print(f"lm_head over two tokens: {two[0]:.3f} to {two[1]:.3f}")


def test_transformers_causal_model():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.LlamaConfig(
        vocab_size=256, hidden_size=128, intermediate_size=384, num_hidden_layers=4,
        num_attention_heads=4, max_position_embeddings=64, attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(0)  # transformers initialises from the global generator
    model = transformers.LlamaForCausalLM(config).double().eval()
    assert 0.8e6 < sum(p.numel() for p in model.parameters()) < 1.3e6
    policy = TokenPolicy(model, 3, 4)
    prompts = torch.tensor([[1, 2, 3], [7, 8, 9]])
    drawn = policy.sample(prompts, generator())
    rows = torch.cat([prompts, drawn], -1)
    with torch.no_grad():
        logits = model(rows).logits
        wanted = sum(
            torch.log_softmax(logits[:, 2 + t], -1).gather(1, drawn[:, t, None])[:, 0]
            for t in range(4)
        )
        assert (policy.log_prob(prompts, drawn) - wanted).abs().max() < 1e-12
    other = policy.sample(prompts, generator(5))
    inputs = torch.stack([rows, torch.cat([prompts, other], -1)], 1)
    with torch.no_grad():
        log_ref = policy(inputs)
    data = CandidateData(inputs, log_ref, rewards=torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    objective = CandidateObjective(policy, data, beta=0.1)
    hessian = HessianOperator(objective)  # its construction checks it by differences
    assert hessian.subset.size > 8e5
    last = HessianOperator(objective, select=lambda name: "lm_head" in name)
    assert last.subset.size == 256 * 128
