"""Rational functions with factored denominators, and derivations of them.

Numerators are python-flint polynomials over the rationals; denominators are products of
factors that a :class:`Rationals` keeps in a list, so that no greatest common divisor is
ever needed. Zero is decided from the numerators.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from flint import Ordering, fmpq, fmpq_mpoly_ctx

from sailtheory.numeric.numbers import Array

Denominator = tuple[tuple[int, int], ...]
"""(factor, exponent) pairs, by factor."""

Group = frozenset[int]
"""The prompts whose symbols occur in a denominator."""


class UnknownFunctionError(LookupError):
    """A transcendental function of an argument that the field has no symbol for."""


class Element:
    """A sum of fractions, one for each group of prompts in its denominators.

    Fractions of different prompts are not brought to a common denominator, so a sum
    over prompts costs what its terms cost.
    """

    __slots__ = ("field", "parts")

    def __init__(self, field: Rationals, parts: dict[Group, tuple[Any, Denominator]]) -> None:
        self.field = field
        self.parts = {group: part for group, part in parts.items() if not part[0].is_zero()}

    def __add__(self, other: Any) -> Element:
        if isinstance(other, np.ndarray):
            return NotImplemented
        parts = dict(self.parts)
        for group, part in self.field.coerce(other).parts.items():
            parts[group] = self.field.add(parts[group], part) if group in parts else part
        return Element(self.field, parts)

    def __mul__(self, other: Any) -> Element:
        if isinstance(other, np.ndarray):
            return NotImplemented
        field, parts = self.field, dict[Group, tuple[Any, Denominator]]()
        for one, (p, low) in self.parts.items():
            for two, (q, down) in field.coerce(other).parts.items():
                group, part = one | two, (p * q, merge(low, down))
                parts[group] = field.add(parts[group], part) if group in parts else part
        return Element(field, parts)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Element:
        return Element(self.field, {g: (-p, low) for g, (p, low) in self.parts.items()})

    def __sub__(self, other: Any) -> Element:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Element:
        return (-self).__add__(other)

    def __truediv__(self, other: Any) -> Element:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return self.field.reduce(self * self.field.inverse(self.field.coerce(other)))

    def __rtruediv__(self, other: Any) -> Element:
        return self.field.coerce(other) / self

    def __pow__(self, exponent: int) -> Element:
        out = self.field.coerce(1)
        for _ in range(exponent):
            out = out * self
        return out

    @property
    def polynomial(self) -> Any:
        """The numerator of an element without denominators.

        Raises:
            UnknownFunctionError: It has denominators.
        """
        if any(low for _, low in self.parts.values()):
            raise UnknownFunctionError("a function of a fraction")
        return self.parts[frozenset()][0] if self.parts else self.field.zero

    def combined(self) -> tuple[Any, Denominator]:
        """All parts over one denominator."""
        total: tuple[Any, Denominator] = (self.field.zero, ())
        for part in self.parts.values():
            total = self.field.add(total, part)
        return total

    def is_zero(self) -> bool:
        """Whether the rational function is identically zero."""
        return bool(self.combined()[0].is_zero())

    def derivative(self, i: int) -> Element:
        """∂/∂θ_i."""
        field, out = self.field, self.field.coerce(0)
        for group, (p, low) in self.parts.items():
            over = Element(field, {group: (field.one, low)})
            out = out + over * field.differentiate(p, i)
            for factor, exponent in low:
                slope = field.differentiate(field.factors[factor][0], i)
                below = field.fraction(p * -exponent, merge(low, ((factor, 1),)))
                out = out + below * slope
        return out


class Rationals:
    """Rational functions of named symbols, with derivations ∂_0, ∂_1, ….

    Args:
        names: Names of the symbols.
        groups: For each symbol the prompt it belongs to, -1 for none.

    Attributes:
        zero: The polynomial 0. one: The polynomial 1.
        factors: Every factor that a denominator has had, with its group.
        slopes: The derivatives of the symbols that are not constants, by index.
    """

    def __init__(self, names: list[str], groups: list[int]) -> None:
        self._groups = groups
        self._context = fmpq_mpoly_ctx.get(names, Ordering.degrevlex)
        self._generators = self._context.gens()
        self.zero, self.one = self._context.constant(0), self._context.constant(1)
        self.factors: list[tuple[Any, Group]] = []
        self.slopes: dict[int, Array] = {}

    def symbol(self, index: int) -> Element:
        """The element of one symbol."""
        return Element(self, {frozenset(): (self._generators[index], ())})

    def coerce(self, x: Any) -> Element:
        """An element from an element or a rational number."""
        if isinstance(x, Element):
            return x
        exact = Fraction(x)
        number = self._context.constant(fmpq(exact.numerator, exact.denominator))
        return Element(self, {frozenset(): (number, ())})

    def fraction(self, p: Any, low: Denominator) -> Element:
        """p over a product of factors."""
        group: Group = frozenset().union(*(self.factors[f][1] for f, _ in low))
        return Element(self, {group: (p, low)})

    def add(self, one: tuple[Any, Denominator], two: tuple[Any, Denominator]) -> Any:
        """The sum of two fractions over their least common denominator."""
        (p, low), (q, down) = one, two
        if low == down:
            return p + q, low
        a, b = dict(low), dict(down)
        common = {f: max(a.get(f, 0), b.get(f, 0)) for f in sorted(a | b)}
        for f, exponent in common.items():
            p = p * self.factors[f][0] ** (exponent - a.get(f, 0))
            q = q * self.factors[f][0] ** (exponent - b.get(f, 0))
        return p + q, tuple(common.items())

    def inverse(self, x: Element) -> Element:
        """1/x.

        Raises:
            ZeroDivisionError: x is zero.
        """
        p, low = x.combined()
        if p.is_zero():
            raise ZeroDivisionError("division by zero in the field")
        content, powers = p.factor()
        numerator = self.one / content
        for f, exponent in low:
            numerator = numerator * self.factors[f][0] ** exponent
        below = sorted((self._factor(base), int(exponent)) for base, exponent in powers)
        return self.fraction(numerator, tuple(below))

    def reduce(self, x: Element) -> Element:
        """Cancel denominators that divide the numerator."""
        out = self.coerce(0)
        for p, low in x.parts.values():
            left = []
            for f, exponent in low:
                while exponent:
                    quotient, remainder = divmod(p, self.factors[f][0])
                    if not remainder.is_zero():
                        break
                    p, exponent = quotient, exponent - 1
                left += [(f, exponent)] if exponent else []
            out = out + self.fraction(p, tuple(left))
        return out

    def differentiate(self, p: Any, i: int) -> Element:
        """∂p/∂θ_i of a polynomial by the chain rule."""
        out = self.coerce(0)
        for generator, slope in self.slopes.items():
            partial = p.derivative(generator)
            if not partial.is_zero():
                out = out + Element(self, {frozenset(): (partial, ())}) * slope[i]
        return out

    def _factor(self, base: Any) -> int:
        for f, (known, _) in enumerate(self.factors):
            if known == base:
                return f
        used = (g for g, degree in enumerate(base.degrees()) if degree)
        self.factors.append((base, frozenset(self._groups[g] for g in used) - {-1}))
        return len(self.factors) - 1


def merge(low: Denominator, down: Denominator) -> Denominator:
    """The product of two denominators."""
    if not low or not down:
        return low or down
    total = dict(low)
    for f, exponent in down:
        total[f] = total.get(f, 0) + exponent
    return tuple(sorted(total.items()))


def key(x: Element) -> Any:
    """A hashable form of a polynomial."""
    return frozenset((m, (int(c.p), int(c.q))) for m, c in x.polynomial.to_dict().items())
