"""log π(y|x) of completions under a causal language model: one number a sequence.

The logits at position t predict the token at t + 1. A prompt counts nothing, every token of
a completion counts once, its end token included, and the sum is taken, not the mean: the
mean over tokens is the log-probability of no sequence.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from sailtheory.errors import InputError, require
from sailtheory.training.llm.models import bare
from sailtheory.training.llm.rows import Rows


def token_log_probs(model: Any, rows: Rows, temperature: float = 1.0) -> Tensor:
    """log π(y_t | x, y_<t) of completion tokens, 0 elsewhere: (n, k), the last k columns.

    Which token belongs to which completion say the last k columns of ``rows.text``.

    Args:
        model: A causal model of transformers, wrapped or not.
        rows: Prompts and completions.
        temperature: Of the policy: logits are divided by it, as when sampling.

    Raises:
        InputError: A temperature that is not > 0; log-probabilities that are not finite.
    """
    require(">", temperature=temperature)
    first = int(rows.completion.any(0).int().argmax())  # the first column that counts
    kept = rows.tokens.shape[1] - first
    logits = as_policy(forward(model, rows, kept + 1), temperature)
    labels, mask = rows.tokens[:, first:], rows.completion[:, first:]
    column = torch.where(mask, rows.previous[:, first:] - (first - 1), 0)
    row = torch.arange(len(labels), device=labels.device)[:, None]
    chosen = logits[row, column, labels] - logits.logsumexp(-1)[row, column]
    each = torch.where(mask, chosen, torch.zeros_like(chosen))
    if not bool(torch.isfinite(each.detach()).all()):
        faulty = ~torch.isfinite(each.detach())
        where = [faulty[i, rows.text[i, first:] == text].any() for i, text in rows.place.tolist()]
        name = f"log_probs[{torch.tensor(where).nonzero()[0].item()}]"
        raise InputError(name, "not finite", "finite log-probabilities are expected")
    return each


def sequence_log_probs(model: Any, rows: Rows, temperature: float = 1.0) -> Tensor:
    """log π(y|x), the sum over the tokens of each of m completions: (m,)."""
    each = token_log_probs(model, rows, temperature)
    text = rows.text[:, -each.shape[1] :]
    count = int(rows.place[:, 1].max())
    sums = torch.stack([(each * (text == k)).sum(-1) for k in range(1, count + 1)], -1)
    return sums[rows.place[:, 0], rows.place[:, 1] - 1]


def forward(model: Any, rows: Rows, kept: int | None = None) -> Tensor:
    """Logits at the last ``kept`` positions, or at all: (n, kept, v)."""
    logits: Tensor = model(
        input_ids=rows.tokens,
        attention_mask=rows.mask,
        position_ids=rows.positions,
        use_cache=False,
        **keeping(model, kept),
    ).logits
    return logits if kept is None else logits[:, -kept:]


def as_policy(logits: Tensor, temperature: float) -> Tensor:
    """Logits of the policy, in float32 at least: the temperature belongs to the policy."""
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return logits if temperature == 1 else logits / temperature


def keeping(model: Any, kept: int | None) -> dict[str, int]:
    """Options with which a model computes its last ``kept`` logits alone, if it can."""
    inner = bare(model)
    if hasattr(inner, "get_base_model"):
        inner = inner.get_base_model()
    able = "logits_to_keep" in inspect.signature(inner.forward).parameters
    return {"logits_to_keep": kept} if able and kept is not None else {}
