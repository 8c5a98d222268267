"""E_{π⊗π} of any pair payoff G, and the field without its score term (C35, C36)."""

from __future__ import annotations

from sailtheory.numeric.numbers import Array
from sailtheory.objectives.expectation import Point
from sailtheory.objectives.fields import OnlineDPO
from sailtheory.objectives.sail import OnPolicyObjective, PairObjective
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas
from sailtheory.theory.payoff import Payoff
from sailtheory.theory.payoffs import PairPayoff, pair_payoff

__all__ = ["PayoffField", "PayoffObjective"]


class _WithPayoff(PairObjective):
    """An objective that is told by a payoff that is given to it."""

    def __init__(self, problem: PreferenceProblem, payoff: PairPayoff) -> None:
        super().__init__(problem)
        self.payoff = payoff

    def on(self, problem: PreferenceProblem) -> _WithPayoff:
        """The same payoff on another problem."""
        return type(self)(problem, self.payoff)

    def _found(self, at: Point) -> Payoff:
        if self.payoff not in at.payoffs:
            at.payoffs[self.payoff] = self._payoff(at)
        return at.payoffs[self.payoff]

    def _payoff(self, at: Point) -> Payoff:
        beta, upper = at.block.beta, at.upper
        if upper is None:
            return pair_payoff(self.payoff, at.xp, at.block.preference, at.z, beta)
        half = pair_payoff(self.payoff, at.xp, *upper, beta)
        bend = float(self.payoff.at_zero(at.xp, beta).parts[2])
        return half.mirrored(at.policy.shape[-1], at_zero=bend)


class PayoffObjective(_WithPayoff, OnPolicyObjective):
    """J = E_x E_{y₁,y₂~π_θ}[p₁₂G(z) + p₂₁G(−z)].

    Args:
        problem: With preferences.
        payoff: G, from :func:`~sailtheory.theory.payoffs.named_payoff` or ``custom_payoff``.

    Raises:
        InputError: The problem states no preferences.
    """

    def _value(self, at: Point) -> Array:
        start = self.payoff.at_zero(at.xp, at.block.beta).value
        return formulas.pair_mean(at.policy, self._found(at).value) + start


class PayoffField(_WithPayoff, OnlineDPO):
    """V = βE_{π⊗π}[uΔ], u = p₁₂G'(z) − p₂₁G'(−z): ∇J without its score term (C36).

    Online training with the loss −G, pairs drawn from the policy and taken as given.
    """
