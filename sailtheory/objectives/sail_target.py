"""SAIL as a target: win rate, and the bounds of C11."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.fields import Gain
from sailtheory.objectives.sail import SAIL
from sailtheory.objectives.target import CurvatureBounds, Target, nothing_moves
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds

__all__ = ["SAILTarget"]


class SAILTarget(Target):
    """J of the paper.

    Args:
        problem: With preferences.

    Raises:
        InputError: It states none.
    """

    name, title, symbol, measure = "sail", "SAIL", "J", "win rate"

    def __init__(self, problem: PreferenceProblem) -> None:
        self.objective = SAIL(problem)

    def on(self, problem: PreferenceProblem) -> SAILTarget:
        """SAIL of another problem."""
        return SAILTarget(problem)

    def worth(self, theta: np.ndarray) -> np.ndarray:
        """Win rate against π_ref."""
        return np.asarray(Gain(self.problem).value(np.asarray(theta, dtype=float)) + 0.5)

    def bounds(self) -> CurvatureBounds | None:
        """K_B and K⁻ (C11); what prompts need alone is left to certificates (C23)."""
        problem = self.problem
        if nothing_moves(problem):
            return None
        beta, z = float(problem.beta), problem.z_max_above
        lower = float(bounds.lower_curvature(FLOAT64, beta, z))
        return CurvatureBounds(
            bounds.relative_bound(beta, z),
            None,
            None,
            lower,
            claims="C11",
            scope="for every problem of this β and Z_max",
        )

    def settings(self) -> dict[str, Any]:
        """None."""
        return {}
