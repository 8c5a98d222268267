"""Objectives of a pair payoff as targets: win rate, and the bounds of C35."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sailtheory.objectives.fields import Gain
from sailtheory.objectives.payoff import PayoffObjective
from sailtheory.objectives.target import CurvatureBounds, Target, nothing_moves
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory.payoff_bound import payoff_bounds, require_smooth
from sailtheory.theory.payoffs import PairPayoff, custom_payoff, named_payoff

__all__ = ["PayoffTarget", "custom_target", "named_target"]


class PayoffTarget(Target):
    """J = E_{π⊗π}[p₁₂G(z) + p₂₁G(−z)].

    Args:
        problem: With preferences.
        payoff: G.
        name: As it is asked for.

    Raises:
        InputError: The problem states no preferences, or G has no K on its C: it is not finite
            there, or has a convex kink.
    """

    symbol, measure = "J", "win rate"

    def __init__(self, problem: PreferenceProblem, payoff: PairPayoff, name: str) -> None:
        self.objective = PayoffObjective(problem, payoff)
        self.payoff, self.name = payoff, name
        self.title = f"G(z) = {payoff.formula}"
        require_smooth(payoff, float(problem.beta), problem.z_max_above)

    def on(self, problem: PreferenceProblem) -> PayoffTarget:
        """The same payoff on another problem."""
        return PayoffTarget(problem, self.payoff, self.name)

    def worth(self, theta: np.ndarray) -> np.ndarray:
        """Win rate against π_ref."""
        return np.asarray(Gain(self.problem).value(np.asarray(theta, dtype=float)) + 0.5)

    def bounds(self) -> CurvatureBounds | None:
        """K and K⁻ (C35); K⁻ is infinite where G has a concave kink."""
        problem = self.problem
        if nothing_moves(problem):
            return None
        known = payoff_bounds(self.payoff, float(problem.beta), problem.z_max_above)
        return CurvatureBounds(
            known.relative,
            None,
            None,
            known.lower,
            claims="C35",
            scope="for every problem of this β and Z_max",
        )

    def settings(self) -> dict[str, Any]:
        """The payoff's options."""
        return dict(self.payoff.options)


def named_target(problem: PreferenceProblem, payoff: str, **options: Any) -> PayoffTarget:
    """A payoff of :data:`~sailtheory.theory.payoffs.PAYOFFS` as a target."""
    return PayoffTarget(problem, named_payoff(payoff, **options), payoff)


def custom_target(
    problem: PreferenceProblem, formula: str | Callable[..., Any] = ""
) -> PayoffTarget:
    """A user's payoff as a target: an expression, or a function of jets."""
    return PayoffTarget(problem, custom_payoff(formula), "custom")
