"""Models so small that all they can say is listed: a table of logits, one row a prefix.

The logits of every prefix are free, so a gradient in them is the gradient with respect to
anything that could move a policy: two losses whose gradients agree here agree under every
parametrisation, by the chain rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

from sailtheory.errors import InputError, whole_number
from sailtheory.policies.protocol import finite
from sailtheory.policies.sequences import Sequences

__all__ = ["SHAPES", "SmallModel", "small_models"]

SHAPES = (
    (2, 1, None), (3, 1, None), (2, 2, 1), (2, 2, None), (2, 3, 0), (3, 2, 0), (2, 3, None),
    (3, 2, None),
)  # fmt: skip
"""Vocabulary, longest response and end token of the models that are tried by default, from
the smallest: one token and several, responses of one length and of different lengths."""

_FIELDS = ("vocabulary", "longest", "end", "logits", "ref_logits", "old_logits", "reward")


@dataclass(frozen=True, eq=False)
class SmallModel:
    """π_θ, π_ref and the policy π_old that drew the data, as tables, and a reward.

    Row k < S of a table belongs to prefix k. Row S is what the model says after the end of a
    response, where no loss should look: ``log_probs`` there are numbers like all others.

    Attributes:
        vocabulary: v ≥ 2.
        longest: T ≥ 1.
        end: Id of the end token, or None where every response has T tokens.
        logits: Of π_θ, (S + 1, v).
        ref_logits: Of π_ref.
        old_logits: Of π_old.
        reward: r(y) of every response, (m,), in the order of ``Sequences``.

    Raises:
        InputError: Shapes that do not fit, numbers that are not finite.
    """

    vocabulary: int
    longest: int
    end: int | None
    logits: Tensor
    ref_logits: Tensor
    old_logits: Tensor
    reward: Tensor

    def __post_init__(self) -> None:
        """Check the shapes."""
        for name in ("logits", "ref_logits", "old_logits"):
            expected = (self.prefixes + 1, self.vocabulary)
            if tuple(getattr(self, name).shape) != expected:
                raise InputError(name, tuple(getattr(self, name).shape), f"{expected}")
            finite(name, getattr(self, name))
        if tuple(self.reward.shape) != (len(self.tokens),):
            raise InputError("reward", tuple(self.reward.shape), f"({len(self.tokens)},)")
        finite("reward", self.reward)

    @cached_property
    def tokens(self) -> Tensor:
        """All responses, filled with the end token: (m, T)."""
        return Sequences(self.vocabulary, self.longest, self.end).tokens

    @cached_property
    def mask(self) -> Tensor:
        """Tokens up to the first end token and with it: (m, T)."""
        ended = (self.tokens == self.end).long() if self.end is not None else self.tokens * 0
        return ended.cumsum(-1) - ended == 0

    @staticmethod
    def sizes(vocabulary: int, longest: int, end: int | None) -> tuple[int, int]:
        """S, the number of texts after which a token is drawn, and m, that of responses."""
        letters = vocabulary - (end is not None)
        prefixes = sum(letters**t for t in range(longest))
        return prefixes, letters**longest + (prefixes if end is not None else 0)

    @property
    def prefixes(self) -> int:
        """S."""
        return self.sizes(self.vocabulary, self.longest, self.end)[0]

    @cached_property
    def states(self) -> Tensor:
        """The row of each token's prefix, S after the end: (m, T)."""
        seen: dict[tuple[int, ...], int] = {}
        rows = []
        for tokens, inside in zip(self.tokens.tolist(), self.mask.tolist(), strict=True):
            rows.append([
                seen.setdefault(tuple(tokens[:t]), len(seen)) if inside[t] else -1
                for t in range(self.longest)
            ])  # fmt: skip
        found = torch.tensor(rows)
        return torch.where(found < 0, self.prefixes, found)

    def log_probs(self, logits: Tensor, temperature: float = 1.0) -> Tensor:
        """log π(y) of every response under a table: (S + 1, v) to (m,)."""
        log_next = torch.log_softmax(logits / temperature, -1)
        each = log_next[self.states, self.tokens]
        return torch.where(self.mask, each, torch.zeros_like(each)).sum(-1)

    def visits(self, logits: Tensor, temperature: float = 1.0) -> Tensor:
        """The chance that each prefix is met: (S,)."""
        chance = self.log_probs(logits, temperature).exp()[:, None].expand(self.states.shape)
        found = logits.new_zeros(self.prefixes + 1)
        found = found.index_add(0, self.states.reshape(-1), chance.reshape(-1))
        return found[:-1]

    def as_dict(self) -> dict[str, Any]:
        """JSON form, which :meth:`from_dict` reads."""
        values = {name: getattr(self, name) for name in _FIELDS}
        return {k: v.tolist() if isinstance(v, Tensor) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SmallModel:
        """The model of a JSON form.

        Raises:
            InputError: A field that is missing or unknown, or shapes that do not fit.
        """
        if set(data) != set(_FIELDS):
            raise InputError("model", sorted(data), f"the fields {', '.join(_FIELDS)}")
        tables = {k: torch.tensor(data[k], dtype=torch.float64) for k in _FIELDS[3:]}
        return cls(data["vocabulary"], data["longest"], data["end"], **tables)

    def binary(self) -> SmallModel:
        """The same model with reward 1 above the mean reward and 0 below."""
        return replace(self, reward=(self.reward > self.reward.mean()).to(self.reward))


@cache
def small_models(
    seed: int = 0,
    *,
    draws: int = 2,
    largest: int = 9,
    shapes: tuple[tuple[int, int, int | None], ...] = SHAPES,
) -> tuple[SmallModel, ...]:
    """Random models, the smallest first; numbers have one digit, so that they can be typed.

    Args:
        seed: Of the draws.
        draws: Models of each shape.
        largest: Models with more responses are left out.
        shapes: Vocabulary, longest response and end token of each.

    Raises:
        InputError: A seed that is none, or no draws.
    """
    generator = torch.Generator().manual_seed(whole_number("seed", seed))
    found = []
    for _ in range(whole_number("draws", draws, 1)):
        for vocabulary, longest, end in shapes:
            prefixes, count = SmallModel.sizes(vocabulary, longest, end)
            tables = torch.randn(
                3, prefixes + 1, vocabulary, generator=generator, dtype=torch.float64
            )
            logits, ref, change = (10 * tables).round() / 10
            reward = (20 * torch.rand(count, generator=generator, dtype=torch.float64)).round() / 10
            old = logits + (5 * change).round() / 10
            if count <= largest:
                found.append(SmallModel(vocabulary, longest, end, logits, ref, old, reward))
    return tuple(sorted(found, key=lambda model: len(model.tokens)))
