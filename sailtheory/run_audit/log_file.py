"""The log of a run that records itself: a folder with ``log.jsonl`` and ``problem.npz``.

``log.jsonl`` begins with what the run says of itself, has a line a measured update, and ends
with what was spent; it is on the disk as soon as it is written. A last line without an end, as
a killed run leaves it, is left out and named. ``problem.npz`` is the run's own candidate problem,
which every command takes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.problem_file import load, save
from sailtheory.run_audit.standing import Found, Standing
from sailtheory.run_audit.trace import Facts, Fault, Point, Series, Trace, faults_of
from sailtheory.storage.files import require_folder
from sailtheory.storage.readers import parse_json, read_bytes

__all__ = ["LOG", "PROBLEM", "LogWriter", "read_log"]

LOG, PROBLEM, SCHEMA = "log.jsonl", "problem.npz", "sailtheory.audit-log/1"
_ARRAYS = ("log_ratios", "middle", "preferences", "theta", "gradient")
_WHOLE = ("step", "batch")
_POINT = tuple(field.name for field in fields(Point))
_KNOWN = {
    "theta": ("θ", 0), "distance": ("θ", 0), "log_ratios": ("log π_θ", 0), "middle": ("log π_θ", 0),
    "reference": ("log π_ref", 0), "preferences": ("p", 0), "gradient": ("the gradient", 0),
    "variance": ("the gradient", 1), "step_size": ("θ", 1), "along": ("θ", 1),
}  # fmt: skip


class LogWriter:
    """Writes the log of one run.

    Args:
        folder: Made where missing; it must hold no log.

    Raises:
        InputError: It holds one, or cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if (self.folder / LOG).exists():
            raise InputError("folder", self.folder, "it holds a log: remove it or choose another")
        require_folder(self.folder, "folder")
        self.folder.mkdir(parents=True, exist_ok=True)

    def begin(
        self, facts: Facts, *, stated: Mapping[str, Found], preferences: np.ndarray | None,
        problem: PreferenceProblem | None, writer: str = "AuditLog", notes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """The first line, and the candidate problem."""
        if problem is not None:
            save(problem, self.folder / PROBLEM)
        self._add({
            "schema": SCHEMA,
            "writer": writer,
            "facts": {field.name: getattr(facts, field.name) for field in fields(Facts)},
            "stated": {key: [found.standing.value, found.why] for key, found in stated.items()},
            "preferences": None if preferences is None else preferences.tolist(),
            "notes": list(notes),
        })  # fmt: skip

    def add(self, point: Point, numbers: Mapping[str, float], *, late: bool = False) -> None:
        """A measured update, and further numbers of it such as the loss.

        Args:
            point: What was measured.
            numbers: By name.
            late: Whether θ had moved before the first update.
        """
        row = {name: getattr(point, name) for name in _POINT}
        given = {name: value for name, value in row.items() if value is not None}
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in given.items()}
        self._add(plain | {"numbers": dict(numbers)} | ({"late": True} if late else {}))

    def end(
        self, spent: Mapping[str, float], seconds: float, share: float, allowed: float,
        end: tuple[int, float] | None = None,
    ) -> None:  # fmt: skip
        """The last line: what was spent, the share of time taken and allowed, ``Trace.end``."""
        row = {"spent": dict(spent), "seconds": seconds, "share": share, "allowed": allowed}
        self._add(row | ({} if end is None else {"step": end[0], "distance": end[1]}))

    def _add(self, row: Mapping[str, Any]) -> None:
        with open(self.folder / LOG, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")  # NaN and infinities as such: they are a finding


_UNMEASURED = (
    "no update was measured: one measurement costs more than the run's share of time; "
    "share=1 of AuditLog or AuditCallback measures every update"
)


def read_log(folder: str | Path) -> Trace:
    """The run that a log tells of.

    Raises:
        InputError: No log there, or one that is damaged before its last line.
    """
    folder = Path(folder)
    lines = read_bytes(folder / LOG, "log").split(b"\n")
    notes = [] if not lines[-1] else ["the log's last line is cut and left out: the run was killed"]
    rows = [_row(line, number, folder) for number, line in enumerate(lines[:-1], 1)]
    if not rows or rows[0].get("schema") != SCHEMA:
        raise InputError("log", folder / LOG, f"a first line of schema {SCHEMA} is expected")
    head, rest = rows[0], rows[1:]
    spent: dict[str, float] = {}
    end = None
    try:
        last: dict[str, Any] = {}
        if rest and "spent" in rest[-1]:
            last = rest.pop()
            spent = {str(key): float(value) for key, value in last["spent"].items()}
            notes.append(_cost(float(last["share"]), float(last.get("allowed", math.inf))))
        else:
            notes.append("the log has no end: the run was killed, or finish() was not called")
        facts = _facts(head["facts"])
        points = tuple(_point(row) for row in rest)
        seen = rest
        if "distance" in last:
            seen = [*rest, last]
            if np.isfinite(last["distance"]):
                end = int(last["step"]), float(last["distance"])
        late = any(row.get("late") for row in rest)
        if not points:
            notes.insert(0, _UNMEASURED)
        stated = {key: Found(Standing(how), why) for key, (how, why) in head["stated"].items()}
        preferences = None if head["preferences"] is None else np.array(head["preferences"])
        notes += map(str, head["notes"])
        series, faults = _numbers(seen)
        broken = next(iter(faults_of(_faults(seen), _steps(seen))), None)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("log", folder / LOG, f"damaged: {error!r}") from None
    problem = load(folder / PROBLEM) if (folder / PROBLEM).exists() else None
    _expect_alike(points, preferences, problem, folder / LOG)
    return Trace(
        f"a log of {head.get('writer')}", facts, points, problem, preferences, stated, series,
        faults, spent, tuple(notes), broken=broken, late=late, end=end,
    )  # fmt: skip


def _cost(share: float, allowed: float) -> str:
    """What measuring took, and why it may be more than was allowed."""
    how = f"{share:.2%} of" if share <= 1 else f"{share:.3g} times"
    taken = f"measuring took {how} the training time"
    if share <= allowed or allowed >= 1:
        return taken
    return (
        f"{taken}, above share={allowed:g}: looking at the candidates at the start and one second "
        "of measuring are allowed whatever the share"
    )


def _facts(given: Mapping[str, Any]) -> Facts:
    """Numbers, or nothing."""
    for name, value in given.items():
        if not (value is None or isinstance(value, bool | int | float)):
            raise ValueError(f"{name} is no number")
    return Facts(**given)


def _expect_alike(
    points: tuple[Point, ...], preferences: np.ndarray | None, problem: PreferenceProblem | None,
    path: Path,
) -> None:  # fmt: skip
    """Arrays of one log are of one number of prompts, responses and coordinates."""
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for point in points:
        for names, kind in ((("log_ratios", "middle"), "candidates"),
                            (("theta", "gradient"), "coordinates")):  # fmt: skip
            found = [getattr(point, name) for name in names]
            shapes.setdefault(kind, set()).update(a.shape for a in found if a is not None)
    known = [p for p in (preferences, *(point.preferences for point in points)) if p is not None]
    shapes["preferences"] = {p.shape for p in known}
    if problem is not None:
        shapes.setdefault("coordinates", set()).add((problem.dimension,))
    for kind, size in (("candidates", 2), ("coordinates", 1), ("preferences", 3)):
        of_kind = shapes.get(kind, set())
        if len(of_kind) > 1 or any(len(shape) != size for shape in of_kind):
            raise InputError("log", path, f"{kind} of one shape, not {sorted(of_kind)}")


def _row(line: bytes, number: int, folder: Path) -> dict[str, Any]:
    try:
        row = parse_json(line, finite=False)
    except (ValueError, RecursionError) as error:
        raise InputError(f"log, line {number}", folder / LOG, str(error)) from None
    if not isinstance(row, dict):
        raise InputError(f"log, line {number}", folder / LOG, "a JSON object is expected")
    return row


def _point(row: Mapping[str, Any]) -> Point:
    values: dict[str, Any] = {}
    for name in _POINT:
        if name in row:
            kind = np.array if name in _ARRAYS else int if name in _WHOLE else float
            values[name] = kind(row[name])
    return Point(**{name: _only_finite(value) for name, value in values.items()})


def _only_finite(value: Any) -> Any:
    """None for what is not finite, which :func:`_numbers` reports."""
    return value if np.isfinite(value).all() else None


def _numbers(
    rows: list[dict[str, Any]],
) -> tuple[dict[str, Series], tuple[Fault, ...]]:
    """Further numbers as series, and what among all numbers is not finite, by step."""
    series: dict[str, Series] = {}
    faults = []
    for row in rows:
        step = int(row["step"])
        for name, value in row.get("numbers", {}).items():
            if np.isfinite(value):
                series.setdefault(name, []).append((step, float(value)))
            else:
                faults.append((name, f"{value:g}", step))
    return series, faults_of([*faults, *_faults(rows)], _steps(rows))


def _steps(rows: list[dict[str, Any]]) -> set[int]:
    return {int(row["step"]) for row in rows}


def _faults(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """What is not finite of a policy and its gradient, by the names that users know.

    What spans two updates is laid to the second: of the first all else was finite.
    """
    faults: dict[tuple[str, int], None] = {}
    for row in rows:
        for name, (known, later) in _KNOWN.items():
            if name in row and not np.isfinite(row[name]).all():
                faults[known, int(row["step"]) + later] = None
    return [(name, "not finite", step) for name, step in faults]
