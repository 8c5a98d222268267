"""Last-block tuning: policy and reference share everything below their last block."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.training.llm.models import last_block

KINDS = ("gemma", "llama", "mistral", "olmo2", "qwen2", "qwen3")
"""Kinds of models whose logits are ``lm_head(norm(last block))``; each is tested."""


class SharedTrunk(torch.nn.Module):
    """π_ref that runs only its last block where the policy has just seen the same tokens.

    The frozen blocks give both models the same hidden states. Those of the policy's last
    forward pass are kept; on other tokens the whole reference runs.

    Args:
        policy: A model of one of ``KINDS``, without dropout, tuned in its last block alone.
        reference: Equal to it but for that block.

    Raises:
        InputError: A policy that trains anything else, another kind of model, a reference
            with other parameters below its last block.
    """

    def __init__(self, policy: Any, reference: Any) -> None:
        super().__init__()
        block = last_block(policy)
        own = {id(p) for p in block.parameters()}
        if any(p.requires_grad and id(p) not in own for p in policy.parameters()):
            raise InputError("tune", "more than the last block", "last-block is expected")
        kind = reference.config.model_type
        if kind not in KINDS or policy.config.model_type != kind:
            raise InputError("model", kind, f"one of {', '.join(KINDS)}, as the policy is")
        theirs = dict(reference.named_parameters())
        for name, mine in policy.named_parameters():
            other = theirs.get(name)
            same = other is not None and other.dtype == mine.dtype and torch.equal(other, mine)
            if id(mine) not in own and not same:
                raise InputError("ref_model", name, "the policy's parameters below the last block")
        self.reference, self.config = reference, reference.config
        self._block = last_block(reference)
        self._tokens: Tensor | None = None
        self._seen: tuple[Any, Any] | None = None
        policy.register_forward_pre_hook(self._note_tokens, with_kwargs=True)
        block.register_forward_pre_hook(self._note_states, with_kwargs=True)

    def _note_tokens(self, _: Any, args: Any, kwargs: Any) -> None:
        self._tokens, self._seen = kwargs.get("input_ids"), None

    def _note_states(self, _: Any, args: Any, kwargs: Any) -> None:
        if kwargs.get("past_key_values") is None:
            self._seen = tuple(a.detach() for a in args), kwargs

    def forward(self, input_ids: Tensor, logits_to_keep: int = 0, **options: Any) -> Any:
        """Logits at the last positions, as the reference gives them."""
        same = self._tokens is not None and self._tokens is input_ids
        if self._seen is None or not same:
            return self.reference(input_ids=input_ids, logits_to_keep=logits_to_keep, **options)
        args, kwargs = self._seen
        hidden = self._block(*args, **kwargs)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        hidden = self.reference.model.norm(hidden[:, -logits_to_keep:])
        return SimpleNamespace(logits=self.reference.lm_head(hidden))


def sharing(policy: Any, reference: Any) -> Any:
    """The reference on the policy's trunk where there is one, or as it is."""
    try:
        return SharedTrunk(policy, reference)
    except InputError:
        return reference
