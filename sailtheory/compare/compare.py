"""Arms compared with one another: curves, final scores, effects, and what the design could see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sailtheory.compare import statistics as st
from sailtheory.compare.arms import ArmDiff, diff
from sailtheory.compare.statistics import Estimate
from sailtheory.errors import InputError, whole_number
from sailtheory.runs.read import Record

__all__ = ["LARGE_EFFECT", "Arm", "Comparison", "Pair", "Task", "compare"]

SCHEMA = "sailtheory.compare/1"
LARGE_EFFECT = 0.8
"""Cohen's d that he called large."""


USUAL = ("eval/return", "eval/reward", "eval/rewards/mean", "rewards/mean", "train/return")
"""Metrics by which runs are compared where none is named, the first that all have."""


@dataclass(frozen=True)
class Arm:
    """One arm on one task.

    Attributes:
        name: Method, with the values of declared keys where its runs differ in them.
        seeds: Seeds, in the order of ``scores``.
        scores: The metric at the last evaluation, (runs,).
        steps: Steps of the evaluations, (steps,).
        curve: IQM over runs with its pointwise interval: value, low, high, (3, steps).
        iqm: IQM of the scores.
        normalised: The scores on the scale of the task, in [0, 1]; None where it is unknown.
        unmoved: Whether every seed measured the same numbers: its runs are one run.
    """

    name: str
    seeds: tuple[Any, ...]
    scores: np.ndarray
    steps: np.ndarray
    curve: np.ndarray
    iqm: Estimate
    normalised: np.ndarray | None
    unmoved: bool


@dataclass(frozen=True)
class Pair:
    """An arm against the first one, on one task.

    Attributes:
        arm: Its name.
        baseline: Name of the first arm.
        difference: Mean score of the arm less that of the baseline.
        d: Cohen's d of independent runs, with the pooled standard deviation.
        paired: d of the differences by seed; None where the seeds are not the same.
        improvement: Probability that a run of the arm beats one of the baseline.
        detectable: The least d (of the kind tested) seen with 80 % probability.
        needed: Runs of each arm with which ``effect`` is seen with 80 % probability.
        effect: The effect that ``needed`` is about.
    """

    arm: str
    baseline: str
    difference: float
    d: Estimate
    paired: Estimate | None
    improvement: Estimate
    detectable: float
    needed: int
    effect: float

    @property
    def tested(self) -> Estimate:
        """The effect that the conclusion rests on: by pairs where there are pairs."""
        return self.d if self.paired is None else self.paired


@dataclass(frozen=True)
class Task:
    """All arms on one task, the first one being the baseline."""

    name: str
    arms: tuple[Arm, ...]
    pairs: tuple[Pair, ...]
    diff: ArmDiff


@dataclass(frozen=True)
class Comparison:
    """A comparison of runs.

    Attributes:
        metric: Name of the metric.
        tasks: By task.
        overall: IQM over all tasks by arm, and probability of improvement on the first
            arm averaged over tasks (None for itself); empty with a single task.
    """

    metric: str
    tasks: tuple[Task, ...]
    overall: dict[str, tuple[Estimate, Estimate | None]]

    @property
    def normalised(self) -> bool:
        """Whether the IQM over all tasks is on their scales, or of scores as logged."""
        return _normalised(self.tasks)

    def as_dict(self) -> dict[str, Any]:
        """JSON with stable names."""
        return {
            "schema": SCHEMA,
            "metric": self.metric,
            "normalised": self.normalised,
            "tasks": [_task_dict(task) for task in self.tasks],
            "overall": {
                name: {"iqm": asdict(iqm), "improvement": None if won is None else asdict(won)}
                for name, (iqm, won) in self.overall.items()
            },
        }


def compare(
    records: Sequence[Record],
    metric: str | None = None,
    *,
    effect: float = LARGE_EFFECT,
    seed: int = 0,
) -> Comparison:
    """Compare runs by arm, task by task.

    The score of a run is the metric at its last evaluation; which evaluation counts is
    not chosen after the fact. The first run named belongs to the baseline.

    Args:
        records: Finished runs, at least two of each arm, evaluated at the same steps.
        metric: Name of the metric, more being better; by default the first of
            :data:`USUAL` that every run logged.
        effect: Cohen's d for which the runs needed are computed.
        seed: Seed of the bootstrap.

    Raises:
        InputError: Runs that may not be compared, unfinished or single ones, a metric that
            is missing, not finite, or logged at other steps, or a seed that is none.
    """
    seed = whole_number("seed", seed)
    if not records:
        raise InputError("runs", 0, "at least two are expected")
    by_task: dict[str, list[Record]] = {}
    for record in records:
        if not record.finished:
            raise InputError("run", record.folder, "finished runs are expected: resume it first")
        by_task.setdefault(str(record.config.get("task", "all runs")), []).append(record)
    metric = _usual(records) if metric is None else metric
    tasks = tuple(_task(name, runs, metric, effect, seed) for name, runs in by_task.items())
    return Comparison(metric, tasks, _overall(tasks, seed) if len(tasks) > 1 else {})


def _usual(records: Sequence[Record]) -> str:
    """The metric that all of them have, or that the first has; reading it refuses the others."""
    shared = set.intersection(*(set(record.names()) for record in records))
    logged = [*(m for m in USUAL if m in shared), *(m for m in USUAL if m in records[0].names())]
    return next(iter(logged), USUAL[0])


def _task(name: str, records: list[Record], metric: str, effect: float, seed: int) -> Task:
    found = diff(records)
    found.require()
    steps, _ = records[0].series(metric)
    arms = []
    for arm, runs in found.arms.items():
        if len(runs) < 2:
            raise InputError("runs", f"1 of {arm} on {name}", "at least two seeds are expected")
        ordered = sorted(runs, key=lambda run: str(run.seed))  # pairs meet by position
        curves = np.stack([_curve(run, metric, steps, records[0]) for run in ordered])
        scores = curves[:, -1]
        arms.append(
            Arm(
                arm, tuple(run.seed for run in ordered), scores, steps,
                st.iqm_curve(curves, np.random.default_rng(seed)),
                st.iqm_interval([scores], np.random.default_rng(seed)),
                _on_scale(ordered, metric),
                bool((curves == curves[0]).all()),
            )
        )  # fmt: skip
    pairs = tuple(_pair(arm, arms[0], effect, seed) for arm in arms[1:])
    return Task(name, tuple(arms), pairs, found)


def _curve(run: Record, metric: str, steps: np.ndarray, first: Record) -> np.ndarray:
    own, values = run.series(metric)
    if not np.array_equal(own, steps):
        shown = f"{metric} at {len(own)} steps up to {own[-1]}"
        other = f"{len(steps)} up to {steps[-1]}, as in {first.folder}"
        raise InputError(str(run.folder), shown, f"{other}, are expected")
    return values


def _on_scale(runs: list[Record], metric: str) -> np.ndarray | None:
    """Last scores in [0, 1], where the runs record one scale for this metric."""
    (scale, *others) = {run.scale for run in runs}
    if others or scale is None or scale.metric != metric:
        return None
    if not all(scale.counted in run.names() for run in runs):
        return None
    return np.array([run.series(scale.counted)[1][-1] for run in runs]) / scale.largest


def _normalised(tasks: tuple[Task, ...]) -> bool:
    return all(arm.normalised is not None for task in tasks for arm in task.arms)


def _pair(arm: Arm, baseline: Arm, effect: float, seed: int) -> Pair:
    x, y = arm.scores, baseline.scores
    by_seed = arm.seeds == baseline.seeds and None not in arm.seeds
    return Pair(
        arm.name,
        baseline.name,
        st.mean_and_deviation(x)[0] - st.mean_and_deviation(y)[0],
        st.cohens_d(x, y),
        st.paired_d(x, y) if by_seed else None,
        st.improvement([x], [y], np.random.default_rng(seed)),
        st.detectable(len(x), None if by_seed else len(y)),
        st.runs_needed(effect, paired=by_seed),
        effect,
    )


def _overall(tasks: tuple[Task, ...], seed: int) -> dict[str, tuple[Estimate, Estimate | None]]:
    scores = [{arm.name: arm.scores for arm in task.arms} for task in tasks]
    everywhere = [arm.name for arm in tasks[0].arms if all(arm.name in task for task in scores)]
    found: dict[str, tuple[Estimate, Estimate | None]] = {}
    for name in everywhere:
        own = [task[name] for task in scores]
        base = [task[everywhere[0]] for task in scores]
        rng = np.random.default_rng(seed)
        won = None if name == everywhere[0] else st.improvement(own, base, rng)
        if _normalised(tasks):
            arms = [arm for task in tasks for arm in task.arms if arm.name == name]
            own = [arm.normalised for arm in arms if arm.normalised is not None]
        found[name] = (st.iqm_interval(own, rng), won)
    return found


def _task_dict(task: Task) -> dict[str, Any]:
    return {
        "task": task.name,
        "arms": [
            {
                "name": arm.name,
                "seeds": list(arm.seeds),
                "scores": arm.scores.tolist(),
                "normalised": None if arm.normalised is None else arm.normalised.tolist(),
                "iqm": asdict(arm.iqm),
                "steps": arm.steps.tolist(),
                "unmoved": arm.unmoved,
                "curve": dict(zip(("iqm", "low", "high"), arm.curve.tolist(), strict=True)),
            }
            for arm in task.arms
        ],
        "pairs": [asdict(pair) for pair in task.pairs],
        "differences": {d.key: d.values for d in task.diff.allowed},
        "same_algorithm": list(task.diff.same),
        "never_read": list(task.diff.unread),
        "versions": {d.key: d.values for d in task.diff.versions},
    }
