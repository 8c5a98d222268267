"""Models of a decay on the scale of log gaps, and their least-squares fits.

With t the iteration and e the errors,

* ``linear``       log gap = log C + t log q + e
* ``power``        log gap = log C − a log t + e
* ``logarithmic``  log gap = log C − log log t + e
* a floor f under a linear or power decay g: log gap = log ‖(C g(t), f)‖_r + e, with the
  sum of the two (r = 1) for a floor that adds to the gap, and the root of the sum of
  squares (r = 2) for a floor of noise around 0, whose square adds to the gap's.

Under a floor, errors of the decay and of the floor need not be alike: with w = f / gap
the standard deviation is (1 − w) s_h + w s_f.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "KINDS",
    "Curve",
    "Points",
    "columns",
    "fit_floor",
    "fit_plain",
    "least_squares",
    "whiten",
]

KINDS = ("linear", "power", "logarithmic")
_TINY = 1e-14  # standard deviation of rounding errors in log gaps, about 50 eps


@dataclass(frozen=True)
class Points:
    """What is fitted.

    Attributes:
        t: Iterations, (n,), positive and increasing.
        y: Logarithms of the gaps, (n,).
        blur: Relative error that the resolution of the gaps allows, (n,).
    """

    t: np.ndarray
    y: np.ndarray
    blur: np.ndarray

    def regressor(self, kind: str) -> np.ndarray:
        """The known function of t in log g, (n,)."""
        if kind == "linear":
            return self.t
        return np.asarray(np.log(self.t) if kind == "power" else -np.log(np.log(self.t)))


@dataclass(frozen=True)
class Curve:
    """One model fitted to the points from ``start`` on.

    Attributes:
        kind: ``linear``, ``power``, ``logarithmic``; also ``constant`` and ``mixed``
            (log C + t log q − a log t), which no fit ends with.
        start: First point that belongs to the decay.
        theta: log C, then log q or −a, then log f where there is a floor, (p,).
        design: Derivatives of the mean by θ, (m, p).
        residuals: (m,).
        sd: Standard deviations up to a common factor, (m,).
        share: (f / gap)^r of the fitted gap, (m,); None without a floor.
        join: r, how decay and floor are joined.
    """

    kind: str
    start: int
    theta: np.ndarray
    design: np.ndarray
    residuals: np.ndarray
    sd: np.ndarray
    share: np.ndarray | None = None
    join: int = 1

    @property
    def label(self) -> str:
        """Kind, with ``+floor`` where there is one."""
        return self.kind if self.share is None else f"{self.kind}+floor"


def whiten(a: np.ndarray, rho: float) -> np.ndarray:
    """Rows a_i − ρ a_(i−1), the first √(1 − ρ²) a_0: independent if the errors are AR(1)."""
    if rho == 0:
        return a
    out = a.copy()
    out[1:] -= rho * a[:-1]
    out[0] *= np.sqrt(1 - rho**2)
    return out


def least_squares(design: np.ndarray, y: np.ndarray) -> np.ndarray:
    """argmin ‖y − Xθ‖ with columns scaled first, so that t may be of any size."""
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1.0
    return np.asarray(np.linalg.lstsq(design / scale, y, rcond=None)[0] / scale)


def columns(points: Points, kind: str) -> np.ndarray:
    """Design of a model that is linear in its parameters, (n, p)."""
    one = np.ones_like(points.y)
    if kind in ("constant", "logarithmic"):
        return one[:, None]
    if kind == "mixed":
        return np.stack([one, points.t, np.log(points.t)], axis=1)
    return np.stack([one, points.regressor(kind)], axis=1)


def fit_plain(points: Points, kind: str, start: int, rho: float) -> Curve:
    """Generalised least squares for a model without floor, errors AR(1) with this ρ."""
    design = columns(points, kind)[start:]
    y = points.y[start:]
    target = y - points.regressor(kind)[start:] if kind == "logarithmic" else y
    theta = least_squares(whiten(design, rho), whiten(target, rho))
    return Curve(kind, start, theta, design, target - design @ theta, np.ones(len(y)))


def fit_floor(
    points: Points, kind: str, start: int, rho: float, near: Curve | None = None, join: int = 1
) -> Curve:
    """Levenberg–Marquardt for a decay with a floor, spreads estimated in between.

    Args:
        points: The points.
        kind: ``linear`` or ``power``.
        start: First point used.
        rho: Correlation of neighbouring standardised errors.
        near: A fit whose parameters to start from.
        join: 1 for a floor that adds to the gap, 2 for a floor of noise.
    """
    x, y = points.regressor(kind)[start:], points.y[start:]
    theta = _floor_guess(x, y) if near is None else near.theta
    sd = np.ones_like(y)
    for _ in range(3):
        theta = _minimise(x, y, theta, sd, rho, join)
        mean, share = _floor_mean(x, theta, join)
        head, tail = _spreads(y - mean, share)
        ratio = share ** (1 / join)
        sd = (1 - ratio) * head + ratio * tail + _TINY
    design = np.stack([1 - share, (1 - share) * x, share], axis=1)
    return Curve(kind, start, theta, design, y - mean, sd, share, join)


def _floor_mean(x: np.ndarray, theta: np.ndarray, join: int) -> tuple[np.ndarray, np.ndarray]:
    mean = np.logaddexp(join * (theta[0] + theta[1] * x), join * theta[2]) / join
    return mean, np.exp(join * (theta[2] - mean))


def _floor_guess(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The best of a few: a line through the first points, and the level of the last."""
    level = float(np.median(y[-max(5, len(y) // 10) :]))
    guesses = []
    for last in np.geomspace(4, len(y), 8).astype(int):
        slope, offset = np.polyfit(x[:last], y[:last], 1)
        guesses.append(np.array([offset, slope, level]))
    return min(guesses, key=lambda g: float(np.sum((y - _floor_mean(x, g, 1)[0]) ** 2)))


def _spreads(residuals: np.ndarray, share: np.ndarray) -> tuple[float, float]:
    """Spreads of the decay's and of the floor's errors; pooled where one has < 6 points."""
    pooled = float(np.sqrt(np.mean(residuals**2)))
    head, tail = residuals[share < 0.5], residuals[share > 0.5]
    # The median keeps points near the floor from setting the noise of the decay.
    s_head = 1.4826 * float(np.median(np.abs(head))) if len(head) > 5 else pooled
    s_tail = float(np.sqrt(np.mean(tail**2))) if len(tail) > 5 else pooled
    return s_head, s_tail


def _minimise(
    x: np.ndarray, y: np.ndarray, theta: np.ndarray, sd: np.ndarray, rho: float, join: int
) -> np.ndarray:
    """Weighted least squares over (log C, slope, log f)."""
    mean, share = _floor_mean(x, theta, join)
    r = whiten((y - mean) / sd, rho)
    cost, damping = float(r @ r), 1e-3
    for _ in range(30):
        design = np.stack([1 - share, (1 - share) * x, share], axis=1) / sd[:, None]
        jac = whiten(design, rho)
        scale = np.linalg.norm(jac, axis=0) + 1e-300
        jac /= scale
        gram, slope, before = jac.T @ jac, jac.T @ r, cost
        while damping < 1e8:
            trial = theta + np.linalg.solve(gram + damping * np.eye(3), slope) / scale
            with np.errstate(over="ignore", invalid="ignore"):
                mean, share = _floor_mean(x, trial, join)
                after = whiten((y - mean) / sd, rho)
                now = float(np.sum(np.square(after)))
            if now <= cost:  # false for NaN, of a step too long to be evaluated
                break
            damping *= 10
        else:
            return theta
        theta, r, cost, damping = trial, after, now, max(damping / 10, 1e-10)
        if before - cost <= 1e-9 * cost + 1e-300:
            break
    return theta
