"""What an algorithm did, run by run: typed, of bounded size, writable as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.landscape.domain import Domain
from sailtheory.objectives.algebra import Objective
from sailtheory.storage.files import write_text

__all__ = [
    "Callback",
    "Recorder",
    "Trajectory",
    "mapping_norm",
    "read_count",
    "read_real",
    "read_starts",
]

Callback = Callable[[int, int, np.ndarray], bool | None]
"""Called at each record with step, steps and θ (runs, d); returning True ends all runs."""

_COLUMNS = (
    "samples", "step_size", "value", "gap", "gradient_norm", "mapping_norm", "distance",
    "on_boundary",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The runs of one algorithm at k recorded steps.

    Attributes:
        algorithm: Its name.
        steps: The recorded steps, (k,).
        samples: Response pairs drawn so far, (k, runs); 0 for exact algorithms.
        step_size: Of the step that follows the record, (k, runs).
        value: The objective, (k, runs); NaN for a field, which has none.
        gap: ``best`` less value, (k, runs); NaN where no best value was given.
        gradient_norm: ‖∇‖ of the exact gradient, (k, runs).
        mapping_norm: ‖Proj_C(θ + η∇) − θ‖/η at that step size, exact gradient, (k, runs).
        distance: ‖θ − c‖, (k, runs).
        on_boundary: ‖θ − c‖ = B up to rounding, (k, runs).
        path: θ, (k, runs, d).
        stopped: Which runs met the tolerance, (runs,).
        average: The weighted average of the iterates, (runs, d), where a schedule has one.
    """

    algorithm: str
    steps: np.ndarray
    samples: np.ndarray
    step_size: np.ndarray
    value: np.ndarray
    gap: np.ndarray
    gradient_norm: np.ndarray
    mapping_norm: np.ndarray
    distance: np.ndarray
    on_boundary: np.ndarray
    path: np.ndarray
    stopped: np.ndarray
    average: np.ndarray | None = None

    @property
    def theta(self) -> np.ndarray:
        """The last iterates, (runs, d)."""
        return np.asarray(self.path[-1])

    @property
    def runs(self) -> int:
        """Number of runs."""
        return int(self.path.shape[1])

    def to_csv(self, path: str | Path) -> None:
        """One row a run and record: run, step, the columns above and θ.

        Raises:
            InputError: The file cannot be written.
        """
        columns = [getattr(self, name) for name in _COLUMNS]
        theta = [f"theta[{i}]" for i in range(self.path.shape[-1])]
        file = io.StringIO(newline="")
        writer = csv.writer(file)
        writer.writerow(["run", "step", *_COLUMNS, *theta])
        for run in range(self.runs):
            for k, step in enumerate(self.steps):
                cells = [column[k, run].item() for column in columns]
                cells[-1] = int(cells[-1])
                writer.writerow([run, int(step), *cells, *self.path[k, run].tolist()])
        write_text(file.getvalue(), path)


class Recorder:
    """Collects the records of a :class:`Trajectory`.

    Args:
        objective: What is maximised.
        best: The best value, for gaps; None if unknown.
    """

    def __init__(self, objective: Objective, best: float | None) -> None:
        self._objective = objective
        self._domain = Domain(objective.problem)
        self._best = np.nan if best is None else float(best)
        self._rows: list[tuple[np.ndarray, ...]] = []
        self._steps: list[int] = []

    def add(
        self, step: int, theta: np.ndarray, samples: np.ndarray | int, size: np.ndarray | float
    ) -> None:
        """Evaluate and keep one record: θ (runs, d), samples and step size (runs,)."""
        runs = (len(theta),)
        domain, objective = self._domain, self._objective
        center = objective.problem.center.astype(float)
        value = objective.value(theta) if objective.has_value else np.full(runs, np.nan)
        gradient = objective.gradient(theta)
        each = np.array(np.broadcast_to(np.asarray(size, dtype=float), runs))
        distance = np.linalg.norm(theta - center, axis=-1)
        self._steps.append(step)
        self._rows.append((
            np.array(np.broadcast_to(samples, runs)),
            each,
            value,
            self._best - value,
            np.linalg.norm(gradient, axis=-1),
            mapping_norm(domain, domain.reduce(theta - center), domain.reduce(gradient), each),
            distance,
            domain.on_boundary(theta - center),
            theta.copy(),
        ))  # fmt: skip

    def trajectory(
        self, algorithm: str, stopped: np.ndarray, average: np.ndarray | None = None
    ) -> Trajectory:
        """Freeze what was collected."""
        names = (*_COLUMNS, "path")
        stacked = [np.stack(column) for column in zip(*self._rows, strict=True)]
        columns: dict[str, Any] = dict(zip(names, stacked, strict=True))
        steps = np.array(self._steps)
        return Trajectory(algorithm, steps, stopped=stopped.copy(), average=average, **columns)

    def last(self, column: str) -> np.ndarray:
        """A column of the latest record, (runs,)."""
        return self._rows[-1][_COLUMNS.index(column)]


def mapping_norm(
    domain: Domain, x: np.ndarray, gradient: np.ndarray, size: np.ndarray
) -> np.ndarray:
    """‖Proj(x + ηg) − x‖/η in coordinates of S: x, g (runs, r), η > 0 (runs,) to (runs,)."""
    moved = domain.project(x + size[:, None] * gradient) - x
    return np.asarray(np.linalg.norm(moved, axis=-1) / size)


def read_starts(objective: Objective, start: np.ndarray, runs: int | None = None) -> np.ndarray:
    """Starting points (runs, d) in C from (d,) or (runs, d): the nearest points of C.

    Raises:
        InputError: Wrong shape, entries that are not finite, or another number of runs.
    """
    d = objective.problem.dimension
    accepted = f"({d},) or ({'runs' if runs is None else runs}, {d})"
    try:
        theta = np.array(start, dtype=float, ndmin=2)
    except (TypeError, ValueError):
        raise InputError("start", start, f"an array of shape {accepted}") from None
    if theta.ndim != 2 or theta.shape[1] != d or not len(theta):
        raise InputError("start", f"shape {np.shape(start)}", accepted)
    if runs is not None and len(theta) == 1:
        theta = np.repeat(theta, runs, axis=0)
    if runs is not None and len(theta) != runs:
        raise InputError("start", f"{len(theta)} runs", f"{runs}, one a generator")
    if not np.isfinite(theta).all():
        raise InputError("start", theta, "finite numbers are expected")
    domain = Domain(objective.problem)
    outside = ~objective.problem.contains(theta)
    # Row by row, so that a start does not depend on the others; points of C stay as given.
    for i in np.flatnonzero(outside):
        theta[i] = domain.embed(domain.coordinates(theta[i]))
    return theta


def read_count(name: str, value: object, minimum: int = 1) -> int:
    """An integer ≥ ``minimum``.

    Raises:
        InputError: Anything else.
    """
    plain = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not plain or int(value) < minimum:  # type: ignore[call-overload]
        raise InputError(name, value, f"an integer >= {minimum}")
    return int(value)  # type: ignore[call-overload,no-any-return]


def read_real(name: str, value: object, *, positive: bool = True) -> float:
    """A finite real number, > 0 or (not ``positive``) ≥ 0.

    Raises:
        InputError: Anything else.
    """
    plain = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    number = float(value) if plain else np.nan  # type: ignore[arg-type]
    if not np.isfinite(number) or number < 0 or (positive and number == 0):
        raise InputError(name, value, f"a finite number {'>' if positive else '>='} 0")
    return number
