"""Prompts and completions as rows of tokens: one row a completion, or one row a prompt.

Where completions share their prompt it is read once: they stand behind it one after another,
each at the positions it would have alone, and none sees another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.training.llm.models import causal

__all__ = ["SHARES", "Ids", "Rows", "distinct", "join", "share", "width_of"]

Ids = Sequence[int]
"""Token ids of one text."""

Side = Literal["left", "right"]

SHARES = ("gemma", "gpt2", "gpt_neox", "llama", "mistral", "olmo2", "phi", "qwen2", "qwen3")
"""Kinds of models that take a mask of pairs and positions; each is tested."""


@dataclass(frozen=True)
class Rows:
    """Prompts followed by completions, padded to one length.

    Attributes:
        tokens: (n, t).
        attention: True at real tokens: (n, t).
        text: Which of its row's texts a token belongs to: 0 is the prompt, 1, 2, … are
            completions, end tokens included: (n, t).
        positions: Counted from the first real token, so that padding shifts nothing: (n, t).
        previous: Column of the token before it in its own text: (n, t).
        place: Row and text of each of m completions, in the order they were given: (m, 2).
    """

    tokens: Tensor
    attention: Tensor
    text: Tensor
    positions: Tensor
    previous: Tensor
    place: Tensor

    @property
    def completion(self) -> Tensor:
        """True at tokens of completions: (n, t)."""
        return self.text > 0

    @property
    def mask(self) -> Tensor:
        """What a model takes for its attention mask: (n, t), or (n, 1, t, t) of pairs."""
        if len(self.place) == len(self.tokens):
            return self.attention.long()
        before = torch.ones(self.tokens.shape[1:] * 2, device=self.tokens.device).tril().bool()
        seen, by = self.text[:, None, :], self.text[:, :, None]
        pairs = before & self.attention[:, None, :] & ((seen == 0) | (seen == by))
        itself = torch.eye(self.tokens.shape[1], dtype=torch.bool, device=self.tokens.device)
        return (pairs | itself)[:, None]  # padding sees itself, as a softmax needs something

    def to(self, device: torch.device | str) -> Rows:
        """The same on another device."""
        return Rows(*(getattr(self, field.name).to(device) for field in fields(self)))


def join(
    prompts: Sequence[Ids], completions: Sequence[Ids], pad: int = 0, side: Side = "left"
) -> Rows:
    """Put each completion after its prompt, in a row of its own.

    Args:
        prompts: n texts of one token or more: the first token of a completion is
            predicted by the last of its prompt.
        completions: n texts of one token or more.
        pad: Any token id; it is masked wherever it stands.
        side: Where to pad. On the left the completions end together, and logits are needed
            only there.

    Raises:
        InputError: Numbers of texts that differ; an empty prompt or completion.
    """
    _require(prompts, completions)
    return _rows([(p, [k]) for k, p in enumerate(prompts)], completions, pad, side)


def share(prompts: Sequence[Ids], completions: Sequence[Ids], width: int | None) -> Rows:
    """Completions of one prompt in one row, where a model of this width gets less to do.

    A token costs a block of a transformer about 24·width² operations in its matrices and
    4·width·t in its attention to a row of length t.

    Args:
        prompts: As :func:`join`; equal ones share a row.
        completions: As :func:`join`.
        width: Of the model, see :func:`width_of`; None for a model that cannot share.

    Raises:
        InputError: As :func:`join`.
    """
    if width is None:
        return join(prompts, completions)
    _require(prompts, completions)
    texts, of = distinct(prompts)
    groups: list[tuple[Ids, list[int]]] = [(text, []) for text in texts]
    for k, number in enumerate(of):
        groups[number][1].append(k)

    def cost(lengths: list[int]) -> int:
        longest = max(lengths, default=0)
        return len(lengths) * longest * (6 * width + longest)

    apart = [len(p) + len(c) for p, c in zip(prompts, completions, strict=True)]
    shared = [len(p) + sum(len(completions[k]) for k in own) for p, own in groups]
    if cost(apart) <= cost(shared):
        return join(prompts, completions)
    return _rows(groups, completions)


def distinct(texts: Sequence[Ids]) -> tuple[list[Ids], list[int]]:
    """Each text once, in order, and the number of every given one among them."""
    number: dict[tuple[int, ...], int] = {}
    of = [number.setdefault(tuple(text), len(number)) for text in texts]
    return list(number), of


def width_of(model: Any) -> int | None:
    """Hidden size of a model whose rows may be shared, None for any other."""
    kind = type(causal(model))
    config = causal(model).config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    able = (
        config.model_type in SHARES
        and kind.__module__.startswith("transformers.models.")  # a subclass may do anything
        and config._attn_implementation == "sdpa"
        and kinds == {"full_attention"}
        and getattr(config, "sliding_window", None) is None
    )
    return int(config.hidden_size) if able else None


def _require(prompts: Sequence[Ids], completions: Sequence[Ids]) -> None:
    if len(prompts) != len(completions):
        raise InputError("completions", len(completions), f"{len(prompts)}, one a prompt")
    for name, texts in (("prompts", prompts), ("completions", completions)):
        for place, text in enumerate(texts):
            if not len(text):
                raise InputError(f"{name}[{place}]", "empty", "one token or more is expected")


def _rows(
    groups: Sequence[tuple[Ids, list[int]]],
    completions: Sequence[Ids],
    pad: int = 0,
    side: Side = "left",
) -> Rows:
    """One row for each prompt and the numbers of its completions."""
    lengths = [len(p) + sum(len(completions[k]) for k in own) for p, own in groups]
    width = max(lengths, default=0)
    place = torch.zeros(len(completions), 2, dtype=torch.long)
    # Lists, and a tensor of each at the end: an assignment to a tensor costs more than a row.
    table: dict[str, list[list[int]]] = {name: [] for name in _EMPTY}
    for row, ((prompt, own), length) in enumerate(zip(groups, lengths, strict=True)):
        start = at = width - length if side == "left" else 0
        line: dict[str, list[int]] = {name: [] for name in _EMPTY}
        for number, ids in enumerate([prompt, *(completions[k] for k in own)]):
            first = 0 if number == 0 else len(prompt)
            before = [*range(at - 1, at - 1 + len(ids))]
            if number > 0:
                before[0] = start + len(prompt) - 1
            line["tokens"] += ids
            line["text"] += [number] * len(ids)
            line["positions"] += range(first, first + len(ids))
            line["previous"] += before
            at += len(ids)
        line["attention"] = [1] * length
        for name, filled in (_EMPTY | {"tokens": pad}).items():
            table[name].append([filled] * start + line[name] + [filled] * (width - start - length))
        place[own] = torch.tensor([[row, number] for number in range(1, len(own) + 1)])
    found = {
        name: torch.tensor(lines, dtype=torch.long).reshape(len(groups), width)
        for name, lines in table.items()
    }
    return Rows(**found | {"attention": found["attention"].bool()}, place=place)


_EMPTY = {"tokens": 0, "attention": 0, "text": 0, "positions": 0, "previous": 0}
"""What stands where a row has no token."""
