"""The losses of TRL's trainers, as installed and as configured, as functions of a batch.

Nothing of the loss is written here: responses, log-probabilities and rewards of a small model
stand where generation, the model and the reward functions would, and the trainer computes the
rest. It works on a shallow copy of the trainer with records of its own, so the trainer and its
model stay as they are. Log-probabilities are those at the trainer's temperature.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from sailtheory.auditing.batches import Loss, LossBatch
from sailtheory.errors import InputError

__all__ = ["trainer_loss"]

_PROMPT = 0  # its id; the small models have one prompt
_REFERENCE = object()


def trainer_loss(trainer: Any, group: int | None = None) -> Loss:
    """The loss of a TRL trainer.

    Args:
        trainer: A ``GRPOTrainer`` or ``RLOOTrainer``; a ``DPOTrainer``, for labelled pairs of
            ``Sampling(source="ref", labelled=True)``; or an ``OnlineDPOTrainer``, for pairs.
        group: Responses of a group of GRPO and RLOO; the whole batch by default.

    Raises:
        InputError: Another trainer.
    """
    for name, of in _TRAINERS.items():
        if _is(trainer, name):
            return _group(trainer, group) if of is _group else of(trainer)
    raise InputError("trainer", type(trainer).__name__, f"one of {', '.join(_TRAINERS)}")


def _stand_in(trainer: Any) -> Any:
    """A copy in training mode, with a reference to tell apart, that writes to its own records."""
    other = copy.copy(trainer)
    other.model = copy.copy(trainer.model)
    other.model.training = True
    other.ref_model = _REFERENCE
    other.state = copy.copy(trainer.state)
    other.current_gradient_accumulation_steps = 1
    other._metrics = {mode: defaultdict(list) for mode in ("train", "eval")}
    for name in ("_logs", "stats", "_pending_metrics", "_pending_extra_logs"):
        if hasattr(trainer, name):
            setattr(other, name, copy.deepcopy(getattr(trainer, name)))
    return other


def _group(trainer: Any, group: int | None = None) -> Loss:
    """GRPO and RLOO: rewards become advantages, then the loss."""

    def loss(batch: LossBatch) -> Tensor:
        other = _stand_in(trainer)
        size = len(batch.tokens)
        other.num_generations = size if group is None else group
        words = [t[m].tolist() for t, m in zip(batch.tokens, batch.mask, strict=True)]

        def log_probs(model: Any, ids: Tensor, mask: Tensor, keep: int, *_: Any, **__: Any) -> Any:
            # Old ones are asked for without a gradient.
            now = batch.log_probs if torch.is_grad_enabled() else batch.old_log_probs
            log = torch.log_softmax(batch.logits[:, :keep], -1)
            entropy = -(log.exp() * log).sum(-1)
            return (batch.ref_log_probs if model is _REFERENCE else now)[:, :keep], entropy, None

        other._get_per_token_logps_and_entropies = log_probs
        other._generate_single_turn = lambda *_: (
            words if _is(trainer, "RLOOTrainer") else (words, None)
        )
        other._calculate_rewards = lambda *_: batch.rewards[:, None].clone()
        inputs = other._generate_and_score_completions([{"prompt": "a"} for _ in range(size)])
        if _is(trainer, "GRPOTrainer"):  # it records them only where its settings need them
            width = inputs["completion_ids"].shape[1]
            inputs["old_per_token_logps"] = batch.old_log_probs[:, :width]
        found: Tensor = other._compute_loss(other.model, inputs)
        return found

    return loss


def _dpo(trainer: Any) -> Loss:
    """DPO and its variants: chosen responses first, then rejected ones."""

    def loss(batch: LossBatch) -> Tensor:
        other = _stand_in(trainer)
        other.precompute_ref_logps = False
        places = torch.arange(len(batch.tokens))
        order = torch.cat([places[::2], places[1::2]])
        tokens, mask = batch.tokens[order], batch.mask[order]
        prompt = torch.full((len(tokens), 1), _PROMPT)

        def model(log_probs: Tensor) -> Callable[..., Any]:
            # The fused head leaves 0 where a label is no token of the response.
            kept = torch.where(mask, log_probs[order], torch.zeros_like(log_probs))
            logged = {"entropy": kept.detach(), "mean_logits": kept.detach(), "is_top1": mask}
            return lambda **_: SimpleNamespace(log_probs=kept, **logged)

        other.ref_model = model(batch.ref_log_probs)
        shown = torch.cat([torch.zeros_like(prompt), mask.long()], -1)
        inputs = {
            "input_ids": torch.cat([prompt, tokens], -1), "completion_mask": shown,
            "attention_mask": torch.cat([torch.ones_like(prompt), mask.long()], -1),
        }  # fmt: skip
        found: Tensor = other._compute_loss(model(batch.log_probs), inputs, False)
        return found

    return loss


def _online_dpo(trainer: Any) -> Loss:
    """Online DPO: one step of training, whose loss is taken where it would be differentiated."""

    def loss(batch: LossBatch) -> Tensor:
        other = _stand_in(trainer)
        found: list[Tensor] = []
        prompt = torch.full((len(batch.tokens), 1), _PROMPT)
        model = SimpleNamespace(train=lambda: None)
        other.accelerator = _Backward(trainer.accelerator, found)
        other._generate = lambda *_: (
            prompt, torch.ones_like(prompt), batch.tokens, batch.mask.long(), None,
        )  # fmt: skip
        other._forward = lambda m, *_: batch.ref_log_probs if m is _REFERENCE else batch.log_probs
        other._calculate_rewards_from_functions = lambda **_: batch.rewards.clone()
        other.training_step(model, {"prompt": ["a"] * (len(batch.tokens) // 2)})
        return found[0]

    return loss


class _Backward:
    """An accelerator that keeps the loss instead of differentiating it."""

    def __init__(self, accelerator: Any, found: list[Tensor]) -> None:
        self._accelerator, self._found = accelerator, found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._accelerator, name)

    def backward(self, loss: Tensor, **_: Any) -> None:
        self._found.append(loss)


def _is(trainer: Any, name: str) -> bool:
    return name in [base.__name__ for base in type(trainer).__mro__]


_TRAINERS: dict[str, Callable[[Any], Loss]] = {
    "GRPOTrainer": _group,
    "RLOOTrainer": _group,
    "DPOTrainer": _dpo,
    "OnlineDPOTrainer": _online_dpo,
}
