"""The two parts of a trainer's expected update: what it makes of the reward, and which KL it has.

Where π_ref is π_θ, the gradient of every KL is 0: what the update is there is the reward's
part, and what it differs by elsewhere is the part of the KL. No term is taken from the loss, so
that a KL in the loss, in the reward and inside a logistic loss are found alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from sailtheory.auditing.batches import Gradients, Loss, Sampling, gradients
from sailtheory.auditing.decompose import Finding, Kind, decompose
from sailtheory.auditing.group_reward import TRL_EPSILON, group_objectives
from sailtheory.auditing.library import Objective, library
from sailtheory.auditing.models import SmallModel, small_models
from sailtheory.auditing.trainers import trainer_loss
from sailtheory.errors import InputError
from sailtheory.theory.reward_methods import reward_method
from sailtheory.theory.reward_slopes import RewardMethod

__all__ = [
    "GROUP", "KLS", "Apart", "ExpectedUpdate", "Part", "expected_update", "kl_apart", "kl_term",
    "of_different_lengths", "of_one_length", "parts",
]  # fmt: skip

GROUP = 4
"""Responses of a group: with fewer, f′ of a group's deviation does not depend on V."""

KLS = ("kl_ref_policy", "kl_policy_ref", "token_kl_ref_policy", "token_kl_policy_ref")


@cache
def of_one_length() -> tuple[SmallModel, ...]:
    """Models whose responses all have two tokens, rewards 0 or 1."""
    return tuple(m.binary() for m in small_models(2, draws=3, shapes=((2, 2, None),)))


@cache
def of_different_lengths() -> tuple[SmallModel, ...]:
    """Models with an end token, rewards 0 or 1."""
    found = (
        *small_models(2, draws=4, shapes=((2, 2, 1),)),
        *small_models(3, draws=2, shapes=((2, 3, 1),)),
    )
    return tuple(m.binary() for m in found)


@dataclass(frozen=True)
class Apart:
    """A gradient beside that of one KL, over all models.

    Attributes:
        multiple: c with the least ‖g − c∇KL‖.
        distance: That least ‖g − c∇KL‖ ÷ ‖g‖: 0 where g is a multiple of ∇KL.
    """

    multiple: float
    distance: float


@dataclass(frozen=True)
class Part:
    """An expected update on one family of models.

    Attributes:
        reward: What it makes of the reward.
        kl: What it is beside that, as a combination of the KLs; zero where there is none.
        apart: The same beside each KL alone.
    """

    reward: Finding
    kl: Finding
    apart: Mapping[str, Apart]

    @property
    def gamma(self) -> float | None:
        """γ of "E f(V) − γKL", where the update is a multiple of that one's gradient."""
        found = (self.reward, self.kl)
        if any(f.kind is not Kind.COMBINATION or len(f.coefficients) != 1 for f in found):
            return None
        (reward,), (kl,) = (f.coefficients.values() for f in found)
        return -kl / reward


@dataclass(frozen=True)
class ExpectedUpdate:
    """What a trainer's expected update is, on-policy, for rewards of 0 or 1.

    Attributes:
        method: The trainer's class.
        group: Responses of a batch.
        one_length: Where all responses are equally long.
        lengths: Where they are not.
    """

    method: str
    group: int
    one_length: Part
    lengths: Part


def expected_update(trainer: Any, group: int = GROUP) -> ExpectedUpdate:
    """Compute the two parts of the update of a TRL trainer, as it is configured.

    Args:
        trainer: A ``GRPOTrainer``, ``RLOOTrainer`` or ``OnlineDPOTrainer``.
        group: Responses of a group of GRPO or RLOO; online DPO has pairs.

    Raises:
        InputError: Another trainer.
    """
    names = [base.__name__ for base in type(trainer).__mro__]
    method = next((name for name in _METHODS if name in names), None)
    if method is None:
        raise InputError("trainer", type(trainer).__name__, f"one of {', '.join(_METHODS)}")
    pairs = method == "OnlineDPOTrainer"
    sampling = Sampling(size=2) if pairs else Sampling(size=group, unordered=True)
    shape = group_objectives(_METHODS[method](trainer, sampling.size))
    loss = trainer_loss(trainer)
    even, uneven = (
        parts(loss, models, sampling, shape) for models in (of_one_length(), of_different_lengths())
    )
    return ExpectedUpdate(method, sampling.size, even, uneven)


def parts(
    loss: Loss, models: Sequence[SmallModel], sampling: Sampling, shape: Sequence[Objective]
) -> Part:
    """The two parts of a loss's expected update, with its sign: the loss is minimised.

    Args:
        loss: The loss.
        models: Of one length, or of different ones.
        sampling: How batches are drawn.
        shape: What the reward's part may be.
    """
    full = [gradients(loss, model, sampling) for model in models]
    bare = [replace(model, ref_logits=model.logits) for model in models]
    reward = [gradients(loss, model, sampling) for model in bare]
    if all(bool(model.mask.all()) for model in models):
        shape = [o for o in shape if "per_length" not in o.name]  # a multiple of the other
    rest = [
        Gradients(one.chance, one.each - other.each)
        for one, other in zip(full, reward, strict=True)
    ]
    kl, apart = kl_term(rest, models, sampling)
    return Part(decompose(reward, bare, sampling, shape), kl, apart)


def kl_term(
    found: Sequence[Gradients], models: Sequence[SmallModel], sampling: Sampling
) -> tuple[Finding, dict[str, Apart]]:
    """A term's gradients as a combination of the KLs, and beside each of them."""
    finding = decompose(found, models, sampling, _kls())
    return finding, kl_apart(found, models, sampling)


def kl_apart(
    found: Sequence[Gradients], models: Sequence[SmallModel], sampling: Sampling
) -> dict[str, Apart]:
    """A term's gradients beside each KL alone; none where their mean is 0."""
    goal = torch.cat([g.mean.reshape(-1) for g in found])
    if float(goal.norm()) <= 1e-12 * sum(g.size**2 for g in found) ** 0.5:
        return {}
    return {o.name: _apart(goal, _column(o, models, sampling)) for o in _kls()}


def _kls() -> list[Objective]:
    return [o for o in library() if o.name in KLS]


def _column(objective: Objective, models: Sequence[SmallModel], sampling: Sampling) -> Tensor:
    return torch.cat([objective.gradient(m, sampling).reshape(-1) for m in models])


def _apart(goal: Tensor, column: Tensor) -> Apart:
    multiple = float(goal @ column / column.square().sum())
    return Apart(multiple, float((goal - multiple * column).norm() / goal.norm()))


def _grpo(trainer: Any, group: int) -> RewardMethod:
    if trainer.scale_rewards == "none":
        return reward_method("dr-grpo", group)
    return reward_method("grpo", group, "sample", TRL_EPSILON)


def _rloo(trainer: Any, group: int) -> RewardMethod:
    """The deviation that is divided by is that of (r − mean)·G/(G − 1), and so its ε is less."""
    if trainer.normalize_advantages:
        return reward_method("grpo", group, "sample", TRL_EPSILON * (group - 1) / group)
    return reward_method("reward")


_METHODS: dict[str, Callable[[Any, int], RewardMethod]] = {
    "GRPOTrainer": _grpo,
    "RLOOTrainer": _rloo,
    "OnlineDPOTrainer": lambda *_: reward_method("reward"),
}
