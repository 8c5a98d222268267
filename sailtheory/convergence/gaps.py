"""Gaps of a run to the maximum, far below the rounding of the values that they are between.

A difference of two values of J is known to 1e-16 of J, which a fast run uses up in ten
steps. The same gap is the work of the gradient on the way from the maximiser,

    J(θ*) − J(θ) = −∫₀¹ ∇J(θ* + sδ)ᵀδ ds,  δ = θ − θ*,

and the gradient vanishes at θ*: its rounding is multiplied by ‖δ‖ before it counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sailtheory.objectives.algebra import Objective

__all__ = ["ROUNDING", "Gaps", "gaps_to", "work"]

ROUNDING = 1e-15
"""Of 1 + |J|: differences of values below it are not resolved."""

_EPS = float(np.finfo(float).eps)
_SURE = 1e6  # differences of values this many times their rounding are as good
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)  # exact to degree 7 in s


class Gaps(NamedTuple):
    """Gaps of one run, and the error that rounding leaves in each.

    Attributes:
        value: (k,).
        blur: (k,).
    """

    value: np.ndarray
    blur: np.ndarray


def gaps_to(
    objective: Objective, maximiser: np.ndarray, stationarity: float, best: float, path: np.ndarray
) -> Gaps:
    """Gaps of points to the maximum.

    Args:
        objective: J.
        maximiser: θ*, (d,).
        stationarity: How far θ* is from stationary: the norm of its gradient mapping.
        best: J(θ*).
        path: The points, (k, d).
    """
    floor = ROUNDING * (1 + abs(best))
    difference = best - objective.value(path)
    step = path - maximiser
    distance = np.linalg.norm(step, axis=-1)
    steepest = float(np.linalg.norm(objective.gradient(path), axis=-1).max())
    size = 1 + float(np.linalg.norm(maximiser)) / max(float(distance.max()), 1e-300)
    blur = (_EPS * steepest * size + stationarity) * distance
    near = (difference <= _SURE * floor) & (blur < floor)
    value = difference.copy()
    value[near] = work(objective, maximiser, step[near])
    return Gaps(value, np.where(near, blur, floor))


def work(objective: Objective, maximiser: np.ndarray, step: np.ndarray) -> np.ndarray:
    """−∫₀¹ ∇J(θ* + sδ)ᵀδ ds by Gauss and Legendre: δ (k, d) to (k,)."""
    total = np.zeros(len(step))
    for node, weight in zip((1 + _NODES) / 2, _WEIGHTS / 2, strict=True):
        total -= weight * np.sum(objective.gradient(maximiser + node * step) * step, axis=-1)
    return total
