"""What a trainer's settings say of the lines: those of TRL, and SAILTrainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sailtheory.run_audit.standing import Found, holds, unknown, violated
from sailtheory.run_audit.trace import Facts

__all__ = ["Told", "told_by"]

Judge = Callable[[np.ndarray], np.ndarray]
"""Rewards (n, m) to p, (n, m, m)."""


@dataclass(frozen=True)
class Told:
    """What a trainer says of itself.

    Attributes:
        facts: β, γ, the score term's weight.
        stated: Lines that its settings decide.
        judge: How its rewards become preferences; None where they do not.
    """

    facts: Facts = field(default_factory=Facts)
    stated: dict[str, Found] = field(default_factory=dict)
    judge: Judge | None = None


def told_by(trainer: Any) -> Told:
    """By the class of the trainer; of an unknown one nothing is taken for granted."""
    names = [kind.__name__ for kind in type(trainer).__mro__]
    for name, of in _KNOWN.items():
        if name in names:
            return of(trainer)
    return Told()


def _online_dpo(trainer: Any) -> Told:
    stated = {
        "divergence": violated("OnlineDPOTrainer's loss has no penalty: γ = 0"),
        "score": holds("absent: completions are drawn without a gradient (C29)")
                 if trainer.args.loss_type == "sigmoid"
                 else unknown(f"loss_type = {trainer.args.loss_type}: another payoff (C36)"),
    }  # fmt: skip
    return Told(Facts(float(trainer.beta), 0.0, score=0.0), stated, _first_unless_worse)


def _first_unless_worse(rewards: np.ndarray) -> np.ndarray:
    """TRL's labels: the first of a pair is chosen unless its reward is smaller, ties included."""
    p = (rewards[:, :, None] >= rewards[:, None, :]).astype(float)
    same = np.eye(rewards.shape[1], dtype=bool)
    return np.where(same, 0.5, p)


def _sail(trainer: Any) -> Told:
    args, weights = trainer.args, trainer.weights
    beta = args.beta[0] if isinstance(args.beta, list) else args.beta
    only = weights.g == 1
    facts = Facts(
        float(beta), float(args.kl_coef), score=float(args.score_weight) if only else None
    )
    scale = float(args.reward_scale)

    def judge(rewards: np.ndarray) -> np.ndarray:
        return np.asarray(
            np.tanh(scale * (rewards[:, :, None] - rewards[:, None, :]) / 2) / 2 + 0.5
        )

    return Told(facts, {}, judge if only else None)


def _dpo(trainer: Any) -> Told:
    beta = trainer.args.beta
    stated = {
        "divergence": violated("DPOTrainer's loss has no penalty: γ = 0"),
        "score": holds("absent: pairs are the data's"),
        "preferences": unknown("labels are the data's: log who gave them, and how surely"),
    }
    return Told(Facts(float(beta), 0.0, score=0.0), stated)


def _group(trainer: Any) -> Told:
    gamma = float(trainer.args.beta)
    penalty = f"beta = {gamma:g} of KL(π_θ‖π_ref), which has no such threshold (C33)"
    stated = {
        "divergence": violated(penalty if gamma else "beta = 0: there is no penalty"),
        "score": unknown("the loss ascends rewards, not J: `audit_loss` says what it follows"),
        "preferences": unknown("no preferences: rewards enter as advantages"),
        "threshold": unknown("the loss ascends rewards, not J, and K_data is J's"),
    }
    return Told(Facts(), stated)


_KNOWN: dict[str, Callable[[Any], Told]] = {
    "SAILTrainer": _sail, "OnlineDPOTrainer": _online_dpo, "DPOTrainer": _dpo,
    "GRPOTrainer": _group, "RLOOTrainer": _group,
}  # fmt: skip
