"""Hypothesis strategies of small models and of their batches.

>>> from hypothesis import given
>>> from sailtheory.auditing.strategies import batches, models

They shrink to one token of two, to logits and rewards of 0, and to batches of one response.
"""

from __future__ import annotations

from typing import get_args

import torch
from hypothesis import strategies as st
from torch import Tensor

from sailtheory.auditing.batches import LossBatch, Sampling, Source, batch_of
from sailtheory.auditing.models import SHAPES, SmallModel

__all__ = ["batches", "models"]


@st.composite
def models(
    draw: st.DrawFn,
    *,
    shapes: tuple[tuple[int, int, int | None], ...] = SHAPES,
    largest: float = 3.0,
    binary: bool = False,
) -> SmallModel:
    """Small models whose numbers have one digit.

    Args:
        draw: By Hypothesis.
        shapes: Vocabulary, longest response and end token.
        largest: Of logits and rewards, in absolute value.
        binary: Whether rewards are 0 and 1.
    """
    vocabulary, longest, end = draw(st.sampled_from(shapes))
    tenths = st.integers(-int(10 * largest), int(10 * largest)).map(lambda k: k / 10)
    rows, count = SmallModel.sizes(vocabulary, longest, end)

    def table(*shape: int, numbers: st.SearchStrategy[float] = tenths) -> Tensor:
        size = int(torch.tensor(shape).prod())
        drawn = draw(st.lists(numbers, min_size=size, max_size=size))
        return torch.tensor(drawn, dtype=torch.float64).reshape(shape)

    logits, ref, old = (table(rows + 1, vocabulary) for _ in range(3))
    rewards = st.sampled_from([0.0, 1.0]) if binary else tenths
    reward = table(count, numbers=rewards)
    return SmallModel(vocabulary, longest, end, logits, ref, old, reward)


@st.composite
def batches(
    draw: st.DrawFn,
    model: st.SearchStrategy[SmallModel] | None = None,
    *,
    smallest: int = 1,
    largest: int = 4,
    padding: int = 2,
) -> LossBatch:
    """Batches of a small model, each as likely as its Hypothesis draw: for properties of a loss.

    ``batch.logits`` is a leaf: differentiate a loss in it.

    Args:
        draw: By Hypothesis.
        model: Default :func:`models`.
        smallest: Of responses.
        largest: Of responses.
        padding: Most positions after the longest response.
    """
    drawn = draw(models() if model is None else model)
    rows = st.integers(0, len(drawn.tokens) - 1)
    size = draw(st.integers(smallest, largest))
    sampling = Sampling(
        size=size,
        source=draw(st.sampled_from(get_args(Source))),
        padding=draw(st.integers(0, padding)),
    )
    return batch_of(drawn, draw(st.lists(rows, min_size=size, max_size=size)), sampling)
