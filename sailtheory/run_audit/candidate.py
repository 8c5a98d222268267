"""The run's own candidate problem: which field it follows, and what the theorems say there."""

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
from sailtheory.objectives.fields import OnlineDPO, OnlineDPORevKL
from sailtheory.objectives.sail import SAIL, KLPolicyRef, KLRefPolicy, SAILRevKL
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.run_audit.trace import Point

__all__ = ["Followed", "Guarantee", "Progress", "followed", "gradients_logged", "guarantee"]

_NEGLIGIBLE = 1e-10
_SIGMAS = 4.0


@dataclass(frozen=True)
class Followed:
    """−gradient of the loss, over the run, as V + s·score − γ∇KL(π_ref‖π_θ) − γ'∇KL(π_θ‖π_ref).

    Attributes:
        scale: Factor of V in the loss; 1 where the gradients do not show another.
        score: s, with its standard error.
        gamma: γ, with its standard error.
        other: γ', with its standard error.
        misfit: Share of the gradients' size that neither these terms nor noise explain.
        variance: V of the noise: E‖gradient − its mean‖² of one update.
        steps: First and last step used.
    """

    scale: float
    score: tuple[float, float]
    gamma: tuple[float, float]
    other: tuple[float, float]
    misfit: float
    variance: float
    steps: tuple[int, int]


def gradients_logged(points: tuple[Point, ...]) -> list[Point]:
    """Points that have both θ and the loss's gradient there."""
    return [p for p in points if p.theta is not None and p.gradient is not None]


def followed(problem: PreferenceProblem, points: tuple[Point, ...], bend: float) -> Followed | None:
    """What the logged gradients are made of, by least squares; None where there are too few.

    Errors are clustered by step, and have what a model that is not quite log-linear can do. The
    noise is that of differences between neighbouring residuals, which a bias does not enter.

    Args:
        problem: The candidate problem.
        points: Of the run.
        bend: The relative gap of log-linearity.
    """
    used = gradients_logged(points)
    theta = np.array([p.theta for p in used])
    if len(used) < 4:
        return None
    dpo = OnlineDPO(problem).gradient(theta)
    terms = np.stack([
        dpo, SAIL(problem).gradient(theta) - dpo,
        -KLRefPolicy(problem).gradient(theta), -KLPolicyRef(problem).gradient(theta),
    ], axis=-1)  # fmt: skip
    target = -np.array([p.gradient for p in used])
    flat = terms.reshape(-1, 4)
    sizes = np.linalg.norm(flat, axis=0)
    present = sizes > _NEGLIGIBLE * sizes.max()
    if not present[0]:
        return None
    reduced = flat[:, present] / sizes[present]
    weights = np.linalg.pinv(reduced)
    found = weights @ target.reshape(-1)
    residual = (target.reshape(-1) - reduced @ found).reshape(target.shape)
    scores = np.stack([
        weights[:, t * target.shape[1] : (t + 1) * target.shape[1]] @ r
        for t, r in enumerate(residual)
    ])  # fmt: skip
    coefficients, covariance = np.zeros(4), np.zeros((4, 4))
    coefficients[present] = found / sizes[present]
    scale = 1 / sizes[present]
    covariance[np.ix_(present, present)] = scores.T @ scores * np.outer(scale, scale)
    noise = float(np.square(np.diff(residual, axis=0)).sum(-1).mean()) / 2
    chance = 1 + _SIGMAS / np.sqrt(residual.size)  # of von Neumann's ratio, where all is noise
    bias = max(float(np.square(residual).sum(-1).mean()) - chance * noise, 0.0)
    size = float(np.square(target).sum(-1).mean())
    blur = max(bias, bend**2 * size)
    covariance[np.diag_indices(4)] += _spread(weights, present, scale) ** 2 * blur * len(used)
    noise = 0.0 if noise <= bend**2 * size else noise
    ratio = [_ratio(coefficients, covariance, k) for k in (1, 2, 3)]
    scaled, error = float(coefficients[0]), float(np.sqrt(covariance[0, 0]))
    return Followed(
        1.0 if abs(scaled - 1) <= 2 * error else scaled, *ratio,
        misfit=float(np.sqrt(bias / max(size, 1e-300))),
        variance=noise, steps=(used[0].step, used[-1].step),
    )  # fmt: skip


def _spread(weights: np.ndarray, present: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """By how much an error of length one in the gradients can change each coefficient, (4,)."""
    found = np.zeros(4)
    found[present] = np.linalg.norm(weights, axis=1) * scale
    return found


def _ratio(values: np.ndarray, covariance: np.ndarray, k: int) -> tuple[float, float]:
    """values[k]/values[0] and its standard error."""
    ratio = values[k] / values[0]
    turn = np.zeros(len(values))
    turn[k], turn[0] = 1 / values[0], -ratio / values[0]
    return float(ratio), float(np.sqrt(max(turn @ covariance @ turn, 0.0)))


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
