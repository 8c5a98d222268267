"""What groups of 0-or-1 rewards make of the reward: E f(V), with f′ from the group's advantages.

A group of G draws with k correct ones has advantages (r − k/G)/d_k. Their expected update is
f′(V)∇V, f′(V) = Σ_k C(G, k) V^{k−1}(1 − V)^{G−k−1} σ_k²/d_k with σ_k² = k/G(1 − k/G), whatever
the policy is (C31): the advantages see the rewards alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb, sqrt
from typing import Literal

import torch
from torch import Tensor

from sailtheory.auditing.batches import Sampling
from sailtheory.auditing.library import Objective
from sailtheory.auditing.models import SmallModel
from sailtheory.errors import require, whole_number

__all__ = ["TRL_EPSILON", "Scale", "group_objectives", "group_slope"]

Scale = Literal["mean", "leave-one-out", "std"]
"""What is done to r beside the baseline: nothing, nothing, ÷ the sample deviation plus ε."""

TRL_EPSILON = 1e-4
"""What TRL adds to a group's standard deviation before dividing by it."""


def group_slope(
    pass_rate: Tensor, group: int, scale: Scale, epsilon: float = TRL_EPSILON
) -> Tensor:
    """f′(V) of a group: (...) to (...).

    Args:
        pass_rate: V.
        group: G ≥ 2.
        scale: Of the advantages.
        epsilon: Added to the deviation.

    Raises:
        InputError: A number outside its domain.
    """
    whole_number("group", group, 2)
    require(">=", epsilon=epsilon)
    total = torch.zeros_like(pass_rate)
    for k in range(1, group):
        variance = k / group * (1 - k / group)
        deviation = sqrt(variance * group / (group - 1))
        divisor = {
            "mean": 1.0, "leave-one-out": (group - 1) / group, "std": deviation + epsilon
        }[scale]  # fmt: skip
        draws = pass_rate ** (k - 1) * (1 - pass_rate) ** (group - k - 1)
        total = total + comb(group, k) * draws * variance / divisor
    return total


def group_objectives(
    group: int, scale: Scale, epsilon: float = TRL_EPSILON
) -> tuple[Objective, ...]:
    """f(V), and the same with each response's part divided by its length.

    Args:
        group: As for :func:`group_slope`, as are the others.
        scale: Of the advantages.
        epsilon: Added to the deviation.
    """

    def slope(model: SmallModel, logits: Tensor) -> Tensor:
        passed = (model.log_probs(logits).exp() * model.reward).sum()
        return group_slope(passed.detach(), group, scale, epsilon)

    def weighted(part: Callable[[SmallModel, Tensor], Tensor]) -> Callable[..., Tensor]:
        def value(model: SmallModel, logits: Tensor, _: Sampling) -> Tensor:
            chance = model.log_probs(logits).exp()
            return slope(model, logits) * (chance * part(model, chance.detach())).sum()

        return value

    def apart(model: SmallModel, chance: Tensor) -> Tensor:
        return (model.reward - (chance * model.reward).sum()) / model.mask.sum(-1)

    return (
        Objective("shaped_reward", "f(V)", weighted(lambda model, _: model.reward)),
        Objective("shaped_reward_per_length", "E_θ f′(V)(r − V)/|y|, V held fixed",
                  weighted(apart)),
    )  # fmt: skip
