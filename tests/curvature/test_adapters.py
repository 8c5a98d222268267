"""Curvature in the parameters of LoRA adapters alone, against dense autodiff."""

from __future__ import annotations

import pytest
import torch

from sailtheory.curvature import FisherOperator, HessianOperator, extremal, random_vector
from sailtheory.policies import CandidateData, CandidateObjective, TokenPolicy
from tests.support.small_network import BETA, F64, close, dense, generator

PROMPTS, CANDIDATES, PROMPT, RESPONSE, VOCABULARY = 3, 3, 2, 3, 7
GAMMA = 0.3
# Llama takes its norms and its attention's softmax in float32, whatever the dtype
PRECISION = 200 * torch.finfo(torch.float32).eps


@pytest.fixture(scope="module")
def adapted():
    """A two-layer Llama whose attention has adapters of rank 2, away from their start B = 0."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    peft = pytest.importorskip("peft", reason="peft is not installed")
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=8, intermediate_size=12, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=16, attn_implementation="eager",
    )  # fmt: skip
    torch.manual_seed(0)  # transformers and peft initialise from the global generator
    lora = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(transformers.LlamaForCausalLM(config), lora).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            spread = 1.0 if adapter(name) else 0.5
            parameter.copy_(spread * torch.randn(parameter.shape, generator=generator(1)))
    return TokenPolicy(model, PROMPT, RESPONSE)


def adapter(name: str) -> bool:
    return "lora_" in name


def test_operators_on_adapters_against_dense_matrices(adapted):
    g = generator(2)
    inputs = torch.randint(0, VOCABULARY, (PROMPTS, CANDIDATES, PROMPT + RESPONSE), generator=g)
    ref = torch.log_softmax(torch.randn(PROMPTS, CANDIDATES, generator=g, dtype=F64), -1)
    rewards = torch.randn(PROMPTS, CANDIDATES, generator=g, dtype=F64)
    data = CandidateData(inputs, ref, rewards=rewards)
    objective = CandidateObjective(adapted, data, beta=BETA, gamma=GAMMA)
    free = {name: p.detach() for name, p in adapted.named_parameters() if adapter(name)}
    flat = torch.cat([p.reshape(-1) for p in free.values()])

    def logits(moved):
        parts = torch.split(moved, [p.numel() for p in free.values()])
        named = {k: part.reshape(free[k].shape) for k, part in zip(free, parts, strict=True)}
        return torch.func.functional_call(adapted, named, (inputs,))

    def value(moved):
        """J_γ by its definition, prompt by prompt."""
        log_policy = torch.log_softmax(logits(moved), -1)
        total = 0
        for log_p, log_r, reward in zip(log_policy, ref, rewards, strict=True):
            ratio = BETA * (log_p - log_r)
            wins = torch.sigmoid(reward[:, None] - reward)
            likely = torch.nn.functional.logsigmoid(ratio[:, None] - ratio)
            pairs = wins * likely + (1 - wins) * likely.mT
            total += log_p.exp() @ pairs @ log_p.exp() - GAMMA * (log_r.exp() @ (log_r - log_p))
        return total / PROMPTS

    def kl(moved):
        """KL(π_old‖π_θ), whose Hessian at π_old is F̄."""
        old = torch.log_softmax(logits(flat), -1).detach()
        return (old.exp() * (old - torch.log_softmax(logits(moved), -1))).sum() / PROMPTS

    hessian = HessianOperator(objective, select=adapter)
    assert hessian.subset.size == len(flat) == 2 * 2 * 2 * (8 + 8)
    wanted = torch.func.hessian(value)(flat)
    assert close(dense(hessian), wanted, PRECISION)
    assert close(dense(FisherOperator(objective, select=adapter)), torch.func.hessian(kl)(flat),
                 PRECISION)  # fmt: skip
    low, high = extremal(hessian, random_vector(flat, generator()), tolerance=1e-8)
    ends = torch.linalg.eigvalsh(wanted)
    for found, exact in ((low.value, ends[0]), (high.value, ends[-1])):
        assert abs(found - float(exact)) <= PRECISION * float(ends.abs().max())
