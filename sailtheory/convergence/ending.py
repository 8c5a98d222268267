"""What ends a series of gaps: gaps of 0, gaps that are rounding, a gap that all others lack."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sailtheory.convergence.models import KINDS, Points, fit_plain
from sailtheory.convergence.search import EVIDENCE, Survey, score
from sailtheory.errors import InputError

__all__ = ["Usable", "counted_from_last", "usable"]

_LEFT_OUT = 0.05  # of the points at most are left out so that log log t exists
_BLURRED = 1e3  # gaps below this many times the resolution are not used
_EPS = float(np.finfo(float).eps)
_ROUNDING = 1e3 * _EPS  # of the largest gap: where gaps no longer decrease there, they are rounding
_CONVERGED = _EPS**0.5  # of the largest gap: below it, 0 is what rounding makes of a gap
_HALVINGS, _LUCK = 50, 3.0


class Usable(NamedTuple):
    """The points whose logarithms can be used.

    Attributes:
        first: The first of them.
        stop: The first behind them.
        resolution: Up to which a gap is known.
        zero: Iteration of the gap of 0 that ends the series where rounding does not explain it.
        end: What ended them, for the reason; empty where the series itself did.
    """

    first: int
    stop: int
    resolution: float
    zero: float | None
    end: str


def usable(gaps: np.ndarray, t: np.ndarray) -> Usable:
    """Leave out gaps of 0, and gaps that rounding blurs, which can only come last.

    Raises:
        InputError: A gap of 0 before one that is not at rounding level.
    """
    largest = float(gaps.max())
    later = np.append(np.maximum.accumulate(gaps[:0:-1])[::-1], 0.0)
    over = (gaps == 0) | ((gaps <= _ROUNDING * largest) & (later >= gaps))
    stop = int(np.argmax(over)) if over.any() else len(gaps)
    resolution = float(gaps[stop:].max(initial=0.0))
    zero = None
    if (gaps == 0).any():
        at = int(np.argmax(gaps == 0))
        if resolution > _CONVERGED * largest:
            accepted = f"a gap > 0, as that of {resolution:g} comes later: only the end may be 0"
            raise InputError(f"gaps[{at}]", 0, accepted)
        smallest = float(gaps[:stop].min(initial=np.inf))
        if smallest <= _CONVERGED * largest:  # of the size of what was rounded to 0
            resolution = max(resolution, smallest)
        else:
            zero = float(t[at])
    if resolution:
        blurred = gaps[:stop] < _BLURRED * resolution
        stop = int(np.argmax(blurred)) if blurred.any() else stop
    early = int(np.sum(t < 2))
    first = min(early if early <= max(2, _LEFT_OUT * len(t)) else int(t[0] == 0), stop)
    end = ""
    if stop < len(gaps):
        what = "0" if not gaps[stop:].any() else "0 or near rounding"
        end = f"from iteration {t[stop]:g} on gaps are {what} and unused"
    return Usable(first, stop, resolution if stop else 0.0, zero, end)


def counted_from_last(points: Points, found: Survey, label: str, zero: float) -> bool:
    """Whether gaps that all lack that of the last value explain these nearly as well, or better.

    Gaps to the best value of a run itself end with 0, and each lacks the gap f of that
    value: log(gap + f) then is the decay, and f its value at the 0, or up to three standard
    deviations of the noise below, since the best is a lucky one. The readings are compared
    as densities of the gaps, hence with the derivative 1/(gap + f) of the logarithm.

    Args:
        points: The points before the 0.
        found: What the search found.
        label: The decay that it chose.
        zero: Iteration of the 0.
    """
    chosen = found.decays[label]
    kinds = KINDS if points.t[0] >= 2 else KINDS[:2]
    luck = _LUCK * float(np.std(chosen.curve.residuals))
    readings = (
        _lacking(points, kind, start, found, zero, below)
        for kind in kinds
        for start in {0, chosen.curve.start}
        for below in {0.0, luck}
    )
    return min(readings) - chosen.bic < EVIDENCE


def _lacking(
    points: Points, kind: str, start: int, found: Survey, zero: float, below: float
) -> float:
    """BIC of a decay of which every gap lacks the value at the 0, in log gap less ``below``."""
    low, high = float(points.y.min()) - 30, float(points.y.max()) + 5
    at = Points(np.array([zero]), np.zeros(1), np.zeros(1)).regressor(kind)[0]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        whole = replace(points, y=np.logaddexp(points.y, middle))
        curve = fit_plain(whole, kind, start, found.rho)
        slope = 1.0 if kind == "logarithmic" else curve.theta[1]
        above = curve.theta[0] + slope * at - below > middle
        low, high = (middle, high) if above else (low, middle)
    derivative = 2 * float(np.sum(whole.y - points.y))
    return score(whole, curve, found.rho, found.model_error).bic + derivative
