"""Settings of TRL that are not offered here, at the values at which they change nothing.

They are fields and flags, so that a script written for TRL reads and names them as before; any
other value is refused, with the reason. ``TRL_UNSUPPORTED`` lists the values accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import TrainingArguments

from sailtheory.errors import InputError
from sailtheory.training.llm.transformers_settings import TRANSFORMERS_UNSUPPORTED

__all__ = ["TRL_UNSUPPORTED", "TRLSettings", "require_supported"]


@dataclass
class TRLSettings(TrainingArguments):
    """Fields of TRL's ``OnlineDPOConfig`` that nothing here reads, with its defaults.

    Those of vLLM are read by nothing in TRL either where ``use_vllm`` is False.
    """

    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None
    repetition_penalty: float = 1.0
    generation_kwargs: dict[str, Any] | str | None = None
    cache_implementation: str | None = None
    loss_type: str = "sigmoid"
    ds3_gather_for_generation: bool = True
    trust_remote_code: bool = False
    no_gradient_checkpointing: bool = False  # a flag of TRL's, where the default is True
    use_vllm: bool = False
    vllm_model_impl: str = "vllm"
    vllm_structured_outputs_regex: str | None = None
    vllm_gpu_memory_utilization: float | None = 0.55
    vllm_mode: str = "colocate"
    vllm_server_base_url: str | None = None
    vllm_server_host: str = "0.0.0.0"
    vllm_server_port: int = 8000
    vllm_server_timeout: float = 240.0
    vllm_group_port: int = 51216
    vllm_tensor_parallel_size: int = 1
    vllm_enable_sleep_mode: bool = False


_DRAWS = "not offered: its draws are not from π_θ, for which the gradient holds"
_LOGITS = "not offered: no logits are kept to compute it from; metrics are of the run record"
_VLLM = "not offered: another program's draws are not those of π_θ to the last bit"
_CODE = "not offered: no code of a model's files is run; load it yourself and give the model"
TRL_UNSUPPORTED: dict[str, tuple[tuple[Any, ...], str]] = {
    "top_p": ((1.0, None), _DRAWS),
    "top_k": ((0, None), _DRAWS),
    "min_p": ((0.0, None), _DRAWS),
    "repetition_penalty": ((1.0, None), _DRAWS),
    "generation_kwargs": (({}, None), _DRAWS),
    "cache_implementation": ((None,), "not offered: draws have a cache of their own"),
    "use_vllm": ((False,), _VLLM),
    "ds3_gather_for_generation": ((True,), "not offered: draws need the whole model"),
    "loss_type": (("sigmoid",), "not offered: all losses here are of the sigmoid"),
    "trust_remote_code": ((False,), _CODE),
    "compute_metrics": ((None,), _LOGITS),
    "preprocess_logits_for_metrics": ((None,), _LOGITS),
}


def require_supported(given: Mapping[str, Any]) -> None:
    """Refuse settings that are not offered, at a value that would change something.

    They are those of ``TRL_UNSUPPORTED`` and ``TRANSFORMERS_UNSUPPORTED``.

    Raises:
        InputError: One of them.
    """
    known = TRL_UNSUPPORTED | TRANSFORMERS_UNSUPPORTED
    for name in filter(known.__contains__, given):
        value, (values, reason) = given[name], known[name]
        if not any(type(value) in (type(v), int) and value == v for v in values):
            raise InputError(name, value, reason)
