"""One batch: what was drawn for its own prompts, and the log-probabilities of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.training.llm.generate import Completions
from sailtheory.training.llm.logprobs import sequence_log_probs
from sailtheory.training.llm.rows import Ids, Rows, share

__all__ = ["Drawn", "Item", "LogProbs", "log_probs_of", "rows_of"]

Item = dict[str, Any]
"""One row, as ``prepare`` made it."""


@dataclass(frozen=True)
class Drawn:
    """A batch and the completions drawn for it.

    Attributes:
        items: n rows.
        pairs: 2n completions, all y₁ and then all y₂; None where none are needed.
        preference: q of the reward for the pairs: (n,); None as above.
        ref: k completions a prompt from π_ref, prompt by prompt: (n·k); None as above.
    """

    items: list[Item]
    pairs: Completions | None = None
    preference: Tensor | None = None
    ref: Completions | None = None

    @property
    def prompts(self) -> list[list[int]]:
        """Token ids of the n prompts."""
        return [item["prompt_ids"] for item in self.items]

    def repeated(self) -> list[list[int]]:
        """Prompts of the draws from π_ref, in their order."""
        k = len(self.ref.tokens) // len(self.items) if self.ref is not None else 0
        return [prompt for prompt in self.prompts for _ in range(k)]

    def check(self, temperature: float) -> None:
        """Refuse completions of other prompts, or at another temperature.

        Raises:
            InputError: As :meth:`Completions.require`.
        """
        if self.pairs is not None:
            self.pairs.require(self.prompts * 2, temperature)
        if self.ref is not None:
            self.ref.require(self.repeated(), temperature)


@dataclass(frozen=True)
class LogProbs:
    """log π(y|x) of the groups of one batch, under one model: each (n,), or None."""

    chosen: Tensor | None = None
    rejected: Tensor | None = None
    first: Tensor | None = None
    second: Tensor | None = None
    ref: Tensor | None = None


def rows_of(
    drawn: Drawn, offline: Sequence[str], width: int | None = None
) -> tuple[list[str], list[int], Rows]:
    """All completions of a batch in one padded block, so that each model runs once.

    Args:
        drawn: The batch.
        offline: ``chosen``, ``rejected``, both or none: dataset columns that are needed.
        width: As :func:`rows.share` takes it.

    Returns:
        Names of the groups, their sizes, and the rows.

    Raises:
        InputError: A column that an item lacks.
    """
    prompts: list[Ids] = []
    texts: list[Ids] = []
    names: list[str] = []
    sizes: list[int] = []

    def add(name: str, of: Sequence[Ids], completions: Sequence[Ids]) -> None:
        prompts.extend(of)
        texts.extend(completions)
        names.append(name)
        sizes.append(len(completions))

    for name in offline:
        for item in drawn.items:
            if f"{name}_ids" not in item:
                raise InputError(f"{name}[{item['index']}]", "missing", "the method needs it")
        add(name, drawn.prompts, [item[f"{name}_ids"] for item in drawn.items])
    if drawn.pairs is not None:
        n = len(drawn.items)
        add("first", drawn.prompts, drawn.pairs.tokens[:n])
        add("second", drawn.prompts, drawn.pairs.tokens[n:])
    if drawn.ref is not None:
        add("ref", drawn.repeated(), drawn.ref.tokens)
    return names, sizes, share(prompts, texts, width)


def log_probs_of(
    model: Any, names: list[str], sizes: list[int], rows: Rows, temperature: float,
    balance: list[Tensor] | None = None,
) -> LogProbs:  # fmt: skip
    """One forward pass over the rows, cut into the groups again.

    ``balance`` is as :func:`logprobs.forward` takes it.
    """
    rows = rows.to(next(model.parameters()).device)
    log = sequence_log_probs(model, rows, temperature, balance)
    return LogProbs(**dict(zip(names, torch.split(log, sizes), strict=True)))
