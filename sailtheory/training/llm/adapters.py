"""Adapters of peft: which ones are trained, and what π_ref is beside them.

π_ref is the model as it was given. An adapter that is added here and begins as nothing leaves
that model in place, without a copy; beside any other, π_ref is a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from sailtheory.errors import InputError
from sailtheory.extras import require_extra

__all__ = [
    "KINDS",
    "add",
    "begins_as_nothing",
    "frozen_copy",
    "is_adapted",
    "reference_beside",
    "require_usable",
]

KINDS = (
    "BEFT", "BOFT", "DELORA", "FOURIERFT", "GRALORA", "HIRA", "HRA", "IA3", "LN_TUNING", "LOHA",
    "LOKR", "LORA", "MISS", "OFT", "RANDLORA", "ROAD", "SHIRA", "TRAINABLE_TOKENS", "VERA",
)  # fmt: skip
"""Kinds that are accepted; each is tested."""

_PLAIN = {
    "alpha_pattern", "base_model_name_or_path", "exclude_modules", "fan_in_fan_out",
    "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout", "modules_to_save",
    "peft_version", "r", "rank_pattern", "revision", "target_modules", "target_parameters",
    "task_type", "trainable_token_indices", "use_dora", "use_rslora",
}  # fmt: skip
"""Settings of LoRA with which a new adapter is nothing, to the last bit."""

_OTHER_LOSS = ("alora_invocation_tokens", "arrow_config", "kasa_config", "monteclora_config",
               "velora_config")  # fmt: skip
"""Settings of LoRA that need more than the loss here, or give another gradient."""

_PREPARED = ("corda", "eva", "lora_ga")
"""Initialisations of LoRA that need a pass over data."""


def is_adapted(model: Any) -> bool:
    """Whether a model has an adapter."""
    if find_spec("peft") is None:
        return False
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    return any(isinstance(module, PeftModel | BaseTunerLayer) for module in model.modules())


def require_usable(model: Any) -> None:
    """Refuse an adapted model whose adapter cannot be trained, or would not be saved.

    Raises:
        InputError: Layers of an adapter outside a ``PeftModel``; a kind that is not tested; an
            adapter that is merged; trained weights that are not the adapter's.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from peft.tuners.tuners_utils import BaseTunerLayer

    if not isinstance(model, PeftModel):
        accepted = "the PeftModel that holds its adapter, by which it is saved"
        raise InputError("model", type(model).__name__, accepted)
    for config in model.peft_config.values():
        _require_kind("model", config)
    if any(m.merged for m in model.modules() if isinstance(m, BaseTunerLayer)):
        accepted = "unmerge_adapter(), to train it, or merge_and_unload(), to train the rest"
        raise InputError("model", "an adapter that is merged", accepted)
    saved = {
        tensor.data_ptr()
        for name in model.peft_config
        for tensor in get_peft_model_state_dict(model, adapter_name=name).values()
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.data_ptr() not in saved:
            accepted = "frozen, or in the adapter's modules_to_save: it would not be saved"
            raise InputError("model", f"{name}, which is trained", accepted)


def add(model: Any, config: Any = None) -> Any:
    """A model with a new adapter; default LoRA of rank 64, α 16, on all linear layers.

    Raises:
        InputError: No peft; a configuration that cannot be used.
    """
    require_extra("llm", "peft")
    from peft import LoraConfig, PeftConfig, get_peft_model

    if config is None:
        config = LoraConfig(r=64, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    if not isinstance(config, PeftConfig):
        raise InputError("peft_config", type(config).__name__, "a configuration of peft")
    _require_kind("peft_config", config)
    if config.task_type not in ("CAUSAL_LM", None):
        raise InputError("peft_config.task_type", config.task_type, "CAUSAL_LM, or None")
    begins = getattr(config, "init_lora_weights", True)
    if begins in _PREPARED:
        accepted = "one that needs no data; or give the PeftModel once it is initialised"
        raise InputError("peft_config.init_lora_weights", begins, accepted)
    try:
        return get_peft_model(model, config)
    except (ValueError, TypeError, ImportError) as error:
        reason = f"one that fits the model: {' '.join(str(error).split())}"
        raise InputError("peft_config", type(config).__name__, reason) from None


def begins_as_nothing(config: Any = None) -> bool:
    """Whether a model with a new adapter is at first the one without it, to the last bit."""
    if config is None:
        return True
    if type(config).__name__ != "LoraConfig" or config.init_lora_weights not in (True, "gaussian"):
        return False
    default = type(config)().to_dict()
    changed = {key for key, value in config.to_dict().items() if value != default[key]}
    return changed <= _PLAIN | {"init_lora_weights"}


def frozen_copy(model: Any, shared: Mapping[int, Any] | None = None) -> Any:
    """A frozen copy in evaluation mode; ``shared`` are parts that are not copied, by id."""
    found = copy.deepcopy(model, dict(shared or {}))
    found.requires_grad_(False)
    return found.eval()


def reference_beside(model: Any) -> Any:
    """π_ref beside an adapted model: what is trained is copied, what is frozen is the model's."""
    return frozen_copy(model, {id(p): p for p in model.parameters() if not p.requires_grad})


def _require_kind(field: str, config: Any) -> None:
    name = type(config).__name__
    if config.is_prompt_learning:
        reason = "an adapter of weights: with virtual tokens positions are not the policy's own"
        raise InputError("peft_config", name, reason)
    kind = getattr(config.peft_type, "value", config.peft_type)
    if kind not in KINDS:
        raise InputError(field, name, f"an adapter that is tested: one of {', '.join(KINDS)}")
    for setting in _OTHER_LOSS:
        if getattr(config, setting, None) is not None:
            raise InputError(f"peft_config.{setting}", "set", "None: it is not tested here")
