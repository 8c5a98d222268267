"""Models and tokenizers: loading, the reference, and which parameters are trained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from sailtheory.errors import InputError
from sailtheory.training.llm import adapters
from sailtheory.training.llm.fetch import resolve

__all__ = [
    "TUNE",
    "as_reference",
    "bare",
    "causal",
    "end_ids",
    "evaluating",
    "last_block",
    "load",
    "load_model",
    "load_tokenizer",
    "placed",
    "policy_and_reference",
    "settle",
    "tune",
    "without_dropout",
]

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
    except TypeError as error:
        reason = f"options that it takes: {' '.join(str(error).split())}"
        raise InputError(field, name, reason) from None
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


def load_tokenizer(name: str, **options: Any) -> Any:
    """The tokenizer that belongs to a model, found as by :func:`load`."""
    from transformers import AutoTokenizer

    return load(AutoTokenizer, "tokenizer", name, **options)


def _advice(name: str, error: Exception) -> str:
    if isinstance(error, ValueError) and "Unrecognized" in str(error):
        return "a folder or name of a causal language model that transformers knows"
    return (
        f"not found here: run `hf download {name}` where there is a network, "
        "or name a folder with config.json and weights"
    )


def bare(model: Any) -> Any:
    """The model inside what data-parallel wrappers put around it."""
    while hasattr(model, "module"):
        model = model.module
    return model


def causal(model: Any) -> Any:
    """The causal model inside of wrappers and adapters."""
    model = bare(model)
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def placed(model: Any, device: torch.device) -> Any:
    """A model on a device; one that is there is not touched, as quantised weights must not be."""
    away = model is not None and any(p.device != device for p in model.parameters())
    return model.to(device) if away else model


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Every layer in evaluation mode; afterwards in the mode that it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def as_reference(model: Any, ref: Any) -> Iterator[Any]:
    """π_ref in evaluation mode: the given model, or the trained one without its adapter."""
    if ref is not None:
        yield ref
        return
    with evaluating(model), bare(model).disable_adapter():
        yield model


def policy_and_reference(
    model: Any, ref_model: Any, which: str, peft_config: Any = None
) -> tuple[Any, Any]:
    """What is trained, and π_ref.

    Args:
        model: A causal model, with an adapter or without.
        ref_model: π_ref; None for the model as it is given here.
        which: As :func:`tune` takes it.
        peft_config: As :func:`tune` takes it.

    Returns:
        The model, wrapped where an adapter was added; and π_ref, frozen, or None where the
        model without its adapter is π_ref.

    Raises:
        InputError: As :func:`tune`; a model of which nothing is trained; a ``ref_model`` that
            would be trained along.
    """
    if ref_model is not None:
        if not isinstance(ref_model, torch.nn.Module):
            raise InputError("ref_model", ref_model, "a model, or None for a copy")
        reference = ref_model
    elif adapters.is_adapted(model):
        reference = adapters.reference_beside(model)
    elif which == "lora" and adapters.begins_as_nothing(peft_config):
        reference = None
    else:
        reference = adapters.frozen_copy(model)
    policy = tune(model, which, peft_config)
    trained = {id(p) for p in policy.parameters() if p.requires_grad}
    if not trained:
        accepted = "weights that require a gradient; PeftModel.from_pretrained has is_trainable"
        raise InputError("model", "all of it frozen", accepted)
    if reference is not None:
        if trained & {id(p) for p in reference.parameters()}:
            accepted = "one of its own, or None for a copy"
            raise InputError("ref_model", "a model with weights that are trained", accepted)
        reference.requires_grad_(False).eval()
    return policy, reference


def tune(model: Any, which: str, peft_config: Any = None) -> Any:
    """Leave a gradient only to what is trained.

    Args:
        model: A causal model; of one with an adapter the adapter is trained.
        which: ``full``, what is not frozen; ``last-block``, the last decoder block alone;
            ``lora``, an adapter.
        peft_config: For ``lora``; default rank 64, α 16, all linear layers.

    Returns:
        The model, wrapped where an adapter was added.

    Raises:
        InputError: An unknown choice; a model without a stack of blocks; quantised weights
            without an adapter; an adapter that cannot be trained, or beside another.
    """
    if which not in TUNE:
        raise InputError("tune", which, f"one of {', '.join(TUNE)} is expected")
    if adapters.is_adapted(model):
        if which == "last-block":
            raise InputError("tune", which, "lora or full, where the model has an adapter")
        if peft_config is not None:
            accepted = "None: the model has an adapter; merge_and_unload() it to add another"
            raise InputError("peft_config", type(peft_config).__name__, accepted)
        adapters.require_usable(model)
        return model
    if which == "lora":
        return adapters.add(model, peft_config)
    if peft_config is not None:
        raise InputError("tune", which, "lora, where there is a peft_config")
    if getattr(model, "is_quantized", False):
        raise InputError("tune", which, "lora, as the weights of the model are quantised")
    if which == "last-block":
        model.requires_grad_(False)
        last_block(model).requires_grad_(True)
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
    :func:`settle` does the same to what is noise under another name.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for holder in (module, getattr(module, "config", None)):
            for name, value in list(getattr(holder, "__dict__", {}).items()):
                if "drop" in name and isinstance(value, float):
                    setattr(holder, name, 0.0)


def settle(model: torch.nn.Module) -> None:
    """A policy in training computes as it samples: its layers in evaluation mode.

    Dropout of any name, noise of routers and experts that are drawn act in training alone.
    Layers that recompute their activations do so in training mode only, and keep it.
    """
    for module in model.modules():
        if module is not model and not getattr(module, "gradient_checkpointing", False):
            module.training = False


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
