"""Functions of one variable with three derivatives, at points or on whole pieces, in any system.

A :class:`Jet` holds f, f', f'' and f''' in z. On a ball of z each part encloses its values there;
where the two sides of a maximum cannot be told apart it encloses those of both, the jet is
``rough`` (f'' may jump), and ``kink`` says which way f' may jump. At points of arrays f' and what
follows are those of one side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sailtheory.numeric.numbers import Array, NumberSystem

__all__ = ["FUNCTIONS", "Jet", "Kink", "Number", "variable"]

Number = Any
"""An int, a float, or a scalar of the jet's number system."""


@dataclass(frozen=True)
class Kink:
    """Where f' may jump: up (a convex kink), down (a concave one); f's value there if known."""

    up: bool
    down: bool
    value: Number = None

    def times(self, factor: Number) -> Kink | None:
        """That of factor · f, for a continuous factor of which a ball is given."""
        if factor == 0:
            return None
        if factor >= 0:
            return replace(self, value=None)
        if factor <= 0:
            return Kink(self.down, self.up)
        return Kink(True, True)


def _both(a: Kink | None, b: Kink | None) -> Kink | None:
    if a is None or b is None:
        return a or b
    return Kink(a.up or b.up, a.down or b.down)


@dataclass(frozen=True)
class Jet:
    """f and its derivatives in z.

    Attributes:
        xp: The number system.
        parts: f, f', f'', f''', each an array or a scalar of it.
        kink: Jumps of f' that a piece may hold; found for scalar balls only.
        rough: Whether f'' may jump in a piece.
    """

    xp: NumberSystem
    parts: tuple[Array, Array, Array, Array]
    kink: Kink | None = None
    rough: bool = False

    @property
    def value(self) -> Array:
        """F."""
        return self.parts[0]

    @property
    def constant(self) -> bool:
        """Whether it is one number."""
        return all(isinstance(part, int) and part == 0 for part in self.parts[1:])

    def _other(self, other: Jet | Number) -> Jet:
        if isinstance(other, Jet):
            return other
        return Jet(self.xp, (self.xp.asarray(other)[()], 0, 0, 0))

    def __add__(self, other: Jet | Number) -> Jet:
        """The sum."""
        that = self._other(other)
        kink = _both(self.kink, that.kink)
        for one, two in ((self, that), (that, self)):
            if one.kink is not None and one.kink.value is not None and two.constant:
                kink = replace(one.kink, value=one.kink.value + two.value)
        parts = tuple(a + b for a, b in zip(self.parts, that.parts, strict=True))
        return Jet(self.xp, _four(parts), kink, self.rough or that.rough)

    def __mul__(self, other: Jet | Number) -> Jet:
        """The product."""
        that = self._other(other)
        (f, f1, f2, f3), (g, g1, g2, g3) = self.parts, that.parts
        if self.constant and that.constant:
            return Jet(self.xp, (f * g, 0, 0, 0))
        kinks = [one.kink.times(two.value) for one, two in ((self, that), (that, self)) if one.kink]
        for one, two in ((self, that), (that, self)):
            if one.kink and one.kink.value is not None and two.constant and kinks[0]:
                kinks[0] = replace(kinks[0], value=one.kink.value * two.value)
        parts = (
            f * g, f1 * g + f * g1, f2 * g + 2 * f1 * g1 + f * g2,
            f3 * g + 3 * f2 * g1 + 3 * f1 * g2 + f * g3,
        )  # fmt: skip
        kink = _both(*kinks) if len(kinks) == 2 else (kinks[0] if kinks else None)
        return Jet(self.xp, parts, kink, self.rough or that.rough)

    def through(self, *outer: Callable[[Array], Array]) -> Jet:
        """H(f) for h with the derivatives h, h', h'', h'''."""
        f, f1, f2, f3 = self.parts
        h, h1, h2, h3 = (part(f) for part in outer)
        if self.constant:
            return Jet(self.xp, (h, 0, 0, 0))
        square = abs(f1) * abs(f1) if self.rough else f1 * f1
        kink = self.kink
        if kink is not None:
            known = kink.value is not None
            made = kink.times(outer[1](kink.value if known else f))
            kink = replace(made, value=outer[0](kink.value)) if made and known else made
        parts = (h, h1 * f1, h2 * square + h1 * f2, h3 * f1 * square + 3 * h2 * f1 * f2 + h1 * f3)
        return Jet(self.xp, parts, kink, self.rough)

    def __pow__(self, exponent: int) -> Jet:
        """The power f^n, n ≥ 0 an integer."""
        n = exponent

        def derivative(order: int) -> Callable[[Array], Array]:
            factor, left = 1, n
            for _ in range(order):
                factor, left = factor * left, left - 1
            return lambda v: _product(v, left) * factor if factor else v * 0

        return self.through(*(derivative(order) for order in range(4)))

    def __neg__(self) -> Jet:
        """The negative."""
        return self * -1

    def __sub__(self, other: Jet | Number) -> Jet:
        """The difference."""
        return self + -self._other(other)

    def __rsub__(self, other: Jet | Number) -> Jet:
        """The difference from a number."""
        return -self + other

    def __truediv__(self, other: Jet | Number) -> Jet:
        """The quotient."""
        that = self._other(other)
        return self * that.through(
            lambda v: 1 / v, lambda v: -1 / (v * v), lambda v: 2 / (v * v * v),
            lambda v: -6 / (v * v * v * v),
        )  # fmt: skip

    def __rtruediv__(self, other: Jet | Number) -> Jet:
        """A number over it."""
        return self._other(other) / self

    __radd__ = __add__
    __rmul__ = __mul__


def _four(parts: tuple[Array, ...]) -> tuple[Array, Array, Array, Array]:
    value, first, second, third = parts
    return value, first, second, third


def _product(v: Array, n: int) -> Array:
    """v^n: a power of a ball around 0 is undefined."""
    out = v * 0 + 1
    for _ in range(n):
        out = out * v
    return out


def variable(xp: NumberSystem, z: Array) -> Jet:
    """The jet of z itself, at an array of points or on a ball."""
    return Jet(xp, (z, z * 0 + 1, z * 0, z * 0))


# --- functions ------------------------------------------------------------------------------


def _exp(a: Jet) -> Jet:
    return a.through(*[a.xp.exp] * 4)


def _log(a: Jet) -> Jet:
    return a.through(
        a.xp.log, lambda v: 1 / v, lambda v: -1 / (v * v), lambda v: 2 / (v * v * v)
    )  # fmt: skip


def _slope(xp: NumberSystem, v: Array) -> Array:
    return xp.sigmoid(v) * xp.sigmoid(-v)


def _sigmoid(a: Jet) -> Jet:
    xp = a.xp
    return a.through(
        xp.sigmoid, lambda v: _slope(xp, v), lambda v: -_slope(xp, v) * xp.tanh(v / 2),
        lambda v: _slope(xp, v) * (1 - 6 * _slope(xp, v)),
    )  # fmt: skip


def _tanh(a: Jet) -> Jet:
    return _sigmoid(a * 2) * 2 - 1


def _log_sigmoid(a: Jet) -> Jet:
    xp = a.xp
    return a.through(
        xp.log_sigmoid, lambda v: xp.sigmoid(-v), lambda v: -_slope(xp, v),
        lambda v: _slope(xp, v) * xp.tanh(v / 2),
    )  # fmt: skip


def _softplus(a: Jet) -> Jet:
    return -_log_sigmoid(-a)


def _maximum(a: Jet, b: Jet | Number, at_kink: Number = None) -> Jet:
    """The larger of two; ``at_kink`` is their value where they meet, if that is known."""
    xp, b = a.xp, a._other(b)
    sides = list(zip(a.parts, b.parts, strict=True))
    if xp.name == "arb" and not any(isinstance(p, np.ndarray) for p in (a.value, b.value)):
        if a.value > b.value:
            return a
        if a.value < b.value:
            return b
        for one in (a, b):
            at_kink = one.value if at_kink is None and one.constant else at_kink
        kink = replace(_both(Kink(True, False), _both(a.kink, b.kink)) or Kink(True, False),
                       value=None if a.kink or b.kink else at_kink)  # fmt: skip
        parts = (_larger(a.value, b.value), *(_hull(x, y) for x, y in sides[1:]))
        return Jet(xp, parts, kink, rough=True)
    parts = _four(tuple(_choose(xp, a.value, b.value, x, y) for x, y in sides))
    unclear = xp.name == "balls" and bool(_unclear(a.value, b.value).any())
    return Jet(xp, parts, rough=a.rough or b.rough or unclear)


def _unclear(a: Array, b: Array) -> np.ndarray:
    """Where arrays of balls overlap."""
    gap = a - b
    return np.asarray(~((gap.lower > 0) | (gap.upper < 0)))


def _larger(x: Number, y: Number) -> Number:
    """The larger of two balls, enclosed."""
    from flint import arb

    tops, ends = (x.upper(), y.upper()), (x.lower(), y.lower())
    return arb(max(ends)).union(arb(max(tops)))


def _hull(x: Number, y: Number) -> Number:
    from flint import arb

    return arb(x).union(arb(y))


def _choose(xp: NumberSystem, a: Array, b: Array, x: Array, y: Array) -> Array:
    """Where a ≥ b, x, else y; balls that overlap give the hull."""
    if xp.name == "torch":
        import torch

        both = [torch.as_tensor(v, dtype=torch.float64) for v in (a, b, x, y)]
        return torch.where(both[0] >= both[1], both[2], both[3])
    if xp.name == "balls":
        return _balls_choice(a, b, x, y)
    if xp.name == "float64":
        return np.where(np.asarray(a) >= b, x, y)

    def arb_one(p: Any, q: Any, u: Any, v: Any) -> Any:
        return u if p > q else v if p < q else _hull(u, v)

    def sympy_one(p: Any, q: Any, u: Any, v: Any) -> Any:
        import sympy

        return sympy.Piecewise((u, p >= q), (v, True))

    return np.frompyfunc(arb_one if xp.name == "arb" else sympy_one, 4, 1)(a, b, x, y)


def _balls_choice(a: Array, b: Array, x: Array, y: Array) -> Array:
    """The same for arrays of balls."""
    from sailtheory.numeric.balls import Balls

    one, two = (v if isinstance(v, Balls) else Balls(v) for v in (x, y))
    low, high = np.minimum(one.lower, two.lower), np.maximum(one.upper, two.upper)
    middle = (low + high) / 2
    hull = middle, np.maximum(middle - low, high - middle) * (1 + 2.0**-50)
    doubt, first = _unclear(a, b), (a - b).lower > 0
    return Balls(*(
        np.where(doubt, each, np.where(first, getattr(one, name), getattr(two, name)))
        for name, each in zip(("mid", "rad"), hull, strict=True)
    ))  # fmt: skip


def _minimum(a: Jet, b: Jet | Number) -> Jet:
    return -_maximum(-a, -a._other(b))


def _absolute(a: Jet) -> Jet:
    return _maximum(a, -a, at_kink=a.xp.asarray(0)[()])


FUNCTIONS: dict[str, tuple[int, Callable[..., Jet]]] = {
    "exp": (1, _exp), "log": (1, _log), "tanh": (1, _tanh), "sigmoid": (1, _sigmoid),
    "log_sigmoid": (1, _log_sigmoid), "softplus": (1, _softplus), "abs": (1, _absolute),
    "max": (2, _maximum), "min": (2, _minimum),
}  # fmt: skip
"""What a payoff may be made of, by name: the number of arguments, and the function of jets."""
