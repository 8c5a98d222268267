"""The run record of a ``SAILTrainer``: every update's metrics, beside its checkpoints."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import TrainerCallback

from sailtheory.errors import InputError
from sailtheory.runs.completions import CompletionTable
from sailtheory.runs.layout import RECORD
from sailtheory.runs.write import Run
from sailtheory.storage.config import flatten
from sailtheory.training.llm.preferences import name_of
from sailtheory.training.llm.reference_draws import ReferenceDraws

__all__ = ["DECLARED", "Means", "Recorded", "Recorder"]

DECLARED = (
    "r", "rho", "p", "pi", "g", "score_weight", "kl_coef", "policy_kl_coef", "kl_estimator",
    "ref_samples", "preference", "score_term",
)  # fmt: skip
"""Keys in which methods may differ; budgets, model, data and optimiser are not among them."""
_WHERE_USED = ("rewards", "reward_weights", "data.chosen", "data.rejected")
"""Keys that are null where a run uses no such thing; it then declares them, and may be held
against runs that do, but those against one another only where they use the same."""


Means = defaultdict[str, list[tuple[float, int]]]


class Recorded(Protocol):
    """What is recorded of a trainer; see :class:`SAILTrainer` for each."""

    args: Any
    state: Any
    accelerator: Any
    model: Any
    ref_model: Any
    train_dataset: list[Any]
    rewards: list[Any]
    reward_weights: list[float]
    offline: list[str]
    means: Means
    tokens_drawn: int
    reference_draws: ReferenceDraws
    completions: CompletionTable

    @property
    def sharded(self) -> bool:
        """Whether weights are spread over processes."""


class Recorder(TrainerCallback):
    """Writes ``output_dir/record``, a folder that ``read_record`` and ``compare`` understand.

    Rows are means over the prompts of one update; they reach the disk with a checkpoint and
    at the end, and going on from a checkpoint cuts what came after it.
    """

    def __init__(self, trainer: Recorded, given: tuple[Any, Any] = (None, None)) -> None:
        self._trainer = trainer
        self._given = dict(zip(("optimizer", "scheduler"), map(_described, given), strict=True))
        self._reached = False
        self._run: Run | None = None
        self._window: dict[str, list[float]] = defaultdict(list)
        self.goes_on = False  # with what the folder holds

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin the record, or go on with it at the step of the checkpoint."""
        self._trainer.means.clear()
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / RECORD
        resumed = self.goes_on or state.global_step > 0
        config = self._config()
        known = flatten(config)
        declared = [*DECLARED, *(key for key in _WHERE_USED if known[key] is None)]
        self._run = Run.create(folder, config, declared=declared, resume=resumed)
        state = self._load(self._run, state.global_step) if resumed else None
        self._trainer.tokens_drawn = state["tokens"] if state else 0
        self._trainer.completions.begin(folder, state.get("completions") if state else None)
        self._trainer.reference_draws.restore(state["reference_draws"] if state else None)

    @staticmethod
    def _load(run: Run, step: int) -> Any:
        if step == 0:  # killed before the first checkpoint of transformers was complete
            run.restart()
            return None
        loaded = run.load(step)
        return None if loaded is None else loaded[1]

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Refuse, before the first update, a loss that reaches nothing that is trained."""
        if self._reached or self._trainer.sharded:
            return
        self._reached = any(p.grad is not None for p in self._trainer.model.parameters())
        if not self._reached:
            accepted = "one whose output depends on a weight that requires a gradient"
            raise InputError("model", "no trained weight is reached by the loss", accepted)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One row a metric."""
        means = self.means()
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
            trainer = self._trainer
            self._run.save(step, {
                "tokens": trainer.tokens_drawn,
                "reference_draws": trainer.reference_draws.state(),
                "completions": trainer.completions.state(),
            })  # fmt: skip

    def means(self) -> dict[str, float]:
        """Means over the prompts noted since the last call, on all processes."""
        sums = {name: [sum(column) for column in zip(*parts, strict=True)]
                for name, parts in self._trainer.means.items()}  # fmt: skip
        self._trainer.means.clear()
        accelerator = self._trainer.accelerator
        if accelerator.num_processes > 1 and sums:
            # float64, as on one process, where the device has it
            kind = torch.float32 if accelerator.device.type == "mps" else torch.float64
            values = torch.tensor(list(sums.values()), dtype=kind, device=accelerator.device)
            sums = dict(zip(sums, accelerator.reduce(values, "sum").tolist(), strict=True))
        return {name: total / count for name, (total, count) in sums.items()}

    def window_means(self) -> dict[str, float]:
        """Means since the last call, for the log of transformers."""
        found = {name: sum(values) / len(values) for name, values in self._window.items()}
        self._window.clear()
        return found

    def _config(self) -> dict[str, Any]:
        trainer = self._trainer
        rows, model, ref = trainer.train_dataset, trainer.model, trainer.ref_model
        judged = trainer.args.weights.g > 0
        # The index is part of it: a row's draws depend on it.
        hashes: dict[str, str | None] = {
            "prompts": _digest((row["index"], row["prompt_ids"]) for row in rows)
        }
        name = str(model.config._name_or_path)
        for part in ("chosen", "rejected"):
            used = part in trainer.offline
            hashes[part] = _digest(row[f"{part}_ids"] for row in rows) if used else None
        return {
            **trainer.args.record(),
            **self._given,
            "score_term": trainer.args.weights.score_notice,
            "model": name,
            "processes": trainer.accelerator.num_processes * max(trainer.args.n_gpu, 1),
            "trained": sum(p.numel() for p in model.parameters() if p.requires_grad),
            "ref_model": name if ref is None else str(ref.config._name_or_path),
            "dtype": ", ".join(sorted({str(p.dtype)[6:] for p in model.parameters()})),
            "adapter": ", ".join(map(_adapter, getattr(model, "peft_config", {}).values())) or None,
            "rewards": [name_of(reward) for reward in trainer.rewards] if judged else None,
            "reward_weights": [*map(float, trainer.reward_weights)] if judged else None,
            "data": {"rows": len(rows), **hashes},
        }


def _digest(values: Iterable[Any]) -> str:
    found = hashlib.sha256()
    for value in values:
        found.update(repr(value).encode())
    return found.hexdigest()


def _described(given: Any) -> str | None:
    """An optimiser or a scheduler that is not made from the settings."""
    if given is None:
        return None
    groups = [{k: float(v) if isinstance(v, torch.Tensor) else v for k, v in group.items()
               if k not in ("params", "initial_lr")}
              for group in getattr(given, "param_groups", ())]  # fmt: skip
    return f"{type(given).__name__}({', '.join(map(str, groups))})"


def _adapter(config: Any) -> str:
    """The settings of an adapter that are not the defaults of its kind."""
    default = type(config)().to_dict()
    changed = {k: v for k, v in config.to_dict().items() if v != default[k]}
    shown = (f"{k}={sorted(v) if isinstance(v, set) else v}" for k, v in changed.items())
    return f"{type(config).__name__}({', '.join(shown)})"
