"""The sign of an objective's curvature at a point, in ball arithmetic."""

from __future__ import annotations

import numpy as np

from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.algebra import Objective

__all__ = ["curvature_sign"]


def curvature_sign(
    objective: Objective, theta: np.ndarray, direction: np.ndarray, bits: int = 128
) -> int:
    """The certified sign of vᵀ∇²v at a point, in ball arithmetic.

    Args:
        objective: Any objective.
        theta: (d,) float64, taken exactly.
        direction: v, (d,) float64, taken exactly.
        bits: Working precision; doubled up to 16 times this before giving up.

    Returns:
        1 or -1 when the sign is certain, 0 when it is not.
    """
    from flint import ctx

    limit = 16 * bits
    while bits <= limit:
        with ctx.workprec(bits):
            xp = arb_numbers()
            v = xp.asarray(direction)
            curvature = (v @ objective.hessian(xp.asarray(theta))) @ v
            if curvature > 0:
                return 1
            if curvature < 0:
                return -1
        bits *= 2
    return 0
