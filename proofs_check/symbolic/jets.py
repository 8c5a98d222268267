"""Truncated power series over Arb balls: rigorous derivatives of any production value.

An objective's ``value`` is evaluated at θ + εv with ε a formal variable; the
coefficients of the result enclose the derivatives along v. Nothing of the closed
forms of gradients and Hessians is used, so this is an independent route to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb, arb_series

from sailtheory.numeric.numbers import Array, NumberSystem, arb_numbers
from sailtheory.objectives.algebra import LinearCombination, Objective
from sailtheory.objectives.expectation import BlockObjective, Point
from sailtheory.theory import formulas


class Jet:
    """A power series in ε with ball coefficients (python-flint's, hidden from NumPy).

    NumPy would take a bare ``arb_series`` for a sequence of its coefficients.
    """

    __slots__ = ("series",)

    def __init__(self, series: arb_series) -> None:
        self.series = series

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b / a)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Jet:
        return Jet(-self.series)

    def __pow__(self, exponent: int) -> Jet:
        return Jet(self.series**exponent)

    def _with(self, other: Any, operation: Callable[[Any, Any], arb_series]) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        plain = other.series if isinstance(other, Jet) else arb_numbers().asarray(other)[()]
        return Jet(operation(self.series, plain))


def jet_numbers() -> NumberSystem:
    """The number system of jets; balls pass through its functions as constants."""

    def each(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
        def either(z: Any) -> Any:
            return Jet(function(z.series)) if isinstance(z, Jet) else function(z)

        lifted: Callable[[Any], Any] = np.frompyfunc(either, 1, 1)
        return lifted

    def log_softmax(a: Array) -> Array:
        total = each(lambda z: z.log())(each(lambda z: z.exp())(a).sum(-1))
        return a - np.asarray(total, dtype=object)[..., None]

    def log_cosh_half(z: Any) -> Any:
        return (((z / 2).exp() + (-z / 2).exp()) / 2).log()

    return NumberSystem(
        name="jets",
        asarray=arb_numbers().asarray,
        exp=each(lambda z: z.exp()),
        log=each(lambda z: z.log()),
        tanh=each(lambda z: 1 - 2 / (1 + (2 * z).exp())),
        sigmoid=each(lambda z: 1 / (1 + (-z).exp())),
        log_sigmoid=each(lambda z: -(1 + (-z).exp()).log()),
        log_cosh_half=each(log_cosh_half),
        log_softmax=log_softmax,
        log_2=arb.const_log2,
    )


def points_in(xp: NumberSystem, blocks: list[Any], theta: Array) -> list[Point]:
    """What the production objectives look at, in a number system of this package."""
    points = []
    for block in blocks:
        log_policy = formulas.log_policy(xp, theta, block.features, block.log_base)
        delta = theta - block.ref_params
        points.append(Point(xp, block, delta, log_policy, xp.exp(log_policy)))
    return points


def carried_over(
    kind: type[BlockObjective], problem: Any, xp: NumberSystem, blocks: list[Any]
) -> BlockObjective:
    """A production objective that takes θ in a number system of this package."""

    def points(self: BlockObjective, theta: Array) -> list[Point]:
        return points_in(xp, blocks, theta)

    carried: BlockObjective = type(kind.__name__, (kind,), {"points": points})(problem)
    return carried


def series_along(
    function: Callable[[Array], Array], theta: Array, direction: Array, order: int
) -> list[Array]:
    """Taylor coefficients 0..order of f(θ + εv), each an object array of balls."""
    moved = np.empty(len(theta), dtype=object)
    for i, (t, v) in enumerate(zip(theta, arb_numbers().asarray(direction), strict=True)):
        moved[i] = Jet(arb_series([t, v], prec=order + 1))
    values = np.asarray(function(moved), dtype=object)

    def coefficient(k: int) -> Array:
        def pick(z: Any) -> Any:
            if isinstance(z, Jet):
                return arb(z.series[k])
            return arb(z) if k == 0 else arb(0)

        return np.asarray(np.frompyfunc(pick, 1, 1)(values), dtype=object)

    return [coefficient(k) for k in range(order + 1)]


def gradient(function: Callable[[Array], Array], theta: Array) -> Array:
    """Derivatives of an array-valued function along a new last axis."""
    unit = np.eye(len(theta), dtype=int)
    return np.stack([series_along(function, theta, e, 1)[1] for e in unit], axis=-1)


def hessian(function: Callable[[Array], Array], theta: Array) -> Array:
    """Second derivatives of a number: (d, d)."""
    d = len(theta)
    unit = np.eye(d, dtype=int)
    out = np.empty((d, d), dtype=object)
    for i in range(d):
        out[i, i] = 2 * series_along(function, theta, unit[i], 2)[2][()]
    for i in range(d):
        for j in range(i):
            both = 2 * series_along(function, theta, unit[i] + unit[j], 2)[2][()]
            out[i, j] = out[j, i] = (both - out[i, i] - out[j, j]) / 2
    return out


def curvature_along(objective: Objective, theta: np.ndarray, direction: np.ndarray) -> arb:
    """A ball around vᵀ∇²v at θ, from the objective's ``value`` alone."""
    if isinstance(objective, LinearCombination):
        weigh = arb_numbers().asarray
        parts = [(weigh(c)[()], curvature_along(o, theta, direction)) for c, o in objective.terms]
        return sum((c * part for c, part in parts), arb(0))
    if not isinstance(objective, BlockObjective):
        raise TypeError(f"no series for {type(objective).__name__}")
    xp = arb_numbers()
    blocks = objective.problem.blocks(xp)
    series = carried_over(type(objective), objective.problem, jet_numbers(), blocks)
    second: arb = series_along(series.value, xp.asarray(theta), xp.asarray(direction), 2)[2][()]
    return 2 * second
