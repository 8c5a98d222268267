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
    args, leave_one_out = trainer.args, hasattr(trainer.args, "normalize_advantages")
    beta = float(args.beta)
    stated = {
        "divergence": violated(_penalty(args, beta, leave_one_out) if beta else _NO_PENALTY),
        "score": unknown("the loss ascends rewards, not J: `audit_loss` says what it follows"),
        "preferences": unknown("no preferences: rewards enter as advantages"),
    }
    scaled = None
    if leave_one_out:
        scaled = None if args.normalize_advantages else False
    else:
        how = {True: "group", False: "none"}.get(args.scale_rewards, args.scale_rewards)
        scaled = {"group": True, "none": False}.get(how)
    facts = Facts(group=int(args.num_generations), scaled=scaled, leave_one_out=leave_one_out)
    return Told(facts, stated)


_NO_PENALTY = "beta = 0: there is no penalty"


def _penalty(args: Any, beta: float, in_reward: bool) -> str:
    """Which KL the penalty is, by the settings; `sailtheory which-kl` computes it (C34)."""
    if in_reward:
        return f"beta = {beta:g} of KL(π_θ‖π_ref) in the reward, which has no such threshold (C33)"
    if getattr(args, "use_bias_correction_kl", False):
        held = "KL(π_θ‖π_ref) token by token at visited states held fixed (k3 times the ratio)"
        return f"beta = {beta:g} of {held}, which has no such threshold (C33, C34)"
    held = "KL(π_ref‖π_θ) token by token at visited states held fixed (k3)"
    return f"beta = {beta:g} of {held}: no sequence KL, and without a threshold (C34)"


_KNOWN: dict[str, Callable[[Any], Told]] = {
    "SAILTrainer": _sail, "OnlineDPOTrainer": _online_dpo, "DPOTrainer": _dpo,
    "GRPOTrainer": _group, "RLOOTrainer": _group,
}  # fmt: skip
