"""Pass rates of prompts from a table of counts, from rewards a sample, or from a log of TRL.

A table has a column that names the prompt, and either ``samples`` and ``correct`` (a row a prompt)
or a reward (a row a sample). A folder is what TRL writes with ``log_completions``
(``completions_*.parquet``), or a run of ours. What was taken for what is said in ``notes``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.preference_data.rows import read_rows
from sailtheory.runs.completions import read_completions

__all__ = ["PassRates", "read_pass_rates"]

PROMPTS = ("prompt", "prompt_id", "id", "question", "problem")
SAMPLES, CORRECT = ("samples", "n"), ("correct", "passed")
NO_REWARD = (
    "step", "advantage", "global_step", "epoch", "length", "tokens", "completion", "response",
    "answer", "solution",
)  # fmt: skip
"""Columns in a log that are not taken for rewards, be they numbers; an answer often is one."""

RATES = ("pass_rate", "passrate", "pass rate", "accuracy", "success_rate", "solve_rate")
"""Columns that hold rates, which are no rewards of samples."""

Row = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class PassRates:
    """What samples of prompts earned.

    Attributes:
        prompts: Their names, in the order met.
        samples: How many of each, (n,).
        total: The sum of their rewards, (n,): how many are correct where ``binary``.
        binary: Whether every reward is 0 or 1.
        lowest: The least reward seen.
        highest: The largest reward seen.
        notes: What was taken for what, and what was left out, a line each.
    """

    prompts: tuple[str, ...]
    samples: np.ndarray
    total: np.ndarray
    binary: bool
    lowest: float
    highest: float
    notes: tuple[str, ...]

    @property
    def mean(self) -> np.ndarray:
        """Mean reward of each prompt, (n,): its pass rate where ``binary``."""
        return np.asarray(self.total / self.samples)


def read_pass_rates(
    source: str | Path, prompt: str | None = None, reward: str | None = None,
    steps: tuple[int, int] | None = None,
) -> PassRates:  # fmt: skip
    """Read a table, a log or a run.

    Args:
        source: .csv, .tsv, .jsonl, .parquet, or a folder with completions.
        prompt: The column that names the prompt; default: one of :data:`PROMPTS`.
        reward: The column of rewards; default: the only one that can be.
        steps: Only samples drawn at these steps, a ≤ step < b.

    Raises:
        InputError: In one line, with the place.
        MissingExtra: Parquet needs the extra ``data``.
    """
    path = Path(source)
    if not path.exists():
        raise InputError("log", source, "no such file or folder")
    rows = _of_folder(path) if path.is_dir() else read_rows(path)
    first = next(rows, None)
    if first is None:
        raise InputError("log", source, "empty: at least one row is expected")
    names = _columns(first)
    key = _one(prompt, PROMPTS, names, "prompt", first[0])
    whole = _chained(first, rows)
    counted = [next((c for c in known if c in names), None) for known in (SAMPLES, CORRECT)]
    if reward is None and None not in counted:
        if steps is not None:
            raise InputError("steps", f"{steps[0]}:{steps[1]}", "none: a table of counts has none")
        return _counts(whole, key, str(counted[0]), str(counted[1]))
    column = _reward(reward, first, names)
    return _samples(whole, key, column, steps, "step" in names)


# --- columns ------------------------------------------------------------------------------


def _columns(row: Row) -> list[str]:
    where, content = row
    if not isinstance(content, dict):
        raise InputError("log", where, "a row with named columns is expected")
    return list(content)


def _one(given: str | None, known: tuple[str, ...], names: list[str], what: str, where: str) -> str:
    if given is not None:
        if given not in names:
            raise InputError(what, given, f"a column of {where}: {', '.join(names)}")
        return given
    for name in known:
        if name in names:
            return name
    accepted = f"a column named {', '.join(known)}, or --{what} NAME, is expected"
    raise InputError("log", ", ".join(names), accepted)


def _reward(given: str | None, first: Row, names: list[str]) -> str:
    where, content = first
    if given is not None:
        return _one(given, (), names, "reward", where)
    if "reward" in names:
        return "reward"
    for name in RATES:
        if name in names:
            accepted = "a rate does not say of how many samples: columns samples and correct"
            raise InputError("log", f"column {name}", accepted)
    found = [name for name in names if name not in NO_REWARD and _is_number(content[name])]
    found = [name for name in found if name not in PROMPTS]
    if len(found) != 1:
        accepted = "samples and correct, or one reward, are expected; --reward NAME chooses"
        raise InputError("log", ", ".join(found or names), accepted)
    return found[0]


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


def _number(row: Row, column: str) -> float | None:
    """A cell as a number, None where it is empty."""
    where, content = row
    value = content.get(column)
    if value is None or value == "":
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}, {column}", value, "a number is expected") from None
    if math.isinf(found):
        raise InputError(f"{where}, {column}", value, "a finite number is expected")
    return None if math.isnan(found) else found


def _name(row: Row, column: str) -> str:
    value = row[1].get(column)
    if value is None or value == "":
        raise InputError(f"{row[0]}, {column}", "missing", "the name of a prompt is expected")
    if isinstance(value, str):
        return value
    return str(value) if _is_number(value) else json.dumps(value, ensure_ascii=False)


# --- rows ---------------------------------------------------------------------------------


def _counts(rows: Iterable[Row], key: str, samples: str, correct: str) -> PassRates:
    names: dict[str, None] = {}
    counts: list[tuple[int, int]] = []
    for row in rows:
        n, k = (_whole(row, column) for column in (samples, correct))
        if n < 1:
            raise InputError(f"{row[0]}, {samples}", n, "at least one sample is expected")
        if k > n:
            raise InputError(f"{row[0]}, {correct}", k, f"at most {samples} = {n} is expected")
        name = _name(row, key)
        if name in names:
            raise InputError(f"{row[0]}, {key}", name, "each prompt is expected in one row")
        names[name] = None
        counts.append((n, k))
    drawn, right = np.array(counts).T
    note = f"columns: {key} names the prompt, {samples} and {correct} count"
    lowest, highest = float((right == drawn).all()), float(right.any())
    return PassRates(tuple(names), drawn, right.astype(float), True, lowest, highest, (note,))


def _whole(row: Row, column: str) -> int:
    value = _number(row, column)
    if value is None or value < 0 or value != int(value):
        shown = "missing" if value is None else value
        raise InputError(f"{row[0]}, {column}", shown, "an integer ≥ 0 is expected")
    return int(value)


def _samples(
    rows: Iterable[Row], key: str, column: str, steps: tuple[int, int] | None, dated: bool
) -> PassRates:
    if steps is not None and not dated:
        raise InputError("steps", f"{steps[0]}:{steps[1]}", "none: there is no column step")
    places: dict[str, int] = {}
    drawn: list[int] = []
    earned: list[float] = []
    met: set[int] = set()
    empty, binary = 0, True
    lowest, highest = math.inf, -math.inf
    for row in rows:
        if dated:
            at = _whole(row, "step")
            if steps is not None and not steps[0] <= at < steps[1]:
                continue
            met.add(at)
        value = _number(row, column)
        if value is None:
            empty += 1
            continue
        place = places.setdefault(_name(row, key), len(places))
        if place == len(drawn):
            drawn.append(0)
            earned.append(0.0)
        drawn[place] += 1
        earned[place] += value
        lowest, highest = min(lowest, value), max(highest, value)
        binary = binary and value in (0.0, 1.0)
    if not places:
        raise InputError(column, "no sample", "at least one sample with a reward is expected")
    notes = [f"columns: {key} names the prompt, {column} is the reward of a sample"]
    if empty:
        notes.append(f"{empty} sample(s) without a reward are left out")
    if met:
        notes.append(
            f"samples are of steps {min(met)} to {max(met)}; p is that of π_ref only as far as the "
            "policy had not moved (--steps chooses)"
        )
    return PassRates(
        tuple(places), np.array(drawn), np.array(earned), binary, lowest, highest, tuple(notes)
    )  # fmt: skip


# --- folders ------------------------------------------------------------------------------


def _of_folder(path: Path) -> Iterator[Row]:
    for place in (path, path / "completions"):
        files = sorted(place.glob("completions_*.parquet"))
        if files:
            for file in files:
                yield from read_rows(file)
            return
    for number, one in enumerate(read_completions(path), 1):
        yield f"completion {number}", {"step": one.step, "prompt": one.prompt, **one.rewards}


def _chained(first: Row, rest: Iterator[Row]) -> Iterator[Row]:
    yield first
    yield from rest
