"""Losses in use, each written from its published formula.

Every function takes a ``LossBatch`` and returns what is to be minimised. A term "in the loss"
is differentiated; one "in the reward" is a number that multiplies log π_θ(y). Advantages are
numbers. log ρ = log π_θ/π_ref, ratio = π_θ/π_old, S = ∇log π_θ(y), s = ∇log π_θ(y_t | y_<t).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sailtheory.auditing.batches import Loss, LossBatch

__all__ = [
    "BETA", "clipped", "entropy_of_chosen", "entropy_of_vocabulary", "group_mean", "group_std",
    "immediate", "in_loss", "in_reward", "in_reward_whole", "k1", "k2", "k3",
    "kl_of_vocabulary", "leave_one_out", "of_length", "off_by_one", "online_dpo", "pair",
    "per_padded_length", "policy_gradient", "returns", "sail", "self_normalised", "times_ratio",
    "token_mean", "undetached", "unmasked", "weighted", "weighted_ref", "whole",
]  # fmt: skip

BETA = 0.5
Tokens = Callable[[LossBatch], Tensor]
"""A number for every token, (n, T), or for every response, (n, 1)."""


# --- estimates of KL(π_θ‖π_ref) a token ------------------------------------------------


def k1(batch: LossBatch) -> Tensor:
    """log ρ."""
    return batch.log_probs - batch.ref_log_probs


def k2(batch: LossBatch) -> Tensor:
    """½ log² ρ."""
    return k1(batch).square() / 2


def k3(batch: LossBatch) -> Tensor:
    """1/ρ − 1 + log ρ."""
    return torch.expm1(-k1(batch)) + k1(batch)


def times_ratio(estimate: Tokens) -> Tokens:
    """The estimate times π_θ/π_old of its token."""
    return lambda b: estimate(b) * (b.log_probs - b.old_log_probs).exp()


def weighted(estimate: Tokens) -> Tokens:
    """The estimate times π_θ/π_old of its token, the weight a number."""
    return lambda b: estimate(b) * (b.log_probs - b.old_log_probs).exp().detach()


# --- where they go -----------------------------------------------------------------------


def _sum(batch: LossBatch, values: Tensor) -> Tensor:
    """The sum over the response: (n, T) to (n,)."""
    return (values * batch.mask).sum(-1)


def in_loss(estimate: Tokens) -> Loss:
    """The mean over responses of the sum over tokens, differentiated."""
    return lambda b: _sum(b, estimate(b)).mean()


def whole(shape: Callable[[Tensor], Tensor]) -> Loss:
    """A function of log ρ(y) of the whole response, differentiated."""
    return lambda b: shape(_sum(b, k1(b))).mean()


def in_reward(estimate: Tokens) -> Loss:
    """The sum over tokens as a number, times log π_θ(y)."""
    return lambda b: (_sum(b, estimate(b)).detach() * _sum(b, b.log_probs)).mean()


def in_reward_whole(shape: Callable[[Tensor], Tensor]) -> Loss:
    """A function of log ρ(y) as a number, times log π_θ(y)."""
    return lambda b: (shape(_sum(b, k1(b))).detach() * _sum(b, b.log_probs)).mean()


def undetached(estimate: Tokens) -> Loss:
    """As :func:`in_reward`, the number's own gradient not stopped."""
    return lambda b: (_sum(b, estimate(b)) * _sum(b, b.log_probs)).mean()


def returns(estimate: Tokens) -> Loss:
    """Each token's log π_θ times the sum of the estimate from that token on (PPO, λ = γ = 1)."""

    def loss(batch: LossBatch) -> Tensor:
        each = (estimate(batch) * batch.mask).detach()
        to_go = each.sum(-1, keepdim=True) - each.cumsum(-1) + each
        return _sum(batch, to_go * batch.log_probs).mean()

    return loss


def immediate(estimate: Tokens) -> Loss:
    """Each token's log π_θ times its own estimate alone."""
    return in_loss(lambda b: estimate(b).detach() * b.log_probs)


# --- KL(π_ref‖π_θ), entropy ------------------------------------------------------------------


def weighted_ref(batch: LossBatch) -> Tensor:
    """−(π_ref/π_θ)(y) log π_θ(y), y ~ π_θ, the weight a number."""
    weight = (-_sum(batch, k1(batch))).exp().detach()
    return -(weight * _sum(batch, batch.log_probs)).mean()


def self_normalised(batch: LossBatch) -> Tensor:
    """As :func:`weighted_ref`, weights divided by their mean over the batch."""
    weight = torch.softmax(-_sum(batch, k1(batch)), 0).detach()
    return -(weight * _sum(batch, batch.log_probs)).sum()


def off_by_one(batch: LossBatch) -> Tensor:
    """Token mean of log π_ref − log π_θ, each read one position late: the published SAIL-RevKL."""
    log, ref = (
        torch.log_softmax(t, -1)[:, 1:].gather(-1, batch.tokens[:, :-1, None])[..., 0]
        for t in (batch.logits, batch.ref_logits)
    )
    mask = batch.mask[:, :-1]
    return ((ref - log) * mask).sum() / mask.sum().clamp(min=1)


def kl_of_vocabulary(batch: LossBatch) -> Tensor:
    """Σ_t KL(π_θ(·|y_<t)‖π_ref(·|y_<t)), all tokens of the vocabulary summed over."""
    log, ref = torch.log_softmax(batch.logits, -1), torch.log_softmax(batch.ref_logits, -1)
    return _sum(batch, (log.exp() * (log - ref)).sum(-1)).mean()


def entropy_of_vocabulary(batch: LossBatch) -> Tensor:
    """Σ_t Σ_a π_θ(a) log π_θ(a), all tokens of the vocabulary summed over."""
    log = torch.log_softmax(batch.logits, -1)
    return _sum(batch, (log.exp() * log).sum(-1)).mean()


def entropy_of_chosen(batch: LossBatch) -> Tensor:
    """π_θ(y_t) log π_θ(y_t) of the token drawn alone."""
    return _sum(batch, batch.log_probs.exp() * batch.log_probs).mean()


# --- policy gradients ------------------------------------------------------------------------

Advantage = Callable[[Tensor], Tensor]


def leave_one_out(rewards: Tensor) -> Tensor:
    """r_i minus the mean of the others."""
    n = len(rewards)
    return (rewards - rewards.mean()) * n / (n - 1)


def group_mean(rewards: Tensor) -> Tensor:
    """r_i minus the mean of all, itself among them."""
    return rewards - rewards.mean()


def group_std(rewards: Tensor) -> Tensor:
    """As :func:`group_mean`, divided by the population standard deviation; 0 where that is 0."""
    apart = group_mean(rewards)
    spread = apart.square().mean().sqrt()
    return apart / torch.where(spread > 0, spread, torch.ones_like(spread))


def policy_gradient(advantage: Advantage, length: float = 1.0) -> Loss:
    """−A_i Σ_t log π_θ(y_t) ÷ a constant."""
    return lambda b: -(advantage(b.rewards) * _sum(b, b.log_probs)).mean() / length


def of_length(advantage: Advantage) -> Loss:
    """−A_i times the mean over the response's own tokens."""
    return lambda b: -(advantage(b.rewards) * _sum(b, b.log_probs) / b.mask.sum(-1)).mean()


def token_mean(advantage: Advantage) -> Loss:
    """−A_i log π_θ(y_t), a mean over all tokens of the batch."""
    return lambda b: -(advantage(b.rewards) * _sum(b, b.log_probs)).sum() / b.mask.sum()


def per_padded_length(advantage: Advantage) -> Loss:
    """−A_i Σ_t log π_θ(y_t) ÷ the length to which the batch is padded."""
    return lambda b: -(advantage(b.rewards) * _sum(b, b.log_probs)).mean() / b.mask.shape[-1]


def unmasked(advantage: Advantage) -> Loss:
    """−A_i Σ_t log π_θ(y_t), over all positions."""
    return lambda b: -(advantage(b.rewards) * b.log_probs.sum(-1)).mean()


def clipped(advantage: Advantage, level: str, width: float | None = 0.2) -> Loss:
    """−min(ratio·A, clip(ratio, 1 ± width)·A), summed over tokens.

    Args:
        advantage: Of the rewards.
        level: Of the ratio: ``token``, ``sequence``, or ``mean``, the geometric mean over
            tokens.
        width: None does not clip.
    """

    def loss(batch: LossBatch) -> Tensor:
        each = batch.log_probs - batch.old_log_probs
        total = _sum(batch, each)[:, None]
        levels = {"token": each, "sequence": total,
                  "mean": total / batch.mask.sum(-1, keepdim=True)}  # fmt: skip
        ratio, gain = levels[level].exp(), advantage(batch.rewards)[:, None]
        gains = ratio * gain
        if width is not None:
            gains = torch.minimum(gains, ratio.clamp(1 - width, 1 + width) * gain)
        return -(_sum(batch, gains) if level == "token" else gains).mean()

    return loss


# --- pairs -----------------------------------------------------------------------------------


def pair(shape: Callable[[Tensor], Tensor], mean: bool = False) -> Loss:
    """A function of Δ = log ρ(chosen) − log ρ(rejected), or of the means over tokens."""

    def loss(batch: LossBatch) -> Tensor:
        ratio = _sum(batch, k1(batch))
        ratio = ratio / batch.mask.sum(-1) if mean else ratio
        return shape(ratio[::2] - ratio[1::2]).mean()

    return loss


def online_dpo(batch: LossBatch) -> Tensor:
    """−log σ(βΔ), the response of the larger reward chosen."""
    ratio = _sum(batch, k1(batch))
    sign = torch.where(batch.rewards[::2] >= batch.rewards[1::2], 1.0, -1.0)
    return -torch.nn.functional.logsigmoid(sign * BETA * (ratio[::2] - ratio[1::2])).mean()


def sail(batch: LossBatch, published: bool = False) -> Tensor:
    """−log σ(βΔ) with the score term −log σ(βΔ)(S₁ + S₂).

    Args:
        batch: Labelled pairs.
        published: The score term as SAIL's code has it: −log σ/log π_θ(y) for each response.
    """
    ratio, log = _sum(batch, k1(batch)), _sum(batch, batch.log_probs)
    value = torch.nn.functional.logsigmoid(BETA * (ratio[::2] - ratio[1::2]))
    weight = torch.stack([value, value], -1).reshape(-1).detach()
    weight = weight / log.detach() if published else weight
    return -value.mean() - (weight * (log - log.detach())).reshape(-1, 2).sum(-1).mean()
