"""The trade-off that γ buys, for any objective: what the maximiser is worth against γ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.analysis.certain import certain
from sailtheory.errors import InputError
from sailtheory.landscape.concavity import least_gamma_on
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.maximiser import maximise
from sailtheory.landscape.search import Search
from sailtheory.objectives.target import CurvatureBounds, Target
from sailtheory.shown import Shown

__all__ = ["BISECTIONS", "MOST_POINTS", "TradeOff", "TradePoint", "grid", "trade_off"]

SCHEMA = "sailtheory.trade-off/1"
MOST_POINTS = 10_000
"""Values of γ in one curve, at most."""
BISECTIONS = 12
"""Halvings of the interval in which the affordable γ lies."""


@dataclass(frozen=True)
class TradePoint:
    """The maximiser of an objective less γD on C at one γ.

    Attributes:
        gamma: γ.
        worth: Of the maximiser, by the measure of the target.
        kl_ref_policy: E_x KL(π_ref‖π_θ).
        concave: Whether γ ≥ γ*, the largest relative curvature found. None where that is not
            known: no γ* was found, or γ lies above one on which the search does not agree.
        guaranteed: Whether γ is at least K, which is proved.
        certified: Whether γ is at least the least bound that is certain for this problem.
        theta: The maximiser, (d,).
    """

    gamma: float
    worth: float
    kl_ref_policy: float
    concave: bool | None
    guaranteed: bool
    certified: bool
    theta: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """JSON form, without θ."""
        return {name: value for name, value in vars(self).items() if name != "theta"}


@dataclass(frozen=True, repr=False)
class TradeOff(Shown):
    """The curve γ ↦ (worth, KL, concave or not).

    Attributes:
        target: The objective, with its problem.
        points: By increasing γ; γ = 0, γ* and the certain bounds are among them.
        instance: γ* found by search, ∞ where no γ works; None if S = {0}.
        bounds: What is certain of the curvature; None if S = {0}.
        tolerance: The loss of worth against γ = 0 that is tolerated.
        affordable: The largest γ up to which the loss stays within the tolerance.
        seed: Seed of the search.
    """

    target: Target
    points: tuple[TradePoint, ...]
    instance: float | None
    bounds: CurvatureBounds | None
    tolerance: float
    affordable: TradePoint
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        from sailtheory import __version__

        target, known = self.target, self.bounds
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "objective": {"name": target.name, "title": target.title, **target.settings()},
            "measure": target.measure,
            "instance": None if self.instance == np.inf else self.instance,
            "data": None if known is None else known.data,
            "relative": None if known is None else known.relative,
            "tolerance": self.tolerance,
            "affordable": self.affordable.as_dict(),
            "points": [point.as_dict() for point in self.points],
        }


def trade_off(
    target: Target,
    tolerance: float = 0.01,
    count: int = 25,
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
    marks: Sequence[float | None] = (),
) -> TradeOff:
    """Trace the maximisers from γ = 0 to beyond the largest bound.

    Args:
        target: The objective, with its problem.
        tolerance: Tolerated loss of worth against γ = 0, in [0, 1].
        count: Number of values of γ, at least 5.
        effort: ``quick`` or ``full``.
        seed: Seed of the search.
        progress: Called with a line of text before each γ.
        marks: Further values of γ to have among the points.

    Raises:
        InputError: An argument outside its domain.
    """
    if not 0 <= tolerance <= 1:
        raise InputError("tolerance", tolerance, f"a loss of {target.measure} in [0, 1]")
    if not 5 <= count <= MOST_POINTS:
        raise InputError("points", count, f"an integer from 5 to {MOST_POINTS} is expected")
    search = Search(Domain(target.problem), effort, seed)
    progress("γ*")
    found = least_gamma_on(target.objective, target.penalty, search)
    star = found.value
    trusted = found.search is not None and found.search.trusted
    progress("thresholds by prompt")
    known = certain(target, effort)
    proved = None if known is None else known.relative
    least = None if known is None else known.least

    def at(gamma: float, start: np.ndarray | None) -> TradePoint:
        progress(f"γ = {gamma:.4g}")
        certified = least is not None and gamma >= least
        best = maximise(target.penalised(gamma), search, start, certified)
        return TradePoint(
            gamma=gamma,
            worth=float(target.worth(best.theta)),
            kl_ref_policy=best.kl_ref_policy,
            concave=None if star is None or (gamma >= star and not trusted) else gamma >= star,
            guaranteed=proved is not None and gamma >= proved,
            certified=certified,
            theta=best.theta,
        )

    points: list[TradePoint] = []
    for gamma in grid([star, proved, None if proved is not None else least, *marks], count):
        points.append(at(gamma, points[-1].theta if points else None))
    allowed = points[0].worth - tolerance
    inside = next((i for i, p in enumerate(points) if p.worth < allowed), len(points))
    affordable, theta = points[inside - 1], points[-1].theta
    if inside < len(points):
        low, high = affordable.gamma, points[inside].gamma
        for _ in range(BISECTIONS):
            middle = at((low + high) / 2, theta)
            if middle.worth >= allowed:
                low, affordable = middle.gamma, middle
            else:
                high = middle.gamma
    return TradeOff(target, tuple(points), star, known, tolerance, affordable, seed)


def grid(thresholds: Sequence[float | None], count: int) -> list[float]:
    """γ = 0, the thresholds, and values spaced evenly in log γ around them."""
    fixed = {0.0} | {g for g in thresholds if g is not None and 0 < g < np.inf}
    top = 2 * max(fixed) or 1.0
    low = min((g for g in fixed if g > 0), default=top) / 30
    spaced = np.geomspace(top, low, count - len(fixed))  # one point is the largest
    return sorted(fixed | {float(g) for g in spaced})
