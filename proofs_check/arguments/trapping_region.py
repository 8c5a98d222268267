"""C14: a neighbourhood of the spurious stop that projected ascent cannot leave.

With step 1/Λ ascent never lowers J. So if J < m on the shell inner ≤ ‖θ − trap‖ ≤ outer
of C, and no step from inside is as long as outer − inner, then from U = {‖θ − trap‖ <
inner, J ≥ m} every iterate stays in U. U contains a ball around the stop, and J on it stays
below J at a better point of C.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from flint import arb

from sailtheory import Objective
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.theory import bounds

_CORNERS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
_SMALLEST = 1e-3


class Trap(NamedTuple):
    """Radii about the stop.

    Attributes:
        core: Every point of C this near to it is trapped.
        inner: The trap lies within.
        outer: Where the shell ends.
    """

    core: float = 0.004
    inner: float = 0.3
    outer: float = 0.4


class Square(NamedTuple):
    """A square in R² with its distances, as balls."""

    center: np.ndarray
    half: float
    offset: np.ndarray


def trapping_squares(
    objective: Objective, stop: np.ndarray, better: np.ndarray, trap: Trap | None = None
) -> int:
    """Squares on which ball arithmetic shows that ``stop`` is trapped; 0 if it does not.

    Args:
        objective: SAIL on a problem with d = 2, S = R² and c = 0.
        stop: The spurious stop, (2,).
        better: A point of C with a higher J, (2,).
        trap: Radii.
    """
    trap = trap or Trap()
    problem, xp = objective.problem, arb_numbers()
    lower = bounds.lower_curvature(FLOAT64, float(problem.beta), problem.z_max)
    smooth = bounds.smoothness(0.0, lower, problem.feature_diameter)
    center = xp.asarray(stop)
    core = Square(stop, trap.core, center + arb(0, trap.core))
    level = arb(_value(objective, core).lower())
    top = objective.value(xp.asarray(better))
    longest = arb(float(smooth)) * (arb(trap.outer) - arb(trap.inner))

    def settled(square: Square) -> bool:
        away = square.offset - center
        square_distance = (away * away).sum()
        if square_distance > arb(trap.outer) ** 2:
            return True
        value = _value(objective, square)
        if square_distance > arb(trap.inner) ** 2:
            return bool(value < level)
        gradient = objective.gradient(square.offset)
        if not (gradient * gradient).sum() < longest**2 or not value < top:
            return False
        return bool(square_distance < arb(trap.inner) ** 2) or bool(value < level)

    return _cover(settled, stop, trap.outer, float(problem.radius))


def _value(objective: Objective, square: Square) -> arb:
    """J on a square, by the mean-value form."""
    middle = arb_numbers().asarray(square.center)
    slope = objective.gradient(square.offset) @ (square.offset - middle)
    value: arb = objective.value(middle) + slope
    return value


def _cover(
    settled: Callable[[Square], bool], center: np.ndarray, half: float, radius: float
) -> int:
    """Halve squares about a point until each is settled or outside the disc."""
    open_, count = [(center, half)], 0
    while open_:
        middle, half = open_.pop()
        box = arb_numbers().asarray(middle) + arb(0, half)
        if (box * box).sum() > arb(radius) ** 2:
            continue
        if settled(Square(middle, half, box)):
            count += 1
            continue
        if half < _SMALLEST:
            return 0
        open_ += [(middle + half / 2 * corner, half / 2) for corner in _CORNERS]
    return count
