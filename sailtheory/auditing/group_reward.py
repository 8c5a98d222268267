"""What groups of 0-or-1 rewards make of the reward: E f(V), as an objective of small models.

The expected update of a group is f′(V)∇V whatever the policy is, for the advantages see the rewards
alone (C31); where each response's part is divided by its length, it is f′(V)E[(r − V)∇log π/|y|].
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sailtheory.auditing.batches import Sampling
from sailtheory.auditing.library import Objective
from sailtheory.auditing.models import SmallModel
from sailtheory.numeric.numbers import numbers_of
from sailtheory.theory.reward_slopes import RewardMethod

__all__ = ["TRL_EPSILON", "group_objectives"]

TRL_EPSILON = 1e-4
"""What TRL adds to a group's standard deviation before dividing by it."""


def group_objectives(method: RewardMethod) -> tuple[Objective, ...]:
    """f(V), and the same with each response's part divided by its length."""

    def slope(model: SmallModel, chance: Tensor) -> Tensor:
        passed = (chance * model.reward).sum()
        found: Tensor = method.slope(numbers_of(passed), passed, 1 - passed)
        return found

    def weighted(part: Callable[[SmallModel, Tensor], Tensor]) -> Callable[..., Tensor]:
        def value(model: SmallModel, logits: Tensor, _: Sampling) -> Tensor:
            chance = model.log_probs(logits).exp()
            held = chance.detach()
            return slope(model, held) * (chance * part(model, held)).sum()

        return value

    def by_length(model: SmallModel, held: Tensor) -> Tensor:
        return (model.reward - (held * model.reward).sum()) / model.mask.sum(-1)

    return (
        Objective("shaped_reward", "f(V)", weighted(lambda model, _: model.reward)),
        Objective("shaped_reward_per_length", "E_θ f′(V)(r − V)/|y|, V held fixed",
                  weighted(by_length)),
    )  # fmt: skip
