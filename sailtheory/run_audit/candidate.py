"""The run's own candidate problem: what the theorems say there, and how far the run got."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sailtheory.ascent.constants import Constants, FieldConstants, constants, field_constants
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.maximiser import maximise
from sailtheory.landscape.search import Search
from sailtheory.landscape.solution import solve
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.fields import OnlineDPORevKL
from sailtheory.objectives.sail import SAILRevKL
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.run_audit.trace import Point

__all__ = ["Guarantee", "Progress", "guarantee"]


@dataclass(frozen=True)
class Progress:
    """How far each logged θ is from the end, and how steep it is there.

    Attributes:
        steps: (k,).
        gap: J* − J_γ, or ‖θ − θ*‖² for a field without a value, (k,).
        ratio: The measured μ: ‖∇J_γ‖²/2gap, or ⟨T(θ) − T(θ*), θ − θ*⟩/‖θ − θ*‖², (k,); NaN
            where the gap is too small to tell.
    """

    steps: np.ndarray
    gap: np.ndarray
    ratio: np.ndarray


@dataclass(frozen=True)
class Guarantee:
    """What the theorems say of J_γ, or of V − γ∇KL, on the candidate problem.

    Attributes:
        problem: With the B that the run used.
        gamma: γ ≥ 0.
        score: Whether the score term is there.
    """

    problem: PreferenceProblem
    gamma: float
    score: bool

    @cached_property
    def objective(self) -> Objective:
        """J_γ, or the field."""
        if self.score:
            return SAILRevKL(self.problem, self.gamma)
        return OnlineDPORevKL(self.problem, self.gamma)

    @cached_property
    def constants(self) -> Constants | FieldConstants:
        """K, K⁻, Λ, μ."""
        if self.score:
            return constants(self.objective)
        return field_constants(self.problem, self.gamma)

    @property
    def smooth(self) -> float:
        """Λ; of a field below its threshold (γ + K_V⁻)D²/4, by which it changes at most."""
        found, diameter = self.constants, self.problem.feature_diameter
        known = found.smooth
        return float(found.relative_smooth * diameter**2 / 4) if known is None else known

    @cached_property
    def end(self) -> np.ndarray:
        """θ*, (d,)."""
        domain = Domain(self.problem)
        if self.score:
            return maximise(self.objective, Search(domain, effort="quick", seed=0)).theta
        return solve(self.objective, domain).theta

    def progress(self, points: tuple[Point, ...]) -> Progress:
        """Gaps and slopes at the logged θ."""
        used = [p for p in points if p.theta is not None]
        theta = np.array([p.theta for p in used])
        domain, best = Domain(self.problem), self.end
        slope = domain.reduce(self.objective.gradient(theta))
        if self.score:
            values = np.asarray(self.objective.value(np.vstack([theta, best])))
            gap = values[-1] - values[:-1]
            size, steep = gap, np.square(slope).sum(-1) / 2
        else:
            apart = domain.reduce(theta - best)
            at_end = domain.reduce(self.objective.gradient(best))
            gap = size = np.square(apart).sum(-1)
            steep = -((slope - at_end) * apart).sum(-1)
        floor = 1e-9 * max(float(np.max(np.abs(size), initial=0.0)), 1e-12)
        ratio = np.where(gap > floor, steep / np.where(gap > floor, gap, 1.0), np.nan)
        return Progress(np.array([p.step for p in used]), gap, ratio)


def guarantee(problem: PreferenceProblem, radius: float, gamma: float, score: bool) -> Guarantee:
    """On the candidate problem with the B that the run used, which it may not have known."""
    used = max(radius, float(np.linalg.norm(problem.ref_params - problem.center)), 1e-9)
    return Guarantee(problem.replace(radius=used), gamma, score)
