"""Online DPO's field, which is no gradient, and what a policy earns: rewards and win rates.

``OnlineDPO(p) - gamma * KLRefPolicy(p)`` answers what an objective does, but for its value.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NoReturn

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import lift
from sailtheory.numeric.numbers import FLOAT64, Array
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.expectation import BlockObjective, Point
from sailtheory.objectives.sail import PairObjective, log_likelihood_at, regularised
from sailtheory.problem.fields import no_preferences
from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import fields, formulas
from sailtheory.theory.payoff import Payoff

__all__ = ["ExpectedReward", "Gain", "OnlineDPO", "OnlineDPORevKL", "ScoreMean", "has_rewards"]


class OnlineDPO(PairObjective):
    """V = βE_x E_{π⊗π}[uΔ]: ∇J without its score term, what online DPO follows (C29).

    ``gradient`` is V, ``jacobian`` DV, and the Hessian and every curvature are those of
    DV's symmetric part, so that searches, certificates and ascent take it for an objective.
    It has no value: for m ≥ 3 V is no gradient.
    """

    has_value = False

    def _payoff(self, at: Point) -> Payoff:
        return log_likelihood_at(at)

    def _value(self, at: Point) -> NoReturn:
        raise InputError("objective", type(self).__name__, "an objective with a value is expected")

    def _gradient(self, at: Point) -> Array:
        payoff = self._found(at)
        return formulas.off_policy_gradient(at.block.beta, at.policy, payoff)

    def _eta(self, at: Point) -> Array:
        return fields.field_curvature(at.block.beta, at.policy, self._found(at))

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        payoff = self._found(at)
        return fields.field_curvature_gradient(at.block.beta, at.policy, payoff, along)

    def jacobian(self, theta: Array) -> Array:
        """∂V_i/∂θ_j: (..., d, d)."""

        def turning(at: Point) -> Array:
            block = at.block
            return fields.field_turning(
                block.beta, at.policy, block.features, self._found(at), block.weights
            )

        even = self.hessian(theta)
        return even + self._total(turning, theta, width=self.problem.dimension)


def OnlineDPORevKL(problem: PreferenceProblem, gamma: float) -> Objective:
    """V − γ∇KL(π_ref‖π_θ): ``OnlineDPO(problem) - gamma * KLRefPolicy(problem)`` (C29).

    Args:
        problem: The preference problem.
        gamma: γ ≥ 0.

    Raises:
        InputError: γ is negative or not finite.
    """
    return regularised(OnlineDPO(problem), gamma)


class ScoreMean(BlockObjective):
    """E_x E_{π_θ} r for scores r of the responses: its Hessian is E[(r − E r)ssᵀ]."""

    @abstractmethod
    def _scores(self, at: Point) -> Array:
        """(n, m)."""

    def _value(self, at: Point) -> Array:
        return formulas.expectation(at.policy, self._scores(at))

    def _gradient(self, at: Point) -> Array:
        return fields.score_mean_gradient(at.policy, self._scores(at))

    def _eta(self, at: Point) -> Array:
        return fields.score_mean_curvature(at.policy, self._scores(at))

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return fields.score_mean_curvature_gradient(at.policy, self._scores(at), along)


class Gain(ScoreMean):
    """Win rate against π_ref, less ½: E_x Σ π_θ(y₁)π_ref(y₂)q (section 1).

    Raises:
        InputError: The problem states no preferences.
    """

    def __init__(self, problem: PreferenceProblem) -> None:
        super().__init__(problem)
        if not getattr(problem, "states_preferences", True):
            raise no_preferences(repr(problem))

    def _scores(self, at: Point) -> Array:
        return formulas.expectation(at.ref[..., None, :], at.block.preference)


class ExpectedReward(ScoreMean):
    """E_x E_{π_θ} r, for problems whose preferences are Bradley–Terry with rewards r.

    Raises:
        InputError: The rewards of some prompt are not known.
    """

    def __init__(self, problem: PreferenceProblem) -> None:
        if not has_rewards(problem):
            raise InputError("preferences", repr(problem), "Bradley–Terry rewards for every prompt")
        super().__init__(problem)
        self._float64: dict[int, np.ndarray] = {}

    def _scores(self, at: Point) -> Array:
        first = int(at.block.prompts[0])
        if at.xp is FLOAT64 and first in self._float64:
            return self._float64[first]
        models: list[Any] = [self.problem.preferences[x] for x in at.block.prompts]
        system = FLOAT64 if at.xp.name == "torch" else at.xp
        scores = np.stack([lift(system, model.rewards) for model in models])
        if at.xp is FLOAT64:
            self._float64[first] = scores
        return scores if system is at.xp else at.xp.asarray(scores)


def has_rewards(problem: PreferenceProblem) -> bool:
    """Whether the rewards behind all preferences are known."""
    return all(isinstance(each, BradleyTerry) for each in problem.preferences)
