"""The record of one training run: configuration, metrics, checkpoints; and going on after a stop.

A run is a folder::

    run.json               configuration, version, libraries, hardware; written once
    metrics.csv            step,name,value; one row a value, in the order logged
    checkpoint-STEP.npz    the last two states (layout: sailtheory.training.checkpoint)
    finished.json          present when the run is done
    tensorboard/           the same numbers for TensorBoard, when asked for

Rows reach the disk with a checkpoint, which remembers how long ``metrics.csv`` then was.
Going on cuts the file back to that length, so a run killed at any moment and resumed ends
with the rows of one that was left alone. Two states are kept so that runs saved one after
another always have a step in common.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.files import write_text
from sailtheory.training.checkpoint import Tree, load_state, save_state
from sailtheory.training.machine import hardware, libraries

if TYPE_CHECKING:  # TensorBoard brings torch
    from sailtheory.training.tensorboard import Mirror

SCHEMA = "sailtheory.run/1"
HEADER = b"step,name,value\n"
RUN, METRICS, FINISHED = "run.json", "metrics.csv", "finished.json"
BUDGETS = frozenset(
    ("steps", "feedback", "max_feedback", "updates", "tokens", "epochs", "episodes", "prompts")
)
"""Parts of dotted keys in which no method may differ from another, declared or not."""

_CHECKPOINT = re.compile(r"checkpoint-(\d+)\.npz")
_KEPT = 2


class Run:
    """A run that is being trained. Made by :meth:`create`.

    Attributes:
        folder: Where the record lies.
        config: The resolved configuration.
    """

    def __init__(
        self, folder: Path, config: dict[str, Any], read: set[str] | None, tensorboard: bool
    ) -> None:
        self.folder = folder
        self.config = config
        self._read = read
        self._rows: list[tuple[int, str, float | int | str]] = []
        self._mirror: Mirror | None = None
        self._tensorboard = tensorboard
        self._end: int | None = None  # bytes of metrics.csv that count; None before load()
        self._crc = 0  # and their checksum

    @classmethod
    def create(
        cls,
        folder: str | Path,
        config: Mapping[str, Any],
        *,
        declared: Iterable[str] = (),
        read: set[str] | None = None,
        tensorboard: bool = False,
        resume: bool = False,
    ) -> Run:
        """Begin a run, or go on with one.

        Args:
            folder: Its folder, made when missing.
            config: The resolved configuration, plain JSON; ``seed`` and ``method`` are
                looked for at the top.
            declared: Keys, dotted when nested, in which the method may differ from
                others; never a budget.
            read: The live set of keys that the training has read, such as ``Watch.read``;
                it is remembered, and :meth:`finish` records the keys never read.
            tensorboard: Show the metrics to TensorBoard as well, at each checkpoint.
            resume: Go on with what the folder holds; then call :meth:`load`.

        Raises:
            InputError: The folder holds the run of another configuration (the key that
                differs is named), or a run although ``resume`` is not given; a
                configuration that is not plain JSON; a folder that cannot be written.
        """
        folder = Path(folder)
        plain, keys = _plain(config), sorted(set(declared))
        known = flatten(plain)
        for key in keys:
            if key not in known or not BUDGETS.isdisjoint(key.split(".")):
                raise InputError("declared", key, "a key of the configuration, no budget")
        run = cls(folder, plain, read, tensorboard)
        if (folder / RUN).exists():
            _same(folder, plain, keys)
            if not resume:
                raise InputError("out", folder, "it holds a run: resume it or choose another")
            return run
        if (folder / METRICS).exists() or run.steps():
            raise InputError("out", folder, f"it holds data without {RUN}: choose another")
        record = {"schema": SCHEMA, "config": plain, "declared": keys}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("out", folder, error.strerror or "it cannot be made") from None
        _write_json(folder / RUN, record | {"libraries": libraries(), "hardware": hardware()})
        run._cut(0, 0, None)
        return run

    @property
    def finished(self) -> bool:
        """Whether the run is done."""
        return (self.folder / FINISHED).exists()

    def steps(self) -> list[int]:
        """Steps of the checkpoints at hand, ascending; none for a run that never saved."""
        found = (_CHECKPOINT.fullmatch(path.name) for path in self.folder.glob("checkpoint-*.npz"))
        return sorted(int(match[1]) for match in found if match)

    def log(self, step: int, metrics: Mapping[str, float | int | str]) -> None:
        """Take rows into memory; they reach the disk with the next checkpoint.

        Numbers of the clock do not belong here: a resumed run could not repeat them.
        Metrics named ``spent/...`` count what was used so far (feedback, updates,
        tokens); runs are compared only if they spent the same in the end.

        Raises:
            InputError: A step that is no integer ≥ 0, or a value of another type.
        """
        if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < 0:
            raise InputError("step", step, "an integer ≥ 0 is expected")
        for name, value in metrics.items():
            if isinstance(value, np.generic):
                value = value.item()
            if type(value) not in (int, float, str):
                raise InputError(name, value, "an integer, a float or text is expected")
            self._rows.append((int(step), name, value))

    def save(self, step: int, state: Tree) -> None:
        """Write the rows logged so far, then the state. Older states but one go.

        Raises:
            InputError: No space left, for example. The last good checkpoint stays.
        """
        self._flush()
        record = {"step": int(step), "bytes": self._end, "crc": self._crc}
        read = None if self._read is None else sorted(self._read)
        save_state(self._checkpoint(step), {"record": record | {"read": read}, "state": state})
        self._prune()

    def load(self, step: int | None = None) -> tuple[int, Tree] | None:
        """Go back to a checkpoint, the last by default; what came after it is dropped.

        Runs trained together go back to the largest step that all of them hold.

        Returns:
            Its step and state; None (and no rows) when none was saved.

        Raises:
            InputError: No such checkpoint, a damaged one, or metrics that do not begin
                with the rows it remembers.
        """
        steps = self.steps()
        if step is not None and step not in steps:
            raise InputError("step", step, f"one of {steps} is expected, in {self.folder}")
        if not steps:
            self._cut(0, 0, -1)
            return None
        step = steps[-1] if step is None else step
        content = load_state(self._checkpoint(step))
        if not (isinstance(content, dict) and set(content) == {"record", "state"}):
            raise InputError("checkpoint", self._checkpoint(step), "the state of a run is expected")
        record = content["record"]
        self._cut(record["bytes"], record["crc"], step)
        for later in steps:
            if later > step:
                self._checkpoint(later).unlink()
        self._prune()  # a save may have been killed before it did
        if self._read is not None:
            self._read.update(record["read"] or ())
        return step, content["state"]

    def restart(self) -> None:
        """Drop all rows and checkpoints of a resumed run: it begins again."""
        for step in self.steps():
            self._checkpoint(step).unlink()
        self._cut(0, 0, -1)

    def finish(self) -> None:
        """Write the remaining rows and mark the run as done."""
        self._flush()
        unread = None if self._read is None else sorted(set(flatten(self.config)) - self._read)
        _write_json(
            self.folder / FINISHED, {"bytes": self._end, "crc": self._crc, "unread": unread}
        )

    def _checkpoint(self, step: int) -> Path:
        return self.folder / f"checkpoint-{int(step):012d}.npz"

    def _prune(self) -> None:
        for old in self.steps()[:-_KEPT]:
            self._checkpoint(old).unlink(missing_ok=True)

    def _cut(self, end: int, crc: int, step: int | None) -> None:
        """Keep the first ``end`` bytes of the metrics, whose checksum must be ``crc``.

        ``step`` is theirs; None for a new run.
        """
        path = self.folder / METRICS
        try:
            if end:
                with open(path, "rb") as file:
                    if zlib.crc32(file.read(end)) != crc or file.tell() != end:
                        raise InputError("metrics", path, "not the rows that the checkpoint knows")
            (self.folder / FINISHED).unlink(missing_ok=True)
            if end:
                os.truncate(path, end)
            else:
                path.write_bytes(HEADER)
                end, crc = len(HEADER), zlib.crc32(HEADER)
            for rest in self.folder.glob("*.tmp"):  # of a write that was killed
                rest.unlink()
        except OSError as error:
            raise InputError("metrics", path, error.strerror or "it cannot be written") from None
        self._end, self._crc, self._rows = end, crc, []
        if self._tensorboard:
            from sailtheory.training.tensorboard import Mirror

            self._mirror = Mirror(self.folder, step)

    def _flush(self) -> None:
        """Append the rows in memory, over whatever a failed attempt may have left."""
        if self._end is None:
            raise RuntimeError("load() comes before save() when a run is resumed")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._rows)
        content = text.getvalue().encode("utf-8", "backslashreplace")
        path = self.folder / METRICS
        try:
            with open(path, "r+b") as file:
                file.seek(self._end)
                file.write(content)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError("metrics", path, error.strerror or "it cannot be written") from None
        self._end, self._crc = self._end + len(content), zlib.crc32(content, self._crc)
        if self._mirror is not None:
            self._mirror.write(self._rows)
        self._rows = []


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The same configuration with dotted keys; an empty table is a value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as JSON gives it back, so that comparing with a file is exact."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("config", error, "plain JSON is expected") from None
    return plain


def _same(folder: Path, config: dict[str, Any], declared: list[str]) -> None:
    """Refuse a folder that holds another run."""
    from sailtheory.training.record import read_header

    header = read_header(folder)
    mine, theirs = flatten(config), flatten(header["config"])
    if header["declared"] != declared:
        mine["declared"], theirs["declared"] = declared, header["declared"]
    for key in [*mine, *theirs]:
        here, there = mine.get(key, "absent"), theirs.get(key, "absent")
        if here != there or type(here) is not type(there):
            raise InputError(key, here, f"{folder} holds a run with {there}: choose another folder")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text(json.dumps(content, indent=2) + "\n", path, "out")
