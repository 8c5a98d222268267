"""A run from a command line: which model, which data, which settings, and where it goes on."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sailtheory.errors import InputError
from sailtheory.files import require_folder
from sailtheory.training.config import resolve, setting
from sailtheory.training.llm.data import load_rows
from sailtheory.training.llm.fetch import resolve as folder_of
from sailtheory.training.llm.losses import METHODS
from sailtheory.training.llm.models import TUNE, load_model, load_tokenizer
from sailtheory.training.runs import FINISHED, RECORD, RUN

MODEL = "model"
"""The folder of the trained model, in that of the run."""


@dataclass(frozen=True)
class Choices:
    """What can be set from a command line; the rest has the defaults of ``SAILConfig``.

    Attributes:
        model: Folder, hub name, or a name that ``sailtheory fetch`` knows.
        data: What ``load_rows`` takes.
        split: Of a data set of the hub.
        label: Of PKU-SafeRLHF: ``better`` or ``safer``.
        reward: An oracle by name; where g > 0.
        dtype: Of the weights; small learning rates vanish in bfloat16 weights.
        steps: Updates; −1 for whole epochs.
        epochs: Passes through the data, where ``steps`` is −1.
        batch: Prompts a forward pass.
        accumulate: Such passes an update.
        checkpoint_every: Updates from one checkpoint to the next.
    """

    model: str
    data: str
    method: str = "sail-dpr"
    tune: str = "lora"
    kl_coef: float = setting(0.0, at_least=0)
    seed: int = setting(0, at_least=0)
    split: str = "train"
    label: str = "better"
    reward: str = "kind-and-brief"
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: Literal["auto", "cpu"] = "auto"
    steps: int = setting(-1, at_least=-1)
    epochs: float = setting(1.0, above=0)
    batch: int = setting(4, at_least=1)
    accumulate: int = setting(1, at_least=1)
    checkpoint_every: int = setting(50, at_least=1)
    learning_rate: float = setting(1e-5, above=0)
    lr_scheduler_type: Literal["linear", "cosine", "constant"] = "linear"
    warmup_steps: int = setting(0, at_least=0)
    weight_decay: float = setting(0.0, at_least=0)
    max_grad_norm: float = setting(1.0, at_least=0)
    beta: float = setting(0.1, above=0)
    r: float | None = None
    rho: float = setting(1.0, at_least=0)
    p: float | None = None
    pi: float = setting(1.0, at_least=0)
    g: float | None = None
    score_weight: float = setting(1.0, at_least=0)
    kl_estimator: str = "ref-samples"
    ref_samples: int = setting(1, at_least=1)
    ref_ahead: int = setting(8, at_least=1)
    log_kl_steps: int = setting(10, at_least=0)
    preference: str = "expectation"
    reward_scale: float = setting(1.0, above=0)
    missing_eos_penalty: float | None = None
    temperature: float = setting(1.0, above=0)
    max_new_tokens: int = setting(64, at_least=1)
    max_length: int | None = None
    long_prompts: str = "refuse"


_OWN = ("model", "data", "split", "label", "reward", "dtype", "device")
_RENAMED = {
    "steps": "max_steps", "epochs": "num_train_epochs", "batch": "per_device_train_batch_size",
    "accumulate": "gradient_accumulation_steps", "checkpoint_every": "save_steps",
}  # fmt: skip


def choices(*sources: Mapping[str, Any]) -> Choices:
    """Settings from tables and from typed text, checked.

    Raises:
        InputError: An unknown key, or a value that cannot be used.
    """
    found = resolve(Choices, *sources)
    for name, known in (("method", METHODS), ("tune", TUNE)):
        if getattr(found, name) not in known:
            raise InputError(name, getattr(found, name), f"one of {', '.join(known)}")
    if found.steps == 0:
        raise InputError("steps", 0, "updates, or -1 for whole epochs")
    return found


def train(given: Choices, out: str | Path, *, resume: bool = False) -> Path:
    """Train one run in a folder: checkpoints, the record, and the model at the end.

    Args:
        given: What to do.
        out: Its folder.
        resume: Go on with what the folder holds; a run that is done stays as it is.

    Returns:
        The folder of the trained model, with its tokenizer.

    Raises:
        InputError: Anything that cannot be used, before any training; or batches that
            cannot be trained on, which are then on disk.
    """
    import torch

    from sailtheory.training.llm.config import SAILConfig
    from sailtheory.training.llm.oracles import oracle

    require_folder(out)
    out = Path(out)
    record, finished = out / RECORD, (out / RECORD / FINISHED).exists()
    if (record / RUN).exists() and not resume:
        raise InputError("out", out, "it holds a run: resume it or choose another")
    if finished and (out / MODEL).is_dir():
        return out / MODEL
    settings = {k: v for k, v in dataclasses.asdict(given).items() if k not in _OWN}
    settings = {_RENAMED.get(k, k): v for k, v in settings.items()}
    args = SAILConfig(
        str(out), report_to=[], save_strategy="steps", save_total_limit=2, logging_steps=10,
        use_cpu=given.device == "cpu", dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=not sys.stderr.isatty(), **settings,
    )  # fmt: skip
    rewards = oracle(given.reward) if args.weights.g > 0 else None
    rows = load_rows(given.data, given.split, given.label)
    trainer = _trainer(given, args, rows, rewards)
    trainer.train(resume_from_checkpoint=True)
    trainer.save_model(str(out / MODEL))
    return out / MODEL


def _trainer(given: Choices, args: Any, rows: list[dict[str, Any]], rewards: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    from sailtheory.training.llm.trainer import SAILTrainer

    name = folder_of(given.model)
    model = load_model(AutoModelForCausalLM, "model", name, dtype=getattr(torch, given.dtype))
    return SAILTrainer(
        model, reward_funcs=rewards, args=args, train_dataset=rows,
        processing_class=load_tokenizer(name),
    )  # fmt: skip
