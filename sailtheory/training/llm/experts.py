"""Mixtures of experts: the weight of the auxiliary loss that keeps their experts in use."""

from __future__ import annotations

import inspect
from typing import Any

from sailtheory.errors import InputError, require
from sailtheory.training.llm.logprobs import ROUTED
from sailtheory.training.llm.models import causal

__all__ = ["balance_coef"]

_DECLARED = ("router_aux_loss_coef", "aux_loss_coef")


def balance_coef(model: Any, asked: float | None) -> float:
    """The weight of the auxiliary loss; 0 leaves it out.

    It belongs to no objective here and moves their maximisers, so it is left out unless it is
    asked for: by ``asked``, or by a model whose ``output_router_logits`` is set, with the
    weight that its configuration declares.

    Args:
        model: A causal model.
        asked: ``router_aux_loss_coef`` of the settings.

    Raises:
        InputError: A weight that is not ≥ 0; a model without routers; no weight declared.
    """
    config = causal(model).config.get_text_config()
    able = ROUTED in inspect.signature(causal(model).forward).parameters
    if asked is None:
        if not (able and getattr(config, ROUTED, False)):
            return 0.0
        declared = [getattr(config, name, None) for name in _DECLARED]
        found = next((value for value in declared if value is not None), None)
        if found is None:
            accepted = "a number ≥ 0: the model gives router logits and declares no weight"
            raise InputError("router_aux_loss_coef", None, accepted)
        return float(found)
    require(">=", router_aux_loss_coef=asked)
    if asked > 0 and not able:
        accepted = f"0 or None: a {type(causal(model)).__name__} has no routers"
        raise InputError("router_aux_loss_coef", asked, accepted)
    return float(asked)
