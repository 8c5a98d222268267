"""What a handful of runs can show: IQM, probability of improvement, effect sizes, power.

Intervals of the IQM and of the probability of improvement come from a bootstrap in which runs
are drawn within each task (Agarwal et al., arXiv 2108.13264); with fewer than about ten runs
they are too narrow. Intervals of Cohen's d, and power, are exact for normal scores: they come
from the noncentral t distribution.

Scores are finite numbers, or true and false for 1 and 0; all functions raise :class:`InputError` at
any other, and at arguments outside their domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from sailtheory.errors import InputError, real_number, require, whole_number

__all__ = [
    "LEVEL",
    "Estimate",
    "Strata",
    "cohens_d",
    "detectable",
    "improvement",
    "iqm",
    "iqm_curve",
    "iqm_interval",
    "mean_and_deviation",
    "noncentral_t",
    "numbers",
    "paired_d",
    "power",
    "runs_needed",
    "wilson",
]

REPEATS = 5000
LEVEL = 0.95

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
_ROUNDING = 8 * float(np.finfo(float).eps)  # a deviation that rounding can give to numbers below 1
_FAR = 9.0  # standard deviations beyond which a normal variable has mass 1e-19

Strata = Sequence[np.ndarray]
"""Scores of one arm: one array (runs,) a task."""


@dataclass(frozen=True)
class Estimate:
    """A value with a 95 % interval; nan where it does not exist, as where a task has one run."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def wilson(hits: float, of: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson); hits that count half make it too wide, not too narrow.

    Args:
        hits: From 0 to ``of``.
        of: At least 1.
    """
    n, won = whole_number("of", of, 1), real_number("hits", hits)
    if not 0 <= won <= n:
        raise InputError("hits", hits, f"a number from 0 to {n} is expected")
    z, p = float(stats.norm.ppf((1 + LEVEL) / 2)), won / n
    middle = p + z * z / (2 * n)
    spread = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return float((middle - spread) / scale), float((middle + spread) / scale)


def iqm(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean along the last axis, (..., n ≥ 1): the mean without the outer quarters."""
    return _iqm(numbers("scores", scores))


def mean_and_deviation(scores: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of runs, (n ≥ 2,), also where their squares overflow."""
    unit, exponent = _scaled(_runs("scores", scores))
    mean, deviation = np.ldexp([unit.mean(), unit.std(ddof=1)], exponent)
    return float(mean), float(deviation)


def iqm_interval(strata: Strata, rng: np.random.Generator) -> Estimate:
    """IQM over all runs and tasks, with a stratified bootstrap interval."""
    scores = _strata("scores", strata)
    drawn = np.concatenate([_resample(s, rng) for s in scores], -1)
    return _percentiles(float(_iqm(np.concatenate(scores))), _iqm(drawn), scores)


def iqm_curve(curves: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """IQM over runs at each step with pointwise intervals.

    Args:
        curves: Scores (runs, steps); whole runs are drawn.
        rng: For the bootstrap.

    Returns:
        Value, low and high, (3, steps); the ends are nan where there is one run.
    """
    scores = _runs("curves", curves, 1, axes=2)
    if len(scores) == 1:
        return np.stack([scores[0], *np.full((2, scores.shape[1]), np.nan)])
    rows = rng.integers(len(scores), size=(REPEATS // 5, len(scores)))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(_iqm(np.moveaxis(scores[rows], 1, -1)), [tail, 1 - tail], axis=0)
    return np.stack([_iqm(scores.T), low, high])


def improvement(x: Strata, y: Strata, rng: np.random.Generator) -> Estimate:
    """P(X > Y) + P(X = Y)/2 for a run of each arm, averaged over tasks, with its interval.

    Args:
        x: Scores of one arm, an array (runs,) a task.
        y: Scores of the other, the same tasks.
        rng: For the bootstrap.
    """
    own, other = _strata("x", x), _strata("y", y)
    if len(own) != len(other):
        raise InputError("y", f"{len(other)} tasks", f"the {len(own)} of x are expected")
    value = np.mean([_wins(a, b) for a, b in zip(own, other, strict=True)])
    drawn = [_wins(_resample(a, rng), _resample(b, rng)) for a, b in zip(own, other, strict=True)]
    return _percentiles(float(value), np.mean(drawn, 0), own + other)


def cohens_d(x: np.ndarray, y: np.ndarray) -> Estimate:
    """(mean x − mean y) / pooled standard deviation, for independent runs (n,) and (m,)."""
    x, y = _to_one(_runs("x", x), _runs("y", y))
    n, m = len(x), len(y)
    variance = ((n - 1) * np.var(x, ddof=1) + (m - 1) * np.var(y, ddof=1)) / (n + m - 2)
    return _effect(np.mean(x) - np.mean(y), variance, n + m - 2, n * m / (n + m))


def paired_d(x: np.ndarray, y: np.ndarray, level: float = LEVEL) -> Estimate:
    """Mean / standard deviation of the differences x − y, (n,), of runs that share a seed.

    Args:
        x: Scores of one arm, (n,).
        y: Scores of the other, the same seeds.
        level: Coverage of the interval, in (0, 1).
    """
    x, y = _runs("x", x), _runs("y", y)
    if len(x) != len(y):
        raise InputError("y", f"{len(y)} scores", f"{len(x)}, one a pair, are expected")
    level = _between("level", level, 0, 1)
    one, other = _to_one(x, y)
    difference = one - other
    n, variance = len(x), np.var(difference, ddof=1)
    return _effect(difference.mean(), variance, n - 1, n, level)


def power(d: float, n: int, m: int | None = None, *, alpha: float = 0.05) -> float:
    """Probability that a two-sided t test at level ``alpha`` sees an effect of size d.

    Args:
        d: Cohen's d; that of the differences for a paired test.
        n: Runs of one arm.
        m: Runs of the other; None for n pairs.
        alpha: Level of the test, in (0, 1).
    """
    alpha, size = _between("alpha", alpha, 0, 1), real_number("d", d)
    require("", d=size)
    return _power(size, *_design(n, m), alpha)


def _design(n: Any, m: Any) -> tuple[int, float]:
    """Degrees of freedom of a t test, and by how many runs its d is multiplied."""
    n = whole_number("n", n, 2)
    if m is None:
        return n - 1, n
    m = whole_number("m", m, 2)
    return n + m - 2, n * m / (n + m)


def _power(d: float, freedom: int, size: float, alpha: float) -> float:
    critical, shift = float(stats.t.isf(alpha / 2, freedom)), abs(d) * float(np.sqrt(size))
    return 1 - noncentral_t(critical, freedom, shift) + noncentral_t(-critical, freedom, shift)


def detectable(n: int, m: int | None = None, *, chance: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest d that such a test sees with probability ``chance``, in (alpha, 1)."""
    alpha = _between("alpha", alpha, 0, 1)
    chance, design = _between("chance", chance, alpha, 1), _design(n, m)

    def missing(d: float) -> float:
        return _power(d, *design, alpha) - chance

    return float(optimize.brentq(missing, 0.0, _grow(missing, 1.0, 2.0), xtol=1e-10))


def runs_needed(d: float, *, paired: bool, chance: float = 0.8) -> int:
    """The least number of runs of each arm with which d is seen with probability ``chance``.

    Args:
        d: Other than 0 by 1e-6 or more: a smaller effect takes some 10¹³ runs.
        paired: Whether runs share seeds.
        chance: In (0.05, 1), 0.05 being the level of the test.
    """
    if not 1e-6 <= abs(real_number("d", d)) < np.inf:
        raise InputError("d", d, "a finite number other than 0 is expected, from 1e-6 on")
    chance = _between("chance", chance, 0.05, 1)

    def seen(runs: int) -> bool:
        return _power(d, *_design(runs, None if paired else runs), 0.05) >= chance

    enough = 2
    while not seen(enough):
        enough *= 2
    few = enough // 2  # known not to be enough, or 1
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if seen(middle) else (middle, enough)
    return enough


def noncentral_t(t: float, freedom: int, shift: float) -> float:
    """P(T ≤ t), T = (Z + shift) / (χ / √freedom): Owen's integral, by Gauss-Legendre.

    ``scipy.stats.nct`` gives nan where three runs of each arm need it.
    """
    if not (np.isfinite(t) and np.isfinite(shift) and freedom >= 1):
        accepted = "finite numbers, and one degree of freedom or more"
        raise InputError("t, freedom, shift", (t, freedom, shift), accepted)
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


def numbers(field: str, values: Any) -> np.ndarray:
    """Finite numbers as float64, (..., n ≥ 1); true and false are 1 and 0.

    Raises:
        InputError: Anything else, by its place.
    """
    try:
        found = np.asarray(values)
    except ValueError:  # rows of several lengths
        raise InputError(field, values, "an array of numbers is expected") from None
    if found.dtype.kind not in "biuf" or found.ndim == 0 or found.size == 0:
        raise InputError(field, values, "an array of one number or more is expected")
    result: np.ndarray = found.astype(np.float64)
    for place in np.argwhere(~np.isfinite(result)):
        where = "".join(f"[{i}]" for i in place)
        raise InputError(field + where, result[tuple(place)], "a finite number is expected")
    return result


def _runs(field: str, values: Any, minimum: int = 2, axes: int = 1) -> np.ndarray:
    """Scores of so many runs or more, the first axis being theirs."""
    found = numbers(field, values)
    if found.ndim != axes:
        accepted = "(runs,)" if axes == 1 else "(runs, steps)"
        raise InputError(field, f"shape {found.shape}", f"{accepted} is expected")
    if len(found) < minimum:
        raise InputError(field, f"{len(found)} run", "at least two for each arm are expected")
    return found


def _strata(field: str, values: Any) -> list[np.ndarray]:
    found = [_runs(f"{field}[{k}]", scores, 1) for k, scores in enumerate(values)]
    if not found:
        raise InputError(field, "no task", "scores of one task or more are expected")
    return found


def _between(field: str, value: Any, low: float, high: float) -> float:
    number = real_number(field, value)
    if not low < number < high:
        raise InputError(field, value, f"a number between {low:g} and {high:g} is expected")
    return number


def _iqm(scores: np.ndarray) -> np.ndarray:
    unit, exponent = _scaled(scores)
    result: np.ndarray = np.ldexp(stats.trim_mean(unit, 0.25, axis=-1), exponent)
    return result


def _resample(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap samples (repeats, runs) of scores (runs,)."""
    drawn: np.ndarray = scores[rng.integers(len(scores), size=(REPEATS, len(scores)))]
    return drawn


def _wins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of pairs that x wins, ties counted half, along the last axes."""
    difference = x[..., :, None] - y[..., None, :]
    share: np.ndarray = ((difference > 0) + 0.5 * (difference == 0)).mean((-2, -1))
    return share


def _percentiles(value: float, drawn: np.ndarray, strata: list[np.ndarray]) -> Estimate:
    """An interval by draws from these; of one run all draws are the same, which shows nothing."""
    if min(map(len, strata)) < 2:
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _to_one(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in units in which the largest is about 1: squares of 1e-200 would vanish.

    The unit is a power of two, so no digit is lost.
    """
    both, _ = _scaled(np.concatenate([x, y]))
    return both[: len(x)], both[len(x) :]


def _scaled(scores: np.ndarray) -> tuple[np.ndarray, int]:
    """Scores as multiples of a power of two, the largest about 1; and its exponent."""
    _, exponent = np.frexp(np.abs(scores).max())
    return np.ldexp(scores, -exponent), int(exponent)


def _effect(
    difference: Any, variance: Any, freedom: int, size: float, level: float = LEVEL
) -> Estimate:
    """d with the interval whose ends the noncentral t distribution puts into its tails.

    The scores are those of :func:`_to_one`, whose variance may be rounding alone.
    """
    if variance <= _ROUNDING**2:
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
