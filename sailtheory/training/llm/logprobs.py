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
from sailtheory.training.llm.models import causal
from sailtheory.training.llm.rows import Rows

__all__ = [
    "LAST_LOGITS",
    "ROUTED",
    "as_policy",
    "forward",
    "options",
    "sequence_log_probs",
    "token_log_probs",
]

LAST_LOGITS, ROUTED = "logits_to_keep", "output_router_logits"
"""Parameters that a model may have."""


def token_log_probs(
    model: Any, rows: Rows, temperature: float = 1.0, balance: list[Tensor] | None = None
) -> Tensor:
    """log π(y_t | x, y_<t) of completion tokens, 0 elsewhere: (n, k), the last k columns.

    Which token belongs to which completion say the last k columns of ``rows.text``.

    Args:
        model: A causal model of transformers, wrapped or not.
        rows: Prompts and completions.
        temperature: Of the policy: logits are divided by it, as when sampling.
        balance: As :func:`forward` takes it.

    Raises:
        InputError: A temperature that is not > 0; log-probabilities that are not finite.
    """
    require(">", temperature=temperature)
    first = int(rows.completion.any(0).int().argmax())  # the first column that counts
    last = rows.tokens.shape[1] - first
    logits = as_policy(forward(model, rows, last + 1, balance), temperature)
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


def sequence_log_probs(
    model: Any, rows: Rows, temperature: float = 1.0, balance: list[Tensor] | None = None
) -> Tensor:
    """log π(y|x), the sum over the tokens of each of m completions: (m,)."""
    each = token_log_probs(model, rows, temperature, balance)
    text = rows.text[:, -each.shape[1] :]
    count = int(rows.place[:, 1].max())
    sums = torch.stack([(each * (text == k)).sum(-1) for k in range(1, count + 1)], -1)
    return sums[rows.place[:, 0], rows.place[:, 1] - 1]


def forward(
    model: Any, rows: Rows, last: int | None = None, balance: list[Tensor] | None = None
) -> Tensor:
    """Logits at the last ``last`` positions, or at all: (n, last, v).

    ``balance``, if a list, gets the auxiliary loss of a mixture of experts for these rows.

    Raises:
        InputError: A model without one.
    """
    found = model(
        input_ids=rows.tokens,
        attention_mask=rows.mask,
        position_ids=rows.positions,
        use_cache=False,
        **options(model, last, balance is not None),
    )
    if balance is not None:
        if getattr(found, "aux_loss", None) is None:
            raise InputError("router_aux_loss_coef", "set", "0, as the model gives no such loss")
        balance.append(found.aux_loss)
    logits: Tensor = found.logits
    return logits if last is None else logits[:, -last:]


def as_policy(logits: Tensor, temperature: float) -> Tensor:
    """Logits of the policy, in float32 at least: the temperature belongs to the policy."""
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return logits if temperature == 1 else logits / temperature


def options(model: Any, last: int | None, routed: bool = False) -> dict[str, Any]:
    """What is asked of a model, as far as it can be asked.

    Args:
        model: A causal model of transformers, wrapped or not.
        last: Its last so many logits alone; None for all.
        routed: Whether the logits of its routers too. A model that gives them of itself cannot
            do so while it draws: it would pair one token with the mask of all of them.
    """
    known = inspect.signature(causal(model).forward).parameters
    found: dict[str, Any] = {ROUTED: routed} if ROUTED in known else {}
    return found | ({LAST_LOGITS: last} if last is not None and LAST_LOGITS in known else {})
