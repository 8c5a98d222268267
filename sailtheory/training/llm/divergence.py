"""KL(π_ref‖π_θ) and KL(π_θ‖π_ref) of language models: unbiased estimators, and the published one.

Estimators are one value a sequence, (n,), to be averaged; their gradients by autograd are
estimators of the gradient. C22 says what goes wrong when the sequences come from elsewhere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sailtheory.training.pairs import Pairs

__all__ = [
    "ESTIMATORS",
    "kl_importance",
    "kl_policy_pairs",
    "kl_policy_samples",
    "kl_ref_samples",
    "kl_token_proxy",
]

ESTIMATORS = ("ref-samples", "importance", "token-proxy")
"""Of KL(π_ref‖π_θ) in a loss. The first two are unbiased; ``token-proxy`` is not."""


def kl_ref_samples(log_policy: Tensor, log_ref: Tensor) -> Tensor:
    """KL(π_ref‖π_θ) from y ~ π_ref: log π_ref − log π_θ, gradient −∇log π_θ(y).

    Unbiased, value and gradient. Samples may be drawn once and kept, as π_ref is fixed;
    the estimate is then unbiased over that draw.
    """
    return log_ref.detach() - log_policy


def kl_importance(log_policy: Tensor, log_ref: Tensor) -> Tensor:
    """KL(π_ref‖π_θ) from y ~ π_θ: w log w − (w − 1), gradient −(w − 1)∇log π_θ(y).

    w = π_ref/π_θ is not normalised over the batch, so value and gradient are unbiased; the
    1 is a baseline, free since E∇log π_θ = 0, which leaves no variance at π_ref. The variance
    grows with the distance to π_ref, exponentially in the length of y.
    """
    log_w = (log_ref - log_policy).detach()
    w = torch.exp(log_w)
    return w * log_w - torch.expm1(log_w) - (w - 1) * (log_policy - log_policy.detach())


def kl_policy_samples(log_policy: Tensor, log_ref: Tensor) -> Tensor:
    """KL(π_θ‖π_ref) from y ~ π_θ: log π_θ − log π_ref, for logging; no gradient."""
    return (log_policy - log_ref).detach()


def kl_policy_pairs(pairs: Pairs) -> Tensor:
    """KL(π_θ‖π_ref) from pairs y₁, y₂ ~ π_θ of one prompt, one value a pair: (n,).

    With k = log π_θ/π_ref the value is (k₁ + k₂)/2 and the gradient ½(k₁ − k₂)(s₁ − s₂): the
    score-function gradient E[k s] with the other draw's k as baseline, which is independent of
    the draw and so leaves it unbiased. No variance is left at π_ref.
    """
    first = pairs.first.detach() - pairs.ref_first.detach()
    difference = pairs.margin(1.0)
    apart = difference.detach()
    return pairs.weighted(first - apart / 2 + apart / 2 * (difference - apart))


def kl_token_proxy(logits: Tensor, ref_logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """As published, and biased: a token mean of log π_ref − log π_θ, labels not shifted.

    The logits after token t are read at token t, which they do not predict, and the tokens
    are those of the batch, not draws from π_ref: it may be negative, and at π_θ = π_ref its
    gradient is not zero. Kept for comparison with published figures.

    Args:
        logits: Of π_θ at every position: (n, t, v).
        ref_logits: Of π_ref.
        tokens: (n, t).
        mask: Positions that count: (n, t).
    """
    each = [
        torch.log_softmax(values, -1).gather(-1, tokens[..., None])[..., 0]
        for values in (logits, ref_logits.detach())
    ]
    return ((each[1] - each[0]) * mask).sum() / mask.sum().clamp(min=1).reshape(1)
