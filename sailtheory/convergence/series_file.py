"""Series of gaps in CSV files, read strictly."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError

__all__ = ["Series", "read_series", "series", "vector"]

MIN_ROWS = 3
_MAX_BYTES = 64 * 2**20
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COLUMNS = "a header 'gap' or 'iteration,gap', or no header and one or two columns"


@dataclass(frozen=True)
class Series:
    """Gaps at increasing iterations.

    Attributes:
        gaps: Gap at each iteration, (n,), finite and ≥ 0.
        iterations: Iterations, (n,), ≥ 0 and strictly increasing; 1, 2, …, n where
            none were given.
    """

    gaps: np.ndarray
    iterations: np.ndarray


def series(gaps: Any, iterations: Any = None) -> Series:
    """Validate a series.

    Args:
        gaps: At least 3 numbers, finite and ≥ 0.
        iterations: As many numbers, ≥ 0 and strictly increasing; None for 1, 2, …, n.

    Raises:
        InputError: Anything else.
    """
    gap = vector("gaps", gaps)
    if len(gap) < MIN_ROWS:
        raise InputError("gaps", f"{len(gap)} values", f"at least {MIN_ROWS} are expected")
    for i in np.flatnonzero(gap < 0):
        raise InputError(f"gaps[{i}]", gap[i], "a finite number ≥ 0 is expected")
    if iterations is None:
        return Series(gap, np.arange(1.0, len(gap) + 1))
    time = vector("iterations", iterations)
    if len(time) != len(gap):
        raise InputError("iterations", f"{len(time)} values", f"{len(gap)} are expected")
    for i in np.flatnonzero(time < 0):
        raise InputError(f"iterations[{i}]", time[i], "a finite number ≥ 0 is expected")
    for i in np.flatnonzero(np.diff(time) <= 0) + 1:
        raise InputError(f"iterations[{i}]", time[i], f"more than {time[i - 1]} is expected")
    return Series(gap, time)


def vector(name: str, data: Any) -> np.ndarray:
    """Finite real numbers as a float64 array of one axis.

    Raises:
        InputError: Another shape or type, NaN or an infinity.
    """
    try:
        array = np.asarray(data)
    except ValueError:
        raise InputError(name, data, "a list of real numbers is expected") from None
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise InputError(name, data, "a list of real numbers is expected")
    array = array.astype(np.float64)
    for i in np.flatnonzero(~np.isfinite(array)):
        raise InputError(f"{name}[{i}]", array[i], "a finite number is expected")
    return array


def read_series(path: str | Path) -> Series:
    """Read a CSV file with columns ``iteration,gap``, or with one column of gaps.

    A header is optional; with one, the two columns may come in either order. The
    last line must end in a newline: one that does not may have been cut inside a
    number, which no other check would notice.

    Args:
        path: File in UTF-8, at most 64 MiB.

    Raises:
        InputError: A file that cannot be read or is empty, unknown columns, a row of
            another length, a cell that is not a number, a truncated file, or a
            series that :func:`series` refuses.
    """
    name = Path(path).name
    text = _text(Path(path), name)
    if not text.endswith(("\n", "\r")):
        raise InputError(name, text.splitlines()[-1], "the last line ends without newline: cut?")
    try:
        rows = [[c.strip() for c in row] for row in csv.reader(text.splitlines(), strict=True)]
    except csv.Error as error:
        raise InputError(name, str(error), "a CSV file is expected") from None
    columns = _header(name, rows[0])
    first = 0 if _NUMBER.fullmatch(rows[0][0]) else 1
    data = []
    for line, row in enumerate(rows[first:], first + 1):
        if len(row) != len(columns):
            raise InputError(f"{name} line {line}", ",".join(row), f"{len(columns)} cells expected")
        for cell in row:
            if not _NUMBER.fullmatch(cell):
                raise InputError(f"{name} line {line}", cell, "a finite number is expected")
        data.append([float(cell) for cell in row])
    table = np.array(data).reshape(-1, len(columns))
    given = {column: table[:, j] for j, column in enumerate(columns)}
    return series(given["gap"], given.get("iteration"))


def _text(path: Path, name: str) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(name, f"{path.stat().st_size} bytes", "at most 64 MiB are read")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(name, str(path), error.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise InputError(name, str(path), "text in UTF-8 is expected") from None
    if not text.strip():
        raise InputError(name, "an empty file", _COLUMNS)
    return text


def _header(name: str, row: list[str]) -> list[str]:
    """Names of the columns, from the first row."""
    if row and _NUMBER.fullmatch(row[0]):
        if len(row) > 2:
            raise InputError(f"{name} line 1", f"{len(row)} columns", _COLUMNS)
        return ["gap"] if len(row) == 1 else ["iteration", "gap"]
    columns = [cell.lower() for cell in row]
    if sorted(columns) not in (["gap"], ["gap", "iteration"]):
        raise InputError(f"{name} line 1", ",".join(row), _COLUMNS)
    return columns
