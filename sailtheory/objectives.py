"""Objectives as an algebra that reads like the paper: ``SAIL(p) - gamma * KLRefPolicy(p)``.

Every objective is maximised. θ has shape (..., d) in any number system (NumPy
float64, torch tensor, object array of Arb balls or SymPy expressions) and the
result is in the same system. Divergences are named by their arguments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sailtheory import formulas
from sailtheory.errors import InputError
from sailtheory.formulas import Payoff
from sailtheory.numbers import Array, NumberSystem, numbers_of
from sailtheory.problem import Block, PreferenceProblem

_CHUNK = 1 << 23  # entries of an (..., n, m, m) array evaluated at a time


class HessianTerms(NamedTuple):
    """The three terms of ∇²J (C02), each (..., d, d)."""

    score: Array
    cross: Array
    dpo: Array


class Objective(ABC):
    """A function of θ built from a preference problem, with exact derivatives."""

    problem: PreferenceProblem

    @abstractmethod
    def value(self, theta: Array) -> Array:
        """The objective at θ (..., d): (...)."""

    @abstractmethod
    def gradient(self, theta: Array) -> Array:
        """Its gradient: (..., d)."""

    @abstractmethod
    def hessian(self, theta: Array) -> Array:
        """Its Hessian: (..., d, d)."""

    @abstractmethod
    def curvature_gradient(self, theta: Array, direction: Array) -> Array:
        """∇_θ (vᵀ ∇² v) for fixed v (..., d): (..., d)."""

    @abstractmethod
    def relative_pair_curvature(self, theta: Array) -> list[Array]:
        """η, with ∇² = E_x ½ Σ_kl π_kπ_l η_kl Δ_klΔ_klᵀ: curvature relative to F (C02).

        Returns:
            For each block of :meth:`PreferenceProblem.blocks`, (..., n, m, m).
        """

    def __add__(self, other: Objective) -> Objective:
        """The sum of two objectives on one problem."""
        if not isinstance(other, Objective):
            return NotImplemented
        return LinearCombination([(1.0, self), (1.0, other)])

    def __sub__(self, other: Objective) -> Objective:
        """The difference of two objectives on one problem."""
        if not isinstance(other, Objective):
            return NotImplemented
        return LinearCombination([(1.0, self), (-1.0, other)])

    def __mul__(self, factor: float) -> Objective:
        """A multiple."""
        if isinstance(factor, Objective):
            return NotImplemented
        return LinearCombination([(factor, self)])

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        """The negative."""
        return LinearCombination([(-1.0, self)])


class LinearCombination(Objective):
    """Σ_i c_i · objective_i on one problem.

    Attributes:
        terms: (c_i, objective_i); nested combinations are flattened.

    Raises:
        InputError: The objectives belong to different problems.
    """

    def __init__(self, terms: list[tuple[float, Objective]]) -> None:
        self.terms: list[tuple[float, Objective]] = []
        for factor, objective in terms:
            if isinstance(objective, LinearCombination):
                self.terms += [(factor * inner, term) for inner, term in objective.terms]
            else:
                self.terms.append((factor, objective))
        self.problem = self.terms[0][1].problem
        if any(term.problem is not self.problem for _, term in self.terms):
            raise InputError("objective", "terms on different problems", "one problem is expected")

    def _sum(self, evaluate: Callable[[Objective], Array]) -> Array:
        total = evaluate(self.terms[0][1]) * self.terms[0][0]
        for factor, term in self.terms[1:]:
            total = total + evaluate(term) * factor
        return total

    def value(self, theta: Array) -> Array:
        """Σ c_i value_i: (...)."""
        return self._sum(lambda term: term.value(theta))

    def gradient(self, theta: Array) -> Array:
        """Σ c_i gradient_i: (..., d)."""
        return self._sum(lambda term: term.gradient(theta))

    def hessian(self, theta: Array) -> Array:
        """Σ c_i hessian_i: (..., d, d)."""
        return self._sum(lambda term: term.hessian(theta))

    def curvature_gradient(self, theta: Array, direction: Array) -> Array:
        """Σ c_i curvature_gradient_i: (..., d)."""
        return self._sum(lambda term: term.curvature_gradient(theta, direction))

    def relative_pair_curvature(self, theta: Array) -> list[Array]:
        """Σ c_i η_i, block by block."""
        parts = [[eta * c for eta in term.relative_pair_curvature(theta)] for c, term in self.terms]
        return [sum(blocks[1:], blocks[0]) for blocks in zip(*parts, strict=True)]


class Point(NamedTuple):
    """What the prompts of one block look like at θ; pair arrays are (..., n, m, m)."""

    xp: NumberSystem
    block: Block
    delta: Array
    log_policy: Array
    policy: Array

    @property
    def z(self) -> Array:
        """β(log-ratio difference), (..., n, m, m)."""
        return formulas.margins(self.block.beta, self.delta, self.block.features)

    @property
    def log_ratio(self) -> Array:
        """log π_θ/π_ref, (..., n, m)."""
        return self.log_policy - self.block.log_ref

    @property
    def ref(self) -> Array:
        """π_ref, (n, m)."""
        return self.xp.exp(self.block.log_ref)

    @property
    def advance(self) -> Array:
        """δᵀs, the centred log-ratio without the partition function, (..., n, m)."""
        return formulas.centred(self.policy, formulas.logits(self.delta, self.block.features))


class BlockObjective(Objective):
    """An objective that is an expectation over prompts of a per-prompt closed form."""

    def __init__(self, problem: PreferenceProblem) -> None:
        self.problem = problem

    @abstractmethod
    def _value(self, at: Point) -> Array: ...

    @abstractmethod
    def _gradient(self, at: Point) -> Array: ...

    @abstractmethod
    def _eta(self, at: Point) -> Array: ...

    @abstractmethod
    def _curvature_gradient(self, at: Point, direction: Array) -> Array: ...

    def value(self, theta: Array) -> Array:
        """The objective at θ (..., d): (...)."""
        return self._expect(self._value, theta)

    def gradient(self, theta: Array) -> Array:
        """Its gradient: (..., d)."""
        return self._expect(self._gradient, theta)

    def hessian(self, theta: Array) -> Array:
        """Its Hessian: (..., d, d)."""
        return self._expect(self._hessian, theta)

    def curvature_gradient(self, theta: Array, direction: Array) -> Array:
        """∇_θ (vᵀ ∇² v) for fixed v (..., d): (..., d)."""
        return self._expect(self._curvature_gradient, theta, direction)

    def prompt_values(self, theta: Array) -> Array:
        """The objective of each prompt alone, unweighted: (..., n)."""
        return self._per_prompt(self._value, theta)

    def prompt_hessians(self, theta: Array) -> Array:
        """The Hessian of each prompt alone, unweighted: (..., n, d, d)."""
        return self._per_prompt(self._hessian, theta)

    def relative_pair_curvature(self, theta: Array) -> list[Array]:
        """η for each block: (..., n, m, m)."""
        return [self._eta(at) for at in self.points(self._checked(theta))]

    def _hessian(self, at: Point) -> Array:
        weights = self._eta(at) * formulas.pair_probability(at.policy)
        return formulas.laplacian(weights, at.block.features)

    def points(self, theta: Array) -> list[Point]:
        """What each block of prompts looks like at θ (..., d): policies, margins, ratios."""
        xp = numbers_of(theta)
        points = []
        for block in self.problem.blocks(xp):
            log_policy = formulas.log_policy(xp, theta, block.features, block.log_base)
            delta = theta - block.ref_params
            points.append(Point(xp, block, delta, log_policy, xp.exp(log_policy)))
        return points

    def _expect(self, function: Callable[..., Array], theta: Array, *extra: Array) -> Array:
        """E_x of a per-prompt formula, a bounded number of points θ at a time."""
        theta = self._checked(theta)
        if not isinstance(theta, np.ndarray) or theta.ndim == 1:
            return self._expect_block(function, theta, *extra)
        rows = theta.reshape(-1, theta.shape[-1])
        others = [np.broadcast_to(e, theta.shape).reshape(rows.shape) for e in extra]
        step = max(1, _CHUNK // sum(m * m for m in self.problem.responses))
        parts = [
            self._expect_block(function, rows[i : i + step], *(e[i : i + step] for e in others))
            for i in range(0, max(len(rows), 1), step)
        ]
        whole = np.concatenate(parts)
        return whole.reshape(*theta.shape[:-1], *whole.shape[1:])

    def _expect_block(self, function: Callable[..., Array], theta: Array, *extra: Array) -> Array:
        total: Array = 0
        for at in self.points(theta):
            each = function(at, *extra)
            axis = at.policy.ndim - 2
            shape = (-1,) + (1,) * (each.ndim - axis - 1)
            total = total + (each * at.block.weights.reshape(shape)).sum(axis)
        return total

    def _per_prompt(self, function: Callable[..., Array], theta: Array) -> Array:
        theta = self._checked(theta)
        points = self.points(theta)
        axis = points[0].policy.ndim - 2
        order = np.argsort(np.concatenate([at.block.prompts for at in points]))
        if len(points) == 1:
            return function(points[0])
        return np.take(np.concatenate([function(at) for at in points], axis), order, axis)

    def _checked(self, theta: Array) -> Array:
        theta = theta if hasattr(theta, "shape") else np.asarray(theta, dtype=float)
        if theta.ndim == 0 or theta.shape[-1] != self.problem.dimension:
            raise InputError(
                "theta", f"shape {tuple(theta.shape)}", f"(..., {self.problem.dimension})"
            )
        if isinstance(theta, np.ndarray) and theta.dtype != object:
            theta = theta.astype(np.float64, copy=False)
            if not np.isfinite(theta).all():
                raise InputError("theta", theta, "finite numbers are expected")
        return theta


class OnPolicyObjective(BlockObjective):
    """E_x E_{y₁,y₂ ~ π_θ iid}[G(z)] for a pair payoff G."""

    @abstractmethod
    def _payoff(self, at: Point) -> Payoff: ...

    def _value(self, at: Point) -> Array:
        return formulas.pair_mean(at.policy, self._payoff(at).value) - at.xp.log_2()

    def _gradient(self, at: Point) -> Array:
        return formulas.on_policy_gradient(
            at.block.beta, at.policy, at.block.features, self._payoff(at)
        )

    def _eta(self, at: Point) -> Array:
        return formulas.relative_pair_curvature(at.block.beta, at.policy, self._payoff(at))

    def _curvature_gradient(self, at: Point, direction: Array) -> Array:
        return formulas.curvature_gradient(
            at.block.beta, at.policy, at.block.features, self._payoff(at), direction
        )


class SAIL(OnPolicyObjective):
    """J(θ) = E_x E_{y₁,y₂~π_θ}[p₁₂ log σ(z) + p₂₁ log σ(−z)] (SAIL-DPR, section 1)."""

    def _payoff(self, at: Point) -> Payoff:
        return formulas.log_likelihood_payoff(at.xp, at.block.preference, at.z)

    def hessian_terms(self, theta: Array) -> HessianTerms:
        """Score, cross and DPO term of ∇²J (C02), each (..., d, d)."""

        def term(curvature: Callable[[Point], Array]) -> Callable[[Point], Array]:
            def hessian(at: Point) -> Array:
                weights = curvature(at) * formulas.pair_probability(at.policy)
                return formulas.laplacian(weights, at.block.features)

            return hessian

        return HessianTerms(
            score=self._expect(
                term(lambda at: formulas.score_curvature(at.policy, self._payoff(at))), theta
            ),
            cross=self._expect(
                term(
                    lambda at: formulas.cross_curvature(at.block.beta, at.policy, self._payoff(at))
                ),
                theta,
            ),
            dpo=self._expect(
                term(lambda at: formulas.dpo_curvature(at.block.beta, self._payoff(at))), theta
            ),
        )


class SelfPreferenceSAIL(OnPolicyObjective):
    """SAIL-DPP: p₁₂ replaced by σ(z), with gradient through it (C06)."""

    def _payoff(self, at: Point) -> Payoff:
        return formulas.self_preference_payoff(at.xp, at.z)


class OffPolicyObjective(BlockObjective):
    """E_x E_{y₁,y₂ ~ π_ref iid}[G(z)]: pairs from a fixed data set."""

    @abstractmethod
    def _payoff(self, at: Point) -> Payoff: ...

    @abstractmethod
    def _offset(self, at: Point) -> Array: ...

    def _value(self, at: Point) -> Array:
        return formulas.pair_mean(at.ref, self._payoff(at).value) - self._offset(at)

    def _gradient(self, at: Point) -> Array:
        return formulas.off_policy_gradient(
            at.block.beta, at.ref, at.block.features, self._payoff(at)
        )

    def _eta(self, at: Point) -> Array:
        odds = at.xp.exp(-formulas.pair_sum(at.log_ratio))
        return formulas.dpo_curvature(at.block.beta, self._payoff(at)) * odds

    def _hessian(self, at: Point) -> Array:
        eta = formulas.dpo_curvature(at.block.beta, self._payoff(at))
        return formulas.laplacian(eta * formulas.pair_probability(at.ref), at.block.features)

    def _curvature_gradient(self, at: Point, direction: Array) -> Array:
        return formulas.off_policy_curvature_gradient(
            at.block.beta, at.ref, at.block.features, self._payoff(at), direction
        )


class DPO(OffPolicyObjective):
    """E_x E_{y₁,y₂~π_ref}[p₁₂ log σ(z) + p₂₁ log σ(−z)]: the negative population DPO loss."""

    def _payoff(self, at: Point) -> Payoff:
        return formulas.log_likelihood_payoff(at.xp, at.block.preference, at.z)

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
        drift = formulas.logits(at.delta, at.block.features)
        return formulas.kl_ref_policy_gradient(at.xp, at.policy, at.ref, drift, at.block.features)

    def _eta(self, at: Point) -> Array:
        return formulas.pairwise(at.policy) * 0 + 1

    def _hessian(self, at: Point) -> Array:
        return formulas.fisher(at.policy, at.block.features)

    def _curvature_gradient(self, at: Point, direction: Array) -> Array:
        return formulas.fisher_gradient(at.policy, at.block.features, direction)


class KLPolicyRef(BlockObjective):
    """E_x KL(π_θ‖π_ref); not convex in general (C08)."""

    def _value(self, at: Point) -> Array:
        return formulas.kl_policy_ref(at.policy, at.log_ratio)

    def _gradient(self, at: Point) -> Array:
        return formulas.kl_policy_ref_gradient(at.policy, at.advance, at.block.features)

    def _eta(self, at: Point) -> Array:
        return formulas.kl_policy_ref_curvature(at.advance)

    def _curvature_gradient(self, at: Point, direction: Array) -> Array:
        return formulas.kl_policy_ref_curvature_gradient(
            at.policy, at.advance, at.block.features, direction
        )


def SAILRevKL(problem: PreferenceProblem, gamma: float) -> Objective:
    """J_γ = J − γ E_x KL(π_ref‖π_θ): ``SAIL(problem) - gamma * KLRefPolicy(problem)``.

    Args:
        problem: The preference problem.
        gamma: γ ≥ 0.

    Raises:
        InputError: γ is negative or not finite.
    """
    if not (np.isfinite(gamma) and gamma >= 0):
        raise InputError("gamma", gamma, "a finite γ ≥ 0 is required")
    return SAIL(problem) - gamma * KLRefPolicy(problem)


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
        payoff = formulas.self_preference_payoff(at.xp, at.z)
        return payoff._replace(first=payoff.first * 0)

    def _hessian(self, at: Point) -> Array:
        return formulas.stop_gradient_jacobian(
            at.block.beta, at.policy, at.block.features,
            formulas.self_preference_payoff(at.xp, at.z),
        )  # fmt: skip
