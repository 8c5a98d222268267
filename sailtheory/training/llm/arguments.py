"""What the constructor of :class:`SAILTrainer` is given, checked and completed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from sailtheory.errors import InputError
from sailtheory.training.llm import models, preferences
from sailtheory.training.llm.config import SAILConfig

__all__ = ["context", "loaded", "require_optimised", "rewards_of", "warn_of_rounding"]

_WHERE = ("cache_dir", "local_files_only", "revision", "subfolder", "token")
"""Options by which a model is found, and its tokenizer with it."""


def loaded(model: Any, tokenizer: Any, args: SAILConfig) -> tuple[Any, Any]:
    """The model and its tokenizer, loaded where a name or nothing is given.

    Weights are in float32 unless ``model_init_kwargs`` says otherwise, whatever the file has:
    a small step is lost in the rounding of bfloat16.

    Raises:
        InputError: No model; options for one that is not loaded here; what cannot be found.
    """
    options = args.model_init_kwargs or {}
    if not isinstance(options, Mapping):
        raise InputError("model_init_kwargs", options, "options for from_pretrained, by name")
    if isinstance(model, str | os.PathLike):
        if options.get("trust_remote_code"):
            accepted = "False: no code of a model's files is run; load it and give the model"
            raise InputError("model_init_kwargs.trust_remote_code", True, accepted)
        given = {"dtype": torch.float32, **options}
        model = models.load_model(AutoModelForCausalLM, "model", str(model), **given)
    elif not isinstance(model, torch.nn.Module):
        raise InputError("model", type(model).__name__, "a model, its folder or its name")
    elif options:
        accepted = "None: the model is given, not loaded here"
        raise InputError("model_init_kwargs", options, accepted)
    if tokenizer is None:
        found = {name: options[name] for name in _WHERE if name in options}
        tokenizer = models.load_tokenizer(model.config._name_or_path, **found)
    if hasattr(tokenizer, "tokenizer"):
        found_kind = type(tokenizer).__name__
        raise InputError("processing_class", found_kind, "a tokenizer: pictures are not offered")
    return model, tokenizer


def rewards_of(given: Any, tokenizers: Any, needed: bool) -> list[preferences.Reward]:
    """Rewards from functions, classifiers and names, one or several.

    Raises:
        InputError: None where they are needed; another number of tokenizers.
    """
    sources = [] if given is None else given if isinstance(given, list) else [given]
    if needed and not sources:
        raise InputError("reward_funcs", "none", "one or more, where g > 0")
    own = tokenizers if isinstance(tokenizers, list) else [tokenizers] * len(sources)
    if len(own) != len(sources):
        raise InputError("reward_processing_classes", len(own), f"{len(sources)}, one a reward")
    return [preferences.as_reward(s, t) for s, t in zip(sources, own, strict=True)]


def context(model: Any, args: SAILConfig) -> int:
    """Longest prompt and completion together.

    Rotary embeddings that stretch beyond the context they were trained on depend on what else
    is in the batch there: a draw would not be from the policy that is trained.
    """
    config = model.config
    limits = [getattr(config, "max_position_embeddings", None), args.max_length]
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":
        name = "original_max_position_embeddings"
        limits.append(rope.get(name, getattr(config, name, None)))
    known = [n for n in limits if n is not None]
    return min(known) if known else 1 << 30


def require_optimised(model: Any, optimizer: Any) -> None:
    """Refuse an optimiser that was made without what is trained, before an adapter, say.

    Raises:
        InputError: Naming the first weight that it lacks.
    """
    if optimizer is None:
        return
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in held:
            raise InputError("optimizers", f"without {name}", "all that is trained, or None")


def warn_of_rounding(model: Any) -> None:
    """Say that weights are kept so coarsely that small steps change nothing."""
    short = {p.dtype for p in model.parameters() if p.requires_grad}
    for dtype in short & {torch.bfloat16, torch.float16}:
        name, least = str(dtype)[6:], torch.finfo(dtype).eps / 2
        warnings.warn(
            f"weights are trained in {name}: a step below {least:.1g} of a weight is lost; "
            "give the model in float32, with bf16=True for speed",
            stacklevel=3,
        )
