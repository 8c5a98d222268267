"""Balls in float64, an array at a time: what Arb does for one number, for millions.

A :class:`Balls` holds a middle and a radius for each entry and encloses the exact result of every
operation: radii take what the operands' radii propagate, plus half a unit in the last place of the
middle (u = 2⁻⁵³), and are themselves rounded up by a factor. exp, log1p, tanh and sinh of NumPy are
taken to be within 8 u. Comparison is left to :attr:`Balls.lower` and :attr:`Balls.upper`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.numeric.numbers import FLOAT64, NumberSystem

__all__ = ["BALLS", "Balls", "upper_end"]

_U = 2.0**-53
_UP = 1 + 2.0**-48  # radii are sums of a few products
_TINY = 2.0**-1060  # of results below the range
_LIBRARY = 16 * _U


class Balls:
    """An array of balls.

    Args:
        mid: Middles.
        rad: Radii ≥ 0, of a shape that broadcasts to that of the middles; default 0.
    """

    __slots__ = ("mid", "rad")

    def __init__(self, mid: Any, rad: Any = 0.0) -> None:
        self.mid = np.asarray(mid, dtype=np.float64)
        self.rad = np.broadcast_to(np.asarray(rad, dtype=np.float64), self.mid.shape)

    @property
    def upper(self) -> np.ndarray:
        """No point of a ball lies above."""
        return _outward(self.mid + self.rad, self.mid, self.rad, 1)

    @property
    def lower(self) -> np.ndarray:
        """No point of a ball lies below."""
        return _outward(self.mid - self.rad, self.mid, self.rad, -1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.mid.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.mid.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the middles."""
        return self.mid.dtype

    @property
    def mT(self) -> Balls:
        """The last two axes exchanged."""
        return Balls(self.mid.mT, self.rad.mT)

    def __getitem__(self, key: Any) -> Balls:
        return Balls(self.mid[key], self.rad[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        other = _balls(value)
        if not self.rad.flags.writeable:
            self.rad = self.rad.copy()
        self.mid[key], self.rad[key] = other.mid, other.rad

    def reshape(self, *shape: Any) -> Balls:
        """The same entries in another shape."""
        return Balls(self.mid.reshape(*shape), self.rad.reshape(*shape))

    def swapaxes(self, a: int, b: int) -> Balls:
        """Two axes exchanged."""
        return Balls(self.mid.swapaxes(a, b), self.rad.swapaxes(a, b))

    @property
    def number_system(self) -> NumberSystem:
        """:data:`BALLS`."""
        return BALLS

    def sum(self, axis: Any = None) -> Balls:
        """Sum along an axis, in any order."""
        mid = self.mid.sum(axis)
        terms = self.mid.size // max(mid.size, 1) + 2
        rad = self.rad.sum(axis) + terms * _U * abs(self.mid).sum(axis)
        return Balls(mid, rad * (_UP + 2 * terms * _U) + _TINY)

    def max(self, axis: Any = None) -> Balls:
        """Largest entry along an axis."""
        return Balls(self.mid.max(axis), self.rad.max(axis))

    def __neg__(self) -> Balls:
        return Balls(-self.mid, self.rad)

    def __abs__(self) -> Balls:
        return Balls(abs(self.mid), self.rad)

    def __add__(self, other: Any) -> Balls:
        b = _balls(other)
        mid = self.mid + b.mid
        return Balls(mid, (self.rad + b.rad + _U * abs(mid)) * _UP + _TINY)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Balls:
        return self + -_balls(other)

    def __rsub__(self, other: Any) -> Balls:
        return _balls(other) + -self

    def __mul__(self, other: Any) -> Balls:
        b = _balls(other)
        mid = self.mid * b.mid
        rad = abs(self.mid) * b.rad + self.rad * (abs(b.mid) + b.rad) + _U * abs(mid)
        return Balls(mid, rad * _UP + _TINY)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Balls:
        return self * _inverse(_balls(other))

    def __rtruediv__(self, other: Any) -> Balls:
        return _balls(other) * _inverse(self)

    def __pow__(self, power: int) -> Balls:
        out = self
        for _ in range(power - 1):
            out = out * self
        return out

    def __matmul__(self, other: Any) -> Balls:
        b = _balls(other)
        mid = self.mid @ b.mid
        terms = (self.mid.shape[-1] + 2) * _U
        rad = abs(self.mid) @ (b.rad + terms * abs(b.mid)) + self.rad @ (abs(b.mid) + b.rad)
        return Balls(mid, rad * (_UP + 2 * terms) + _TINY)

    def __rmatmul__(self, other: Any) -> Balls:
        return _balls(other) @ self

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Operators whose left side is a NumPy array, and maximum, minimum and abs."""
        made = _UFUNCS.get(ufunc)
        if made is None or method != "__call__" or kwargs:
            return NotImplemented
        return made(*(_balls(each) for each in inputs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """``concatenate`` and ``repeat``."""
        if function is np.concatenate:
            parts = [_balls(each) for each in args[0]]
            rest = (args[1:], kwargs)
            return Balls(*(_apply(np.concatenate, [getattr(p, name) for p in parts], *rest)
                           for name in ("mid", "rad")))  # fmt: skip
        if function is np.repeat:
            first = _balls(args[0])
            return Balls(*(_apply(np.repeat, v, args[1:], kwargs) for v in (first.mid, first.rad)))
        return NotImplemented


def _apply(function: Any, values: Any, args: Any, kwargs: Any) -> Any:
    return function(values, *args, **kwargs)


def _balls(values: Any) -> Balls:
    return values if isinstance(values, Balls) else Balls(values)


def _outward(end: np.ndarray, mid: np.ndarray, rad: np.ndarray, sign: int) -> np.ndarray:
    return np.asarray(end + sign * (2 * _U * (abs(mid) + rad) + _TINY))


def upper_end(values: Balls) -> Balls:
    """The upper ends, as exact numbers."""
    return Balls(values.upper)


def _larger(a: Balls, b: Balls, pick: Any) -> Balls:
    return Balls(pick(a.mid, b.mid), np.maximum(a.rad, b.rad))


def _inverse(b: Balls) -> Balls:
    """1/b; a ball that holds 0 gives the ball of all reals."""
    size = abs(b.mid)
    least = (size - b.rad) * (1 - 4 * _U)
    sure = least > 0
    mid = 1 / np.where(sure, b.mid, 1.0)
    rad = b.rad / (np.where(sure, size, 1.0) * np.where(sure, least, 1.0))
    return Balls(mid, np.where(sure, (rad + _U * abs(mid)) * _UP + _TINY, np.inf))


_UFUNCS: dict[Any, Any] = {
    np.add: lambda a, b: a + b,
    np.subtract: lambda a, b: a - b,
    np.multiply: lambda a, b: a * b,
    np.true_divide: lambda a, b: a / b,
    np.matmul: lambda a, b: a @ b,
    np.negative: lambda a: -a,
    np.absolute: lambda a: abs(a),
    np.maximum: lambda a, b: _larger(a, b, np.maximum),
    np.minimum: lambda a, b: _larger(a, b, np.minimum),
}


# --- functions: the value at the middle, its error, and a Lipschitz constant -------------


def _steady(value: Any, slope: float) -> Any:
    """A function within 16 u of ``value``, whose derivative is at most ``slope``."""

    def function(z: Any) -> Balls:
        b = _balls(z)
        mid = value(b.mid)
        return Balls(mid, (slope * b.rad + _LIBRARY * abs(mid)) * _UP + _TINY)

    return function


def _exp(z: Any) -> Balls:
    b = _balls(z)
    with np.errstate(over="ignore"):
        mid = np.exp(b.mid)
        return Balls(mid, (mid * np.expm1(b.rad) * _UP + _LIBRARY * mid) * _UP + _TINY)


def _log(z: Any) -> Balls:
    b = _balls(z)
    mid = np.log(b.mid)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = -np.log1p(-np.minimum(b.rad / b.mid * _UP, 1.0))
    return Balls(mid, (spread + _LIBRARY * (1 + abs(mid))) * _UP)


def _log_softmax(a: Any) -> Balls:
    """Within 2 max rad, and the rounding of exponents, sum and logarithm."""
    b = _balls(a)
    mid = FLOAT64.log_softmax(b.mid)
    size = 1 + abs(b.mid).max(-1, keepdims=True) + abs(mid)
    count = b.mid.shape[-1]
    rad = b.rad + b.rad.max(-1, keepdims=True) + (count + 16) * _U * size
    return Balls(mid, rad * _UP)


BALLS = NumberSystem(
    name="balls",
    asarray=_balls,
    exp=_exp,
    log=_log,
    tanh=_steady(np.tanh, 1.0),
    sigmoid=_steady(FLOAT64.sigmoid, 0.25),
    log_sigmoid=_steady(FLOAT64.log_sigmoid, 1.0),
    log_cosh_half=_steady(FLOAT64.log_cosh_half, 0.5),
    log_softmax=_log_softmax,
    log_2=lambda: Balls(np.log(2.0), _U),
)
