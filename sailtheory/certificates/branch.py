"""Branch and bound: float64 plans the tree, ball arithmetic has to agree with each leaf.

Nothing here has to be trusted: what it returns is a word of :mod:`cover`, which the
checker verifies without it. Whether a box is accepted or halved, and where, depends on
the box alone, so the tree does not depend on budgets, interruptions or processes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product

import numpy as np
from flint import ctx

from sailtheory.certificates.cover import CHUNK, LEAF, LETTERS, OPEN, Box, Checker
from sailtheory.certificates.pencil import Pencil, whitening
from sailtheory.certificates.region import Region, ball
from sailtheory.numeric.numbers import FLOAT64

__all__ = ["Growth", "Planner", "Statement", "grow"]

_BATCH, _CELLS = 512, 2**22  # boxes at once; entries of the matrices at their vertices
_SMALLEST = 1e-12
_MARGIN = 1e-13  # relative to the matrix; below it float64 cannot tell a sign


@dataclass(frozen=True)
class Statement:
    """γF̄ − ∇²J ≻ μI on C, at a working precision.

    Attributes:
        region: C.
        gamma: γ, exact.
        modulus: μ, exact; 0 for concavity.
        bits: Precision of the ball arithmetic.
    """

    region: Region
    gamma: Fraction
    modulus: Fraction = Fraction(0)
    bits: int = 96

    def checker(self) -> Checker:
        """The checker at the precision in force, which should be :attr:`bits`."""
        return Checker(self.region, ball(self.gamma), ball(self.modulus))


@dataclass(frozen=True)
class Growth:
    """What became of some boxes.

    Attributes:
        words: A tree for each of them, with ``?`` where the budget ended.
        against: Coordinates x of a point of C where float64 sees the opposite sign, or None.
        stuck: Whether a box cannot be halved any further.
    """

    words: list[str]
    against: np.ndarray | None = None
    stuck: bool = False


class Planner:
    """Float64 estimates of what the checker will say, for many boxes at once."""

    def __init__(self, statement: Statement) -> None:
        self._region = region = statement.region
        self._pencil = Pencil(region, FLOAT64, whitening(region, np.zeros(region.dimension)))
        self._gamma, self._modulus = float(statement.gamma), float(statement.modulus)
        r = self._region.dimension
        self._signs = np.array(list(product((-1.0, 1.0), repeat=r)))
        first, second = np.triu_indices(len(self._signs), 1)
        edge = (self._signs[first] != self._signs[second]).sum(1) == 1
        self._edges = first[edge], second[edge]
        self._extent = self._pencil.extent()
        cells = (len(self._signs) + len(self._edges[0])) * r * r
        self.batch = max(1, min(_BATCH, _CELLS // max(cells, 1)))

    def contracted(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, ...]:
        """Centres and half widths of box ∩ ball, and which boxes meet the ball."""
        radius = self._region.radius
        a, b = lower * radius, upper * radius
        square = np.maximum(np.maximum(a, -b), 0.0) ** 2
        rest = radius**2 - (square.sum(1, keepdims=True) - square)
        far = np.sqrt(np.maximum(rest, 0.0))
        a, b = np.maximum(a, -far), np.minimum(b, far)
        meets = (rest >= 0).all(1) & (a <= b).all(1)
        return (a + b) / 2, np.maximum((b - a) / 2, 0.0), meets

    def accepts(self, x: np.ndarray, half: np.ndarray) -> np.ndarray:
        """Whether the affine bound is positive definite at every vertex: (k,) bool."""
        with np.errstate(all="ignore"):  # far from a small box bounds overflow, and are refused
            matrices = self._pencil.affine(x, half, self._gamma, self._modulus)
        steps, used = self._vertices(x, half)
        k, r = x.shape
        slopes = matrices[:, 1:].reshape(k, r, r * r)
        at = (steps @ slopes).reshape(k, -1, r, r) + matrices[:, :1]
        at[~np.isfinite(at).all((-1, -2))] = -np.eye(r)
        eigenvalues = np.linalg.eigvalsh(at)
        scale = np.abs(eigenvalues).max(-1)
        good = eigenvalues[..., 0] > _MARGIN * scale
        return np.asarray((good | ~used).all(1))

    def against(self, x: np.ndarray) -> np.ndarray | None:
        """A centre inside C where the matrix is not positive semidefinite, or None."""
        with np.errstate(all="ignore"):
            values = np.linalg.eigvalsh(self._pencil.matrix(x, self._gamma, self._modulus))
        scale = np.abs(values).max(-1)
        for i in np.argsort(values[:, 0]):
            if values[i, 0] >= -_MARGIN * scale[i]:
                return None
            if self._region.contains(x[i]):
                return np.asarray(x[i])
        return None

    def axis(self, half: np.ndarray) -> np.ndarray:
        """The coordinate along which the logits vary most: (k,)."""
        return np.asarray((half * self._extent).argmax(1))

    def _vertices(self, x: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        steps = half[:, None, :] * self._signs
        norm = np.linalg.norm(x, axis=1)
        bound = norm * (self._region.radius - norm)
        over = (steps @ x[..., None])[..., 0] - bound[:, None]
        outside = over > 0
        i, j = self._edges
        crossed = outside[:, i] != outside[:, j]
        rise = np.where(crossed, over[:, i] - over[:, j], 1.0)
        share = np.where(crossed, over[:, i] / rise, 0.0)
        cuts = steps[:, i] + (steps[:, j] - steps[:, i]) * share[..., None]
        return np.concatenate([steps, cuts], 1), np.concatenate([~outside, crossed], 1)


@lru_cache(maxsize=4)
def _tools(statement: Statement) -> tuple[Planner, Checker]:
    """Made once for many tasks, at the precision of the statement."""
    with ctx.workprec(statement.bits):
        return Planner(statement), statement.checker()


def grow(statement: Statement, boxes: Sequence[Box], most: int, seconds: float) -> Growth:
    """Settle boxes, depth first, until a budget of boxes or seconds is spent."""
    began, looked = time.monotonic(), 0
    nodes: list[str] = [OPEN] * len(boxes)
    children: dict[int, tuple[int, int]] = {}
    stack = [(i, box) for i, box in enumerate(boxes)][::-1]
    with ctx.workprec(statement.bits):
        planner, checker = _tools(statement)
        while stack and looked < most and time.monotonic() - began < seconds:
            size = min(planner.batch, len(stack), most - looked)
            taken = [stack.pop() for _ in range(size)]
            looked += len(taken)
            lower, upper = (np.array([box[end] for _, box in taken]) for end in (0, 1))
            x, half, meets = planner.contracted(lower, upper)
            good = ~meets
            if meets.any():
                good[meets] = planner.accepts(x[meets], half[meets])
            done = 0
            while done < len(taken) and (not done or time.monotonic() - began < seconds):
                part = [i for i in range(done, min(done + CHUNK, len(taken))) if good[i]]
                good[part] = checker.each_holds([taken[i][1] for i in part])
                done = min(done + CHUNK, len(taken))
            for i in np.flatnonzero(good[:done]):
                nodes[taken[i][0]] = LEAF
            failed = np.flatnonzero(~good[:done])
            if not len(failed):
                continue
            against = planner.against(x[failed][meets[failed]])
            widths = (upper - lower)[failed]
            axes = planner.axis(np.where(meets[failed, None], half[failed], widths))
            stuck = bool((widths[np.arange(len(axes)), axes] < _SMALLEST).any())
            if against is not None or stuck:
                return Growth([OPEN] * len(boxes), against, stuck)
            for i, axis in zip(failed[::-1], axes[::-1], strict=True):
                node, box = taken[i]
                nodes[node] = LETTERS[axis]
                children[node] = (len(nodes), len(nodes) + 1)
                nodes += [OPEN, OPEN]
                stack += list(zip(children[node], box.halves(int(axis)), strict=True))[::-1]
    return Growth([_word(i, nodes, children) for i in range(len(boxes))])


def _word(node: int, nodes: list[str], children: dict[int, tuple[int, int]]) -> str:
    out, stack = [], [node]
    while stack:
        node = stack.pop()
        out.append(nodes[node])
        stack += children.get(node, ())[::-1]
    return "".join(out)
