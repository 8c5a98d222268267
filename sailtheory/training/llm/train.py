"""A run from a command line: which model, which data, which settings, and where it goes on."""

from __future__ import annotations

import dataclasses
import difflib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from sailtheory.errors import InputError
from sailtheory.runs.layout import FINISHED, RECORD, RUN
from sailtheory.storage import lock
from sailtheory.storage.config import convert, resolve
from sailtheory.storage.files import move_folder, require_folder
from sailtheory.training.llm.data import load_rows

__all__ = ["MODEL", "REWARD", "SHORT", "Choices", "Sources", "arguments", "choices", "train"]

MODEL = "model"
"""The folder of the trained model, in that of the run."""

REWARD = "kind-and-brief"
"""The oracle that judges where none is named."""


@dataclass(frozen=True)
class Sources:
    """What a run needs beside the settings of its trainer.

    Attributes:
        model: Folder, hub name, or a name that ``sailtheory fetch`` knows.
        data: What ``load_rows`` takes.
        split: Of a data set of the hub, or of the shipped prompts.
        label: Of PKU-SafeRLHF: ``better`` or ``safer``.
        reward: An oracle by name; where g > 0.
        dtype: Of the weights, if not that which ``SAILTrainer`` takes for a name.
        device: ``cpu`` where nothing else is to be used.
    """

    model: str
    data: str
    split: str = "train"
    label: str = "better"
    reward: str | None = None
    dtype: Literal["float32", "bfloat16"] | None = None
    device: Literal["auto", "cpu"] = "auto"


@dataclass(frozen=True)
class Choices:
    """What was set from a command line; the rest has the defaults of ``SAILConfig``.

    Attributes:
        sources: Model, data and reward.
        settings: Fields of ``SAILConfig`` by name.
        typed: What the user calls such a field, where that is another name.
    """

    sources: Sources
    settings: dict[str, Any] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)


SHORT = {
    "steps": "max_steps", "epochs": "num_train_epochs", "batch": "per_device_train_batch_size",
    "accumulate": "gradient_accumulation_steps", "checkpoint_every": "save_steps",
}  # fmt: skip
"""Short names of fields."""

_ELSEWHERE = ("output_dir", "resume_from_checkpoint", "model_init_kwargs", "parallelism_config")
"""Fields that are set by an option of their own, or cannot be typed."""


def choices(*sources: Mapping[str, Any]) -> Choices:
    """Settings from tables and from typed text, each of the type of its field.

    Raises:
        InputError: An unknown key, one that is given under two names, or a value of another type.
    """
    from sailtheory.training.llm.config import Settings

    given: dict[str, Any] = {}
    for source in sources:
        given |= source
    own = {f.name for f in dataclasses.fields(Sources)}
    fields = {f.name for f in dataclasses.fields(Settings) if f.init}.difference(_ELSEWHERE)
    hints, settings, typed = get_type_hints(Settings), dict[str, Any](), dict[str, str]()
    for key in (key for key in given if key not in own):
        name = SHORT.get(key, key)
        if name not in fields:
            known = sorted(own | fields | set(SHORT))
            close = difflib.get_close_matches(key, known, n=3) or ["batch", "steps", "beta"]
            raise InputError(key, "unknown key", f"did you mean {', '.join(close)}?")
        if name in settings:
            raise InputError(key, given[key], f"this or {typed[name]}, which is the same")
        settings[name], typed[name] = convert(hints[name], given[key], key), key
    found = resolve(Sources, {key: value for key, value in given.items() if key in own})
    return Choices(found, settings, typed)


def arguments(given: Choices, out: str | Path) -> Any:
    """The ``SAILConfig`` of a run.

    Raises:
        InputError: A value outside the domain of its field, under the name that was typed.
    """
    from sailtheory.training.llm.config import SAILConfig

    settings = dict(given.settings)
    if given.sources.device == "cpu":
        settings["use_cpu"] = True
    try:
        args = SAILConfig(str(out), **settings)
    except InputError as error:
        name = given.typed.get(error.field, error.field)
        raise InputError(name, error.value, error.accepted) from None
    if given.sources.dtype is not None:
        args.model_init_kwargs = {"dtype": given.sources.dtype}
    return args


def train(
    given: Choices, out: str | Path, *, resume: bool = False,
    say: Callable[[str], None] | None = None,
) -> Path:  # fmt: skip
    """Train one run in a folder: checkpoints, the record, and the model at the end.

    Args:
        given: What to do.
        out: Its folder.
        resume: Go on with what the folder holds; a run that is done, its model saved, stays
            as it is.
        say: Told in one line, before the training, what the loss holds that is not the reward.

    Returns:
        The folder of the trained model, with its tokenizer.

    Raises:
        InputError: Anything that cannot be used, before any training; or batches that
            cannot be trained on, which are then on disk.
    """
    from sailtheory.training.llm.oracles import oracle
    from sailtheory.training.llm.trainer import SAILTrainer

    require_folder(out)
    out = Path(out)
    record, finished = out / RECORD, (out / RECORD / FINISHED).exists()
    if (record / RUN).exists() and not resume:
        raise InputError("out", out, "it holds a run: resume it or choose another")
    if (out / MODEL).exists() and not (record / RUN).exists():
        raise InputError("out", out, f"it holds {MODEL}, which no run left: choose another")
    if finished and (out / MODEL).is_dir():
        return out / MODEL
    args, sources = arguments(given, out), given.sources
    named = sources.reward or (None if args.reward_model_path else REWARD)
    rewards = oracle(named) if named and args.weights.g > 0 else None
    rows = load_rows(sources.data, sources.split, sources.label)
    trainer = SAILTrainer(sources.model, reward_funcs=rewards, args=args, train_dataset=rows)
    notice = args.weights.score_notice
    if say is not None and notice is not None and args.should_save:
        say(notice)
    trainer.train(resume_from_checkpoint=True)
    _save(trainer, out)
    trainer.accelerator.end_training()  # processes part before Python shuts down
    return out / MODEL


def _save(trainer: Any, out: Path) -> None:
    """Save the model under another name first: a folder ``model`` is whole, and the run done.

    Raises:
        InputError: It cannot be written; another process does it.
    """
    from safetensors import SafetensorError

    work, writes = out / f".{MODEL}.part", trainer.args.should_save
    if writes:
        lock.acquire(out / RECORD)  # that of the training ended with it
        shutil.rmtree(work, ignore_errors=True)  # of a save that was killed
    trainer.accelerator.wait_for_everyone()
    try:
        trainer.save_model(str(work))
        trainer.accelerator.wait_for_everyone()
        if writes:
            move_folder(work, out / MODEL)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise InputError("out", out / MODEL, f"a model that can be written: {reason}") from None
    finally:
        if writes:
            shutil.rmtree(work, ignore_errors=True)
            lock.release(out / RECORD)
