"""What surrounds a step of :class:`SAILTrainer`: evaluation, records, going on after a kill."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import TrainerState
from transformers.trainer_utils import TrainOutput, rotate_checkpoints

from sailtheory.errors import InputError
from sailtheory.runs.completions import CompletionTable
from sailtheory.storage.files import require_folder, write_text
from sailtheory.training.llm import checkpoints
from sailtheory.training.llm.batch import Drawn, Item
from sailtheory.training.llm.config import SAILConfig
from sailtheory.training.llm.preferences import Reward
from sailtheory.training.llm.prepare import Prepared
from sailtheory.training.llm.randomness import randomness_preserved, seed_everything
from sailtheory.training.llm.recorder import Means, Recorder
from sailtheory.training.llm.reference_draws import ReferenceDraws

__all__ = ["RecordedTrainer"]


class RecordedTrainer(Trainer):
    """A ``transformers.Trainer`` with a run record, whose batches hold ``items``."""

    args: SAILConfig
    train_dataset: list[Item]
    model: Any
    ref_model: Any
    processing_class: Any
    prepared: Callable[[Any, str], Prepared]
    rewards: list[Reward]
    reward_weights: list[float]
    offline: list[str]
    # The loss is a mean over all prompts of an update, whatever batches they come in, so
    # that 1 × 8 is 8 × 1 and an incomplete last batch counts for what it holds.
    loss_is_scaled_for_ga = True

    def __init__(self, args: SAILConfig, **given: Any) -> None:
        if args.should_save:
            require_folder(str(args.output_dir), "output_dir")
        self.means: Means = defaultdict(list)
        self.tokens_drawn = 0
        self.reference_draws = ReferenceDraws(args.temperature)
        self.completions = CompletionTable()
        self.held_out_draws = ReferenceDraws(args.temperature)  # never trained on
        super().__init__(args=args, **given)
        self.recorder = Recorder(self, given["optimizers"])
        self.add_callback(self.recorder)

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in transformers, but for what a killed run leaves behind.

        Args:
            resume_from_checkpoint: True goes on from the newest complete checkpoint in
                ``output_dir``, or from the beginning where there is none yet; a folder goes
                on from that one. Default is the setting of this name.
            args: As in transformers.
            kwargs: As in transformers.

        Raises:
            InputError: A folder that is no complete checkpoint; a record of another run.
        """
        if resume_from_checkpoint is None:
            resume_from_checkpoint = self.args.resume_from_checkpoint
        if resume_from_checkpoint and self.args.save_only_model:
            accepted = "False, where a run is to go on: the optimiser is not saved with the model"
            raise InputError("save_only_model", True, accepted)
        seed_everything(self.args)  # whatever has drawn numbers since the trainer was made
        self.recorder.goes_on = bool(resume_from_checkpoint)
        if resume_from_checkpoint is True:
            resume_from_checkpoint = checkpoints.last(str(self.args.output_dir))
        elif resume_from_checkpoint:
            resume_from_checkpoint = checkpoints.chosen(resume_from_checkpoint)
        start = str(resume_from_checkpoint) if resume_from_checkpoint else None
        done = None if start is None or self.sharded else self._last_update(start)
        return done or super().train(start, *args, **kwargs)

    def _last_update(self, start: str) -> TrainOutput | None:
        """The end of a run that was killed after its last checkpoint; None for any other.

        transformers would make one more update where that is not the end of an epoch.
        """
        state = TrainerState.load_from_json(str(Path(start) / TRAINER_STATE_NAME))
        if state.global_step < state.max_steps:
            return None
        self._load_from_checkpoint(start)
        self.state = state
        if self.args.load_best_model_at_end and state.best_model_checkpoint is not None:
            self._load_best_model()
        state.is_world_process_zero = self.is_world_process_zero()
        for event in (self.recorder.on_train_begin, self.recorder.on_train_end):
            event(self.args, state, self.control)
        losses = [row["loss"] for row in state.log_history if "loss" in row]
        return TrainOutput(state.global_step, fmean(losses) if losses else math.nan, {})

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list[Any], Any]:
        """The batches of one update, and how many prompts they hold on all processes."""
        batches, _ = super().get_batch_samples(*args, **kwargs)
        prompts = torch.tensor(sum(len(batch["items"]) for batch in batches))
        if self.accelerator.num_processes > 1:
            prompts = self.accelerator.reduce(prompts.to(self.args.device), reduction="sum")
        return batches, prompts

    @property
    def sharded(self) -> bool:
        """Whether a forward pass needs all processes."""
        return self.accelerator.distributed_type.value in ("FSDP", "DEEPSPEED")

    def ended_everywhere(self, ended: bool) -> bool:
        """Whether something has ended on all processes."""
        count = torch.tensor(float(ended), device=self.accelerator.device)
        total: Any = self.accelerator.reduce(count, reduction="sum")
        return bool(total == self.accelerator.num_processes)

    # --- evaluation --------------------------------------------------------------------

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """As in transformers; rows as in ``train_dataset`` are prepared first."""
        return super().get_eval_dataloader(self._as_prepared(eval_dataset, "eval/"))

    def get_test_dataloader(self, test_dataset: Any) -> Any:
        """As in transformers; rows as in ``train_dataset`` are prepared first."""
        return super().get_test_dataloader(self._as_prepared(test_dataset, "test/"))

    def _as_prepared(self, data: Any, part: str) -> Any:
        known = data is None or isinstance(data, str | Prepared)
        return data if known else self.prepared(data, part)

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """The loss of a batch of the evaluation data, without a gradient."""
        with torch.no_grad():
            loss: Any = self.compute_loss(model, inputs)
        self._note("loss", loss.expand(len(inputs["items"])))
        return loss, None, None

    def evaluation_loop(
        self, dataloader: Any, description: str, prediction_loss_only: bool | None = None,
        ignore_keys: Any = None, metric_key_prefix: str = "eval",
    ) -> Any:  # fmt: skip
        """Means over all prompts of the evaluation data; the training's own are kept apart.

        Draws are new at every step of training, and are not counted as spent. Whatever draws
        numbers of its own, as dropout and rewards may, goes on in training as if there had
        been no evaluation.
        """
        means_before, spent = self.means, self.tokens_drawn
        self.means = defaultdict(list)
        try:
            with randomness_preserved():
                output: Any = super().evaluation_loop(
                    dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
                )
            means = self.recorder.means()
        finally:
            self.means, self.tokens_drawn = means_before, spent
        output.metrics.update({f"{metric_key_prefix}_{k}": v for k, v in means.items()})
        return output

    # --- records -----------------------------------------------------------------------

    def _note(self, name: str, values: Tensor) -> None:
        self.means[name].append((float(values.detach().double().sum()), values.numel()))

    def _save_batch(self, drawn: Drawn, error: InputError) -> Path:
        pairs = drawn.pairs
        content = {
            "error": str(error),
            "step": int(self.state.global_step),
            "items": drawn.items,
            "completions": None if pairs is None else [list(ids) for ids in pairs.tokens],
        }
        folder = Path(str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        rank = self.accelerator.process_index
        name = f"failed-batch-{content['step']}{f'-process-{rank}' if rank else ''}.json"
        text = json.dumps(content, indent=2, default=str) + "\n"
        write_text(text, folder / name, "output_dir")
        return folder / name

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds to the loss of training the means of the updates that it is the mean of."""
        means = self.recorder.window_means() if "loss" in logs else {}
        super().log(logs | means, start_time)

    def _save_checkpoint(self, model: Any, trial: Any = None) -> None:
        """The record first, then the checkpoint, then its mark; only then older ones go."""
        self.recorder.save()
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial))
            if not self.args.save_only_model:
                checkpoints.mark(folder / f"checkpoint-{self.state.global_step}")
            rotate_checkpoints(str(folder), limit, self.state.best_model_checkpoint)

    def create_model_card(self, *args: Any, dataset_name: Any = None, **kwargs: Any) -> None:
        """As in transformers; scripts written for TRL call the data set ``dataset_name``."""
        named = {} if dataset_name is None else {"dataset": dataset_name}
        super().create_model_card(*args, **kwargs | named)

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the inputs do not say how long the draws will be."""
        return 0
