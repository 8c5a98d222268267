"""Settings of TRL that are not offered here, with the values at which they change nothing.

A script written for TRL may name them at these values; any other is refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sailtheory.errors import InputError
from sailtheory.training.llm.inherited import REFUSED

_DRAWS = "not offered: its draws are not from π_θ, for which the gradient holds"
_LOGITS = "not offered: no logits are kept to compute it from; metrics are of the run record"
_VLLM = "not offered: another program's draws are not those of π_θ to the last bit"
_CODE = "not offered: no code of a model's files is run; load it yourself and give the model"
NEUTRAL: dict[str, tuple[tuple[Any, ...], str]] = {
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
    "reward_model_path": ((None,), "give it to SAILTrainer as reward_funcs"),
    "compute_metrics": ((None,), _LOGITS),
    "preprocess_logits_for_metrics": ((None,), _LOGITS),
}


def without_neutral(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, but for settings not offered at a value that changes nothing.

    Raises:
        InputError: One of them at another value.
    """
    known = NEUTRAL | REFUSED
    for name in filter(known.__contains__, given):
        value, (values, reason) = given[name], known[name]
        if not any(type(value) in (type(v), int) and value == v for v in values):
            raise InputError(name, value, reason)
    return {name: value for name, value in given.items() if name not in known}
