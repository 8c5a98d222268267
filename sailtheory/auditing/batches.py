"""Every batch that a small model can draw, with its probability and the loss's gradient on it.

A loss is a function of a ``LossBatch`` that returns one number to be minimised. Its mean
gradient over all batches is exact: no batch is drawn, each is weighed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement
from math import comb
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sailtheory.auditing.models import SmallModel
from sailtheory.errors import InputError, require, whole_number
from sailtheory.policies.protocol import finite

__all__ = [
    "MOST_BATCHES",
    "Gradients",
    "Loss",
    "LossBatch",
    "Sampling",
    "Source",
    "batch_of",
    "gradients",
]  # fmt: skip

MOST_BATCHES = 2**14
"""Batches of one model over which a loss is evaluated."""

Source = Literal["policy", "old", "ref"]


@dataclass(frozen=True)
class LossBatch:
    """What a loss is given: n responses to one prompt.

    Positions after the end of a response hold the end token and the log-probabilities that
    the model gives it there; ``mask`` is False on them.

    Attributes:
        tokens: (n, T).
        mask: Tokens that belong to the response, its end token among them: (n, T).
        log_probs: log π_θ(y_t | y_<t), with a gradient: (n, T).
        ref_log_probs: Of π_ref.
        old_log_probs: Of the policy that drew the responses.
        rewards: r(y): (n,).
        logits: Of π_θ before each token, with a gradient: (n, T, v).
        ref_logits: Of π_ref.
        end: Id of the end token, or None.
    """

    tokens: Tensor
    mask: Tensor
    log_probs: Tensor
    ref_log_probs: Tensor
    old_log_probs: Tensor
    rewards: Tensor
    logits: Tensor
    ref_logits: Tensor
    end: int | None = field(default=None, kw_only=True)

    def rows(self, start: int, stop: int) -> LossBatch:
        """Some of the responses, as one of several micro-batches has them."""
        tensors: dict[str, Any] = {
            k: v[start:stop] for k, v in vars(self).items() if isinstance(v, Tensor)
        }
        return replace(self, **tensors)


Loss = Callable[[LossBatch], Tensor]


@dataclass(frozen=True)
class Sampling:
    """How a batch comes about.

    Attributes:
        size: Responses in a batch, drawn independently.
        source: Who draws them. Where it is not ``old``, ``old_logits`` are the policy's own.
        labelled: Whether responses 2k and 2k + 1 are put in the order of a Bradley–Terry
            label of their rewards, the preferred one first.
        temperature: At which responses are drawn; log-probabilities are those at 1.
        padding: Positions added after the longest response.
        accumulation: Equal micro-batches whose losses are averaged.
        unordered: Whether the loss is the same in whatever order the responses come: each
            order is then evaluated once, and that they agree is tried on some batches.

    Raises:
        InputError: A number or name outside its domain.
    """

    size: int = 2
    source: Source = "policy"
    labelled: bool = False
    temperature: float = 1.0
    padding: int = 0
    accumulation: int = 1
    unordered: bool = False

    def __post_init__(self) -> None:
        """Check the domains."""
        whole_number("size", self.size, 1)
        whole_number("padding", self.padding)
        require(">", temperature=self.temperature)
        if self.source not in get_args(Source):
            raise InputError("source", self.source, f"one of {', '.join(get_args(Source))}")
        if self.labelled and self.size % 2:
            raise InputError("size", self.size, "an even number of responses where labelled")
        if self.unordered and (self.labelled or self.accumulation > 1):
            raise InputError("unordered", True, "neither labels nor micro-batches")
        if whole_number("accumulation", self.accumulation, 1) > 1 and self.size % self.accumulation:
            raise InputError("accumulation", self.accumulation, f"a divisor of {self.size}")

    def logits(self, model: SmallModel) -> Tensor:
        """The table of the policy that draws, before the temperature."""
        tables = {"policy": model.logits, "old": model.old_logits, "ref": model.ref_logits}
        return tables[self.source]


@dataclass(frozen=True)
class Gradients:
    """A loss's gradient on every batch.

    Attributes:
        chance: Of each batch: (K,).
        each: In the logits of all prefixes, and after the end: (K, S + 1, v).
    """

    chance: Tensor
    each: Tensor

    @property
    def mean(self) -> Tensor:
        """The expected gradient: (S + 1, v)."""
        return torch.einsum("k,ksv->sv", self.chance, self.each)

    @property
    def variance(self) -> float:
        """The trace of the covariance of one batch's gradient."""
        apart = (self.each - self.mean).square().sum((-1, -2))
        return float((self.chance * apart).sum())

    @property
    def size(self) -> float:
        """The root of the mean square of one batch's gradient."""
        return float((self.chance * self.each.square().sum((-1, -2))).sum().sqrt())


def gradients(loss: Loss, model: SmallModel, sampling: Sampling) -> Gradients:
    """Evaluate a loss on every batch, and differentiate each value.

    Raises:
        InputError: More batches than ``MOST_BATCHES``; a loss that is not one finite number,
            or that gives the same batch two values.
    """
    count, size = len(model.tokens), sampling.size
    batches = comb(count + size - 1, size) if sampling.unordered else count**size
    if batches > MOST_BATCHES:
        raise InputError("batches", f"{batches} of {size} responses", f"at most {MOST_BATCHES}")
    number = _numbers(count, sampling)
    leaf, parts, at = _parts(model, number, sampling)
    values = _values(loss, sampling, parts, model.end)
    if sampling.unordered:
        _same_in_any_order(loss, model, number, sampling, values)
    if values.requires_grad:
        (found,) = torch.autograd.grad(values.sum(), leaf, materialize_grads=True)
    else:
        found = torch.zeros_like(leaf)
    flat = at.flatten(1)[..., None].expand(-1, -1, model.vocabulary)
    each = found.new_zeros(len(number), *model.logits.shape)
    each = each.scatter_add(1, flat, found.flatten(1, 2))
    return Gradients(_chance(model, sampling, number), finite("gradient", each))


def _numbers(count: int, sampling: Sampling) -> Tensor:
    """The responses of every batch, or of every batch up to order: (K, n)."""
    if sampling.unordered:
        return torch.tensor([*combinations_with_replacement(range(count), sampling.size)])
    chosen = torch.cartesian_prod(*[torch.arange(count)] * sampling.size)
    return chosen.reshape(-1, sampling.size)


def _orders(number: Tensor) -> Tensor:
    """In how many orders the responses of each batch can come: (K, n) to (K,)."""
    counts = torch.nn.functional.one_hot(number).sum(1).double()
    every = torch.lgamma(counts.sum(-1) + 1)
    return (every - torch.lgamma(counts + 1).sum(-1)).exp()


def _same_in_any_order(
    loss: Loss, model: SmallModel, number: Tensor, sampling: Sampling, values: Tensor
) -> None:
    """Refuse a loss that changes where the responses of a batch are turned round."""
    for at in range(0, len(number), max(1, len(number) // 8)):
        turned = _value(loss, batch_of(model, number[at].flip(0).tolist(), sampling), 1)
        if not torch.allclose(turned, values[at], rtol=1e-9, atol=1e-12):
            raise InputError("unordered", True, "a loss that does not depend on the order")


def batch_of(model: SmallModel, rows: Sequence[int], sampling: Sampling | None = None) -> LossBatch:
    """One batch; its ``logits`` are a leaf in which a loss can be differentiated.

    Args:
        model: The model.
        rows: Numbers of the responses, in the order of ``model.tokens``.
        sampling: Whose ``old_log_probs`` they have, and how they are padded.
    """
    _, parts, _ = _parts(model, torch.tensor(rows), sampling or Sampling(size=len(rows)))
    return LossBatch(*parts, end=model.end)


def _parts(
    model: SmallModel, number: Tensor, sampling: Sampling
) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """The leaf, what batches of these responses hold, and the row of each prefix."""
    tokens, mask, states = _padded(model, sampling.padding)
    said, at = tokens[number], states[number]
    old = model.old_logits if sampling.source == "old" else model.logits
    leaf, ref_logits = model.logits[at].clone().requires_grad_(), model.ref_logits[at]
    log_probs = [_taken(table, said) for table in (leaf, ref_logits, old[at])]
    return leaf, (said, mask[number], *log_probs, model.reward[number], leaf, ref_logits), at


def _values(loss: Loss, sampling: Sampling, parts: tuple[Tensor, ...], end: int | None) -> Tensor:
    """The loss on each batch, all at once where it allows that: (K,)."""

    def of(*each: Tensor) -> Tensor:
        return _value(loss, LossBatch(*each, end=end), sampling.accumulation)

    first = [of(*(part[0] for part in parts)) for _ in range(2)]
    finite("loss", first[0])
    if not torch.equal(*first):
        raise InputError("loss", float(first[0].detach()), "the same value for the same batch")
    try:
        values: Tensor = torch.func.vmap(of)(*parts)
        if torch.allclose(values[0], first[0], rtol=1e-12, atol=1e-14):
            return finite("loss", values)
    except (RuntimeError, ValueError, TypeError):  # it branches on numbers, or reads them
        pass
    each = [of(*one) for one in zip(*(part.unbind(0) for part in parts), strict=True)]
    return finite("loss", torch.stack(each))


def _value(loss: Loss, batch: LossBatch, parts: int) -> Tensor:
    step = len(batch.tokens) // parts
    values = [loss(batch.rows(k * step, (k + 1) * step)) for k in range(parts)]
    for value in values:
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise InputError("loss", value, "one number, as a tensor")
    return torch.stack([value.reshape(()) for value in values]).mean().double()


def _padded(model: SmallModel, padding: int) -> tuple[Tensor, Tensor, Tensor]:
    count = len(model.tokens)
    filler = torch.full((count, padding), model.end or 0)
    tokens = torch.cat([model.tokens, filler], -1)
    mask = torch.cat([model.mask, torch.zeros_like(filler, dtype=torch.bool)], -1)
    states = torch.cat([model.states, torch.full_like(filler, model.prefixes)], -1)
    return tokens, mask, states


def _chance(model: SmallModel, sampling: Sampling, number: Tensor) -> Tensor:
    log = model.log_probs(sampling.logits(model), sampling.temperature)
    chance = log[number].sum(-1).exp()
    if sampling.unordered:
        chance = chance * _orders(number)
    if sampling.labelled:
        rewards = model.reward[number]
        chance = chance * (2 * torch.sigmoid(rewards[:, ::2] - rewards[:, 1::2])).prod(-1)
    return chance


def _taken(logits: Tensor, tokens: Tensor) -> Tensor:
    return torch.log_softmax(logits, -1).gather(-1, tokens[..., None])[..., 0]
