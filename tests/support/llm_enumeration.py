"""A language model small enough to enumerate, and its objective written out independently.

Nothing here uses the library: log-probabilities are read token by token from logits of one
unpadded sequence at a time, and J_γ is a double sum.
"""

from __future__ import annotations

import itertools

import torch
from transformers import LlamaConfig, LlamaForCausalLM

EOS = 0
BETA = 0.7


def tiny(vocabulary=3, seed=0, spread=1.5):
    """A one-layer Llama in float64, far enough from uniform for tests to see things.

    Eager attention would not do: its softmax is in float32, where the float64 mask is −∞.
    """
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=8, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=16,
        eos_token_id=EOS, bos_token_id=1, pad_token_id=EOS, attn_implementation="sdpa",
        tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    # LlamaRMSNorm computes in float32 whatever the model's type is: 1e-8 would be the limit.
    layer = model.model.layers[0]
    layer.input_layernorm = torch.nn.RMSNorm(8, eps=1e-6)
    layer.post_attention_layernorm = torch.nn.RMSNorm(8, eps=1e-6)
    model.model.norm = torch.nn.RMSNorm(8, eps=1e-6)
    model = model.double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.copy_(spread * noise / parameter.shape[-1] ** 0.5)
    return model


def completions(vocabulary=3, longest=3):
    """All completions: those that end, and those cut at the longest length."""
    words = range(1, vocabulary)
    found = []
    for length in range(longest):
        found += [(*head, EOS) for head in itertools.product(words, repeat=length)]
    return found + list(itertools.product(words, repeat=longest))


def log_prob(model, prompt, completion, temperature=1.0):
    tokens = torch.tensor([[*prompt, *completion]])
    logits = model(input_ids=tokens).logits[0] / temperature
    total = torch.zeros((), dtype=torch.float64)
    for place, token in enumerate(completion):
        before = logits[len(prompt) + place - 1]
        total = total + before[token] - torch.log(torch.exp(before).sum())
    return total


class Exact:
    """Every completion of one prompt under π_θ and π_ref, and the rewards of all."""

    def __init__(self, model, ref, prompt, vocabulary=3, temperature=1.0, seed=5):
        self.model, self.prompt = model, prompt
        self.all = completions(vocabulary)
        self.log = torch.stack([log_prob(model, prompt, c, temperature) for c in self.all])
        with torch.no_grad():
            self.ref = torch.stack([log_prob(ref, prompt, c, temperature) for c in self.all])
        generator = torch.Generator().manual_seed(seed)
        self.reward = torch.randn(len(self.all), generator=generator, dtype=torch.float64)

    def prob(self):
        return self.log.exp()

    def z(self, beta=BETA):
        ratio = self.log - self.ref
        return beta * (ratio[:, None] - ratio[None, :])

    def j(self, p=None, beta=BETA, chance=None):
        """Σ π(y₁)π(y₂) g, p the preference matrix; the reward's where none is given."""
        chance = self.prob() if chance is None else chance
        if p is None:
            p = torch.sigmoid(self.reward[:, None] - self.reward[None, :])
        z = self.z(beta)
        g = p * torch.nn.functional.logsigmoid(z) + (1 - p) * torch.nn.functional.logsigmoid(-z)
        return (chance[:, None] * chance[None, :] * g).sum()

    def j_of_drawn(self):
        """J's value, with the gradient that online DPO follows: no part through the weights."""
        return self.j(chance=self.prob().detach())

    def j_self(self, beta=BETA):
        return self.j(torch.sigmoid(self.z(beta)), beta)

    def kl_ref_policy(self):
        return (self.ref.exp() * (self.ref - self.log)).sum()

    def kl_policy_ref(self):
        return (self.prob() * (self.log - self.ref)).sum()


def gradient(value, model):
    """One flat vector over the trained parameters."""
    wanted = [p for p in model.parameters() if p.requires_grad]
    parts = torch.autograd.grad(
        value, wanted, allow_unused=True, materialize_grads=True, retain_graph=True
    )
    return torch.cat([part.reshape(-1) for part in parts])


def relative_error(found, exact):
    return float((found - exact).norm() / exact.norm())
