"""Two lines for a user of TRL: a callback that records what the audit of a run needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError, one_line, whole_number
from sailtheory.extras import require_extra

require_extra("llm", "torch", "transformers")

from transformers import TrainerCallback

from sailtheory.run_audit.drawn import draw
from sailtheory.run_audit.measure import Weights, untouched
from sailtheory.run_audit.read import AUDIT
from sailtheory.run_audit.recorder import AuditLog, Candidates
from sailtheory.run_audit.standing import Found
from sailtheory.run_audit.trainer_facts import Told, told_by

__all__ = ["AuditCallback"]

_PASSES = 2.0  # drawing a candidate and its gradient, in sequences of an update
_SHORT = "nothing was measured: it would have taken more than share = {share:g} of the time"


class AuditCallback(TrainerCallback):
    """Writes ``output_dir/audit``, which ``sailtheory audit output_dir`` reads.

    ``trainer.add_callback(AuditCallback(trainer))``: it draws a few completions from π_ref and
    looks at them along the run. Weights, optimiser, data order and random numbers stay as they
    are without it, bit for bit. An error while measuring ends the measuring, with a warning,
    and not the run.

    Args:
        trainer: Of TRL, of transformers, or a ``SAILTrainer``.
        folder: Where the log is written; ``output_dir/audit`` by default.
        gamma: γ of −γKL(π_ref‖π_θ), where the trainer does not say it.
        radius: B, where ‖θ − θ_start‖ ≤ B is enforced.
        prompts: The first so many of the training data.
        candidates: Completions of each.
        share: Largest share of the training time; 1 measures at every update.
        seed: Of the completions.

    Raises:
        InputError: A value outside its domain.
    """

    def __init__(
        self, trainer: Any, *, folder: str | Path | None = None, gamma: float | None = None,
        radius: float | None = None, prompts: int = 4, candidates: int = 4,
        share: float = 0.05, seed: int = 0,
    ) -> None:  # fmt: skip
        self._trainer = trainer
        self._folder, self._gamma, self._radius = folder, gamma, radius
        self._prompts = whole_number("prompts", prompts, 1)
        self._candidates = whole_number("candidates", candidates, 2)
        self._share, self._seed = share, whole_number("seed", seed)
        self._log: AuditLog | None = None
        self._weights: Weights | None = None
        self._told = Told()
        self._error: str | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Remember where the weights begin."""
        if not state.is_world_process_zero:
            return
        trainer = self._trainer
        for name in ("is_fsdp_enabled", "is_deepspeed_enabled"):
            if getattr(trainer, name, False):
                raise InputError("trainer", name, "weights that are whole on each process")
        self._told = told_by(trainer)
        known = self._told.facts
        facts = replace(
            known, gamma=known.gamma if self._gamma is None else self._gamma, radius=self._radius,
            clip=args.max_grad_norm or None,
        )  # fmt: skip
        went_on = f"-{state.global_step}" if state.global_step else ""
        folder = Path(args.output_dir) / f"{AUDIT}{went_on}"
        self._log = AuditLog.later(
            folder if self._folder is None else self._folder, trainer.model, facts,
            steps=state.max_steps if state.max_steps > 0 else None, share=self._share,
            name="AuditCallback",
        )  # fmt: skip
        self._weights = Weights(trainer.model.parameters())

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure, if time allows: the gradients are there, the update is not made."""
        if self._log is not None:
            self._guarded(lambda log: self._step(log, args, state))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the end of the log."""
        log, self._log = self._log, None
        if log is None:
            return
        if not log.ready:
            note = self._error or _SHORT.format(share=self._share)
            warnings.warn(f"AuditCallback: {note}", stacklevel=2)
            log.give_up(self._told.stated, note)
        log.finish(updates=state.global_step)

    def _step(self, log: AuditLog, args: Any, state: Any) -> None:
        batch = args.per_device_train_batch_size * args.gradient_accumulation_steps
        batch *= max(args.world_size, 1)
        if not log.ready and self._error is None:
            cost = _PASSES * self._prompts * self._candidates / (2 * batch)
            if (state.global_step > 0 and log.budget.affords(cost)) or self._share >= 1:
                self._look(log)
        log(state.global_step, batch=batch)

    def _look(self, log: AuditLog) -> None:
        """Draw the candidates and judge them."""
        assert self._weights is not None
        with log.budget.paying(once=True):
            drawn = draw(self._trainer, self._weights, self._prompts, self._candidates, self._seed)
            notes = []
            rewards, judge = None, self._told.judge
            if judge is not None:
                try:
                    with untouched([], self._seed):
                        rewards = drawn.rewards()
                except Exception as error:
                    notes.append(f"no rewards of the candidates: {one_line(error)}")
            p = None if rewards is None or judge is None else judge(rewards)
            if p is not None and not np.isfinite(p).all():
                p, notes = None, [*notes, "rewards of the candidates that are not finite"]
        given = Candidates(
            drawn.log_probs, drawn.reference if drawn.has_reference else None,
            preferences=None if p is None else lambda: p, gradients=drawn.gradients,
            all_responses=False,
        )  # fmt: skip
        stated: dict[str, Found] = self._told.stated
        log.look_at(given, self._weights, stated=stated, notes=tuple(notes))

    def _guarded(self, work: Callable[[AuditLog], None]) -> None:
        """An observer does not end the run it looks at."""
        assert self._log is not None
        if self._error is not None:
            return
        try:
            work(self._log)
        except Exception as error:
            self._error = f"measuring ended: {one_line(error)}"
            warnings.warn(f"AuditCallback: {self._error}", stacklevel=2)
