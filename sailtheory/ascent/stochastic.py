"""Projected stochastic ascent (C16): many runs in one batch, each with its own generator."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sailtheory.ascent.constants import Constants, regularisation
from sailtheory.ascent.estimators import Estimator
from sailtheory.ascent.pairs import Layout, Sampler
from sailtheory.ascent.trajectory import (
    Callback,
    Recorder,
    Trajectory,
    read_count,
    read_real,
    read_starts,
)
from sailtheory.errors import InputError
from sailtheory.landscape.domain import Domain
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.algebra import Objective
from sailtheory.theory import bounds

__all__ = [
    "Decaying",
    "FixedBatch",
    "Schedule",
    "project_rows",
    "read_generators",
    "stochastic_ascent",
]


class Schedule(ABC):
    """Batch size, number of steps, step sizes, and how iterates are averaged.

    Attributes:
        batch: N.
        steps: T.
    """

    batch: int
    steps: int

    @abstractmethod
    def size(self, t: int) -> float:
        """η of the step from θ_t, t = 0, 1, …."""

    def weight(self, t: int) -> float:
        """The part of θ_{t+1} in the running average, θ̄ += w(θ_{t+1} − θ̄); 0 keeps none."""
        return 0.0


@dataclass(frozen=True)
class FixedBatch(Schedule):
    """Constant step and batch (C16): step η = 1/Λ, the last iterate counts.

    Attributes:
        step: η > 0.
        batch: N ≥ 1.
        steps: T ≥ 0.
    """

    step: float
    batch: int
    steps: int

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        read_real("step", self.step)
        read_count("batch", self.batch)
        read_count("steps", self.steps, 0)

    def size(self, t: int) -> float:
        """η."""
        return self.step

    @classmethod
    def for_accuracy(
        cls, constants: Constants, *, variance: float, distance: float, accuracy: float
    ) -> FixedBatch:
        """T = (Λ/μ)log(Λd₀²/ε) ≥ 1, N = 2σ²/(με), step 1/Λ: E gap_T ≤ ε (C16b).

        Args:
            constants: With μ, that is, γ > K_B.
            variance: σ² of one pair, an upper bound over C.
            distance: d₀ ≥ ‖θ_0 − θ*‖.
            accuracy: ε > 0.
        """
        mu, smooth = constants.modulus, constants.smooth
        if mu is None:
            raise InputError("constants.modulus", mu, "a μ is needed, that is, γ > K_B (C12)")
        read_real("variance", variance, positive=False)
        initial = smooth * read_real("distance", distance) ** 2
        read_real("accuracy", accuracy)
        steps = float(bounds.linear_steps(FLOAT64, mu, smooth, initial, accuracy))
        batch = float(bounds.stochastic_batch(mu, variance, accuracy))
        return cls(1 / smooth, max(1, math.ceil(batch)), max(1, math.ceil(steps)))


@dataclass(frozen=True)
class Decaying(Schedule):
    """Step min(largest, 2/(μ(t + 1))) at t = 1, 2, …, iterates averaged with weights ∝ t.

    Of order 1/(μt); the 2 and the weights are those of Lacoste-Julien, Schmidt & Bach
    (2012), whose average has E gap ≤ 2G²/(μ(T + 1)) where E‖ĝ‖² ≤ G².

    Attributes:
        modulus: μ > 0.
        batch: N ≥ 1.
        steps: T ≥ 0.
        largest: Cap on the step, for example 1/Λ; none by default.
    """

    modulus: float
    batch: int
    steps: int
    largest: float = math.inf

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        read_real("modulus", self.modulus)
        read_count("batch", self.batch)
        read_count("steps", self.steps, 0)
        if not self.largest > 0:
            raise InputError("largest", self.largest, "a number > 0")

    def size(self, t: int) -> float:
        """The step from θ_t, the (t + 1)-th."""
        return min(self.largest, 2 / (self.modulus * (t + 2)))

    def weight(self, t: int) -> float:
        """Weights ∝ t + 1: 2/(t + 2) of the newest."""
        return 2 / (t + 2)


def project_rows(theta: np.ndarray, center: np.ndarray, radius: float) -> np.ndarray:
    """Nearest point of the ball, column by column: (d, runs), (d, 1) to (d, runs).

    Points of c + S stay there: gradients are combinations of feature differences.
    """
    offset = theta - center
    square = offset[0] * offset[0]
    for row in offset[1:]:
        square += row * row
    norm = np.sqrt(square)
    shrink = np.where(norm > radius, radius / np.where(norm > 0, norm, 1.0), 1.0)
    return np.asarray(center + offset * shrink)


def stochastic_ascent(
    objective: Objective,
    start: np.ndarray,
    schedule: Schedule,
    generators: Sequence[np.random.Generator],
    *,
    estimator: Estimator | None = None,
    best: float | None = None,
    tolerance: float = 0.0,
    record: int = 100,
    callback: Callback | None = None,
) -> Trajectory:
    """Projected stochastic ascent θ⁺ = Proj_C(θ + ηĝ), one run a generator.

    Run i depends on start i and generator i alone, bitwise. The KL term is exact.

    Args:
        objective: SAIL or SAIL-RevKL.
        start: (d,) for all runs, or (runs, d).
        schedule: Steps and batch.
        generators: One a run; see :func:`spawn`.
        estimator: By default baseline −log 2, exact preferences, sampled prompts.
        best: J_γ*, for gaps.
        tolerance: At a record, a run whose gap (``best`` given) or gradient mapping is this
            small stops for good; 0 never stops.
        record: Every how many steps the state is recorded; the last always is.
        callback: See :data:`Callback`.

    Raises:
        InputError: An argument outside its domain.
    """
    gamma, problem = regularisation(objective), objective.problem
    rngs = read_generators(generators)
    theta = read_starts(objective, start, len(rngs)).T.copy()
    record = read_count("record", record)
    tolerance = read_real("tolerance", tolerance, positive=False)
    estimator = Estimator() if estimator is None else estimator
    layout = Layout(problem)
    sampler = Sampler(
        layout, schedule.batch, rngs, bernoulli=estimator.labels == "bernoulli",
        exact_prompts=estimator.prompts == "exact",
    )  # fmt: skip
    center, radius = problem.center.astype(float)[:, None], Domain(problem).radius
    recorder, average = Recorder(objective, best), theta.copy()
    active, samples = np.ones(len(rngs), dtype=bool), np.zeros(len(rngs), dtype=np.int64)
    for t in range(schedule.steps + 1):
        last = t == schedule.steps
        if last or t % record == 0:
            recorder.add(t, theta.T, samples, schedule.size(t))
            if tolerance > 0:
                column = "mapping_norm" if best is None else "gap"
                active &= ~(recorder.last(column) <= tolerance)
            ended = bool(callback and callback(t, schedule.steps, theta.T.copy()))
            last = last or ended or not active.any()
        if last:
            break
        at = layout.frame(theta)
        found = estimator.coefficients(layout, at, sampler.draw(at.policy), gamma)
        moved = theta + schedule.size(t) * layout.gradient(found)
        moved = project_rows(moved, center, radius)
        theta = moved if active.all() else np.where(active, moved, theta)
        samples = samples + sampler.cost * active
        if weight := schedule.weight(t):
            average = np.where(active, average + weight * (theta - average), average)
    averaged = average.T.copy() if schedule.weight(0) else None
    return recorder.trajectory("projected stochastic ascent", ~active, averaged)


def read_generators(generators: Sequence[np.random.Generator]) -> list[np.random.Generator]:
    """One distinct generator a run.

    Raises:
        InputError: None, something else, or one used twice.
    """
    found = list(generators) if isinstance(generators, (list, tuple)) else []
    if not found or not all(isinstance(g, np.random.Generator) for g in found):
        raise InputError("generators", generators, "a list of numpy.random.Generator, one a run")
    if len({id(g) for g in found}) < len(found):
        raise InputError("generators", "one appears twice", "a generator of its own for each run")
    return found
