"""The trade-off that γ buys: win rate against concavity (C20), with the score term and without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sailtheory.analysis.online import FieldThresholds, field_thresholds
from sailtheory.analysis.trade_off import BISECTIONS, TradePoint, trade_off
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.maximiser import gain
from sailtheory.landscape.solution import solve
from sailtheory.objectives.fields import OnlineDPORevKL
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.objectives.sail_target import SAILTarget
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.shown import Shown

__all__ = ["Frontier", "FrontierPoint", "OnlinePoint", "frontier"]

SCHEMA = "sailtheory.frontier/1"


@dataclass(frozen=True)
class OnlinePoint:
    """The solution of V − γ∇KL at one γ: online DPO's, without the score term.

    Attributes:
        win_rate: Of the solution against π_ref.
        gain: win_rate − ½.
        kl_ref_policy: E_x KL(π_ref‖π_θ).
        found: Whether the variational inequality holds to 10⁻¹⁰.
        guaranteed: Whether γ ≥ K_V, so that C36 proves the field monotone.
        certified: Whether γ is above K_V of this data (C36).
    """

    win_rate: float
    gain: float
    kl_ref_policy: float
    found: bool
    guaranteed: bool
    certified: bool


@dataclass(frozen=True)
class FrontierPoint:
    """The maximiser of J_γ at one γ, and online DPO's solution.

    Attributes:
        gamma: γ.
        win_rate: Of the maximiser against π_ref.
        gain: win_rate − ½.
        kl_ref_policy: E_x KL(π_ref‖π_θ).
        concave: Whether γ ≥ γ*, the largest relative curvature found. None where that is not
            known: no γ* was found, or γ lies above one on which the search does not agree.
        guaranteed: Whether γ ≥ K_B, so that C11 proves concavity.
        certified: Whether γ is above a certified bound of γ* (C23, C25).
        online: The solution of V − γ∇KL; None between the points of the grid.
    """

    gamma: float
    win_rate: float
    gain: float
    kl_ref_policy: float
    concave: bool | None
    guaranteed: bool
    certified: bool
    online: OnlinePoint | None = None


@dataclass(frozen=True, repr=False)
class Frontier(Shown):
    """The curve γ ↦ (win rate, KL, concave or not).

    Attributes:
        points: By increasing γ; γ = 0, γ*, K_B and K_V are among them.
        instance: γ* found by search; None if S = {0}.
        relative: K_B; None if S = {0}.
        online: The thresholds of online DPO's field that are certain.
        tolerance: The loss of win rate against γ = 0 that is tolerated.
        affordable: The largest γ up to which the loss stays within the tolerance.
        online_affordable: The largest γ up to which online DPO's loss against its own γ = 0 does.
        seed: Seed of the search.
    """

    points: tuple[FrontierPoint, ...]
    instance: float | None
    relative: float | None
    online: FieldThresholds
    tolerance: float
    affordable: FrontierPoint
    online_affordable: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        from sailtheory import __version__

        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "instance": self.instance,
            "relative": self.relative,
            "online_dpo": asdict(self.online),
            "tolerance": self.tolerance,
            "affordable": asdict(self.affordable),
            "online_affordable": self.online_affordable,
            "points": [asdict(point) for point in self.points],
        }


def frontier(
    problem: PreferenceProblem,
    tolerance: float = 0.01,
    count: int = 25,
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> Frontier:
    """Trace the maximisers of J_γ from γ = 0 to beyond the theorem's threshold.

    Args:
        problem: The problem.
        tolerance: Tolerated loss of win rate against γ = 0, in [0, 1].
        count: Number of values of γ, at least 5.
        effort: ``quick`` or ``full``.
        seed: Seed of the search.
        progress: Called with a line of text before each γ.

    Raises:
        InputError: An argument outside its domain.
    """
    online = _Online(problem, Domain(problem), field_thresholds(problem))
    curve = trade_off(
        SAILTarget(problem), tolerance, count, effort, seed, progress, [online.thresholds.relative]
    )
    levels = [point.gamma for point in curve.points]
    without = online.along(levels)
    pairs = zip(curve.points, without, strict=True)
    return Frontier(
        points=tuple(replace(_of_sail(problem, point), online=solved) for point, solved in pairs),
        instance=curve.instance,
        relative=None if curve.bounds is None else curve.bounds.relative,
        online=online.thresholds,
        tolerance=tolerance,
        affordable=_of_sail(problem, curve.affordable),
        online_affordable=online.affordable(levels, without, tolerance),
        seed=seed,
    )


def _of_sail(problem: PreferenceProblem, point: TradePoint) -> FrontierPoint:
    ahead = float(gain(problem, point.theta))
    return FrontierPoint(
        gamma=point.gamma, win_rate=0.5 + ahead, gain=ahead, kl_ref_policy=point.kl_ref_policy,
        concave=point.concave, guaranteed=point.guaranteed, certified=point.certified,
    )  # fmt: skip


@dataclass(frozen=True)
class _Online:
    """Solutions of V − γ∇KL on one problem.

    Attributes:
        problem: The problem.
        domain: C.
        thresholds: What is certain of the field.
    """

    problem: PreferenceProblem
    domain: Domain
    thresholds: FieldThresholds

    def at(self, gamma: float, start: np.ndarray | None = None) -> tuple[OnlinePoint, np.ndarray]:
        """The solution at one γ, and θ."""
        found = solve(OnlineDPORevKL(self.problem, gamma), self.domain, start)
        ahead, certain = float(gain(self.problem, found.theta)), self.thresholds
        point = OnlinePoint(
            win_rate=0.5 + ahead,
            gain=ahead,
            kl_ref_policy=float(KLRefPolicy(self.problem).value(found.theta)),
            found=found.found,
            guaranteed=certain.relative is not None and gamma >= certain.relative,
            certified=certain.data is not None and gamma >= certain.data,
        )
        return point, found.theta

    def along(self, levels: Sequence[float]) -> list[OnlinePoint]:
        """From the largest γ down: there the solution is one, and each next one is near it."""
        points, theta = [], None
        for gamma in reversed(levels):
            point, theta = self.at(gamma, theta)
            points.append(point)
        return points[::-1]

    def affordable(
        self, levels: Sequence[float], points: Sequence[OnlinePoint], tolerance: float
    ) -> float:
        """The largest γ up to which the loss against the first level is tolerated."""
        allowed = points[0].win_rate - tolerance
        beyond = next((i for i, p in enumerate(points) if p.win_rate < allowed), len(points))
        low = levels[beyond - 1]
        if beyond == len(points):
            return low
        high = levels[beyond]
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            enough = self.at(middle)[0].win_rate >= allowed
            low, high = (middle, high) if enough else (low, middle)
        return low
