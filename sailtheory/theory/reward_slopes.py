"""An increasing f of the pass rate, by its derivatives; those in Bernstein form (C31)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from sailtheory.numeric.exact import lift
from sailtheory.numeric.numbers import Array, NumberSystem
from sailtheory.theory import bernstein

__all__ = ["Polynomial", "RewardMethod", "Slopes", "exact_numbers"]


class Slopes(NamedTuple):
    """f', f'' and f''' at V."""

    first: Array
    second: Array
    third: Array


@dataclass(frozen=True)
class RewardMethod(ABC):
    """An increasing f of the pass rate V, by its derivatives; (1 − V)f' falls.

    Attributes:
        name: One of :data:`METHODS`.
        title: What it is, for tables.
        group: G, k or T; None where the method has none.
    """

    name: str
    title: str
    group: int | None

    @abstractmethod
    def slopes(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """f', f'', f''' at V = ``hit``, 1 − V = ``miss``: each (...)."""

    @abstractmethod
    def value(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """f(V), up to a constant: (...)."""

    @abstractmethod
    def threshold(self, xp: NumberSystem) -> Array | None:
        """K, None where it is infinite (then there is one for V ≥ v, :meth:`path`)."""

    @abstractmethod
    def lower(self, xp: NumberSystem) -> Array | None:
        """K⁻, None where it is infinite."""

    @property
    def linear(self) -> bool:
        """Whether f is linear: then rewards need not be binary."""
        return False

    @property
    def finite_at_zero(self) -> bool:
        """Whether f' is finite at V = 0."""
        return True

    @property
    def finite_at_one(self) -> bool:
        """Whether f' is finite at V = 1."""
        return True

    def slope(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """f'."""
        return self.slopes(xp, hit, miss).first

    def path(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """(1 − p)f'(p) at p = ``hit``: K over V ≥ p, and the threshold along a path (C31)."""
        return miss * self.slope(xp, hit, miss)

    def lower_up_to(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """A bound of K⁻ over pass rates ≤ V = ``hit``: Vf', which rises where it is sharp."""
        return hit * self.slope(xp, hit, miss)

    def turn(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """w' = (1 − 2V)f' + V(1 − V)f'', the eigenvalue along the two groups' difference."""
        at = self.slopes(xp, hit, miss)
        return (miss - hit) * at.first + hit * miss * at.second

    def spectrum(
        self, xp: NumberSystem, hit: Array, miss: Array, correct: int, wrong: int
    ) -> list[Array]:
        """The eigenvalues of ∇²f relative to F on tabular features (C31).

        Args:
            xp: Number system.
            hit: V.
            miss: 1 − V.
            correct: How many responses are correct, ≥ 1.
            wrong: How many are wrong, ≥ 1.

        Returns:
            correct + wrong − 1 of them: (1 − V)f', −Vf', and w' once.
        """
        slope = self.slope(xp, hit, miss)
        among = [miss * slope] * (correct - 1) + [-hit * slope] * (wrong - 1)
        return [*among, self.turn(xp, hit, miss)]


@dataclass(frozen=True)
class Polynomial(RewardMethod):
    """f' in Bernstein form, with falling (1 − V)f'.

    Attributes:
        coefficients: b_0, …, b_n in a number system; K = b_0.
        least: K⁻ where Vf' does not rise; where it does, it is b_n.
    """

    coefficients: Callable[[NumberSystem], list[Any]]
    least: Fraction | None = None

    def slopes(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """By the differences of the coefficients."""
        first = self.coefficients(xp)
        second = bernstein.derivative(first)
        third = bernstein.derivative(second)
        return Slopes(*(bernstein.evaluate(b, hit, miss) for b in (first, second, third)))

    def slope(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """f' alone."""
        return bernstein.evaluate(self.coefficients(xp), hit, miss)

    def value(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """f with f(0) = 0."""
        return bernstein.evaluate(bernstein.antiderivative(self.coefficients(xp)), hit, miss)

    def turn(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """w' from the coefficients of w, of degree n + 2: without a difference of large numbers."""
        inner = self.coefficients(xp)
        n = len(inner) - 1
        share = [Fraction((j + 1) * (n + 1 - j), (n + 1) * (n + 2)) for j in range(n + 1)]
        zero = inner[0] * 0
        whole = [b * c for b, c in zip(inner, exact_numbers(xp, share), strict=True)]
        return bernstein.evaluate(bernstein.derivative([zero, *whole, zero]), hit, miss)

    def threshold(self, xp: NumberSystem) -> Array:
        """K = f'(0)."""
        return self.coefficients(xp)[0]

    def lower(self, xp: NumberSystem) -> Array:
        """K⁻."""
        return (
            self.coefficients(xp)[-1] if self.least is None else exact_numbers(xp, [self.least])[0]
        )

    def lower_up_to(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """Vf' where it rises, else K⁻."""
        return super().lower_up_to(xp, hit, miss) if self.least is None else self.lower(xp)

    @property
    def linear(self) -> bool:
        """Whether f' is constant."""
        return self.name in ("reward", "dr-grpo")


def exact_numbers(xp: NumberSystem, values: list[Any]) -> list[Any]:
    """Rational numbers in a number system."""
    lifted = lift(xp, np.array(values, dtype=object))
    return [lifted[j] for j in range(len(values))]
