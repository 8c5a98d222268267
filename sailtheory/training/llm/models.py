"""Models and tokenizers: loading, the reference, and which parameters are trained."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.training.llm.fetch import resolve

TUNE = ("full", "last-block", "lora")


def load(kind: Any, field: str, name: str, **options: Any) -> Any:
    """What is pretrained, from a folder, the local cache or the hub.

    Args:
        kind: An ``Auto...`` class.
        field: Its name in error messages.
        name: Folder, hub name, or one of ``fetch.SOURCES``.
        options: For ``from_pretrained``.

    Raises:
        InputError: It cannot be found; the message says what to fetch.
    """
    from safetensors import SafetensorError

    name = resolve(name)
    try:
        return kind.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        raise InputError(field, name, _advice(name, error)) from None
    except SafetensorError as error:
        raise InputError(field, name, f"whole weights: fetch them again ({error})") from None
    except ImportError as error:
        lacking = str(error).strip().splitlines()[0]
        raise InputError(field, name, f"a library that it needs: {lacking}") from None


def load_model(kind: Any, field: str, name: str, **options: Any) -> Any:
    """A pretrained model with all of its weights, found as by :func:`load`.

    Transformers makes up those that the files lack, such as the head of a classifier.

    Raises:
        InputError: It cannot be found, or lacks weights of this kind of model.
    """
    asked = {"output_loading_info": True, "ignore_mismatched_sizes": True}
    model, info = load(kind, field, name, **options | asked)
    lacking = {*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])}
    if lacking:
        wanted = f"weights of {type(model).__name__}, {', '.join(sorted(lacking)[:3])} included"
        raise InputError(field, name, wanted)
    return model


def load_tokenizer(name: str) -> Any:
    """The tokenizer that belongs to a model, found as by :func:`load`."""
    from transformers import AutoTokenizer

    return load(AutoTokenizer, "tokenizer", name)


def _advice(name: str, error: Exception) -> str:
    if isinstance(error, ValueError) and "Unrecognized" in str(error):
        return "a folder or name of a causal language model that transformers knows"
    return (
        f"not found here: run `hf download {name}` where there is a network, "
        "or name a folder with config.json and weights"
    )


def reference_of(model: Any) -> Any:
    """A frozen copy of the model; None where the model itself without its adapter serves."""
    if hasattr(model, "disable_adapter"):
        return None
    ref = copy.deepcopy(model)
    ref.requires_grad_(False)
    return ref.eval()


def bare(model: Any) -> Any:
    """The model inside what data-parallel wrappers put around it."""
    while hasattr(model, "module"):
        model = model.module
    return model


@contextmanager
def as_reference(model: Any, ref: Any) -> Iterator[Any]:
    """π_ref in evaluation mode: the given model, or the trained one without its adapter."""
    if ref is not None:
        yield ref
        return
    trained = model.training
    model.eval()
    try:
        with bare(model).disable_adapter():
            yield model
    finally:
        model.train(trained)


def tune(model: Any, which: str, peft_config: Any = None) -> Any:
    """Leave a gradient only to what is trained.

    Args:
        model: A causal model.
        which: ``full``; ``last-block``, the last decoder block alone; ``lora``.
        peft_config: For ``lora``; default rank 64, α 16, all linear layers.

    Returns:
        The model, wrapped where an adapter was added.

    Raises:
        InputError: An unknown choice; a model without a stack of blocks; an adapter beside
            ``last-block``; an adapter of virtual tokens; no peft.
    """
    virtual = [peft_config] if peft_config else list(getattr(model, "peft_config", {}).values())
    if any(getattr(each, "is_prompt_learning", False) for each in virtual):
        reason = "an adapter of weights: with virtual tokens positions are not the policy's own"
        raise InputError("peft_config", type(virtual[0]).__name__, reason)
    if which == "lora":
        require_extra("llm", "peft")
        from peft import LoraConfig, get_peft_model

        default = LoraConfig(
            r=64, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        return get_peft_model(model, peft_config or default)
    if which == "last-block":
        if hasattr(model, "disable_adapter"):
            raise InputError("tune", "last-block", "lora or full, where the model has an adapter")
        model.requires_grad_(False)
        last_block(model).requires_grad_(True)
    elif which != "full":
        raise InputError("tune", which, f"one of {', '.join(TUNE)} is expected")
    return model


def last_block(model: torch.nn.Module) -> torch.nn.Module:
    """The last of a model's decoder blocks: of its longest list of layers.

    Raises:
        InputError: No list of layers is found.
    """
    stacks = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and re.search(r"(layers|h|blocks)$", name)
    ]
    if not stacks:
        raise InputError("tune", "last-block", "a model with a list of layers; choose full or lora")
    _, stack = max(stacks, key=lambda pair: len(pair[1]))
    return stack[-1]


def without_dropout(model: torch.nn.Module) -> None:
    """Dropout off for good: the policy that is trained is then the one that samples.

    Layers and settings keep its rate as a number too, and drop layers as a whole.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for holder in (module, getattr(module, "config", None)):
            for name, value in list(getattr(holder, "__dict__", {}).items()):
                if "drop" in name and isinstance(value, float):
                    setattr(holder, name, 0.0)


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """Ids at which a completion ends: the tokenizer's, and those of the model's settings.

    Raises:
        InputError: There is none.
    """
    found: list[int] = []
    settings = getattr(model, "generation_config", None)
    for value in (tokenizer.eos_token_id, getattr(settings, "eos_token_id", None)):
        found += value if isinstance(value, list) else [] if value is None else [value]
    if not found:
        raise InputError("processing_class", "no end token", "a tokenizer with eos_token")
    return sorted(set(found))
