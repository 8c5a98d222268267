"""Projected gradient ascent on C (C15), and the loop that exact algorithms share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from sailtheory.ascent.constants import step_constants
from sailtheory.ascent.trajectory import (
    Callback,
    Recorder,
    Trajectory,
    mapping_norm,
    read_count,
    read_real,
    read_starts,
)
from sailtheory.errors import InputError
from sailtheory.landscape.domain import Domain
from sailtheory.objectives.algebra import Objective

__all__ = ["LineSearch", "Projected", "Rule", "follow", "projected_ascent"]

_HALVINGS = 60
_FAR, _TINY = 1e6, 1e-100


class Rule(ABC):
    """One step of an exact algorithm, in coordinates of S.

    Attributes:
        name: Name of the algorithm.
        sizes: Step sizes, (runs,).
    """

    name: str
    sizes: np.ndarray

    @abstractmethod
    def step(self, x: np.ndarray, gradient: np.ndarray, which: np.ndarray) -> np.ndarray:
        """The next points (k, r) from x, g (k, r); ``which`` (k,) numbers the runs."""


class Projected(Rule):
    """x⁺ = Proj(x + ηg)."""

    name = "projected gradient ascent"

    def __init__(self, domain: Domain, size: float, runs: int) -> None:
        self.sizes = np.full(runs, size)
        self._domain = domain

    def step(self, x: np.ndarray, gradient: np.ndarray, which: np.ndarray) -> np.ndarray:
        """The next points."""
        return self._domain.project(x + self.sizes[which, None] * gradient)


class LineSearch(Rule):
    """Projected steps, η doubled at first and halved until J rises enough.

    Enough is J(x⁺) ≥ J(x) + ⟨g, x⁺ − x⟩ − ‖x⁺ − x‖²/(2η), which η = 1/Λ always meets,
    up to the rounding of J.
    """

    name = "projected gradient ascent, line search"

    def __init__(self, objective: Objective, domain: Domain, runs: int) -> None:
        self.sizes = np.ones(runs)
        self._objective = objective
        self._domain = domain

    def step(self, x: np.ndarray, gradient: np.ndarray, which: np.ndarray) -> np.ndarray:
        """The next points."""
        domain, objective = self._domain, self._objective
        now = objective.value(domain.embed(x))
        slack = 4 * np.finfo(float).eps * (1 + np.abs(now))
        # Past this a step meets the sphere wherever it starts, and doubling would overflow.
        longest = _FAR * (1 + domain.radius) / np.maximum(np.linalg.norm(gradient, axis=1), _TINY)
        size, found = np.minimum(2 * self.sizes[which], longest), x.copy()
        open_ = np.arange(len(x))
        for _ in range(_HALVINGS):
            trial = domain.project(x[open_] + size[open_, None] * gradient[open_])
            move = trial - x[open_]
            model = (gradient[open_] * move).sum(-1)
            model -= (move * move).sum(-1) / (2 * size[open_])
            enough = objective.value(domain.embed(trial)) >= now[open_] + model - slack[open_]
            found[open_[enough]] = trial[enough]
            open_ = open_[~enough]
            if not len(open_):
                break
            size[open_] /= 2
        self.sizes[which] = size
        return found


def follow(
    objective: Objective,
    theta: np.ndarray,
    rule: Rule,
    *,
    steps: int,
    best: float | None,
    tolerance: float,
    record: int,
    callback: Callback | None,
) -> Trajectory:
    """Repeat a rule from θ (runs, d); a run that meets the tolerance stays where it is.

    The tolerance is on the gap where ``best`` is given, else on the gradient mapping;
    0 never stops a run.
    """
    steps, record = read_count("steps", steps, 0), read_count("record", record)
    tolerance = read_real("tolerance", tolerance, positive=False)
    if best is not None and not objective.has_value:
        raise InputError("best", best, "None for a field, which has no value")
    domain, recorder = Domain(objective.problem), Recorder(objective, best)
    x, active = domain.coordinates(theta), np.ones(len(theta), dtype=bool)
    for t in range(steps + 1):
        theta = domain.embed(x)
        gradient = domain.reduce(objective.gradient(theta))
        if tolerance > 0:
            if best is None:
                short = mapping_norm(domain, x, gradient, rule.sizes) <= tolerance
            else:
                short = best - objective.value(theta) <= tolerance
            active &= ~short
        last = t == steps or not active.any()
        if last or t % record == 0:
            recorder.add(t, theta, 0, rule.sizes)
            last = bool(callback and callback(t, steps, theta)) or last
        if last:
            break
        which = np.flatnonzero(active)
        x[which] = rule.step(x[which], gradient[which], which)
    return recorder.trajectory(rule.name, ~active)


def projected_ascent(
    objective: Objective,
    start: np.ndarray,
    *,
    step: str | float = "smoothness",
    steps: int,
    best: float | None = None,
    tolerance: float = 0.0,
    record: int = 1,
    callback: Callback | None = None,
) -> Trajectory:
    """Projected gradient ascent θ⁺ = Proj_C(θ + η∇) (C15), along a field likewise (C29).

    Args:
        objective: Any objective, or a field such as ``OnlineDPORevKL(p, gamma)``.
        start: (d,) or (runs, d); points outside C are moved to the nearest of C.
        step: ``"smoothness"`` for η = 1/Λ (SAIL and SAIL-RevKL) or 1/Λ_V (online DPO with
            γ > K_V), ``"line-search"`` where there is a value, or η > 0.
        steps: Number of steps ≥ 0.
        best: J_γ*, for gaps.
        tolerance: A run stops once its gap (``best`` given) or the norm of its gradient
            mapping is this small; 0 never stops.
        record: Every how many steps the state is recorded; the last always is.
        callback: See :data:`Callback`.

    Raises:
        InputError: An argument outside its domain.
    """
    theta, domain = read_starts(objective, start), Domain(objective.problem)
    rule: Rule
    if step == "line-search" and not objective.has_value:
        raise InputError("step", step, "an objective with a value, or another step")
    if step == "line-search":
        rule = LineSearch(objective, domain, len(theta))
    elif step == "smoothness":
        smooth = step_constants(objective).smooth
        if smooth is None:
            raise InputError("step", step, "γ > K_V (C36), or a number > 0")
        rule = Projected(domain, 1 / smooth if smooth > 0 else 1.0, len(theta))
    elif isinstance(step, str):
        raise InputError("step", step, "'smoothness', 'line-search' or a number > 0")
    else:
        rule = Projected(domain, read_real("step", step), len(theta))
    return follow(
        objective, theta, rule, steps=steps, best=best, tolerance=tolerance, record=record,
        callback=callback,
    )  # fmt: skip
