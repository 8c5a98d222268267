"""Covers of C by boxes, as trees of bisections, and the check of one box.

A cover is the word of a binary tree in preorder: a letter names the coordinate at whose
middle a box is halved (``a`` the first), ``.`` is a leaf and ``?`` one that is not settled.
Every such word covers the root box [−R, R]^r, so completeness needs no further proof;
each leaf has to satisfy the inequality on its part of the ball.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product as combinations
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from sailtheory.certificates.pencil import Pencil, ball_pencil, product
from sailtheory.certificates.positive import positive_definite
from sailtheory.certificates.region import Region
from sailtheory.numeric.numbers import Array, arb_numbers

__all__ = ["CHUNK", "LEAF", "LETTERS", "OPEN", "Box", "Checker", "TreeError", "leaves", "root"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LEAF = "."
OPEN = "?"
CHUNK = 32
"""Pieces that are worth checking at once."""


class TreeError(ValueError):
    """A word that is no tree of a cover."""


class Box(NamedTuple):
    """A box in units of R: corners in [−1, 1]^r, dyadic, exact in float64."""

    lower: np.ndarray
    upper: np.ndarray

    def halves(self, axis: int) -> tuple[Box, Box]:
        """The lower and the upper half along one coordinate."""
        middle = (self.lower[axis] + self.upper[axis]) / 2
        below, above = self.upper.copy(), self.lower.copy()
        below[axis] = above[axis] = middle
        return Box(self.lower, below), Box(above, self.upper)


def root(dimension: int) -> Box:
    """[−1, 1]^r."""
    return Box(-np.ones(dimension), np.ones(dimension))


def leaves(word: str, box: Box) -> Iterator[tuple[int, Box]]:
    """The leaves of a tree over a box, in preorder, each with its place in the word.

    Raises:
        TreeError: The word is not one complete tree, names a coordinate that does not
            exist, or halves a box below the resolution of float64.
    """
    dimension, open_ = len(box.lower), [box]
    for position, letter in enumerate(word):
        if not open_:
            raise TreeError(f"{len(word) - position} letters after the end of the tree")
        piece = open_.pop()
        if letter in (LEAF, OPEN):
            yield position, piece
            continue
        axis = LETTERS.find(letter)
        if not 0 <= axis < dimension:
            raise TreeError(f"letter {letter!r} at {position} names no coordinate")
        below, above = piece.halves(axis)
        if not below.lower[axis] < below.upper[axis] < above.upper[axis]:
            raise TreeError(f"the box at {position} is below the resolution of float64")
        open_ += [above, below]
    if open_:
        raise TreeError(f"the tree ends with {len(open_)} boxes missing")


class Checker:
    """Decides whether γF̄ − ∇²J − μWᵀW ≻ 0 on the part of C in a box, in ball arithmetic.

    Args:
        region: C.
        gamma: γ, an exact number as a ball.
        modulus: μ, likewise.

    Made and used at one precision.
    """

    def __init__(self, region: Region, gamma: arb, modulus: arb) -> None:
        self._pencil: Pencil = ball_pencil(region)
        self._radius = arb(region.radius)
        self._gamma, self._modulus = gamma, modulus
        self._signs = list(combinations((-1, 1), repeat=region.dimension))
        places = {signs: i for i, signs in enumerate(self._signs)}
        self._edges = [
            (i, places[*signs[:axis], 1, *signs[axis + 1 :]])
            for i, signs in enumerate(self._signs)
            for axis in range(region.dimension)
            if signs[axis] < 0
        ]

    def holds(self, box: Box) -> bool:
        """True when it is certain; a box outside the ball holds trivially."""
        return self.each_holds([box])[0]

    def each_holds(self, boxes: Sequence[Box]) -> list[bool]:
        """The same for several boxes, at less cost than one by one."""
        sides = {i: self._contracted(box) for i, box in enumerate(boxes)}
        out = [ends is None for ends in sides.values()]
        met: dict[int, Any] = {i: ends for i, ends in sides.items() if ends is not None}
        if not met:
            return out
        x = np.array(
            [[arb(float((a + b) / 2)) for a, b in ends] for ends in met.values()], dtype=object
        )
        half = np.array(
            [
                [arb((b - m).max(m - a).upper()) for (a, b), m in zip(ends, at, strict=True)]
                for ends, at in zip(met.values(), x, strict=True)
            ],
            dtype=object,
        )
        bounds = self._pencil.affine(x, half, self._gamma, self._modulus)
        for i, *piece in zip(met, x, half, bounds, strict=True):
            out[i] = self._positive(*piece)
        return out

    def _positive(self, x: Array, half: Array, bound: Array) -> bool:
        """Whether an affine matrix M_0 + Σ δ_i M_i is positive definite on box ∩ ball."""
        steps = list(self._vertices(x, half))
        if not steps:  # the half-space keeps nothing of the box
            return True
        lower = np.tril_indices(len(x))  # what LDLᵀ reads
        flat = bound[:, *lower]
        matrix = np.zeros_like(bound[0])
        for entries in flat[0] + product(np.array(steps), flat[1:]):
            matrix[lower] = entries
            if not positive_definite(matrix):
                return False
        return True

    def _contracted(self, box: Box) -> list[tuple[arb, arb]] | None:
        """The bounding box of box ∩ ball, exact and rounded outward; None if it is empty."""
        lower, upper = (arb_numbers().asarray(end) * self._radius for end in box)
        nearest = [
            a if a > 0 else -b if b < 0 else arb(0) for a, b in zip(lower, upper, strict=True)
        ]
        squares = [end * end for end in nearest]
        sides = []
        for i, (a, b) in enumerate(zip(lower, upper, strict=True)):
            rest = self._radius**2 - sum((s for j, s in enumerate(squares) if j != i), arb(0))
            if rest < 0:
                return None
            farthest = arb(arb(rest.upper()).sqrt().upper())
            a, b = arb(a.lower()).max(-farthest), arb(b.upper()).min(farthest)
            if a > b:
                return None
            sides.append((a, b))
        return sides

    def _vertices(self, x: Array, half: Array) -> Iterator[Array]:
        """Steps from x to the vertices of a polytope that contains box ∩ ball.

        The box is cut by the half-space xᵀy ≤ R‖x‖, which contains the ball.
        """
        steps = [half * np.array(signs) for signs in self._signs]
        bound = self._radius * (x @ x).sqrt() - x @ x
        over = [x @ step - bound for step in steps]
        outside = [bool(o > 0) for o in over]
        yield from (step for step, out in zip(steps, outside, strict=True) if not out)
        for i, j in self._edges:
            if outside[i] == outside[j]:
                continue
            rise = over[i] - over[j]
            if rise > 0 or rise < 0:
                yield steps[i] + (steps[j] - steps[i]) * (over[i] / rise)
            else:  # a box of the size of the rounding: not cut
                yield from (steps[i], steps[j])
