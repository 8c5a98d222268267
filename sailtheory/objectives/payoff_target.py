"""Objectives of a pair payoff as targets: win rate, and the bounds of C35."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sailtheory.numeric.balls import BALLS, Balls
from sailtheory.objectives.fields import Gain
from sailtheory.objectives.payoff import PayoffObjective
from sailtheory.objectives.target import CurvatureBounds, Target, nothing_moves
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.reduced import ProblemPrompts, ranges, reduced
from sailtheory.theory.payoff_bound import (
    loss_ceiling,
    payoff_bounds,
    payoff_curvature,
    require_smooth,
)
from sailtheory.theory.payoff_data import payoff_data_bound
from sailtheory.theory.payoffs import PairPayoff, custom_payoff, leaning, named_payoff

__all__ = ["PayoffTarget", "custom_target", "named_target"]

_LEVELS = 16  # of |z|, up to which K is taken from its theorem
_LEANS = 8  # steps of |q|, at which −J is bounded
_AT_ONCE = 1 << 16  # pairs


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
        """K and K⁻ (C35), and K of each prompt; K⁻ is infinite where G has a concave kink."""
        problem = self.problem
        if nothing_moves(problem):
            return None
        known = payoff_bounds(self.payoff, float(problem.beta), problem.z_max_above)
        prompts = np.minimum(_of_prompts(self.payoff, problem), known.relative)
        return CurvatureBounds(
            known.relative,
            float(prompts.max()),
            prompts,
            known.lower,
            claims="C35",
            scope="for every problem of this β and Z_max",
            data_claims="each prompt's preferences and ranges of z (C35)",
        )

    def settings(self) -> dict[str, Any]:
        """The payoff's options."""
        return dict(self.payoff.options)


def _of_prompts(payoff: PairPayoff, problem: PreferenceProblem) -> np.ndarray:
    """A bound of each prompt's γ*, (n,): by its own pairs, or by its largest |z| alone."""
    beta, out = float(problem.beta), np.zeros(problem.prompts)
    levels = problem.z_max_above * 2.0 ** (-np.arange(_LEVELS) / 2)
    start = float(payoff.at_zero(BALLS, beta).value.upper)
    for data in reduced(ProblemPrompts(problem)):
        k, l = np.triu_indices(data.responses, 1)  # noqa: E741
        step = max(1, _AT_ONCE // max(len(k), 1))
        moving = np.flatnonzero(data.moves)
        for i in range(0, len(moving), step):
            some = data.take(moving[i : i + step])
            low, high = (each[:, k, l] for each in ranges(some, beta))
            reach = np.maximum(abs(low), abs(high)).max(-1)
            q = Balls(some.preference[:, k, l], some.error[:, None] + np.zeros(len(k)))
            lean = np.ceil(np.minimum(_LEANS * 2 * abs(q).upper.max(-1), _LEANS))
            place = np.maximum((levels[:, None] >= reach).sum(0) - 1, 0)
            alone, floor = np.empty(len(reach)), np.empty(len(reach))
            for level, leant in set(zip(place, lean, strict=True)):
                z, here = float(levels[level]), (place == level) & (lean == leant)
                alone[here] = payoff_curvature(payoff, beta, z)
                mixed = leaning(payoff, leant / (2 * _LEANS))
                floor[here] = loss_ceiling(mixed, beta, z) + start
            bound = payoff_data_bound(payoff, beta, q, low, high, data.responses, floor)
            out[some.prompts] = np.maximum(np.minimum(bound, alone), 0)
    return out


def named_target(problem: PreferenceProblem, payoff: str, **options: Any) -> PayoffTarget:
    """A payoff of :data:`~sailtheory.theory.payoffs.PAYOFFS` as a target."""
    return PayoffTarget(problem, named_payoff(payoff, **options), payoff)


def custom_target(
    problem: PreferenceProblem, formula: str | Callable[..., Any] = ""
) -> PayoffTarget:
    """A user's payoff as a target: an expression, or a function of jets."""
    return PayoffTarget(problem, custom_payoff(formula), "custom")
