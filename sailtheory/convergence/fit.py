"""How fast a gap decays: geometrically, like a power, like 1/log t, onto a floor, or undecided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sailtheory.convergence.ending import counted_from_last, usable
from sailtheory.convergence.estimate import estimate
from sailtheory.convergence.models import Points
from sailtheory.convergence.search import EVIDENCE, Survey, misfits, survey
from sailtheory.convergence.series_file import series
from sailtheory.errors import whole_number
from sailtheory.shown import Shown

__all__ = ["RateFit", "fit_rate"]

SCHEMA = "sailtheory.rate/1"
MIN_POINTS = 20
MIN_INDEPENDENT = 10.0


@dataclass(frozen=True, repr=False)
class RateFit(Shown):
    """What a series of gaps says about its rate.

    A rate is that of its window: a slower mode that is still small there does not show.

    Attributes:
        model: ``linear`` (C q^t), ``power`` (C t^−a), ``logarithmic`` (C / log t),
            ``floor`` (a decay that ends on a floor), or ``undecided``.
        decay: The decay above a floor, ``linear``, ``power`` or ``undecided``;
            otherwise the same as ``model``.
        parameters: Estimates by name: C and q, or C and a, or C; and floor. Empty when
            undecided; only the floor when its decay is undecided.
        intervals: 95 % intervals by the same names.
        window: First and last index used, inclusive: burn-in comes before, and gaps
            that are 0 or rounding after.
        bic: BIC of each candidate, smaller is better; the reason for the decision.
        correlation: Estimated correlation of errors of neighbouring points.
        reason: One line that says why.
    """

    model: str
    decay: str
    parameters: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    window: tuple[int, int]
    bic: dict[str, float]
    correlation: float
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """JSON with stable names; null for a number that JSON cannot hold."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "decay": self.decay,
            "parameters": {k: _json(v) for k, v in self.parameters.items()},
            "intervals": {k: [_json(v) for v in pair] for k, pair in self.intervals.items()},
            "window": list(self.window),
            "bic": {k: _json(v) for k, v in self.bic.items()},
            "correlation": self.correlation,
            "reason": self.reason,
        }


def _json(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def fit_rate(
    gaps: Any, iterations: Any = None, *, seed: int = 0, block: int | None = None
) -> RateFit:
    """Fit the rate at which gaps decay, or say that the series does not decide it.

    Errors are multiplicative (additive in log gap), with AR(1) dependence from one
    point to the next. A candidate is accepted if its BIC is 10 below that of every
    other kind of decay, of a constant, and of a curve that is neither; misfits below
    10⁻³ of the total drop do not count. Burn-in is left out with a margin of 5 %.
    Intervals come from a block bootstrap of whitened residuals.

    Args:
        gaps: Gaps ≥ 0, at least 3. What is 0 or has come to rest at rounding level ends the
            series and is unused, and so is what rounding blurs just before; the reason says so.
        iterations: Their iterations, ≥ 0 and strictly increasing; None for 1, 2, …, n.
            An iteration 0 is left out, as t^−a is infinite there; below 2 up to 5 %
            are, as 1/log t is infinite at 1 (if more, ``logarithmic`` is no candidate).
        seed: Seed of the bootstrap.
        block: Block length of the bootstrap; None for about n^(1/3).

    Raises:
        InputError: A series, seed or block length outside its domain, or a gap of 0 in the midst.
    """
    data = series(gaps, iterations)
    seed = whole_number("seed", seed)
    block = None if block is None else whole_number("block", block, 1)
    part = usable(data.gaps, data.iterations)
    gap = data.gaps[part.first : part.stop]
    points = Points(data.iterations[part.first : part.stop], np.log(gap), part.resolution / gap)
    fit = _fit(points, part.zero, seed, block)
    window = (part.first + fit.window[0], part.first + fit.window[1])
    return replace(fit, window=window, reason="; ".join(filter(None, (fit.reason, part.end))))


def _fit(points: Points, zero: float | None, seed: int, block: int | None) -> RateFit:
    """The fit of these points, before a gap of 0 or not; its window begins with the first."""
    m = len(points.y)
    window = (0, max(0, m - 1))
    if m < MIN_POINTS:
        reason = f"too short: {m} usable gaps, {MIN_POINTS} are needed"
        return _undecided(window, {}, 0.0, reason)
    if np.ptp(points.y) < 1e-12:
        return _undecided(window, {}, 0.0, "the series is constant")
    found = survey(points)
    bic = {k: c.bic for k, c in (found.others | found.decays).items()}
    label, reason = _decide(points, found)
    if label is None:
        return _undecided(window, bic, found.rho, reason)
    if zero is not None and counted_from_last(points, found, label, zero):
        reason = "the last gap is 0: if gaps are counted from the last value, all lack its own"
        return _undecided(window, bic, found.rho, reason)
    rng = np.random.default_rng(seed)
    best = estimate(points, found, label, rng, block)
    if best.independent < MIN_INDEPENDENT and not best.negligible(found.model_error):
        reason = (
            f"the fit's errors are so correlated that they count as {best.independent:.1f} "
            "independent points"
        )
        return _undecided(window, bic, best.rho, reason)
    if best.drifts() and not best.negligible(found.model_error):
        return _undecided(window, bic, best.rho, "residuals drift: no known kind of decay")
    if best.floor_fails():
        return _undecided(
            window, bic, best.rho, "the last part is too short for a floor, or has a trend"
        )
    model = decay = best.curve.kind
    parameters, intervals = best.parameters, best.intervals
    if best.curve.share is not None:
        model = "floor"
        other = f"{'power' if decay == 'linear' else 'linear'}+floor"
        if bic.get(other, np.inf) - bic[label] < EVIDENCE:
            rival = estimate(points, found, other, rng, block).intervals["floor"]
            ends = [*intervals["floor"], *rival]
            parameters = {"floor": parameters["floor"]}
            intervals = {"floor": (min(ends), max(ends))}
            decay, reason = "undecided", reason + "; the decay above it is undecided"
    window = (best.curve.start, m - 1)
    return RateFit(model, decay, parameters, intervals, window, bic, best.rho, reason)


def _undecided(window: tuple[int, int], bic: dict[str, float], rho: float, reason: str) -> RateFit:
    return RateFit("undecided", "undecided", {}, {}, window, bic, rho, reason)


def _decide(points: Points, found: Survey) -> tuple[str | None, str]:
    """Label of the accepted candidate, or None, and the reason."""
    if not found.decays:
        return None, "no significant decay"
    ranked = sorted(found.decays.items(), key=lambda item: item[1].bic)
    label, best = ranked[0]
    for name, other in found.others.items():
        # An extension must win to be preferred; a constant must lose clearly.
        margin = EVIDENCE if name == "constant" else -EVIDENCE
        if other.bic - best.bic < margin:
            return None, f"no decay: {name} fits as well or better"
    if misfits(points, found, best):
        return None, "not a decay of a known kind: C q^t t^−a fits better"
    rivals = [(k, c) for k, c in ranked[1:] if _differ(label, k)]
    if rivals and rivals[0][1].bic - best.bic < _margin(label, rivals[0][0]):
        return None, f"too close: {label} against {rivals[0][0]}"
    if best.curve.share is not None and best.curve.share[-1] < 0.5:
        return None, "a floor may be near but is not reached"
    ahead = f", ΔBIC {rivals[0][1].bic - best.bic:.1f} over {rivals[0][0]}" if rivals else ""
    return label, f"{label}{ahead}"


def _differ(label: str, rival: str) -> bool:
    """Whether two labels lead to different models; two decays onto a floor do not."""
    return not (label.endswith("+floor") and rival.endswith("+floor"))


def _margin(label: str, rival: str) -> float:
    """The same decay with a floor contains the decay: BIC charges for it, and must not win."""
    return 0.0 if rival == f"{label}+floor" else EVIDENCE
