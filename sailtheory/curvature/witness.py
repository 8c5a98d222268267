"""Directions of positive or negative curvature that can be checked without the operator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sailtheory.curvature.lanczos import Extremal
from sailtheory.curvature.operators import CurvatureOperator

__all__ = ["CurvatureWitness", "witness"]


@dataclass(frozen=True)
class CurvatureWitness:
    """A direction along which an objective curves, and how to see it again.

    Attributes:
        value: vᵀ∇²Jv, v unit.
        direction: v, (d,).
        operator: Where: objective and parameters.
    """

    value: float
    direction: Tensor
    operator: CurvatureOperator

    def replay(self, step: float | None = None) -> float:
        """(J(θ + hv) − 2J(θ) + J(θ − hv))/h²: values only, no derivative.

        Args:
            step: h; by default eps^{1/4}, which balances rounding
                and truncation for a function of moderate fourth derivative.
        """
        subset, objective = self.operator.subset, self.operator.objective
        theta = subset.flat()
        if step is None:
            step = torch.finfo(theta.dtype).eps ** 0.25
        with torch.no_grad():
            ahead, here, behind = (
                float(objective.value(subset.moved(c * self.direction))) for c in (step, 0.0, -step)
            )
        return (ahead - 2 * here + behind) / step**2

    @property
    def confirmed(self) -> bool:
        """Whether the second difference has the same sign."""
        return self.replay() * self.value > 0


def witness(operator: CurvatureOperator, end: Extremal) -> CurvatureWitness:
    """The direction of an extremal eigenvalue, normalised, with its curvature."""
    direction = end.vector / end.vector.norm()
    return CurvatureWitness(float(direction @ operator(direction)), direction, operator)
