"""The two-level problem treated directly, for comparison: nested loops, and a penalty.

SAIL reduces to one objective (C21) what is stated with two levels: a reward and the
policy that is optimal for it. With rewards r_ω(x, y) = β(ω − θ_ref)ᵀφ(x, y):

    upper, maximised over ω:  f(ω, θ) = E_{π_θ}[p₁₂ log σ(r₁ − r₂) + p₂₁ log σ(r₂ − r₁)]
                                        − γ KL(π_ref‖π_θ),
    lower, maximised over θ:  h(ω, θ) = E_{π_θ}[r_ω] − β KL(π_θ‖π_ref),
                              ∇_θ h = βF̄(θ)(ω − θ).

The lower level is solved by θ = ω, where f = J_γ. A method for two levels does not use
that: it ascends h by samples, and pays for every pair it draws.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from sailtheory.ascent.constants import constants, regularisation
from sailtheory.ascent.estimators import on_scores, pair_payoff
from sailtheory.ascent.pairs import Draws, Frame, Layout, Sampler
from sailtheory.ascent.stochastic import project_rows, read_generators
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
from sailtheory.objectives.algebra import Objective

__all__ = ["Level", "Nested", "Penalty", "State", "TwoLevel", "bilevel_ascent", "smoothness"]


class Level:
    """Sampled derivatives of f and h; arrays of parameters are (d, runs).

    Args:
        layout: The problem's data.
        gamma: γ.
    """

    def __init__(self, layout: Layout, gamma: float) -> None:
        self._layout, self._gamma = layout, gamma
        self.beta = float(layout.problem.beta)

    def frame(self, omega: np.ndarray, theta: np.ndarray) -> Frame:
        """π_θ, and the reward of ω over β."""
        layout = self._layout
        return layout.frame(theta)._replace(drift=layout.frame(omega).drift)

    def upper_reward(self, at: Frame, draws: Draws) -> np.ndarray:
        """∇_ω f = βE[uΔ]."""
        slope = draws.frequency * pair_payoff(self._layout, at, draws).first * self.beta
        return self._layout.gradient(self._layout.tally(draws, slope, -slope))

    def upper_policy(self, at: Frame, draws: Draws) -> np.ndarray:
        """∇_θ f = E[(g + log 2)(s₁ + s₂)] − γ∇KL(π_ref‖π_θ), the latter exact."""
        layout = self._layout
        score = draws.frequency * pair_payoff(layout, at, draws).value
        found = on_scores(at, layout.tally(draws, score, score))
        found = found - self._gamma * layout.weights[:, None, None] * (at.policy - layout.ref)
        return layout.gradient(found)

    def lower(self, draws: Draws, direction: np.ndarray) -> np.ndarray:
        """βF̄v = βE[½ΔΔᵀ]v at the policy drawn from: ∇_θ h for v = ω − θ."""
        layout = self._layout
        a = layout.logits(direction)
        runs, column = a.shape[-1], np.arange(a.shape[-1])
        flat = a.ravel()
        apart = flat.take(draws.first * runs + column) - flat.take(draws.second * runs + column)
        half = draws.frequency * apart * (self.beta / 2)
        return layout.gradient(layout.tally(draws, half, -half))

    def mean(self, draws: Draws) -> np.ndarray:
        """E φ = E[½(φ₁ + φ₂)], up to the constant that Layout takes off."""
        each = np.broadcast_shapes(draws.first.shape, np.shape(draws.frequency))
        half = np.broadcast_to(draws.frequency / 2, each)
        return self._layout.gradient(self._layout.tally(draws, half, half))


class State(NamedTuple):
    """ω and θ, (d, runs), and what the method keeps besides, likewise."""

    omega: np.ndarray
    theta: np.ndarray
    other: np.ndarray


Draw = Callable[[Frame], Draws]
Project = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TwoLevel(ABC):
    """What the two methods share.

    Attributes:
        step: η of ω, > 0.
        inner_step: α of the lower level, > 0.
        inner: Lower-level steps for each step of ω, ≥ 1.
        batch: N ≥ 1, pairs in every estimate.
        steps: T ≥ 0, steps of ω.
    """

    step: float
    inner_step: float
    inner: int
    batch: int
    steps: int
    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        read_real("step", self.step)
        read_real("inner_step", self.inner_step)
        read_count("inner", self.inner)
        read_count("batch", self.batch)
        read_count("steps", self.steps, 0)

    @property
    @abstractmethod
    def batches(self) -> int:
        """Batches of pairs drawn for one step of ω."""

    @property
    @abstractmethod
    def labelled(self) -> int:
        """Those of them that need preferences."""

    @abstractmethod
    def start(self, theta: np.ndarray) -> State:
        """Before the first step: ω = θ."""

    @abstractmethod
    def advance(self, level: Level, at: State, draw: Draw, project: Project) -> State:
        """One step of ω."""


@dataclass(frozen=True)
class Nested(TwoLevel):
    """Nested loops with the implicit hypergradient, after Ghadimi & Wang (2018).

    θ follows ∇_θ h for ``inner`` steps; v follows ∇_θ f − βF̄v for ``solve`` steps, from
    the last v; ω ascends ∇_ω f + βF̄v, which is ∇J_γ(ω) where both are solved.

    Attributes:
        solve: Steps of the linear solve for each step of ω, ≥ 1.
    """

    solve: int = 1
    name: ClassVar[str] = "nested loops, implicit hypergradient"

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        super().__post_init__()
        read_count("solve", self.solve)

    @classmethod
    def from_constants(
        cls, objective: Objective, *, inner: int, solve: int, batch: int, steps: int
    ) -> Nested:
        """η = 1/Λ, and α = 4/(βD²), as βF̄ ⪯ βD²/4."""
        smooth, lower = smoothness(objective)
        return cls(1 / smooth, 1 / lower, inner, batch, steps, solve)

    @property
    def batches(self) -> int:
        """One for each step of either loop, and two for the hypergradient."""
        return self.inner + self.solve + 2

    @property
    def labelled(self) -> int:
        """The one for ∇f."""
        return 1

    def start(self, theta: np.ndarray) -> State:
        """v = 0."""
        return State(theta, theta, np.zeros_like(theta))

    def advance(self, level: Level, at: State, draw: Draw, project: Project) -> State:
        """One step of ω."""
        omega, theta, v = at
        for _ in range(self.inner):
            pairs = draw(level.frame(omega, theta))
            theta = project(theta + self.inner_step * level.lower(pairs, omega - theta))
        frame = level.frame(omega, theta)
        pairs = draw(frame)
        reward, policy = level.upper_reward(frame, pairs), level.upper_policy(frame, pairs)
        for _ in range(self.solve):
            v = v + self.inner_step * (policy - level.lower(draw(frame), v))
        # Fresh pairs: v depends on those before.
        slope = reward + level.lower(draw(frame), v)
        return State(project(omega + self.step * slope), theta, v)


@dataclass(frozen=True)
class Penalty(TwoLevel):
    """The value-function penalty, after Shen & Chen (2023) and Kwon et al. (2023).

    Ascends f(ω, θ) − λ{max h(ω, ·) − h(ω, θ)} in ω and θ, the maximum tracked by a
    second policy θ̂. Its solution is off by O(1/λ): λ has to grow as ε falls.

    Attributes:
        penalty: λ > 0.
    """

    penalty: float = 1.0
    name: ClassVar[str] = "penalty"

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        super().__post_init__()
        read_real("penalty", self.penalty)

    @classmethod
    def from_constants(
        cls, objective: Objective, *, inner: int, batch: int, steps: int, penalty: float
    ) -> Penalty:
        """η = 1/(Λ + λβD²/4), α = 1/(Λ/λ + βD²/4): smoothness in ω and in θ (over λ)."""
        smooth, lower = smoothness(objective)
        read_real("penalty", penalty)
        size = 1 / (smooth + penalty * lower)
        return cls(size, penalty * size, inner, batch, steps, penalty)

    @property
    def batches(self) -> int:
        """Two, of θ and θ̂, for each step of either level."""
        return 2 * self.inner + 2

    @property
    def labelled(self) -> int:
        """Those of θ."""
        return self.inner + 1

    def start(self, theta: np.ndarray) -> State:
        """θ̂ = θ."""
        return State(theta, theta, theta)

    def advance(self, level: Level, at: State, draw: Draw, project: Project) -> State:
        """One step of ω."""
        omega, theta, best = at
        for _ in range(self.inner):
            pairs = draw(level.frame(omega, best))
            best = project(best + self.inner_step * level.lower(pairs, omega - best))
            frame = level.frame(omega, theta)
            pairs = draw(frame)
            slope = level.upper_policy(frame, pairs) / self.penalty
            slope = slope + level.lower(pairs, omega - theta)
            theta = project(theta + self.inner_step * slope)
        frame = level.frame(omega, theta)
        pairs, others = draw(frame), draw(level.frame(omega, best))
        apart = level.mean(pairs) - level.mean(others)
        slope = level.upper_reward(frame, pairs) + self.penalty * level.beta * apart
        return State(project(omega + self.step * slope), theta, best)


def smoothness(objective: Objective) -> tuple[float, float]:
    """Λ of J_γ (C12) and βD²/4 of the lower level near its solution.

    Raises:
        InputError: S = {0}, where nothing moves.
    """
    problem = objective.problem
    lower = float(problem.beta) * problem.feature_diameter**2 / 4
    if not lower > 0:
        raise InputError("features", "equal", "S = {0}: no policy depends on θ")
    return constants(objective).smooth, lower


def bilevel_ascent(
    objective: Objective,
    start: np.ndarray,
    method: TwoLevel,
    generators: Sequence[np.random.Generator],
    *,
    best: float | None = None,
    record: int = 100,
    callback: Callback | None = None,
) -> Trajectory:
    """A method for two levels, one run a generator; records are of J_γ at the policy θ.

    Run i depends on start i and generator i alone, bitwise. ``samples`` counts the pairs
    drawn at either level, with or without a preference. The KL term is exact.

    Args:
        objective: SAIL or SAIL-RevKL.
        start: (d,) for all runs, or (runs, d).
        method: Nested or Penalty.
        generators: One a run; see :func:`spawn`.
        best: J_γ*, for gaps.
        record: Every how many steps of ω the state is recorded; the last always is.
        callback: See :data:`Callback`.

    Raises:
        InputError: An argument outside its domain.
    """
    gamma, problem = regularisation(objective), objective.problem
    rngs = read_generators(generators)
    record = read_count("record", record)
    layout = Layout(problem)
    level, draw = Level(layout, gamma), Sampler(layout, method.batch, rngs).draw
    center, radius = problem.center.astype(float)[:, None], Domain(problem).radius
    recorder, cost = Recorder(objective, best), method.batch * method.batches
    at = method.start(np.ascontiguousarray(read_starts(objective, start, len(rngs)).T))
    for t in range(method.steps + 1):
        last = t == method.steps
        if last or t % record == 0:
            recorder.add(t, np.ascontiguousarray(at.theta.T), t * cost, method.step)
            last = bool(callback and callback(t, method.steps, at.theta.T.copy())) or last
        if last:
            break
        at = method.advance(
            level, at, lambda frame: draw(frame.policy),
            lambda theta: project_rows(theta, center, radius),
        )  # fmt: skip
    return recorder.trajectory(method.name, np.zeros(len(rngs), dtype=bool))
