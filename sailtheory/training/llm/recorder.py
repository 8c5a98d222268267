"""The run record of a :class:`SAILTrainer`: every update's metrics, beside its checkpoints."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from sailtheory.training.runs import Run

if TYPE_CHECKING:
    from sailtheory.training.llm.trainer import SAILTrainer

FOLDER = "record"
DECLARED = (
    "r", "rho", "p", "pi", "g", "score_weight", "kl_coef", "kl_estimator", "ref_samples",
    "preference",
)  # fmt: skip
"""Keys in which methods may differ; budgets, model, data and optimiser are not among them."""


class Recorder(TrainerCallback):
    """Writes ``output_dir/record``, a folder that ``read_record`` and ``compare`` understand.

    Rows are means over the prompts of one update; they reach the disk with a checkpoint and
    at the end, and going on from a checkpoint cuts what came after it.
    """

    def __init__(self, trainer: SAILTrainer) -> None:
        self._trainer = trainer
        self._run: Run | None = None
        self._window: dict[str, list[float]] = defaultdict(list)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin the record, or go on with it at the step of the checkpoint."""
        self._trainer.means.clear()
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / FOLDER
        resumed = state.global_step > 0
        self._run = Run.create(folder, self._config(), declared=DECLARED, resume=resumed)
        if resumed:
            loaded = self._run.load(state.global_step)
            self._trainer.tokens_drawn = 0 if loaded is None else loaded[1]["tokens"]

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One row a metric."""
        means = {}
        for name, parts in self._trainer.means.items():
            totals, counts = zip(*parts, strict=True)
            means[name] = sum(totals) / sum(counts)
        self._trainer.means.clear()
        means = self._over_processes(means)
        for name, value in means.items():
            self._window[name].append(value)
        if self._run is not None:
            spent = {"spent/tokens": self._trainer.tokens_drawn, "spent/updates": state.global_step}
            self._run.log(state.global_step, means | spent)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark the record as finished."""
        if self._run is not None:
            self._run.finish()

    def save(self) -> None:
        """Bring the rows to the disk, before transformers writes its checkpoint."""
        if self._run is not None:
            step = self._trainer.state.global_step
            self._run.save(step, {"tokens": self._trainer.tokens_drawn})

    def window_means(self) -> dict[str, float]:
        """Means since the last call, for the log of transformers."""
        found = {name: sum(values) / len(values) for name, values in self._window.items()}
        self._window.clear()
        return found

    def _over_processes(self, means: dict[str, float]) -> dict[str, float]:
        accelerator = self._trainer.accelerator
        if accelerator.num_processes == 1 or not means:
            return means
        values = torch.tensor(list(means.values()), device=accelerator.device)
        averaged = accelerator.reduce(values, reduction="mean").tolist()
        return dict(zip(means, averaged, strict=True))

    def _config(self) -> dict[str, Any]:
        trainer = self._trainer
        prompts = hashlib.sha256()
        for row in trainer.train_dataset:
            prompts.update(repr((row["index"], row["prompt_ids"])).encode())
        return trainer.args.record() | {
            "model": str(trainer.model.config._name_or_path),
            "data": {"rows": len(trainer.train_dataset), "sha256": prompts.hexdigest()},
        }
