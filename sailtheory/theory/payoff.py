"""A pair payoff G(z) with its derivatives: what every objective here is made of (section 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sailtheory.numeric import layout
from sailtheory.numeric.numbers import Array

__all__ = ["Payoff"]


class Payoff:
    """A pair payoff and its derivatives in z, each (..., m, m).

    ``value`` may be shifted by a constant (SAIL's by log 2, so that it vanishes
    at z = 0); ``first`` is antisymmetric in the two responses, ``value``,
    ``second`` are symmetric, ``third`` antisymmetric.
    """

    def __init__(self, value: Array, first: Array, second: Array, third: Array) -> None:
        self._parts: list[Array | None] = [value, first, second, third]
        self._makers: tuple[Callable[[], Array], ...] = ()

    @classmethod
    def lazily(cls, *makers: Callable[[], Array]) -> Payoff:
        """A payoff of which each part is evaluated when it is first asked for."""
        payoff = cls(None, None, None, None)
        payoff._makers = makers
        return payoff

    def _part(self, k: int) -> Array:
        if self._parts[k] is None:
            self._parts[k] = self._makers[k]()
        return self._parts[k]

    @property
    def value(self) -> Array:
        """G."""
        return self._part(0)

    @property
    def first(self) -> Array:
        """G'."""
        return self._part(1)

    @property
    def second(self) -> Array:
        """G''."""
        return self._part(2)

    @property
    def third(self) -> Array:
        """G'''."""
        return self._part(3)

    def __iter__(self) -> Iterator[Array]:
        """Value and derivatives, in order."""
        return iter([self._part(k) for k in range(4)])

    def mirrored(self, m: int, at_zero: float) -> Payoff:
        """That of all pairs (..., m, m) from that of the pairs k < l, (..., m(m−1)/2).

        Args:
            m: Number of responses.
            at_zero: G''(0), the entry on the diagonal, where z = q = 0.
        """
        return Payoff.lazily(
            lambda: layout.mirrored(self.value, m),
            lambda: layout.mirrored(self.first, m, sign=-1),
            lambda: layout.mirrored(self.second, m, diagonal=at_zero),
            lambda: layout.mirrored(self.third, m, sign=-1),
        )
