"""Candidates for a decay, each with its best starting point, scored by BIC.

Every candidate accounts for all points: those before its start (the burn-in) get a line
in the index with a variance of their own, so that likelihoods are comparable. The
correlation ρ of the errors is common to all candidates and taken from the one that fits
best: a wrong model leaves smooth residuals, and a ρ of its own would excuse them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sailtheory.convergence.bootstrap import correlation
from sailtheory.convergence.models import (
    KINDS,
    Curve,
    Points,
    fit_floor,
    fit_plain,
    least_squares,
    whiten,
)

__all__ = [
    "EVIDENCE",
    "MARGIN",
    "MIN_PART",
    "MODEL_ERROR",
    "Candidate",
    "Survey",
    "after_burn_in",
    "misfits",
    "score",
    "survey",
    "windows",
]

MODEL_ERROR = 1e-3
"""Part of the total drop of log gap below which a misfit is not evidence."""

MIN_PART = 5
"""Points that a decay above its floor, and a floor, must have."""

EVIDENCE = 10.0
"""Difference of BIC that decides."""

MARGIN = 0.05
"""Part of the points after a burn-in that is left out with it."""

_STARTS = 16
_ROUNDS = 3
_NOISE_FLOOR = 2.0  # a floor this many times noisier than the decay may itself be noise
_SLOPE_T = 4.0
_LEAST_WEIGHT = 0.05
_MOST_WINDOWS = 6


@dataclass(frozen=True)
class Candidate:
    """A curve with its score.

    Attributes:
        curve: The fit.
        bic: −2 log likelihood + (number of parameters) log n.
        aic: The same with 2 for log n: keener to leave out a doubtful burn-in.
        decays: Whether the slope is significantly negative (4 standard errors), and
            with a floor whether both parts have 5 points.
    """

    curve: Curve
    bic: float
    aic: float
    decays: bool


@dataclass(frozen=True)
class Survey:
    """Best candidates by label.

    Attributes:
        decays: Best candidate that decays, by label.
        others: Best candidate that is no decay: ``constant``, and plain models whose
            slope is not significantly negative.
        rho: Correlation used, shrunk where residuals are below the model error.
        model_error: Standard deviation below which a misfit is not evidence.
    """

    decays: dict[str, Candidate]
    others: dict[str, Candidate]
    rho: float
    model_error: float


def survey(points: Points) -> Survey:
    """Fit every candidate from every start on a grid, refined around the best."""
    model_error = MODEL_ERROR * float(np.ptp(points.y)) + 1e-14
    rho, found = 0.0, _best(points, 0.0, model_error)
    for _ in range(_ROUNDS):
        again = _correlation(found, model_error)
        if abs(again - rho) < 0.02:
            break
        rho = again
        found = _best(points, rho, model_error)
    return Survey(*found, rho, model_error)


_Found = tuple[dict[str, Candidate], dict[str, Candidate]]


def _correlation(found: _Found, model_error: float) -> float:
    best = min([*found[0].values(), *found[1].values()], key=lambda c: c.bic).curve
    rho = correlation(best.residuals / best.sd, len(best.theta))
    above = len(best.sd) if best.share is None else max(1, int(np.sum(best.share < 0.5)))
    variance = float(np.mean(np.square(best.residuals[:above])))
    return rho * variance / (variance + model_error**2)


def _best(points: Points, rho: float, model_error: float) -> _Found:
    """The best decaying and the best other candidate of each label."""
    decays: dict[str, Candidate] = {}
    others: dict[str, Candidate] = {}
    for curves in _families(points, rho):
        for curve in curves:
            candidate = score(points, curve, rho, model_error)
            into = decays if candidate.decays else others
            if curve.label not in into or candidate.bic < into[curve.label].bic:
                into[curve.label] = candidate
    return decays, {k: c for k, c in others.items() if not k.endswith("+floor")}


def _families(points: Points, rho: float) -> Iterator[Iterator[Curve]]:
    kinds = KINDS if points.t[0] >= 2 else KINDS[:2]
    starts = _grid(len(points.y))
    yield iter([fit_plain(points, "constant", 0, rho)])
    for kind in kinds:
        yield (fit_plain(points, kind, k, rho) for k in starts)
    for kind in ("linear", "power"):
        yield _floors(points, kind, starts[::2], rho)


def _floors(points: Points, kind: str, starts: list[int], rho: float) -> Iterator[Curve]:
    near = None
    for k in starts:
        curve = fit_floor(points, kind, k, rho, near)
        assert curve.share is not None
        if np.sum(curve.share < 0.5) >= MIN_PART:
            near = curve
            yield curve
            if curve.sd[-1] > _NOISE_FLOOR * curve.sd[0]:
                yield fit_floor(points, kind, k, rho, curve, join=2)


def _grid(n: int) -> list[int]:
    """Starts from 0 to n/2, dense at first: early points weigh most."""
    last = n // 2
    dense = np.round(np.geomspace(1, max(last, 1), _STARTS)).astype(int)
    even = np.linspace(0, last, _STARTS).astype(int)
    return sorted({0, *dense.tolist(), *even.tolist()})


def after_burn_in(points: Points, curve: Curve) -> int:
    """First point used for estimates: a margin after a burn-in, whose end is not sharp."""
    k = curve.start
    return k + max(1, round(MARGIN * (len(points.y) - k))) if k else 0


def misfits(points: Points, found: Survey, best: Candidate) -> bool:
    """Whether C q^t t^−a describes the window of the estimates better than the best curve."""
    start = after_burn_in(points, best.curve)
    curves = [fit_plain(points, "mixed", start, found.rho), _again(points, found, best, start)]
    mixed, plain = (score(points, c, found.rho, found.model_error).bic for c in curves)
    return mixed < plain - EVIDENCE


def _again(points: Points, found: Survey, best: Candidate, start: int) -> Curve:
    """The same model from another start."""
    curve = best.curve
    if curve.share is None:
        return fit_plain(points, curve.kind, start, found.rho)
    return fit_floor(points, curve.kind, start, found.rho, curve, curve.join)


def windows(points: Points, found: Survey, label: str) -> list[tuple[Curve, float]]:
    """The accepted model from every plausible start, with Akaike weights, heaviest first.

    A burn-in too short to be seen still shifts an estimate. The starts therefore compete
    by AIC, and those of some weight share in the interval.
    """
    best = found.decays[label]
    grid = _grid(len(points.y))[:: 1 if best.curve.share is None else 2]
    tried = {k: _score_at(points, found, best, k) for k in grid}
    at = grid.index(min(tried, key=lambda k: tried[k].aic))
    low, high = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    for k in set(np.linspace(low, high, 10).astype(int).tolist()) - set(grid):
        tried[k] = _score_at(points, found, best, k)
    plausible = [c for c in tried.values() if c.decays] or [best]
    least = min(c.aic for c in plausible)
    weighted = [(c.curve, float(np.exp((least - c.aic) / 2))) for c in plausible]
    weighted.sort(key=lambda pair: -pair[1])
    return [pair for pair in weighted if pair[1] > _LEAST_WEIGHT][:_MOST_WINDOWS]


def _score_at(points: Points, found: Survey, best: Candidate, start: int) -> Candidate:
    curve = _again(points, found, best, start)
    return score(points, curve, found.rho, found.model_error)


def score(points: Points, curve: Curve, rho: float, model_error: float) -> Candidate:
    """A curve with its likelihood, given the correlation and the error that models are allowed."""
    n, k, p = len(points.y), curve.start, len(curve.theta)
    error = model_error**2
    u = whiten(curve.residuals / curve.sd, rho)
    if curve.share is None:
        noise = float(np.mean(u**2))
        deviance = (n - k) * (np.log(noise + error) + noise / (noise + error))
    else:
        variance = curve.sd**2 * (1 - rho**2)
        noise = float(np.median(variance[: max(1, int(np.sum(curve.share < 0.5)))]))
        deviance = float(
            np.sum(np.log(variance + error) + (u * curve.sd) ** 2 / (variance + error))
        )
    before, free = _burn_in(points.y[:k], rho, noise, error)
    free += p + (1 if curve.share is None else 2)
    total = float(deviance + before)
    return Candidate(
        curve, total + free * float(np.log(n)), total + 2 * free, _decays(curve, u, rho)
    )


def _burn_in(y: np.ndarray, rho: float, noise: float, error: float) -> tuple[float, int]:
    """Deviance of the points before the start, and their number of parameters."""
    k = len(y)
    if k == 0:
        return 0.0, 0
    design = np.stack([np.ones(k), np.arange(float(k))], axis=1)[:, : min(k, 2)]
    target, design = whiten(y, rho), whiten(design, rho)
    own = float(np.mean((target - design @ least_squares(design, target)) ** 2))
    # A burn-in is taken to be no quieter than the decay: else a few points that lie
    # on a line by chance would count as evidence without bound.
    variance = max(own, noise) + error
    return k * (np.log(variance) + own / variance), min(k, 2) + 2


def _decays(curve: Curve, u: np.ndarray, rho: float) -> bool:
    if curve.kind in ("constant", "mixed"):
        return False
    if curve.kind == "logarithmic":
        return True
    design = whiten(curve.design / curve.sd[:, None], rho)
    scale = np.linalg.norm(design, axis=0)
    if not (scale > 0).all():
        return False
    gram = np.linalg.pinv((design / scale).T @ (design / scale))
    dof = max(len(u) - len(scale), 1)
    se = np.sqrt(gram[1, 1] * float(u @ u) / dof) / scale[1]
    parts = (
        curve.share is None or min(np.sum(curve.share < 0.5), np.sum(curve.share > 0.5)) >= MIN_PART
    )
    return bool(curve.theta[1] < -_SLOPE_T * se and parts)
