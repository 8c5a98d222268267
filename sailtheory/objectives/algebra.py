"""What an objective can be asked, and how objectives of one problem add up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import Array
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["LinearCombination", "Objective"]


class Objective(ABC):
    """A function of θ built from a preference problem, with exact derivatives.

    A vector field that is no gradient answers the same questions, but for the value: the field
    itself for the gradient, and the symmetric part of its Jacobian for the Hessian.

    Attributes:
        problem: The problem.
        has_value: False for such a field; asked for its value it raises ``InputError``.
    """

    problem: PreferenceProblem
    has_value: bool = True

    @abstractmethod
    def on(self, problem: PreferenceProblem) -> Objective:
        """The same objective of another problem."""

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
    def hessian_product(self, theta: Array, direction: Array) -> Array:
        """∇² v for v (..., d), without a matrix: (..., d)."""

    @abstractmethod
    def curvature(self, theta: Array, direction: Array) -> Array:
        """vᵀ∇²v for v (..., d): (...)."""

    @abstractmethod
    def curvature_gradient(self, theta: Array, direction: Array) -> Array:
        """∇_θ (vᵀ ∇² v) for fixed v (..., d): (..., d)."""

    def jacobian(self, theta: Array) -> Array:
        """∂ gradient_i / ∂θ_j, symmetric but for fields that are no gradients: (..., d, d)."""
        return self.hessian(theta)

    @abstractmethod
    def relative_pair_curvature(self, theta: Array) -> list[Array]:
        """η, with ∇² = E_x ½ Σ_kl π_kπ_l η_kl Δ_klΔ_klᵀ: curvature relative to F (C02).

        Returns:
            For each block of :meth:`PreferenceProblem.blocks`, (..., n, m, m).
        """

    @abstractmethod
    def pair_weights(self, theta: Array) -> list[Array]:
        """w, with ∇² = ½ Σ_x Σ_kl w_kl Δ_klΔ_klᵀ; prompt weights are in it.

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
        self.has_value = all(term.has_value for _, term in self.terms)
        if any(term.problem is not self.problem for _, term in self.terms):
            raise InputError("objective", "terms on different problems", "one problem is expected")

    def _sum(self, evaluate: Callable[[Objective], Array]) -> Array:
        total = evaluate(self.terms[0][1]) * self.terms[0][0]
        for factor, term in self.terms[1:]:
            total = total + evaluate(term) * factor
        return total

    def on(self, problem: PreferenceProblem) -> Objective:
        """The same combination on another problem."""
        return LinearCombination([(c, term.on(problem)) for c, term in self.terms])

    def value(self, theta: Array) -> Array:
        """Σ c_i value_i: (...)."""
        return self._sum(lambda term: term.value(theta))

    def gradient(self, theta: Array) -> Array:
        """Σ c_i gradient_i: (..., d)."""
        return self._sum(lambda term: term.gradient(theta))

    def hessian(self, theta: Array) -> Array:
        """Σ c_i hessian_i: (..., d, d)."""
        return self._sum(lambda term: term.hessian(theta))

    def jacobian(self, theta: Array) -> Array:
        """Σ c_i jacobian_i: (..., d, d)."""
        return self._sum(lambda term: term.jacobian(theta))

    def hessian_product(self, theta: Array, direction: Array) -> Array:
        """Σ c_i ∇²_i v: (..., d)."""
        return self._sum(lambda term: term.hessian_product(theta, direction))

    def curvature(self, theta: Array, direction: Array) -> Array:
        """Σ c_i vᵀ∇²_i v: (...)."""
        return self._sum(lambda term: term.curvature(theta, direction))

    def curvature_gradient(self, theta: Array, direction: Array) -> Array:
        """Σ c_i curvature_gradient_i: (..., d)."""
        return self._sum(lambda term: term.curvature_gradient(theta, direction))

    def relative_pair_curvature(self, theta: Array) -> list[Array]:
        """Σ c_i η_i, block by block."""
        return self._by_block(lambda term: term.relative_pair_curvature(theta))

    def pair_weights(self, theta: Array) -> list[Array]:
        """Σ c_i w_i, block by block."""
        return self._by_block(lambda term: term.pair_weights(theta))

    def _by_block(self, evaluate: Callable[[Objective], list[Array]]) -> list[Array]:
        parts = [[each * c for each in evaluate(term)] for c, term in self.terms]
        return [sum(blocks[1:], blocks[0]) for blocks in zip(*parts, strict=True)]
