"""Branch and bound over the balls of many prompts at once: is γF_x − ∇²J_x ≻ 0 on each?"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from sailtheory.certificates.prompts.boxes import Boxes, Prompts, settle
from sailtheory.certificates.prompts.points import curvature
from sailtheory.problem.reduced import Reduced

__all__ = ["FALSE", "OPEN", "PROVED", "Decision", "decide"]

OPEN, PROVED, FALSE = 0, 1, -1
_CHUNK = 4096
_FINEST = 2.0**-40
_INSIDE = 1 + 2.0**-40


class Decision(NamedTuple):
    """What is known of each prompt at one γ.

    Attributes:
        verdict: ``PROVED``, ``FALSE`` (in float64, at ``point``) or ``OPEN``, (k,).
        value: The relative curvature at ``point``, −∞ where there is none, (k,).
        point: x of the unit ball, (k, m − 1).
        boxes: How many boxes were looked at.
    """

    verdict: np.ndarray
    value: np.ndarray
    point: np.ndarray
    boxes: int


def decide(
    data: Reduced, beta: float, gamma: float, most_boxes: int, deadline: float = np.inf
) -> Decision:
    """Look for a cover of every prompt's ball by boxes on which γF_x − ∇²J_x ≻ 0.

    Args:
        data: Prompts of equal m ≥ 2 that all move.
        beta: β.
        gamma: γ, taken exactly.
        most_boxes: Boxes after which to stop.
        deadline: ``time.monotonic()`` at which to stop.

    Returns:
        Prompts that still had boxes when it stopped are ``OPEN``; it stops at the first ``FALSE``.
    """
    n, _, r = data.reach.shape
    prompts = Prompts(data, beta, gamma)
    extent = prompts.gaps.max((1, 2))
    verdict, value, point = np.full(n, PROVED), np.full(n, -np.inf), np.zeros((n, r))
    stack = [Boxes(np.arange(n), np.zeros((n, r)), np.ones((n, r)))]
    seen = 0
    while stack and seen < most_boxes and time.monotonic() < deadline and verdict.min() > FALSE:
        boxes = _next(stack)
        nearest = np.maximum(abs(boxes.x) - boxes.half, 0)
        alive = ((nearest**2).sum(-1) <= _INSIDE) & (verdict[boxes.owner] == PROVED)
        boxes = boxes.take(alive)
        seen += len(boxes.owner)
        if not len(boxes.owner):
            continue
        settled, false = settle(prompts, boxes)
        stuck = ~settled & (boxes.half.max(-1) < _FINEST)
        verdict[boxes.owner[stuck]] = OPEN
        for i in np.flatnonzero(false):
            verdict[boxes.owner[i]], point[boxes.owner[i]] = FALSE, boxes.x[i]
        stack.append(_halved(boxes.take(~settled & ~stuck), extent))
    for boxes in stack:
        waiting = boxes.owner[verdict[boxes.owner] == PROVED]
        verdict[waiting] = OPEN
    wrong = np.flatnonzero(verdict == FALSE)
    if len(wrong):
        value[wrong] = curvature(data.take(wrong), beta, point[wrong, None])[:, 0]
    return Decision(verdict, value, point, seen)


def _next(stack: list[Boxes]) -> Boxes:
    """Up to a chunk of boxes, the latest first."""
    taken = [stack.pop()]
    while stack and sum(len(boxes.owner) for boxes in taken) < _CHUNK:
        taken.append(stack.pop())
    boxes = Boxes(*(np.concatenate(parts) for parts in zip(*taken, strict=True)))
    if len(boxes.owner) > _CHUNK:
        stack.append(boxes.take(slice(_CHUNK, None)))
    return boxes.take(slice(0, _CHUNK))


def _halved(boxes: Boxes, extent: np.ndarray) -> Boxes:
    """Both halves of each box, across the side along which the logits move most."""
    rows = np.arange(len(boxes.owner))
    axis = (boxes.half * extent[boxes.owner]).argmax(-1)
    half = boxes.half.copy()
    half[rows, axis] /= 2
    below, above = boxes.x.copy(), boxes.x.copy()
    below[rows, axis] -= half[rows, axis]
    above[rows, axis] += half[rows, axis]
    return Boxes(
        np.concatenate([boxes.owner, boxes.owner]),
        np.concatenate([below, above]),
        np.concatenate([half, half]),
    )
