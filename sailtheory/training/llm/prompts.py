"""Everyday prompts written for this project: 216 in twelve kinds, with a fixed split.

Every third prompt of a kind is held out, so that both parts hold all kinds: 144 to train on
and 72 for evaluation.
"""

from __future__ import annotations

from importlib.resources import files

__all__ = ["conversations", "prompts"]

_EVERY = 3


def prompts(part: str) -> list[str]:
    """The prompts of one part, in the order of the file.

    Args:
        part: ``train`` or ``held-out``.

    Raises:
        ValueError: Another part.
    """
    if part not in ("train", "held-out"):
        raise ValueError(f"part = {part}: train or held-out is expected")
    text = (files("sailtheory.training.llm") / "prompts.txt").read_text(encoding="utf-8")
    every = [line for line in text.splitlines() if line and not line.startswith("#")]
    held_out = part == "held-out"
    return [p for place, p in enumerate(every) if (place % _EVERY == _EVERY - 1) == held_out]


def conversations(part: str, system: str | None = None) -> list[dict[str, list[dict[str, str]]]]:
    """The same as rows of a data set: ``prompt`` is a conversation, begun by ``system``."""
    first = [] if system is None else [{"role": "system", "content": system}]
    return [{"prompt": [*first, {"role": "user", "content": text}]} for text in prompts(part)]
