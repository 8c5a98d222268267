"""Samples that a method needs for an accuracy, N(ε), measured, and the exponent of its growth.

A method is run with batches of 1, 2, 4 … pairs. N(ε) is the smallest number of pairs,
over its batches and settings, after which the mean gap has come below ε for good. So the
batch of C16 is not assumed: it is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sailtheory.ascent import (
    FixedBatch,
    Nested,
    Penalty,
    Trajectory,
    TwoLevel,
    bilevel_ascent,
    projected_ascent,
    spawn,
    stochastic_ascent,
)
from sailtheory.ascent.bilevel import smoothness
from sailtheory.convergence.exponent import LEVEL, ExponentFit, fit_exponent
from sailtheory.errors import InputError
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import SAILRevKL
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["METHODS", "QUICK", "Complexity", "Design", "sample_complexity"]

METHODS = ("SAIL-RevKL", "nested", "penalty")
Generators = list[np.random.Generator]
_NOISELESS = 10**12  # multinomial counts cost the same
_LARGEST = 10**9
_RECORDS = 200
_MOST_STEPS = 20_000
_RESOLVED = 1e-9
_RESAMPLES = 400
_FEWEST = 3  # values of ε, as fit_exponent asks


@dataclass(frozen=True)
class Design:
    """How closely to measure.

    Attributes:
        runs: Runs whose gaps are averaged.
        above: Decades from the first gap down to the largest ε.
        decades: Range of ε.
        points: Values of ε.
        growth: Ratio of successive batches, > 1.
        penalties: Values of λ tried, smallest first.
    """

    runs: int = 16
    above: float = 0.5
    decades: float = 1.5
    points: int = 7
    growth: float = 4
    penalties: tuple[float, ...] = (1, 4, 16)


QUICK = Design()


@dataclass(frozen=True)
class Complexity:
    """N(ε) of one method.

    Attributes:
        method: One of METHODS.
        eps: Gaps ε as shares of the first gap, those that were reached, decreasing, (k,).
        samples: N(ε), pairs drawn, (k,).
        settings: The batch, and what else the method sets, that gave each N(ε).
        labelled: The share of the pairs that carried a preference, for each, (k,).
        fit: What :func:`fit_exponent` says of these.
        slopes: The exponent a under either model of it, with 95 % intervals by
            resampling the runs: name to (a, low, high); empty if too few were reached.
    """

    method: str
    eps: tuple[float, ...]
    samples: tuple[float, ...]
    settings: tuple[dict[str, float], ...]
    labelled: tuple[float, ...]
    fit: ExponentFit | None
    slopes: dict[str, tuple[float, float, float]]

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return vars(self) | {
            "eps": list(self.eps),
            "samples": list(self.samples),
            "settings": list(self.settings),
            "labelled": list(self.labelled),
            "fit": None if self.fit is None else self.fit.as_dict(),
            "slopes": {name: list(each) for name, each in self.slopes.items()},
        }


class _Task(NamedTuple):
    """What every method starts from.

    Attributes:
        objective: J_γ.
        start: θ_ref, (d,).
        best: J_γ*.
        eps: Gaps to reach, decreasing, (k,).
        seed: Of the draws.
    """

    objective: Objective
    start: np.ndarray
    best: float
    eps: np.ndarray
    seed: int


@dataclass(frozen=True)
class _Setting:
    """One way to run a method: everything but the batch."""

    details: dict[str, float]
    labelled: float
    run: Callable[[int, int, int, Generators], Trajectory]


@dataclass(frozen=True)
class _Curve:
    """Gaps (k, runs) against pairs drawn (k,) with one batch."""

    details: dict[str, float]
    labelled: float
    samples: np.ndarray
    gap: np.ndarray

    def needed(self, eps: Any, runs: np.ndarray | None = None) -> np.ndarray:
        """Pairs after which the mean gap stays below each ε; inf if it does not."""
        mean = (self.gap if runs is None else self.gap[:, runs]).mean(axis=1)
        # The largest gap still to come: decreasing, so that ε is met once and kept.
        ahead = np.log(np.maximum.accumulate(np.maximum(mean, 1e-300)[::-1])[::-1])
        found = np.interp(-np.log(eps), -ahead, self.samples, left=np.inf, right=np.inf)
        return np.asarray(np.where(np.log(eps) >= ahead[0], self.samples[0], found))


def sample_complexity(
    problem: PreferenceProblem,
    gamma: float,
    *,
    design: Design = QUICK,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> tuple[Complexity, ...]:
    """Measure N(ε) for J_γ from θ_ref, with steps of the theorem (1/Λ) and exact labels.

    Args:
        problem: The problem.
        gamma: γ ≥ 0.
        design: How closely.
        methods: Of METHODS.
        seed: Of every draw and of the search for the maximiser.
        progress: Receives the stage.

    Returns:
        One result a method; none where θ_ref already is the maximiser, to 1e-9.

    Raises:
        InputError: An unknown method, or S = {0}.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise InputError("methods", unknown or methods, "some of " + ", ".join(METHODS))
    objective, domain = SAILRevKL(problem, gamma), Domain(problem)
    smoothness(objective)  # refuses S = {0}
    start = problem.ref_params.astype(float)
    long = projected_ascent(objective, start, step="line-search", steps=500, record=500)
    found = maximise(objective, Search(domain, "quick", seed), long.theta)
    best = max(found.value, float(long.value.max()))
    first = best - float(objective.value(start))
    if not first > _RESOLVED * (1 + abs(best)):
        return ()
    shares = 10.0 ** -np.linspace(design.above, design.above + design.decades, design.points)
    task = _Task(objective, start, best, first * shares, seed)
    return tuple(_measure(name, task, shares, design, progress) for name in methods)


def _measure(
    name: str, task: _Task, shares: np.ndarray, design: Design, progress: Callable[[str], None]
) -> Complexity:
    curves: list[_Curve] = []
    for setting in _settings(name, task, design):
        before = _least(curves, task.eps)
        curves += _curves(name, setting, task, design, progress)
        if name == "penalty" and np.isfinite(before).all():
            # A larger λ only costs more once a smaller one is exact enough for every ε.
            if (_least(curves, task.eps) == before).all():
                break
    least = _least(curves, task.eps)
    reached = np.isfinite(least)
    met, gaps = shares[reached], task.eps[reached]
    chosen = [min(curves, key=lambda curve: float(curve.needed(gap))) for gap in gaps]
    few = len(met) < _FEWEST
    return Complexity(
        name,
        tuple(map(float, met)),
        tuple(map(float, least[reached])),
        tuple(curve.details for curve in chosen),
        tuple(curve.labelled for curve in chosen),
        None if few else fit_exponent(met, least[reached]),
        {} if few else _slopes(curves, met, gaps, np.random.default_rng(task.seed)),
    )


def _least(curves: list[_Curve], eps: np.ndarray) -> np.ndarray:
    """N(ε), inf where no curve reaches it."""
    rows = [np.full(len(eps), np.inf), *(curve.needed(eps) for curve in curves)]
    return np.asarray(np.min(rows, axis=0))


def _settings(name: str, task: _Task, design: Design) -> Iterator[_Setting]:
    """What a method is tried with, besides batches."""
    objective = task.objective
    if name == "SAIL-RevKL":
        size = 1 / smoothness(objective)[0]

        def direct(batch: int, steps: int, record: int, rngs: Generators) -> Trajectory:
            plan = FixedBatch(size, batch, steps)
            return stochastic_ascent(
                objective, task.start, plan, rngs, best=task.best, record=record
            )

        yield _Setting({}, 1.0, direct)
    methods: list[tuple[dict[str, float], Callable[..., TwoLevel]]] = []
    if name == "nested":
        for inner in (1, 4):
            plan = partial(Nested.from_constants, objective, inner=inner, solve=inner)
            methods.append(({"inner": inner, "solve": inner}, plan))
    if name == "penalty":
        for penalty in design.penalties:
            made = partial(Penalty.from_constants, objective, inner=1, penalty=penalty)
            methods.append(({"inner": 1, "penalty": penalty}, made))
    for details, method in methods:
        yield _two_level(task, details, method)


def _two_level(task: _Task, details: dict[str, float], method: Callable[..., TwoLevel]) -> _Setting:
    def run(batch: int, steps: int, record: int, rngs: Generators) -> Trajectory:
        plan = method(batch=batch, steps=steps)
        return bilevel_ascent(task.objective, task.start, plan, rngs, best=task.best, record=record)

    shape = method(batch=1, steps=1)
    return _Setting(details, shape.labelled / shape.batches, run)


def _curves(
    name: str,
    setting: _Setting,
    task: _Task,
    design: Design,
    progress: Callable[[str], None],
) -> Iterator[_Curve]:
    """Batches from 1 up, until larger ones need more pairs for every ε."""
    eps = task.eps

    def run(batch: int, steps: int, runs: int) -> _Curve:
        record = max(1, steps // _RECORDS)
        key = int(np.random.SeedSequence([task.seed, batch, steps]).generate_state(1)[0])
        made = setting.run(batch, steps, record, spawn(key, runs))
        details = setting.details | {"batch": batch}
        return _Curve(details, setting.labelled, made.samples[:, 0], made.gap)

    described = ", ".join(f"{key} {value:g}" for key, value in setting.details.items())
    progress(f"{name} {described}: without noise")
    steps = 64
    while True:
        clean = run(_NOISELESS, steps, 1)
        met = np.isfinite(clean.needed(eps / 2))
        if met.all() or steps >= _MOST_STEPS or _ended(clean.gap[:, 0]):
            break
        steps *= 2
    if not met.any():
        return
    each = clean.samples[-1] / steps
    steps = int(np.ceil(1.3 * clean.needed(eps[met][-1:] / 2)[0] / each)) + 1
    batch, least = 1, np.full(len(eps), np.inf)
    while batch <= _LARGEST:
        progress(f"{name} {described}: batches of {batch}")
        curve = run(batch, steps, design.runs)
        yield curve
        needed = curve.needed(eps)
        if np.isfinite(needed[met]).all() and (needed[met] > least[met]).all():
            return
        least = np.minimum(least, needed)
        batch = max(batch + 1, round(batch * design.growth))


def _ended(gap: np.ndarray) -> bool:
    """Whether a noiseless run has come to rest: the last half changed it by under 2 %."""
    return bool(abs(gap[len(gap) // 2] - gap[-1]) <= 0.02 * abs(gap[-1]))


def _slopes(
    curves: list[_Curve], shares: np.ndarray, gaps: np.ndarray, rng: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    """a in N ~ C ε^−a and in N ~ C ε^−a log(1/ε): least squares, runs resampled.

    A resample whose mean gap does not come below every ε has no slope and is left out;
    nothing is returned where that happens to all.
    """
    x = -np.log(shares)
    offsets = {"power": np.zeros_like(x), "power-log": np.log(x)}

    def fitted(least: np.ndarray) -> list[float]:
        return [float(np.polyfit(x, np.log(least) - o, 1)[0]) for o in offsets.values()]

    samples = []
    for _ in range(_RESAMPLES):
        least = np.min([c.needed(gaps, _resample(c.gap.shape[1], rng)) for c in curves], axis=0)
        if np.isfinite(least).all():
            samples.append(fitted(least))
    if not samples:
        return {}
    whole = fitted(_least(curves, gaps))
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return {name: (whole[i], float(low[i]), float(high[i])) for i, name in enumerate(offsets)}


def _resample(count: int, rng: np.random.Generator) -> np.ndarray:
    """Indexes of a bootstrap sample, (count,)."""
    return np.asarray(rng.integers(0, count, size=(count,)))
