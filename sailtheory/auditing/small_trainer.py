"""A trainer of TRL with given settings and a model of a few weights, made without a network.

What it is made for is its loss: model, tokenizer and data are the least that TRL accepts.
"""

from __future__ import annotations

import difflib
import json
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from sailtheory.auditing.expected_update import GROUP, ExpectedUpdate, expected_update
from sailtheory.errors import InputError, whole_number
from sailtheory.extras import require_extra

__all__ = ["METHODS", "parsed", "small_trainer", "trl_update", "trl_version"]

METHODS = ("grpo", "rloo", "online-dpo")
"""The methods of TRL that learn a reward."""

_OWN = (
    "output_dir", "per_device_train_batch_size", "generation_batch_size", "steps_per_generation",
    "gradient_accumulation_steps", "use_vllm", "model_init_kwargs", "bf16", "fp16",
    "use_liger_kernel",
)  # fmt: skip
"""Settings that enumeration decides, or that need another machine."""


def trl_version() -> str:
    """The version of TRL that is installed.

    Raises:
        MissingExtra: There is none.
    """
    require_extra("trl", "trl", "tokenizers")
    require_extra("llm", "transformers", "datasets")
    import trl

    return str(trl.__version__)


def parsed(settings: Iterable[str]) -> dict[str, Any]:
    """Settings as they are typed, ``name=value``, as values: numbers, true and None are read.

    Raises:
        InputError: A setting without ``=``, or one that stands twice.
    """
    words = {"true": True, "True": True, "false": False, "False": False, "None": None, "null": None}
    found: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise InputError("setting", setting, "NAME=VALUE, as in beta=0.04")
        if name in found:
            raise InputError("setting", setting, f"{name} once")
        found[name] = words[value] if value in words else _value(value)
    return found


def _value(text: str) -> Any:
    for read in (json.loads, float):  # JSON has no .04
        try:
            return read(text)
        except ValueError:
            continue
    return text


def trl_update(method: str, settings: Mapping[str, Any]) -> ExpectedUpdate:
    """The expected update of one of TRL's trainers with given settings.

    Args:
        method: One of ``METHODS``.
        settings: Of TRL's configuration, by its names; ``num_generations`` is G, ``GROUP``
            by default.

    Raises:
        InputError: An unknown method or setting, or one that TRL refuses.
        MissingExtra: TRL is not installed.
    """
    group = whole_number("num_generations", settings.get("num_generations", GROUP), 2)
    trainer = small_trainer(method, settings)
    with _refusals(settings):
        return expected_update(trainer, group)


def small_trainer(method: str, settings: Mapping[str, Any]) -> Any:
    """A ``GRPOTrainer``, ``RLOOTrainer`` or ``OnlineDPOTrainer``; as :func:`trl_update`."""
    trl_version()
    if method not in METHODS:
        raise InputError("method", method, f"one of {', '.join(METHODS)}")
    made, config = _classes(method)
    _known(config, settings)
    grouped = method != "online-dpo"
    given: dict[str, Any] = {
        "report_to": "none", "use_cpu": True, "disable_tqdm": True, "max_steps": 1, "bf16": False
    }  # fmt: skip
    if grouped:
        size = settings.get("num_generations", GROUP)
        given |= {"num_generations": size, "per_device_train_batch_size": size}
    with tempfile.TemporaryDirectory() as folder, _refusals(settings):
        args = config(**{"output_dir": folder, **given, **settings})
        return _trainer(made, args, Path(folder, "model"), with_reference=not grouped)


@contextmanager
def _refusals(settings: Mapping[str, Any]) -> Iterator[None]:
    """What TRL refuses is refused in one line."""
    from transformers.utils import logging

    shown: Any = logging  # it is not typed, as is what makes a tokenizer
    shown.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except InputError:
            raise
        except (ValueError, TypeError, NotImplementedError) as error:
            said = " ".join(str(error).split())
            raise InputError("settings", dict(settings), f"what TRL accepts: {said}") from error


def _classes(method: str) -> tuple[Any, Any]:
    if method == "online-dpo":
        with warnings.catch_warnings():  # that what is experimental may change
            warnings.simplefilter("ignore")
            from trl.experimental import online_dpo

        return online_dpo.OnlineDPOTrainer, online_dpo.OnlineDPOConfig
    import trl

    name = method.upper()
    return getattr(trl, f"{name}Trainer"), getattr(trl, f"{name}Config")


def _known(config: Any, settings: Mapping[str, Any]) -> None:
    names = {field.name: field for field in fields(config)}
    for name, value in settings.items():
        if name in _OWN:
            raise InputError("setting", name, "one that changes the loss: batches are listed here")
        if name not in names:
            near = difflib.get_close_matches(name, names, 3)
            told = f"a field of {config.__name__}" + (f", as {', '.join(near)}" if near else "")
            raise InputError("setting", name, told)
        if isinstance(value, str) and (kind := _kind(names[name])):
            raise InputError(name, value, f"{kind} is expected")


def _kind(field: Any) -> str | None:
    """What a setting is, where its default says that it is no text."""
    default = field.default if field.default_factory is MISSING else field.default_factory()
    one = default[0] if isinstance(default, list) and default else default
    if isinstance(one, bool):
        return "true or false"
    return "a number" if isinstance(one, int | float) else None


def _trainer(made: Any, args: Any, folder: Path, *, with_reference: bool) -> Any:
    from datasets import Dataset

    model = _model()
    model.save_pretrained(folder)
    model.config._name_or_path = str(folder)  # where the reference is loaded from
    more = {"ref_model": _model()} if with_reference else {}
    return made(
        model=model, args=args, processing_class=_tokenizer(), reward_funcs=_nothing,
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 4), **more,
    )  # fmt: skip


def _nothing(completions: list[str], **_: Any) -> list[float]:
    return [0.0] * len(completions)


def _model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, num_key_value_heads=1, max_position_embeddings=64,
        eos_token_id=1, pad_token_id=2, bos_token_id=1,
    ))  # fmt: skip


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {letter: k for k, letter in enumerate("a.-bcdef")}
    words = Tokenizer(models.WordLevel(letters, unk_token="f"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    made: Any = PreTrainedTokenizerFast
    return made(tokenizer_object=words, eos_token=".", pad_token="-")
