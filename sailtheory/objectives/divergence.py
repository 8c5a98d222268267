"""An f-divergence of the policy from its reference, as an objective: ``J - gamma * D`` (C38)."""

from __future__ import annotations

from sailtheory.numeric.numbers import Array
from sailtheory.objectives.expectation import BlockObjective, Point
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import divergences, formulas
from sailtheory.theory.divergences import Divergence, Parts

__all__ = ["DivergenceObjective"]


class DivergenceObjective(BlockObjective):
    """E_x D_f(π_θ, π_ref).

    Args:
        problem: Any problem.
        divergence: From :func:`~sailtheory.theory.divergences.divergence`.
        weight: What it is multiplied by; in ball arithmetic without rounding.
    """

    def __init__(
        self, problem: PreferenceProblem, divergence: Divergence, weight: float = 1.0
    ) -> None:
        super().__init__(problem)
        self.divergence, self.weight = divergence, weight

    def on(self, problem: PreferenceProblem) -> DivergenceObjective:
        """The same divergence on another problem."""
        return DivergenceObjective(problem, self.divergence, self.weight)

    def _parts(self, at: Point) -> Parts:
        log_w = at.log_ratio if self.divergence.by_reference else at.log_policy
        value, slope, bend, third = self.divergence.parts(at.xp, log_w)
        w = self.weight
        return w * value, w * slope, w * bend, w * third

    def _value(self, at: Point) -> Array:
        value = self._parts(at)[0]
        if self.divergence.by_reference:
            return formulas.expectation(at.ref, value)
        return self.weight * formulas.expectation(at.policy, at.log_policy)

    def _gradient(self, at: Point) -> Array:
        return divergences.divergence_gradient(at.policy, self._parts(at)[1])

    def _eta(self, at: Point) -> Array:
        _, slope, bend, _ = self._parts(at)
        return divergences.divergence_curvature(at.policy, slope, bend)

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return divergences.divergence_curvature_gradient(at.policy, *self._parts(at)[1:], along)
