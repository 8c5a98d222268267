"""Predicted against measured: how fast exact ascent closes the gap on one problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.ascent import (
    Trajectory,
    bregman_divergence,
    mirror_ascent,
    projected_ascent,
    target_constants,
)
from sailtheory.convergence.fit import RateFit, fit_rate
from sailtheory.convergence.gaps import ROUNDING, gaps_to
from sailtheory.errors import InputError
from sailtheory.landscape import Domain, Maximiser, Search, largest_curvature_on, maximise
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.target import Target
from sailtheory.shown import Shown
from sailtheory.theory import bounds

__all__ = ["Method", "Prediction", "predict"]

ACCURACY = 1e-6
_RUNS, _STEPS, _RECORDS = 8, 20_000, 400
_FLAT = 1e-6  # of the first gradient mapping: the gap is then about rounding
_RESOLVED = 1e2  # gaps this many times what rounding may change are fitted


@dataclass(frozen=True)
class Method:
    """One algorithm with one set of constants.

    Attributes:
        name: Algorithm and whose constants.
        predicted: The contraction 1 − μ/Λ that a theorem promises; None where none does.
        measured: Mean contraction a step of the slowest run, over its resolved gaps; None
            if fewer than two are.
        resolved: The last step whose gap rounding changes by less than 1 %, in that run.
        fit: The kind of decay of that run up to there, with intervals where it is decided;
            None if fewer than three of its gaps are resolved.
        to_accuracy: Steps until gap ≤ 1e-6 gap_0, median over starts; None if not reached.
        predicted_steps: Steps after which the theorem promises that; None as above.
        worst_ratio: Largest gap_t / (predicted bound), over runs and t; ≤ 1 if the bound
            holds; None where nothing is predicted.
    """

    name: str
    predicted: float | None
    measured: float | None
    resolved: int
    fit: RateFit | None
    to_accuracy: float | None
    predicted_steps: float | None
    worst_ratio: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return vars(self) | {"fit": None if self.fit is None else self.fit.as_dict()}


@dataclass(frozen=True, repr=False)
class Prediction(Shown):
    """Rates of exact ascent on J_γ.

    Attributes:
        gamma: γ.
        relative: K_B, or K of another objective; the theorem's rates need γ above it.
        best: J_γ*, by search.
        on_boundary: Whether the maximiser lies on the sphere.
        methods: The algorithms.
        objective: What the objective is called.
    """

    gamma: float
    relative: float
    best: float
    on_boundary: bool
    methods: tuple[Method, ...]
    objective: str = "SAIL"

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return vars(self) | {
            "schema": "sailtheory.rates/1",
            "methods": [method.as_dict() for method in self.methods],
        }


def predict(
    target: Target,
    gamma: float,
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> Prediction:
    """Run projected and mirror ascent and compare them with C15 and C17.

    Projected ascent runs with the theorem's Λ and with the instance's, the largest
    curvature found on C; the instance's μ and Λ are searched, so that its prediction is
    supported, not proved. Gaps are to the best value that any of it found.

    Args:
        target: The objective, with its problem.
        gamma: γ ≥ 0.
        seed: Seed of the starts and searches.
        progress: Receives the stage.

    Raises:
        InputError: S = {0} or B = 0, where nothing moves.
    """
    problem = target.problem
    if problem.span.dimension == 0:
        raise InputError("features", "equal", "S = {0}: no policy depends on θ")
    if float(problem.radius) == 0:
        raise InputError("radius", 0, "C is one point, where nothing moves: B > 0 is expected")
    objective, domain = target.penalised(gamma), Domain(problem)
    search = Search(domain, "quick", seed)
    progress("constants")
    theory = target_constants(target, gamma)
    top = largest_curvature_on(objective, search).value
    bottom = largest_curvature_on(-1.0 * objective, search).value
    assert top is not None and bottom is not None
    rng = np.random.default_rng(seed)
    start = domain.embed(domain.starts(_RUNS, rng)[-_RUNS:])
    record = _STEPS // _RECORDS
    runs: list[tuple[str, float | None, float, Trajectory]] = []

    def add(name: str, mu: float | None, smooth: float, trajectory: Trajectory) -> None:
        usable = mu if mu is not None and 0 < mu <= smooth else None
        runs.append((name, usable, smooth, trajectory))

    progress("projected ascent")
    add(
        "projected, theorem's constants", theory.modulus, theory.smooth,
        _detailed(lambda steps, every: projected_ascent(
            objective, start, step=1 / theory.smooth, steps=steps, record=every), record),
    )  # fmt: skip
    largest = max(bottom, 1e-300)
    add(
        "projected, instance's constants", -top, largest,
        _detailed(lambda steps, every: projected_ascent(
            objective, start, step=1 / largest, steps=steps, record=every), record),
    )  # fmt: skip
    progress("mirror ascent")
    relative = theory.relative_modulus if theory.relative_modulus > 0 else None
    add(
        "mirror, theorem's constants", relative, theory.relative_smooth,
        mirror_ascent(objective, start, step=1 / theory.relative_smooth, steps=_RECORDS),
    )  # fmt: skip
    best = maximise(objective, search, np.concatenate([t.theta for *_, t in runs]))
    value = max(best.value, *(float(t.value.max()) for *_, t in runs))
    return Prediction(
        gamma, theory.relative, value, best.on_boundary,
        tuple(_method(objective, best, value, *run) for run in runs), target.title,
    )  # fmt: skip


def _detailed(run: Callable[[int, int], Trajectory], every: int) -> Trajectory:
    """A run whose records are close together, unless it needs many steps."""
    short = run(_RECORDS, 1)
    moved = short.mapping_norm[-1] > _FLAT * (short.mapping_norm[0] + 1e-300)
    return run(_RECORDS * every, every) if moved.any() else short


def _method(
    objective: Objective,
    maximiser: Maximiser,
    value: float,
    name: str,
    modulus: float | None,
    smooth: float,
    trajectory: Trajectory,
) -> Method:
    gap = value - trajectory.value
    floor = ROUNDING * (1 + abs(value))
    seen = np.flatnonzero((gap > _RESOLVED * floor).any(axis=1))  # not the order of rounding
    slowest = int(gap[min(len(gap) // 4, seen.max(initial=0))].argmax())
    fine = gaps_to(
        objective, maximiser.theta, maximiser.stationarity, value, trajectory.path[:, slowest]
    )
    resolved = fine.value > _RESOLVED * fine.blur
    count = len(gap) if resolved.all() else int(resolved.argmin())
    fit = fit_rate(fine.value[:count], trajectory.steps[:count]) if count > 2 else None
    measured, last = None, int(trajectory.steps[max(count - 1, 0)])
    if count > 1:
        drop = np.log(fine.value[count - 1] / fine.value[0])
        measured = float(np.exp(drop / trajectory.steps[count - 1]))
    done = gap <= np.maximum(ACCURACY * gap[0], floor)
    reached = np.where(done.any(0), trajectory.steps[done.argmax(0)], np.nan)
    to_accuracy = float(np.median(reached)) if done.any(0).all() else None
    if modulus is None:
        return Method(name, None, measured, last, fit, to_accuracy, None, None)
    initial = gap[0]
    if name.startswith("mirror"):
        initial = smooth * bregman_divergence(
            objective.problem, maximiser.theta, trajectory.path[0]
        )
    factor = float(bounds.contraction(modulus, smooth))
    bound = factor ** trajectory.steps[:, None] * initial
    ratio = np.where(bound > 10 * floor, gap / np.maximum(bound, floor), 0)[1:]
    steps = np.log(1 / ACCURACY) / -np.log1p(-modulus / smooth) if factor > 0 else 1.0
    return Method(name, factor, measured, last, fit, to_accuracy, float(steps), float(ratio.max()))
