"""Functions of the pass rate whose slope is infinite at V = 0: no K is enough for all (C31)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import Array, NumberSystem, total
from sailtheory.theory import bernstein
from sailtheory.theory.reward_slopes import RewardMethod, Slopes, exact_numbers

__all__ = ["Arcsine", "DynamicSampling", "Logarithm"]

_PANELS, (_NODES, _MASS) = 16, np.polynomial.legendre.leggauss(16)
_PLACES = ((np.arange(_PANELS)[:, None] + (1 + _NODES) / 2) / _PANELS).ravel()
_WEIGHTS = np.tile(_MASS / 2 / _PANELS, _PANELS)


class _ByLogarithm(RewardMethod):
    """f' by its logarithm's derivatives; f' is infinite where V or 1 − V is 0."""

    @abstractmethod
    def _logarithm(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """f', (log f')', (log f')''."""

    def slopes(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """f'' = f'·L', f''' = f'·(L'² + L'')."""
        first, turn, bend = self._logarithm(xp, hit, miss)
        return Slopes(first, first * turn, first * (turn * turn + bend))

    def value(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """∫ from ½ to V, by Gauss and Legendre in log V/(1 − V), where V(1 − V)f' is bounded.

        Raises:
            InputError: A system other than float64 and torch: there is no enclosure.
        """
        if xp.name not in ("float64", "torch"):
            raise InputError("method", self.name, f"one whose f has a closed form, in {xp.name}")
        reach = xp.log(hit) - xp.log(miss)
        at = reach[..., None] * xp.asarray(_PLACES)
        up, down = xp.sigmoid(at), xp.sigmoid(-at)
        return reach * total(up * down * self.slope(xp, up, down) * xp.asarray(_WEIGHTS))

    def threshold(self, xp: NumberSystem) -> None:
        """Infinite: (1 − V)f' grows without bound as V falls."""

    def lower(self, xp: NumberSystem) -> None:
        """Infinite, as V rises."""

    @property
    def finite_at_zero(self) -> bool:
        """No."""
        return False

    @property
    def finite_at_one(self) -> bool:
        """No."""
        return False


@dataclass(frozen=True)
class DynamicSampling(_ByLogarithm):
    """GRPO whose groups are drawn again until they differ: f'_G/(1 − V^G − (1 − V)^G).

    Attributes:
        coefficients: Those of f'_G.
    """

    coefficients: Callable[[NumberSystem], list[Any]]

    def _logarithm(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        assert self.group is not None
        g = self.group
        shares = [Fraction(g * (g - 1), k * (g - k)) for k in range(1, g)]
        over, over_turn, over_bend = _log_slopes(self.coefficients(xp), hit, miss)
        under, under_turn, under_bend = _log_slopes(exact_numbers(xp, shares), hit, miss)
        high, low = 1 / hit, 1 / miss
        return Slopes(
            over / under * high * low,
            over_turn - under_turn - high + low,
            over_bend - under_bend + high * high + low * low,
        )


def _log_slopes(coefficients: list[Any], hit: Array, miss: Array) -> Slopes:
    """P, (log P)' and (log P)'' of a polynomial in Bernstein form."""
    slope = bernstein.derivative(coefficients)
    parts = (coefficients, slope, bernstein.derivative(slope))
    value, first, second = (bernstein.evaluate(b, hit, miss) for b in parts)
    turn = first / value
    return Slopes(value, turn, second / value - turn * turn)


class Arcsine(_ByLogarithm):
    """2 arcsin √V, the limit of GRPO as G → ∞: f' = 1/√(V(1 − V))."""

    def _logarithm(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        high, low = 1 / hit, 1 / miss
        first = xp.exp(-(xp.log(hit) + xp.log(miss)) / 2)
        return Slopes(first, (low - high) / 2, (high * high + low * low) / 2)

    def turn(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """w' of w = √(V(1 − V))."""
        return (miss - hit) * self.slope(xp, hit, miss) / 2


class Logarithm(RewardMethod):
    """log V: training on the samples that are correct."""

    def slopes(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """1/V, −1/V², 2/V³."""
        first = 1 / hit
        return Slopes(first, -first * first, 2 * first * first * first)

    def turn(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """w' of w = 1 − V."""
        return hit * 0 - 1

    def value(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """log V."""
        return xp.log(hit)

    def threshold(self, xp: NumberSystem) -> None:
        """Infinite, as V falls."""

    def lower(self, xp: NumberSystem) -> Array:
        """Vf' = 1."""
        return exact_numbers(xp, [1])[0]

    @property
    def finite_at_zero(self) -> bool:
        """No."""
        return False
