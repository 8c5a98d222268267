"""Reading the record of a run: what it was, and what it measured."""

from __future__ import annotations

import csv
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.runs import layout
from sailtheory.runs.checkpoint import Tree, load_state
from sailtheory.runs.layout import FINISHED, HEADER, METRICS, RECORD, RUN, SCHEMA, Scale
from sailtheory.storage.config import flatten
from sailtheory.storage.readers import read_json

__all__ = ["Record", "last_state", "read_header", "read_record", "read_state"]


@dataclass(frozen=True)
class Record:
    """A run as its folder tells it.

    Attributes:
        folder: Where it lies.
        config: The resolved configuration, with dotted keys.
        declared: Keys in which its method may differ from others.
        unread: Keys that the training never read; None when that was not recorded.
        finished: Whether it is done.
        versions: Versions of the libraries it ran with.
        rows: ``(step, name, value)`` as logged; values are text.
        scale: The scale of its task; None where it has none.
    """

    folder: Path
    config: dict[str, Any]
    declared: tuple[str, ...]
    unread: tuple[str, ...] | None
    finished: bool
    versions: dict[str, str]
    rows: list[tuple[int, str, str]]
    scale: Scale | None = None

    @property
    def method(self) -> str:
        """The name of its method."""
        return str(self.config["method"])

    @property
    def seed(self) -> Any:
        """Its seed; None when the configuration has none."""
        return self.config.get("seed")

    def names(self) -> list[str]:
        """Names of the metrics, in order of appearance."""
        return list(dict.fromkeys(name for _, name, _ in self.rows))

    def series(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Steps (n,), strictly increasing, and finite values (n,) of one metric.

        Raises:
            InputError: A metric that is missing, not a number, not finite, or logged
                twice or backwards.
        """
        found = [(step, value) for step, key, value in self.rows if key == name]
        if not found:
            known = ", ".join(self.names()) or "none at all"
            raise InputError("metric", name, f"{self.folder} logged {known}")
        steps = np.array([step for step, _ in found])
        try:
            values = np.array([float(value) for _, value in found])
        except ValueError:
            raise InputError(name, found[0][1], f"numbers are expected in {self.folder}") from None
        if not np.isfinite(values).all():
            first = int(np.argmax(~np.isfinite(values)))
            where = f"finite numbers are expected, at step {steps[first]} of {self.folder}"
            raise InputError(name, values[first], where)
        if (np.diff(steps) <= 0).any():
            raise InputError(name, "steps that go back", f"each step once, in {self.folder}")
        return steps, values


def read_record(folder: str | Path) -> Record:
    """Read a run's folder, or that of a language model, in which the record lies.

    Raises:
        InputError: No run there, or files that are damaged or truncated.
    """
    folder = Path(folder)
    if not (folder / RUN).exists() and (folder / RECORD / RUN).exists():
        folder = folder / RECORD
    header = read_header(folder)
    config = flatten(header["config"])
    if not isinstance(config.get("method"), str):
        raise InputError("run", folder, "a configuration with a method is expected")
    done = _read_json(folder / FINISHED) if (folder / FINISHED).exists() else None
    unread = None if done is None else done.get("unread")
    if not isinstance(unread, list | None):
        raise InputError("run", folder / FINISHED, "a list of unread keys is expected")
    rows = _rows(folder / METRICS, done)
    return Record(
        folder, config, tuple(header["declared"]),
        None if unread is None else tuple(unread), done is not None,
        header["libraries"], rows, _scale(header, folder),
    )  # fmt: skip


def read_header(folder: Path) -> dict[str, Any]:
    """The content of ``run.json``, checked for its shape."""
    header = _read_json(folder / RUN)
    kinds = {"config": dict, "declared": list, "libraries": dict}
    shape = all(isinstance(header.get(key), kind) for key, kind in kinds.items())
    if header.get("schema") != SCHEMA or not shape:
        raise InputError("run", folder / RUN, f"a record of schema {SCHEMA} is expected")
    return header


def read_state(path: Path) -> tuple[dict[str, Any], Tree]:
    """Record and state of a checkpoint.

    Raises:
        InputError: A file that is damaged or holds something else.
    """
    content = load_state(path)
    if not (isinstance(content, dict) and set(content) == {"record", "state"}):
        raise InputError("checkpoint", path, "the state of a run is expected")
    if "data" not in content["record"]:
        raise InputError("checkpoint", path, "an earlier version wrote it: go on with that one")
    return content["record"], content["state"]


def last_state(folder: Path) -> tuple[int, Tree]:
    """Step and state of the last checkpoint, to look at: nothing in the folder changes.

    Raises:
        InputError: There is none, or it is damaged.
    """
    steps = layout.steps(folder)
    if not steps:
        raise InputError("run", folder, "a run with a checkpoint is expected")
    record, state = read_state(layout.checkpoint(folder, steps[-1]))
    return record["step"], state


def _scale(header: dict[str, Any], folder: Path) -> Scale | None:
    found = header.get("scale")
    if found is None:
        return None
    kinds = {"metric": str, "counted": str, "largest": float}
    shape = isinstance(found, dict) and found.keys() == kinds.keys()
    if not shape or not all(isinstance(found[key], kind) for key, kind in kinds.items()):
        raise InputError("scale", found, f"{', '.join(kinds)} are expected in {folder / RUN}")
    return Scale(**found)


def _read_json(path: Path) -> dict[str, Any]:
    content = read_json(path, "run")
    if not isinstance(content, dict):
        raise InputError("run", path, "a JSON object is expected")
    return content


def _rows(path: Path, done: dict[str, Any] | None) -> list[tuple[int, str, str]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("metrics", path, error.strerror or "it cannot be read") from None
    if done is not None and (len(content), zlib.crc32(content)) != (
        done.get("bytes"),
        done.get("crc"),
    ):
        raise InputError("metrics", path, "not the rows with which the run finished")
    if not content.startswith(HEADER):
        raise InputError("metrics", path, "a first line step,name,value is expected")
    if not content.endswith(b"\n"):
        raise InputError("metrics", path, "truncated: the last line has no end")
    try:
        lines = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        next(lines)
        return [(int(step), name, value) for step, name, value in lines]
    except (ValueError, csv.Error) as error:
        raise InputError("metrics", path, f"damaged: {error}") from None
