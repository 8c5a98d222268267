"""What a handful of runs can show: IQM, probability of improvement, effect sizes, power.

Intervals of the IQM and of the probability of improvement come from a bootstrap in which runs
are drawn within each task (Agarwal et al., arXiv 2108.13264); with fewer than about ten runs
they are too narrow. Intervals of Cohen's d, and power, are exact for normal scores: they come
from the noncentral t distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from sailtheory.errors import InputError

REPEATS = 5000
LEVEL = 0.95

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_FAR = 9.0  # standard deviations beyond which a normal variable has mass 1e-19

Strata = Sequence[np.ndarray]
"""Scores of one arm: one array (runs, ...) a task."""


@dataclass(frozen=True)
class Estimate:
    """A value with a 95 % interval; nan where it does not exist."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def wilson(hits: float, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson); hits that count half make it too wide, not too narrow."""
    z, p = float(stats.norm.ppf((1 + LEVEL) / 2)), hits / of
    middle = p + z * z / (2 * of)
    spread = z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return float((middle - spread) / scale), float((middle + spread) / scale)


def iqm(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean along the last axis: the mean without the outer quarters."""
    cut = scores.shape[-1] // 4
    result: np.ndarray = np.sort(scores, -1)[..., cut : scores.shape[-1] - cut].mean(-1)
    return result


def iqm_interval(strata: Strata, rng: np.random.Generator) -> Estimate:
    """IQM over all runs and tasks, with a stratified bootstrap interval."""
    drawn = np.concatenate([_resample(np.asarray(s), rng) for s in strata], -1)
    return _percentiles(float(iqm(np.concatenate(strata))), iqm(drawn))


def iqm_curve(curves: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """IQM over runs at each step with pointwise intervals.

    Args:
        curves: Scores (runs, steps); whole runs are drawn.
        rng: For the bootstrap.

    Returns:
        Value, low and high, (3, steps).
    """
    rows = rng.integers(len(curves), size=(REPEATS // 5, len(curves)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(iqm(np.moveaxis(curves[rows], 1, -1)), [tail, 1 - tail], axis=0)
    return np.stack([iqm(curves.T), low, high])


def improvement(x: Strata, y: Strata, rng: np.random.Generator) -> Estimate:
    """P(X > Y) + P(X = Y)/2 for a run of each arm, averaged over tasks, with its interval.

    Args:
        x: Scores of one arm, an array (runs,) a task.
        y: Scores of the other, the same tasks.
        rng: For the bootstrap.
    """
    value = np.mean([_wins(a, b) for a, b in zip(x, y, strict=True)])
    drawn = [_wins(_resample(a, rng), _resample(b, rng)) for a, b in zip(x, y, strict=True)]
    return _percentiles(float(value), np.mean(drawn, 0))


def cohens_d(x: np.ndarray, y: np.ndarray) -> Estimate:
    """(mean x − mean y) / pooled standard deviation, for independent runs (n,) and (m,)."""
    n, m = _runs(x), _runs(y)
    variance = ((n - 1) * np.var(x, ddof=1) + (m - 1) * np.var(y, ddof=1)) / (n + m - 2)
    rounding = _rounding(x, y)
    return _effect(np.mean(x) - np.mean(y), variance, rounding, n + m - 2, n * m / (n + m))


def paired_d(x: np.ndarray, y: np.ndarray, level: float = LEVEL) -> Estimate:
    """Mean / standard deviation of the differences x − y, (n,), of runs that share a seed.

    Args:
        x: Scores of one arm, (n,).
        y: Scores of the other, the same seeds.
        level: Coverage of the interval.
    """
    difference = np.asarray(x, float) - np.asarray(y, float)
    n = _runs(difference)
    variance = np.var(difference, ddof=1)
    return _effect(difference.mean(), variance, _rounding(x, y), n - 1, n, level)


def power(d: float, n: int, m: int | None = None, *, alpha: float = 0.05) -> float:
    """Probability that a two-sided t test at level ``alpha`` sees an effect of size d.

    Args:
        d: Cohen's d; that of the differences for a paired test.
        n: Runs of one arm.
        m: Runs of the other; None for n pairs.
        alpha: Level of the test.
    """
    freedom, size = (n - 1, n) if m is None else (n + m - 2, n * m / (n + m))
    if freedom < 1:
        raise InputError("runs", n, "at least two for each arm are expected")
    critical, shift = stats.t.isf(alpha / 2, freedom), abs(d) * np.sqrt(size)
    return 1 - noncentral_t(critical, freedom, shift) + noncentral_t(-critical, freedom, shift)


def detectable(n: int, m: int | None = None, *, chance: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest d that such a test sees with probability ``chance``."""

    def missing(d: float) -> float:
        return power(d, n, m, alpha=alpha) - chance

    return float(optimize.brentq(missing, 0.0, _grow(missing, 1.0, 2.0), xtol=1e-10))


def runs_needed(d: float, *, paired: bool, chance: float = 0.8) -> int:
    """The least number of runs of each arm with which d is seen with probability ``chance``."""
    if not (np.isfinite(d) and d):
        raise InputError("d", d, "a finite number other than 0 is expected")
    enough = 2
    while power(d, enough, None if paired else enough) < chance:
        enough *= 2
    few = enough // 2  # known not to be enough, or 1
    while enough - few > 1:
        middle = (few + enough) // 2
        reached = power(d, middle, None if paired else middle) >= chance
        few, enough = (few, middle) if reached else (middle, enough)
    return enough


def noncentral_t(t: float, freedom: int, shift: float) -> float:
    """P(T ≤ t), T = (Z + shift) / (χ / √freedom): Owen's integral, by Gauss-Legendre.

    ``scipy.stats.nct`` gives nan where three runs of each arm need it.
    """
    if t <= 0:
        return 1 - noncentral_t(-t, freedom, -shift) if t < 0 else float(special.ndtr(-shift))
    # T ≤ t when χ ≥ ratio (Z + shift); u = Z + shift. Where χ is sure to be larger, the
    # mass is that of Z alone, and the integral is left with where it is not sure.
    ratio, middle = np.sqrt(freedom) / t, np.sqrt(freedom)
    sure = max(middle - _FAR, 0.0) / ratio
    low, high = max(sure, shift - _FAR), min((middle + _FAR) / ratio, shift + _FAR)
    mass = float(special.ndtr(sure - shift))
    if high <= low:
        return mass
    u = low + (_NODES + 1) * (high - low) / 2
    larger = special.gammaincc(freedom / 2, (ratio * u) ** 2 / 2)
    unsure = float(_WEIGHTS @ (stats.norm.pdf(u - shift) * larger))
    return float(mass + unsure * (high - low) / 2)


def _runs(scores: np.ndarray) -> int:
    if len(scores) < 2:
        raise InputError("runs", len(scores), "at least two for each arm are expected")
    return len(scores)


def _resample(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap samples (repeats, runs) of scores (runs,)."""
    drawn: np.ndarray = scores[rng.integers(len(scores), size=(REPEATS, len(scores)))]
    return drawn


def _wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of pairs that x wins, ties counted half, along the last axes."""
    difference = x[..., :, None] - y[..., None, :]
    share: np.ndarray = ((difference > 0) + 0.5 * (difference == 0)).mean((-2, -1))
    return share


def _percentiles(value: float, drawn: np.ndarray) -> Estimate:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _rounding(x: np.ndarray, y: np.ndarray) -> float:
    """Standard deviation that rounding alone can give to scores that do not vary."""
    return 8 * float(np.finfo(float).eps * max(np.abs(x).max(), np.abs(y).max()))


def _effect(
    difference: Any,
    variance: Any,
    rounding: float,
    freedom: int,
    size: float,
    level: float = LEVEL,
) -> Estimate:
    """d with the interval whose ends the noncentral t distribution puts into its tails."""
    if variance <= rounding**2:
        return Estimate(np.nan, np.nan, np.nan)
    d, scale = float(difference / np.sqrt(variance)), float(np.sqrt(size))
    tail = (1 - level) / 2
    low, high = (_noncentrality(d * scale, freedom, mass) / scale for mass in (1 - tail, tail))
    return Estimate(d, low, high)


def _noncentrality(t: float, freedom: int, mass: float) -> float:
    """The noncentrality with which P(T ≤ t) is ``mass``; it falls as noncentrality grows."""
    if t < 0:
        return -_noncentrality(-t, freedom, 1 - mass)

    def excess(shift: float) -> float:
        return mass - noncentral_t(t, freedom, shift)

    low = -_grow(lambda width: -excess(t - width), 1.0, 2.0) + t
    high = t + _grow(lambda width: excess(t + width), 1.0, 2.0)
    return float(optimize.brentq(excess, low, high, xtol=1e-10))


def _grow(increasing: Callable[[float], float], start: float, factor: float) -> float:
    """A point at which an increasing function is positive."""
    while not increasing(start) > 0:
        start *= factor
        if start > 1e30:
            raise ArithmeticError("no such point")
    return start
