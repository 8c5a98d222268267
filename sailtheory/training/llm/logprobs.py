"""log π(y|x) of completions under a causal language model: one number a sequence.

The logits at position t predict the token at t + 1. A prompt counts nothing, every token of
a completion counts once, its end token included, and the sum is taken, not the mean: the
mean over tokens is the log-probability of no sequence.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from sailtheory.errors import InputError, require

Ids = Sequence[int]
"""Token ids of one text."""


@dataclass(frozen=True)
class Sequences:
    """Prompts followed by completions, padded to one length.

    Attributes:
        tokens: (n, t).
        attention: True at real tokens: (n, t).
        completion: True at tokens of completions, end tokens included: (n, t).
    """

    tokens: Tensor
    attention: Tensor
    completion: Tensor

    @property
    def positions(self) -> Tensor:
        """Positions counted from the first real token, so that padding shifts nothing."""
        return (self.attention.long().cumsum(-1) - 1).clamp(min=0)

    def to(self, device: torch.device | str) -> Sequences:
        """The same on another device."""
        return Sequences(*(t.to(device) for t in (self.tokens, self.attention, self.completion)))


def join(
    prompts: Sequence[Ids],
    completions: Sequence[Ids],
    pad: int = 0,
    side: Literal["left", "right"] = "left",
) -> Sequences:
    """Put each completion after its prompt.

    Args:
        prompts: n texts of one token or more: the first token of a completion is
            predicted by the last of its prompt.
        completions: n texts of one token or more.
        pad: Any token id; it is masked wherever it stands.
        side: Where to pad. On the left the completions end together, and logits are needed
            only there.

    Raises:
        InputError: Numbers of texts that differ; an empty prompt or completion.
    """
    if len(prompts) != len(completions):
        raise InputError("completions", len(completions), f"{len(prompts)}, one a prompt")
    for name, texts in (("prompts", prompts), ("completions", completions)):
        for place, text in enumerate(texts):
            if not len(text):
                raise InputError(f"{name}[{place}]", "empty", "one token or more is expected")
    rows = [[*p, *c] for p, c in zip(prompts, completions, strict=True)]
    length = max(map(len, rows), default=0)
    tokens = torch.full((len(rows), length), pad)
    attention = torch.zeros(len(rows), length, dtype=torch.bool)
    completion = torch.zeros(len(rows), length, dtype=torch.bool)
    for i, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        start = length - len(row) if side == "left" else 0
        end = start + len(row)
        tokens[i, start:end] = torch.tensor(row)
        attention[i, start:end] = True
        completion[i, start + len(prompt) : end] = True
    return Sequences(tokens, attention, completion)


def token_log_probs(model: Any, sequences: Sequences, temperature: float = 1.0) -> Tensor:
    """log π(y_t | x, y_<t) of completion tokens, 0 elsewhere: (n, k), aligned at the end.

    Args:
        model: A causal model of transformers, wrapped or not.
        sequences: What :func:`join` made.
        temperature: Of the policy: logits are divided by it, as when sampling.

    Raises:
        InputError: A temperature that is not > 0; log-probabilities that are not finite.
    """
    require(">", temperature=temperature)
    first = int(sequences.completion.any(0).int().argmax())  # the first column that counts
    kept = sequences.tokens.shape[1] - first
    logits = forward(model, sequences, kept + 1)[:, :-1]
    labels, mask = sequences.tokens[:, first:], sequences.completion[:, first:]
    logits = as_policy(logits, temperature)
    chosen = logits.gather(-1, labels[..., None])[..., 0] - logits.logsumexp(-1)
    each = torch.where(mask, chosen, torch.zeros_like(chosen))
    if not bool(torch.isfinite(each.detach()).all()):
        row = int((~torch.isfinite(each.detach())).any(-1).nonzero()[0])
        raise InputError(f"log_probs[{row}]", "not finite", "finite log-probabilities are expected")
    return each


def sequence_log_probs(model: Any, sequences: Sequences, temperature: float = 1.0) -> Tensor:
    """log π(y|x), the sum over the completion's tokens: (n,)."""
    return token_log_probs(model, sequences, temperature).sum(-1)


def forward(model: Any, sequences: Sequences, kept: int | None = None) -> Tensor:
    """Logits at the last ``kept`` positions, or at all: (n, kept, v)."""
    options = {} if kept is None or not _keeps_logits(model) else {"logits_to_keep": kept}
    logits: Tensor = model(
        input_ids=sequences.tokens,
        attention_mask=sequences.attention.long(),
        position_ids=sequences.positions,
        use_cache=False,
        **options,
    ).logits
    return logits if kept is None else logits[:, -kept:]


def as_policy(logits: Tensor, temperature: float) -> Tensor:
    """Logits of the policy, in float32 at least: the temperature belongs to the policy."""
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return logits if temperature == 1 else logits / temperature


def _keeps_logits(model: Any) -> bool:
    inner = model
    while hasattr(inner, "module"):  # as data-parallel wrappers name it
        inner = inner.module
    if hasattr(inner, "get_base_model"):
        inner = inner.get_base_model()
    return "logits_to_keep" in inspect.signature(inner.forward).parameters
