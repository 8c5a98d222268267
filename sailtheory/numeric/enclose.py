"""Enclosures of one-dimensional suprema in ball arithmetic.

:func:`supremum` is best-first branch and bound on an interval. Every quantity it
compares is an Arb ball that contains the exact value, and the two numbers it
returns are rounded outward to float64, so the result is a theorem about the
function that the oracle encloses, whatever the search did.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import NamedTuple

from flint import arb, ctx

from sailtheory.errors import InputError

__all__ = ["PRECISION", "Enclosure", "Oracle", "float_above", "float_below", "on_balls", "supremum"]

Oracle = Callable[[arb, arb], tuple[arb, arb]]
"""Maps a ≤ b to balls that contain f(t) and f'(t) for every t in [a, b].

The end points may be balls themselves; then t ranges over everything between
them. An oracle that knows nothing about a piece returns the ball of all reals.
"""

PRECISION = 96
"""Working precision in bits: a float64 result keeps over 40 guard bits."""


class Enclosure(NamedTuple):
    """Two float64 numbers with lower ≤ exact value ≤ upper."""

    lower: float
    upper: float


def float_above(ball: arb) -> float:
    """A float64 not below any point of a ball (NaN gives infinity)."""
    guess = float(ball.upper())
    if math.isnan(guess):
        return math.inf
    while guess < math.inf and not arb(guess) >= ball:
        guess = math.nextafter(guess, math.inf)
    return guess


def float_below(ball: arb) -> float:
    """A float64 not above any point of a ball (NaN gives −infinity)."""
    return -float_above(-ball)


def on_balls(function: Callable[[arb], tuple[arb, arb]]) -> Oracle:
    """The oracle of a function of balls that encloses (f, f').

    A ball stores its radius to 30 bits, so it blurs the end nearer to zero of a
    long interval. An oracle that uses the two end points, as monotone terms
    allow, is tighter.
    """
    return lambda a, b: function(a.union(b))


class _Piece(NamedTuple):
    """A piece of the domain and an upper bound of f on it; heaps pop the highest."""

    minus_upper: float
    serial: int
    a: arb
    b: arb


class _Search:
    """The state of one branch and bound: the open pieces and the best value seen."""

    def __init__(self, oracle: Oracle, floor: float, budget: int) -> None:
        self.oracle = oracle
        self.lower = floor
        self.budget = budget
        self.evaluations = 0
        self.pieces: list[_Piece] = []

    def evaluate(self, a: arb, b: arb) -> tuple[arb, arb]:
        self.evaluations += 1
        return self.oracle(a, b)

    def sample(self, t: arb) -> arb:
        """Value at one point of the domain, which may raise the lower bound."""
        value, _ = self.evaluate(t, t)
        self.lower = max(self.lower, float_below(value))
        return value

    def add(self, a: arb, b: arb) -> None:
        """Bound f on [a, b] from above and keep the piece if it may hold the supremum."""
        value, slope = self.evaluate(a, b)
        upper = float_above(value)
        if upper <= self.lower:
            return
        if slope >= 0 or slope <= 0:
            a = b = b if slope >= 0 else a
            upper = min(upper, float_above(self.sample(a)))
        else:
            middle = _middle(a, b)
            centre = self.sample(middle)
            tangents = (centre + slope * (a - middle)).union(centre + slope * (b - middle))
            upper = min(upper, float_above(tangents))
        if upper > self.lower:
            heapq.heappush(self.pieces, _Piece(-upper, self.evaluations, a, b))

    @property
    def upper(self) -> float:
        """Every dropped piece lies below ``lower``, every other one on the heap."""
        return max(self.lower, -self.pieces[0].minus_upper) if self.pieces else self.lower

    def split(self) -> bool:
        """Halve the piece with the highest bound; False if that cannot be done."""
        if not self.pieces or self.evaluations >= self.budget:
            return False
        _, _, a, b = self.pieces[0]
        middle = _middle(a, b)
        if not a < middle < b:
            return False
        heapq.heappop(self.pieces)
        self.add(a, middle)
        self.add(middle, b)
        return True


def _middle(a: arb, b: arb) -> arb:
    return ((a + b) / 2).mid()


def supremum(
    oracle: Oracle,
    lo: arb | float,
    hi: arb | float,
    *,
    absolute: float = 0.0,
    relative: float = 1e-12,
    floor: float = -math.inf,
    precision: int = PRECISION,
    budget: int = 20_000,
) -> Enclosure:
    """Enclose max(floor, sup of f over [lo, hi]).

    A piece is bounded by the better of the oracle's range and the mean-value form
    f(m) + f'([a, b])([a, b] − m); where f' keeps its sign the piece shrinks to an
    end point.

    Args:
        oracle: Encloses f and f' on a piece.
        lo: Lower end; a ball means any number in it, and the upper bound then
            holds for all of them.
        hi: Upper end, not below ``lo``.
        absolute: Accepted width of the enclosure.
        relative: Accepted width, relative to the larger bound in magnitude.
        floor: Values below it do not matter; 0 gives the positive part.
        precision: Bits of the ball arithmetic, during the call only.
        budget: Evaluations after which the search stops; a wider, still
            rigorous, enclosure results.

    Returns:
        The enclosure. Its width exceeds the accepted one only where the budget or
        the precision was exhausted.

    Raises:
        InputError: ``lo`` or ``hi`` is not finite, or ``lo`` > ``hi``.
    """
    with ctx.workprec(precision):
        left, right = arb(lo), arb(hi)
        if not (left.is_finite() and right.is_finite()):
            raise InputError("lo, hi", (lo, hi), "two finite numbers")
        if left > right:
            raise InputError("lo", lo, f"a number not above hi = {hi}")
        search = _Search(oracle, floor, budget)
        if not left < right:
            point = left.union(right)
            value = float_above(search.sample(point))
            return Enclosure(search.lower, max(search.lower, value))
        search.sample(left)
        search.sample(right)
        search.add(left, right)
        while _wide(search.lower, search.upper, absolute, relative) and search.split():
            pass
        return Enclosure(search.lower, search.upper)


def _wide(lower: float, upper: float, absolute: float, relative: float) -> bool:
    if upper == lower:
        return False
    scale = max(abs(lower), abs(upper))
    return not upper - lower <= max(absolute, relative * scale if scale < math.inf else 0.0)
