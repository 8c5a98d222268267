"""How the number of samples grows with precision: N(ε) ~ C ε^−a, with or without log(1/ε)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from sailtheory.convergence.models import least_squares
from sailtheory.convergence.series_file import vector
from sailtheory.errors import InputError

__all__ = ["LEVEL", "ExponentFit", "fit_exponent"]

SCHEMA = "sailtheory.exponent/1"
MIN_DISTINCT = 5
EVIDENCE = 10.0
MODEL_ERROR = 1e-3
LEVEL = 0.95


@dataclass(frozen=True)
class ExponentFit:
    """What sample sizes at several precisions say about their growth.

    Attributes:
        model: ``power`` (C ε^−a), ``power-log`` (C ε^−a log(1/ε)), or ``undecided``.
        parameters: C and a; empty when undecided.
        intervals: 95 % intervals of C and a; when undecided between the two, an
            interval of a that holds under either; empty when neither may be right.
        bic: BIC of each candidate, smaller is better.
        reason: One line that says why.
    """

    model: str
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    bic: dict[str, float]
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """JSON with stable names."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "parameters": self.parameters,
            "intervals": {k: list(pair) for k, pair in self.intervals.items()},
            "bic": self.bic,
            "reason": self.reason,
        }


def fit_exponent(eps: Any, samples: Any) -> ExponentFit:
    """Fit N ~ C ε^−a, or C ε^−a log(1/ε), or say that the data do not decide.

    Least squares on log N with independent errors. A model is accepted if its BIC is
    10 below the other's and below that of a constant, and a parabola in log ε is not
    10 better still. Intervals are Student's, with the larger of the usual standard
    error and the one robust to unequal variances (HC3).

    Args:
        eps: Precisions > 0, (n,); repeated values are repeated runs. The log factor is
            a candidate only if all are below 1.
        samples: Numbers of samples > 0, (n,).

    Raises:
        InputError: Fewer than 3 pairs, other lengths, or a number that is not finite
            and positive.
    """
    e, count = vector("eps", eps), vector("samples", samples)
    if len(e) < 3:
        raise InputError("eps", f"{len(e)} values", "at least 3 are expected")
    if len(count) != len(e):
        raise InputError("samples", f"{len(count)} values", f"{len(e)} are expected")
    for name, array in (("eps", e), ("samples", count)):
        for i in np.flatnonzero(array <= 0):
            raise InputError(f"{name}[{i}]", array[i], "a finite number > 0 is expected")
    x, y = -np.log(e), np.log(count)
    distinct = len(np.unique(x))
    if distinct < MIN_DISTINCT:
        return _undecided({}, f"too short: {distinct} precisions, {MIN_DISTINCT} are needed")
    fits = {"power": _Line(x, y, np.zeros_like(x))}
    if (x > 0).all():
        fits["power-log"] = _Line(x, y, np.log(x))
    one, centered = np.ones_like(x), x - x.mean()
    error = (MODEL_ERROR * float(np.ptp(y)) + 1e-14) ** 2
    bic = {name: _bic(fit.design, fit.target, error) for name, fit in fits.items()}
    constant = _bic(one[:, None], y, error)
    parabola = _bic(np.stack([one, centered, centered**2], axis=1), y, error)
    best = min(bic, key=lambda name: bic[name])
    fit = fits[best]
    shown = bic | {"constant": constant, "parabola": parabola}
    if constant - bic[best] < EVIDENCE or fit.low[1] <= 0:
        return _undecided(shown, "no significant growth")
    if parabola < bic[best] - EVIDENCE:
        return _undecided(shown, "neither model: a parabola in log ε fits better")
    if len(fits) == 1:
        return _undecided(shown, "eps ≥ 1: no log factor to compare with", tuple(fits.values()))
    rival = max(bic, key=lambda name: bic[name])
    ahead = bic[rival] - bic[best]
    if ahead < EVIDENCE:
        return _undecided(shown, f"too close: ΔBIC {ahead:.1f}", tuple(fits.values()))
    low, high = np.exp(fit.low[0]), np.exp(fit.high[0])
    return ExponentFit(
        best,
        {"C": float(np.exp(fit.theta[0])), "a": float(fit.theta[1])},
        {"C": (float(low), float(high)), "a": (float(fit.low[1]), float(fit.high[1]))},
        shown,
        f"{best}, ΔBIC {ahead:.1f} over {rival}",
    )


def _undecided(bic: dict[str, float], reason: str, fits: tuple[_Line, ...] = ()) -> ExponentFit:
    """No model; where only the log factor is open, the hull of the intervals of a."""
    hull = {}
    if fits:
        low, high = min(f.low[1] for f in fits), max(f.high[1] for f in fits)
        hull = {"a": (float(low), float(high))}
    return ExponentFit("undecided", {}, hull, bic, reason)


class _Line:
    """log N = log C + a x + offset with intervals, x = log(1/ε)."""

    def __init__(self, x: np.ndarray, y: np.ndarray, offset: np.ndarray) -> None:
        self.design = np.stack([np.ones_like(x), x], axis=1)
        self.target = y - offset
        self.theta = least_squares(self.design, self.target)
        inverse = np.linalg.pinv(self.design)
        r = self.target - self.design @ self.theta
        dof = len(y) - 2
        # Leverages below 1: each of ≥ 5 distinct x leaves a line through the others.
        leverage = np.sum(self.design * inverse.T, axis=1)
        usual = float(r @ r) / dof * np.sum(inverse**2, axis=1)
        robust = (inverse**2) @ (r / (1 - leverage)) ** 2
        # Logarithms are exact to a few units in the last place.
        rounding = np.abs(inverse) @ (8 * np.finfo(float).eps * (1 + np.abs(y)))
        half = stdtrit(dof, (1 + LEVEL) / 2) * np.sqrt(np.maximum(usual, robust)) + rounding
        self.low, self.high = self.theta - half, self.theta + half


def _bic(design: np.ndarray, y: np.ndarray, error: float) -> float:
    n = len(y)
    noise = float(np.mean((y - design @ least_squares(design, y)) ** 2))
    deviance = n * (np.log(noise + error) + noise / (noise + error))
    return float(deviance + (design.shape[1] + 1) * np.log(n))
