"""Pairs of responses or segments: the DPO term and the score term of SAIL's gradient.

Every term is to be minimised and returned one value a pair, so that the loss is the mean.
With y₁, y₂ ~ π_θ and b = −log 2, the mean gradient of ``pair_loss`` and ``score_loss`` is
−(C18)::

    ĝ = (g − b)(∇log π(y₁) + ∇log π(y₂)) + β u ∇(log π(y₁) − log π(y₂))
"""

from __future__ import annotations

from dataclasses import dataclass

from sailtheory.extras import require_extra
from sailtheory.numeric.numbers import numbers_of
from sailtheory.theory import formulas

require_extra("torch", "torch")

import torch
from torch import Tensor

__all__ = [
    "Pairs",
    "leave_one_out",
    "pair_loss",
    "score_coefficient",
    "score_loss",
    "weighted_scores",
]


@dataclass(frozen=True)
class Pairs:
    """log π(y|x) of two responses to each of n prompts.

    Attributes:
        first: Under π_θ, with gradient: (n,).
        second: The same of y₂.
        ref_first: Under π_ref: (n,).
        ref_second: The same of y₂.
        importance: π_θ(y₁)π_θ(y₂)/q(y₁)q(y₂) where the pair was drawn from q: (n,), without
            gradient; None where it was drawn from π_θ itself or comes from a dataset.
    """

    first: Tensor
    second: Tensor
    ref_first: Tensor
    ref_second: Tensor
    importance: Tensor | None = None

    def margin(self, beta: float) -> Tensor:
        """z = β(log π_θ/π_ref (y₁) − log π_θ/π_ref (y₂)): (n,)."""
        ratio = self.first - self.second - (self.ref_first - self.ref_second).detach()
        return beta * ratio

    def weighted(self, values: Tensor) -> Tensor:
        """The values times the importance of their pairs."""
        return values if self.importance is None else self.importance * values


def pair_loss(pairs: Pairs, preference: Tensor, beta: float) -> Tensor:
    """−g = −p₁₂ log σ(z) − p₂₁ log σ(−z): (n,). DPO where p₁₂ = 1.

    Args:
        pairs: n pairs.
        preference: q = p₁₂ − ½, (n,); its gradient, if any, is followed.
        beta: β.
    """
    xp = numbers_of(pairs.first)
    payoff = formulas.log_likelihood_payoff(xp, preference, pairs.margin(beta))
    return pairs.weighted(xp.log_2() - payoff.value)


@torch.no_grad()
def score_coefficient(pairs: Pairs, preference: Tensor, beta: float) -> Tensor:
    """g + log 2, without gradient: (n,). What the score of a pair is weighed with."""
    xp = numbers_of(pairs.first)
    payoff = formulas.log_likelihood_payoff(xp, preference, pairs.margin(beta))
    value: Tensor = payoff.value
    return value


def score_loss(pairs: Pairs, preference: Tensor, beta: float) -> Tensor:
    """Value 0, gradient −(g + log 2)(∇log π(y₁) + ∇log π(y₂)): (n,).

    The coefficient is detached: what it multiplies are log-probabilities, and no hook
    stands between them and the parameters.
    """
    both = pairs.first + pairs.second
    return pairs.weighted(weighted_scores(both, score_coefficient(pairs, preference, beta)))


def weighted_scores(log_prob: Tensor, weights: Tensor) -> Tensor:
    """Value 0, gradient −weights · ∇log π, entry by entry."""
    return -weights.detach() * (log_prob - log_prob.detach())


@torch.no_grad()
def leave_one_out(coefficients: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """What the scores s_i of m ≥ 3 candidates are weighed with, all their pairs being compared.

    The mean over pairs of c_ij(s_i + s_j) is that over candidates of 2s_i times the mean of c over
    the pairs with i. From this the mean over the pairs without i is taken: it is independent of
    y_i, so no expectation changes.

    Args:
        coefficients: c of the pairs i < j, (m(m − 1)/2, ...).
        one: i of each pair.
        other: j.

    Returns:
        Weights (m, ...): the estimate is the mean over candidates of weight times score.
    """
    pairs, count = len(coefficients), int(other.max()) + 1
    zero = coefficients.new_zeros(count, *coefficients.shape[1:])
    own = zero.index_add(0, one, coefficients).index_add(0, other, coefficients)
    total = sum(coefficients.unbind(), zero[0])  # whose bits do not depend on what lies beside
    without = (total - own) / (pairs - (count - 1))
    return 2 * (own / (count - 1) - without)
