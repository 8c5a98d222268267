"""Ascent on a ball from many points at once: BFGS on the hemisphere above it.

The ball of radius B in R^r is the shadow of the upper half of the unit sphere in R^{r+1}:
x = B y_{1..r}. A maximum on the boundary of the ball is then a smooth maximum on the
equator, so no constraint is left and one method serves the inside and the boundary.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sailtheory.landscape.quasi_newton import inverse_hessian

__all__ = ["Function", "ascend"]

Function = Callable[[np.ndarray], np.ndarray]
"""x (k, r) to (k,), or to (k, r) for a gradient; nan and infinities are not steps to take."""

_SUFFICIENT = 1e-4
_SHRINK = 0.3
_TRIALS = 12
_FIRST_ANGLE, _LARGEST_ANGLE = 0.1, 0.5


def ascend(
    function: Function,
    gradient: Function,
    x: np.ndarray,
    values: np.ndarray,
    radius: float,
    iterations: int,
    tolerance: float,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[np.ndarray, np.ndarray]:
    """Climb from each point; the points do not influence each other.

    Args:
        function: x (k, r) to (k,), to be maximised.
        gradient: x (k, r) to (k, r).
        x: Points of the ball, (k, r).
        values: The function there, (k,); points where it is not finite stay.
        radius: B > 0.
        iterations: Steps of each point at most.
        tolerance: A point stops when a step raises its value by less, relatively.
        stop: Asked before each step whether enough was found.

    Returns:
        Where each point ended, (k, r), and the function there, (k,). No value is below
        that of its start.
    """
    k, r = x.shape
    flat = x / radius
    height = np.sqrt(np.maximum(1 - (flat * flat).sum(1, keepdims=True), 0))
    y, values = np.concatenate([flat, height], axis=1), values.copy()
    g = np.zeros_like(y)
    inverse = inverse_hessian(k, r + 1)
    fresh = inverse.fresh
    active = np.flatnonzero(np.isfinite(values))
    g[active] = _slope(gradient, y[active], radius)
    for _ in range(iterations):
        if len(active) == 0 or stop():
            break
        d = _tangent(inverse.direction(active, g[active]), y[active])
        uphill = (d * g[active]).sum(1)
        lost = ~(uphill > 0)
        d[lost] = g[active[lost]]
        inverse.forget(active[lost])
        uphill = (d * g[active]).sum(1)
        length = np.linalg.norm(d, axis=1)
        angle = np.where(fresh[active], _FIRST_ANGLE, np.minimum(length, _LARGEST_ANGLE))
        step = angle / np.maximum(length, 1e-300)
        end, reached, moved = _line_search(function, y[active], values[active], d, step, uphill,
                                           radius)  # fmt: skip
        gone = active[moved]
        slope = _slope(gradient, end[moved], radius)
        went, fall = end[moved] - y[gone], _tangent(g[gone], end[moved]) - slope
        inverse.learn(gone, _tangent(went, end[moved]), fall)
        rise = reached - values[active]
        y[gone], values[gone], g[gone] = end[moved], reached[moved], slope
        small = rise <= tolerance * np.abs(reached)
        stuck = active[~moved & ~fresh[active]]  # once more, along the gradient
        over = np.where(moved, small, fresh[active]) | ~(np.abs(g[active]).max(1) > 0)
        inverse.forget(stuck)
        active = active[~over]
    return radius * y[:, :r], values


def _tangent(v: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(v - (v * y).sum(1, keepdims=True) * y)


def _slope(gradient: Function, y: np.ndarray, radius: float) -> np.ndarray:
    """Riemannian gradient at y, (k, r + 1)."""
    g = np.zeros_like(y)
    if len(y):
        g[:, :-1] = radius * gradient(radius * y[:, :-1])
    return _tangent(np.where(np.isfinite(g), g, 0.0), y)


def _line_search(
    function: Function,
    y: np.ndarray,
    values: np.ndarray,
    d: np.ndarray,
    step: np.ndarray,
    uphill: np.ndarray,
    radius: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Backtrack each point until its value rises enough: ends, values, which moved."""
    end, reached, moved = y.copy(), values.copy(), np.zeros(len(y), dtype=bool)
    step = step.copy()
    for _ in range(_TRIALS):
        open_ = np.flatnonzero(~moved)
        if len(open_) == 0:
            break
        trial = y[open_] + step[open_, None] * d[open_]
        trial /= np.linalg.norm(trial, axis=1, keepdims=True)
        found = function(radius * trial[:, :-1])
        good = found > values[open_] + _SUFFICIENT * step[open_] * uphill[open_]
        won = open_[good]
        end[won], reached[won], moved[won] = trial[good], found[good], True
        step[open_[~good]] *= _SHRINK
    return end, reached, moved
