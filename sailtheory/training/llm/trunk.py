"""Last-block tuning: policy and reference share everything below their last block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from torch import Tensor
from torch.nn import Parameter

from sailtheory.training.llm.models import last_block

__all__ = ["KINDS", "SharedTrunk", "can_share"]

KINDS = ("gemma", "llama", "mistral", "olmo2", "qwen2", "qwen3")
"""Kinds of models whose logits are ``lm_head(norm(last block))``; each is tested."""


class SharedTrunk:
    """π_ref from its last block alone, on the hidden states of the policy's own pass.

    Used like a model, within or after :meth:`watched`, for the rows of that pass: their mask
    and positions are those that the policy's block got. Where the two trunks are not one any
    more, or no pass was seen, the whole reference runs.

    Args:
        policy: Without dropout, tuned in its last block alone.
        reference: Equal to it but for that block; see :func:`can_share`.
    """

    def __init__(self, policy: Any, reference: Any) -> None:
        self._policy, self._reference = policy, reference
        self._versions: list[int] = []
        self._seen: tuple[Any, Any] | None = None

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep what the policy's last block is given in the pass that follows."""
        self._seen = None

        def note(_: Any, args: Any, kwargs: Any) -> None:
            self._seen = tuple(a.detach() for a in args), kwargs

        handle = last_block(self._policy).register_forward_pre_hook(note, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()

    def parameters(self) -> Iterator[Parameter]:
        """Those of the reference."""
        return self._reference.parameters()  # type: ignore[no-any-return]

    def forward(self, input_ids: Tensor, logits_to_keep: int = 0, **options: Any) -> Any:
        """Logits at the last positions, as the reference gives them."""
        seen, self._seen = self._seen, None
        if seen is None or len(seen[0][0]) != len(input_ids) or not self._still_one():
            return self._reference(input_ids=input_ids, logits_to_keep=logits_to_keep, **options)
        args, kwargs = seen
        hidden = last_block(self._reference)(*args, **kwargs)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        hidden = self._reference.model.norm(hidden[:, -logits_to_keep:])
        return SimpleNamespace(logits=self._reference.lm_head(hidden))

    __call__ = forward

    def _still_one(self) -> bool:
        """Compared anew whenever a parameter below the block was written to."""
        trunk = _trunk(self._policy)
        versions = [p._version for p in (*trunk.values(), *_trunk(self._reference).values())]
        if versions != self._versions:
            if not can_share(self._policy, self._reference):
                return False
            self._versions = versions
        return not any(p.requires_grad for p in trunk.values())


def can_share(policy: Any, reference: Any) -> bool:
    """Whether two models are of one of ``KINDS`` and differ in their last block alone.

    Subclasses of a user may do anything with the logits, so the classes are transformers' own.
    """
    kind = type(policy)
    if kind is not type(reference) or not kind.__module__.startswith("transformers.models."):
        return False
    if policy.config.model_type not in KINDS:
        return False
    mine, theirs = _trunk(policy), _trunk(reference)
    return mine.keys() == theirs.keys() and all(
        not p.requires_grad and p.dtype == theirs[name].dtype and p.equal(theirs[name])
        for name, p in mine.items()
    )


def _trunk(model: Any) -> dict[str, Parameter]:
    own = {id(p) for p in last_block(model).parameters()}
    return {name: p for name, p in model.named_parameters() if id(p) not in own}
