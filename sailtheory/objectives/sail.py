"""The objectives, which read like the paper: ``SAIL(p) - gamma * KLRefPolicy(p)``.

Every objective is maximised. θ has shape (..., d) in any number system (NumPy
float64, torch tensor, object array of Arb balls or SymPy expressions) and the
result is in the same system. Divergences are named by their arguments.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.expectation import BlockObjective, Point
from sailtheory.problem.fields import no_preferences
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas, pair_form
from sailtheory.theory.payoff import Payoff

__all__ = [
    "DPO",
    "IPO",
    "SAIL",
    "HessianTerms",
    "KLPolicyRef",
    "KLRefPolicy",
    "OffPolicyObjective",
    "OnPolicyObjective",
    "PairObjective",
    "SAILRevKL",
    "SelfPreferenceSAIL",
    "StopGradientSelfPreference",
    "fisher",
    "log_likelihood_at",
    "regularised",
]


class HessianTerms(NamedTuple):
    """The three terms of ∇²J (C02), each (..., d, d)."""

    score: Array
    cross: Array
    dpo: Array


class PairObjective(BlockObjective):
    """An objective that is told by a pair payoff G(z).

    Raises:
        InputError: The problem states no preferences.
    """

    def __init__(self, problem: PreferenceProblem) -> None:
        super().__init__(problem)
        if not getattr(problem, "states_preferences", True):
            raise no_preferences(repr(problem))

    @abstractmethod
    def _payoff(self, at: Point) -> Payoff: ...

    def _found(self, at: Point) -> Payoff:
        """The payoff at a point, evaluated once."""
        kind = type(self)
        if kind not in at.payoffs:
            at.payoffs[kind] = self._payoff(at)
        return at.payoffs[kind]


class OnPolicyObjective(PairObjective):
    """E_x E_{y₁,y₂ ~ π_θ iid}[G(z)] for a pair payoff G."""

    def _value(self, at: Point) -> Array:
        return formulas.pair_mean(at.policy, self._found(at).value) - at.xp.log_2()

    def _gradient(self, at: Point) -> Array:
        return formulas.on_policy_gradient(at.block.beta, at.policy, self._found(at))

    def _eta(self, at: Point) -> Array:
        return formulas.relative_pair_curvature(at.block.beta, at.policy, self._found(at))

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return formulas.curvature_gradient(at.block.beta, at.policy, self._found(at), along)


def log_likelihood_at(at: Point) -> Payoff:
    """SAIL's and DPO's payoff; in float64 each pair is evaluated once."""
    upper = at.upper
    if upper is None:
        return formulas.log_likelihood_payoff(at.xp, at.block.preference, at.z)
    half = formulas.log_likelihood_payoff(at.xp, *upper)
    return half.mirrored(at.policy.shape[-1], at_zero=-0.25)


class SAIL(OnPolicyObjective):
    """J(θ) = E_x E_{y₁,y₂~π_θ}[p₁₂ log σ(z) + p₂₁ log σ(−z)] (SAIL-DPR, section 1)."""

    def _payoff(self, at: Point) -> Payoff:
        return log_likelihood_at(at)

    def hessian_terms(self, theta: Array) -> HessianTerms:
        """Score, cross and DPO term of ∇²J (C02), each (..., d, d)."""

        def term(curvature: Callable[[Point], Array]) -> Array:
            return self._curved(
                lambda at: curvature(at) * formulas.pair_probability(at.policy), theta
            )

        return HessianTerms(
            score=term(lambda at: formulas.score_curvature(at.policy, self._found(at))),
            cross=term(
                lambda at: formulas.cross_curvature(at.block.beta, at.policy, self._found(at))
            ),
            dpo=term(lambda at: formulas.dpo_curvature(at.block.beta, self._found(at))),
        )


class SelfPreferenceSAIL(OnPolicyObjective):
    """SAIL-DPP: p₁₂ replaced by σ(z), with gradient through it (C06)."""

    def _payoff(self, at: Point) -> Payoff:
        return formulas.self_preference_payoff(at.xp, at.z)


class OffPolicyObjective(PairObjective):
    """E_x E_{y₁,y₂ ~ π_ref iid}[G(z)]: pairs from a fixed data set."""

    @abstractmethod
    def _offset(self, at: Point) -> Array: ...

    def _value(self, at: Point) -> Array:
        return formulas.pair_mean(at.ref, self._found(at).value) - self._offset(at)

    def _gradient(self, at: Point) -> Array:
        return formulas.off_policy_gradient(at.block.beta, at.ref, self._found(at))

    def _eta(self, at: Point) -> Array:
        odds = at.xp.exp(-formulas.pair_sum(at.log_ratio))
        return formulas.dpo_curvature(at.block.beta, self._found(at)) * odds

    def _pair_weights(self, at: Point) -> Array:
        eta = formulas.dpo_curvature(at.block.beta, self._found(at))
        return eta * formulas.pair_probability(at.ref)

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return formulas.off_policy_curvature_gradient(at.block.beta, at.ref, self._found(at), along)


class DPO(OffPolicyObjective):
    """E_x E_{y₁,y₂~π_ref}[p₁₂ log σ(z) + p₂₁ log σ(−z)]: the negative population DPO loss."""

    def _payoff(self, at: Point) -> Payoff:
        return log_likelihood_at(at)

    def _offset(self, at: Point) -> Array:
        return at.xp.log_2()


class IPO(OffPolicyObjective):
    """−E_x E_{π_ref}[(h − 1/(2β))²], h = z/β: the negative population IPO loss, τ = β.

    The label is drawn from p; the square is expanded and its mean taken.
    """

    def _payoff(self, at: Point) -> Payoff:
        return formulas.squared_payoff(at.block.preference, at.z, at.block.beta)

    def _offset(self, at: Point) -> Array:
        return 1 / (4 * at.block.beta * at.block.beta)


class KLRefPolicy(BlockObjective):
    """E_x KL(π_ref‖π_θ), the regulariser of SAIL-RevKL. Its Hessian is F̄ (C07)."""

    def _value(self, at: Point) -> Array:
        return formulas.kl_ref_policy(at.ref, at.log_ratio)

    def _gradient(self, at: Point) -> Array:
        drift = pair_form.logits(at.delta, at.block.features)
        return formulas.kl_ref_policy_gradient(at.xp, at.policy, at.ref, drift)

    def _eta(self, at: Point) -> Array:
        return pair_form.pairwise(at.policy) * 0 + 1

    def _pair_weights(self, at: Point) -> Array:
        return formulas.pair_probability(at.policy)

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return formulas.fisher_gradient(at.policy, along)


def fisher(problem: PreferenceProblem, theta: Array) -> Array:
    """F̄(θ) = E_x Cov_θ(φ), the Hessian of KL(π_ref‖π_θ): (..., d, d), for θ (..., d) (C07)."""
    return KLRefPolicy(problem).hessian(theta)


class KLPolicyRef(BlockObjective):
    """E_x KL(π_θ‖π_ref); not convex in general (C08)."""

    def _value(self, at: Point) -> Array:
        return formulas.kl_policy_ref(at.policy, at.log_ratio)

    def _gradient(self, at: Point) -> Array:
        return formulas.kl_policy_ref_gradient(at.policy, at.advance)

    def _eta(self, at: Point) -> Array:
        return formulas.kl_policy_ref_curvature(at.advance)

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return formulas.kl_policy_ref_curvature_gradient(at.policy, at.advance, along)


def SAILRevKL(problem: PreferenceProblem, gamma: float) -> Objective:
    """J_γ = J − γ E_x KL(π_ref‖π_θ): ``SAIL(problem) - gamma * KLRefPolicy(problem)``.

    Args:
        problem: The preference problem.
        gamma: γ ≥ 0.

    Raises:
        InputError: γ is negative or not finite.
    """
    return regularised(SAIL(problem), gamma)


def regularised(objective: Objective, gamma: float, penalty: Objective | None = None) -> Objective:
    """An objective less γ KL(π_ref‖π_θ), or a field less γ times its gradient.

    Args:
        objective: Of any problem.
        gamma: γ ≥ 0.
        penalty: What stands in the place of KL(π_ref‖π_θ).

    Raises:
        InputError: γ is negative or not finite.
    """
    if not (np.isfinite(gamma) and gamma >= 0):
        raise InputError("gamma", gamma, "a finite γ ≥ 0 is required")
    return objective - gamma * (penalty or KLRefPolicy(objective.problem))


class StopGradientSelfPreference:
    """SAIL-DPP with p₁₂ = σ(z) held constant: a vector field, not an objective (C06).

    For d ≥ 2 it is not the gradient of any function: its Jacobian is not symmetric.
    """

    def __init__(self, problem: PreferenceProblem) -> None:
        self.problem = problem

    def field(self, theta: Array) -> Array:
        """E[g(s₁ + s₂)] with p₁₂ = σ(z), where u = 0: (..., d) to (..., d)."""
        return _StopGradient(self.problem).gradient(theta)

    def jacobian(self, theta: Array) -> Array:
        """∂ field_i / ∂θ_j: (..., d, d)."""
        return _StopGradient(self.problem).hessian(theta)


class _StopGradient(OnPolicyObjective):
    """Carrier of the formulas of the stop-gradient field."""

    def _payoff(self, at: Point) -> Payoff:
        value, first, second, third = formulas.self_preference_payoff(at.xp, at.z)
        return Payoff(value, first * 0, second, third)

    def hessian(self, theta: Array) -> Array:
        """∂ gradient_i / ∂θ_j, not symmetric: (..., d, d)."""

        def of_prompts(at: Point) -> Array:
            payoff = formulas.self_preference_payoff(at.xp, at.z)
            return formulas.stop_gradient_jacobian(
                at.block.beta, at.policy, at.block.features, payoff
            )

        return self._expect(of_prompts, theta)
