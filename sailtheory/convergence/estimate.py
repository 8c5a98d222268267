"""Parameters of an accepted model and their intervals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from sailtheory.convergence.bootstrap import DRAWS, correlation, resample
from sailtheory.convergence.models import Curve, Points, fit_floor, fit_plain, whiten
from sailtheory.convergence.search import MIN_PART, Survey, after_burn_in, windows

__all__ = ["Estimate", "estimate"]

LEVEL = 0.95
_BLOCKS = 30
_LEAST_BLOCKS = 5.0
_QUANTILES = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]


@dataclass(frozen=True)
class Estimate:
    """Estimates from the likeliest start; intervals from every plausible one.

    Attributes:
        curve: The fit from the likeliest start.
        rho: Correlation of errors of neighbouring points.
        independent: Number of independent points the errors are worth.
        parameters: By name, as in ``RateFit``.
        intervals: By name.
    """

    curve: Curve
    rho: float
    independent: float
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]

    def negligible(self, model_error: float) -> bool:
        """Whether the residuals are too small to matter."""
        return bool(np.std(self.curve.residuals) < model_error)

    def drifts(self) -> bool:
        """Whether means of 30 blocks of residuals are worth fewer than 5 independent ones.

        White noise on top of a random walk hides it from the correlation of neighbours,
        not from that of block means.
        """
        z = self.curve.residuals / self.curve.sd
        count = min(_BLOCKS, len(z) // 2)
        means = np.array([part.mean() for part in np.array_split(z, count)])
        rho = correlation(means, len(self.curve.theta))
        return count * (1 - rho) / (1 + rho) < _LEAST_BLOCKS

    def floor_fails(self) -> bool:
        """Whether a floor has < 5 points, or a trend of more than 4 standard errors."""
        if self.curve.share is None:
            return False
        on = self.curve.share > 0.5
        if np.sum(on) < MIN_PART:
            return True
        z = whiten((self.curve.residuals / self.curve.sd)[on], self.rho)
        x = whiten(np.arange(float(len(z))) - (len(z) - 1) / 2, self.rho)
        slope = float(x @ z) / float(x @ x)
        se = float(np.std(z - slope * x)) / float(np.sqrt(x @ x))
        return abs(slope) > 4 * se


def estimate(
    points: Points, found: Survey, label: str, rng: np.random.Generator, block: int | None
) -> Estimate:
    """Fit an accepted model again and resample it.

    Args:
        points: The points.
        found: What the search found.
        label: The accepted model.
        rng: Source of randomness.
        block: Block length of the bootstrap; None for about m^(1/3).
    """
    plausible = windows(points, found, label)
    total = sum(weight for _, weight in plausible)
    pool, first = [], None
    for curve, weight in plausible:
        fit = _refit(points, curve)
        first = first or fit
        draws = max(2, round(DRAWS * weight / total))
        pool.append(_resampled(points, fit, draws, rng, block))
    assert first is not None
    curve, rho = first
    low, high = np.quantile(np.concatenate([values for values, _ in pool]), _QUANTILES, axis=0)
    rounding = pool[0][1]
    ends = _named(curve, low - rounding), _named(curve, high + rounding)
    return Estimate(
        curve,
        rho,
        _independent(curve, rho),
        _named(curve, curve.theta),
        {k: (min(e[k] for e in ends), max(e[k] for e in ends)) for k in ends[0]},
    )


def _independent(curve: Curve, rho: float) -> float:
    """Size of a sample of independent errors whose mean varies as much."""
    return len(curve.residuals) * (1 - rho) / (1 + rho)


def _refit(points: Points, curve: Curve) -> tuple[Curve, float]:
    """The curve from a little after its burn-in, with its own correlation."""
    start, rho = after_burn_in(points, curve), 0.0
    for _ in range(3):
        if curve.share is None:
            curve = fit_plain(points, curve.kind, start, rho)
        else:
            curve = fit_floor(points, curve.kind, start, rho, curve, curve.join)
        before, rho = rho, correlation(curve.residuals / curve.sd, len(curve.theta))
        if abs(rho - before) < 1e-3:
            break
    return _rescaled(curve), rho


def _rescaled(curve: Curve) -> Curve:
    """Spreads such that residuals on and above a floor have mean square 1 each."""
    if curve.share is None:
        return curve
    sd, z = curve.sd.copy(), curve.residuals / curve.sd
    for part in (curve.share < 0.5, curve.share >= 0.5):
        if part.any():
            sd[part] *= max(float(np.sqrt(np.mean(z[part] ** 2))), 1e-3)
    return replace(curve, sd=sd)


def _resampled(
    points: Points,
    fit: tuple[Curve, float],
    draws: int,
    rng: np.random.Generator,
    block: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Resampled estimates, (draws, p), and a bound of what rounding does to θ, (p,)."""
    curve, rho = fit
    design = curve.design / curve.sd[:, None]
    scale = np.linalg.norm(design, axis=0)
    inverse = np.linalg.pinv(whiten(design / scale, rho)) / scale[:, None]
    # θ̂ − θ = inverse · whiten(errors), written as one map of the errors.
    operator: Any = inverse.copy()
    operator[:, 0] *= np.sqrt(1 - rho**2)
    operator[:, :-1] -= rho * inverse[:, 1:]
    errors = resample(operator, curve.residuals / curve.sd, rho, rng, block=block, draws=draws)
    dof = max(_independent(curve, rho) - len(curve.theta), 2.0)
    errors *= stdtrit(dof, _QUANTILES[1]) / ndtri(_QUANTILES[1])
    # Gaps are exact to their resolution, logarithms and sums to units in the last place.
    m = len(curve.residuals)
    units = 8 * np.finfo(float).eps * (1 + np.abs(points.y[-m:]))
    rounding = np.abs(operator / curve.sd) @ (units + points.blur[-m:])
    rounding += np.abs(inverse / curve.sd) @ units
    return curve.theta - errors, rounding


def _named(curve: Curve, theta: np.ndarray) -> dict[str, float]:
    with np.errstate(over="ignore"):
        out = {"C": float(np.exp(theta[0]))}
        if curve.kind == "linear":
            out["q"] = float(np.exp(theta[1]))
        elif curve.kind == "power":
            out["a"] = float(-theta[1])
        if curve.share is not None:
            out["floor"] = float(np.exp(theta[2]))
    return out
