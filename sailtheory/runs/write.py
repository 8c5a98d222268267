"""The record of one training run: configuration, metrics, checkpoints; and going on after a stop.

Rows and data reach the disk with a checkpoint, which remembers how long their files then
were (layout: sailtheory.runs.append). Going on cuts them back to that length, so a
run killed at any moment and resumed ends with the rows of one that was left alone. Two
states are kept so that runs saved one after another always have a step in common.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.runs import layout
from sailtheory.runs.append import AppendOnlyFile
from sailtheory.runs.checkpoint import Tree, save_state
from sailtheory.runs.layout import DATA, FINISHED, HEADER, METRICS, RUN, SCHEMA, Scale
from sailtheory.runs.machine import hardware, libraries
from sailtheory.runs.read import read_header, read_state
from sailtheory.storage import lock
from sailtheory.storage.config import flatten
from sailtheory.storage.files import write_text

if TYPE_CHECKING:  # TensorBoard brings torch
    from sailtheory.runs.tensorboard import Mirror

__all__ = ["BUDGETS", "Run"]

BUDGETS = frozenset(
    ("steps", "feedback", "max_feedback", "updates", "tokens", "epochs", "episodes", "prompts")
)
"""Parts of dotted keys in which no method may differ from another, declared or not."""

_KEPT = 2


class Run:
    """A run that is being trained. Made by :meth:`create`.

    Attributes:
        folder: Where the record lies.
        config: The resolved configuration.
        data: Bytes that only grow, such as transitions; given to :meth:`save`.
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
        self._metrics = AppendOnlyFile(folder / METRICS, "metrics", HEADER)
        self.data = AppendOnlyFile(folder / DATA, "data")

    @classmethod
    def create(
        cls,
        folder: str | Path,
        config: Mapping[str, Any],
        *,
        declared: Iterable[str] = (),
        read: set[str] | None = None,
        scale: Scale | None = None,
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
            read: The live set of keys that the training has read, such as ``TrackedConfig.read``;
                it is remembered, and :meth:`finish` records the keys never read.
            scale: On which scale the scores of the task can be pooled with those of
                others; recorded for comparisons.
            tensorboard: Show the metrics to TensorBoard as well, at each checkpoint.
            resume: Go on with what the folder holds; then call :meth:`load`.

        Raises:
            InputError: The folder holds the run of another configuration (the key that
                differs is named), or a run although ``resume`` is not given; a
                configuration that is not plain JSON; a folder that cannot be written,
                or that another process trains.
        """
        folder = Path(folder)
        plain, keys = _plain(config), sorted(set(declared))
        known = flatten(plain)
        for key in keys:
            if key not in known or not BUDGETS.isdisjoint(key.split(".")):
                raise InputError("declared", key, "a key of the configuration, no budget")
        run = cls(folder, plain, read, tensorboard)
        if not (folder / RUN).exists():
            if (folder / METRICS).exists() or run.steps():
                raise InputError("out", folder, f"it holds data without {RUN}: choose another")
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError("out", folder, error.strerror or "it cannot be made") from None
            lock.acquire(folder)
        if (folder / RUN).exists():  # looked at again: another process may have begun it
            _same(folder, plain, keys)
            if not resume:
                raise InputError("out", folder, "it holds a run: resume it or choose another")
            if not run.finished:
                lock.acquire(folder)
            return run
        record = {"schema": SCHEMA, "config": plain, "declared": keys}
        record |= {} if scale is None else {"scale": scale._asdict()}
        _write_json(folder / RUN, record | {"libraries": libraries(), "hardware": hardware()})
        run._cut(None, None)
        return run

    @property
    def finished(self) -> bool:
        """Whether the run is done."""
        return (self.folder / FINISHED).exists()

    def steps(self) -> list[int]:
        """Steps of the checkpoints at hand, ascending; none for a run that never saved."""
        return layout.steps(self.folder)

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

    def save(self, step: int, state: Tree, added: bytes = b"") -> None:
        """Write the rows logged so far, then the state. Older states but one go.

        Args:
            step: Steps taken.
            state: Everything that is needed to go on, but for ``data``.
            added: What has to be appended to ``data``.

        Raises:
            InputError: No space left, for example. The last good checkpoint stays.
        """
        self._flush()
        self.data.append(added)
        record = {
            "step": int(step), "bytes": self._metrics.end, "crc": self._metrics.crc,
            "data": [self.data.end, self.data.crc],
            "read": None if self._read is None else sorted(self._read),
        }  # fmt: skip
        save_state(self._checkpoint(step), {"record": record, "state": state})
        self._prune()

    def load(self, step: int | None = None) -> tuple[int, Tree] | None:
        """Go back to a checkpoint, the last by default; what came after it is dropped.

        Runs trained together go back to the largest step that all of them hold.

        Returns:
            Its step and state; None (and no rows) when none was saved.

        Raises:
            InputError: No such checkpoint, a damaged one, metrics or data that do not
                begin with what it remembers, or another process that trains the run.
        """
        lock.acquire(self.folder)
        steps = self.steps()
        if step is not None and step not in steps:
            raise InputError("step", step, f"one of {steps} is expected, in {self.folder}")
        if not steps:
            self._cut(None, -1)
            return None
        step = steps[-1] if step is None else step
        record, state = read_state(self._checkpoint(step))
        self._cut(record, step)
        for later in steps:
            if later > step:
                self._checkpoint(later).unlink()
        self._prune()  # a save may have been killed before it did
        if self._read is not None:
            self._read.update(record["read"] or ())
        return step, state

    def restart(self) -> None:
        """Drop all rows and checkpoints of a resumed run: it begins again."""
        lock.acquire(self.folder)
        for step in self.steps():
            self._checkpoint(step).unlink()
        self._cut(None, -1)

    def finish(self) -> None:
        """Write the remaining rows and mark the run as done."""
        self._flush()
        unread = None if self._read is None else sorted(set(flatten(self.config)) - self._read)
        end, crc = self._metrics.end, self._metrics.crc
        _write_json(self.folder / FINISHED, {"bytes": end, "crc": crc, "unread": unread})
        lock.release(self.folder)

    def _checkpoint(self, step: int) -> Path:
        return layout.checkpoint(self.folder, step)

    def _prune(self) -> None:
        for old in self.steps()[:-_KEPT]:
            self._checkpoint(old).unlink(missing_ok=True)

    def _cut(self, record: Mapping[str, Any] | None, step: int | None) -> None:
        """Go back to the rows and data that a checkpoint remembers; without one, to none.

        ``step`` is theirs; None for a new run.
        """
        record = record or {"bytes": 0, "crc": 0, "data": [0, 0]}
        # Both are checked before either is changed.
        end, crc = record["data"]
        self.data.check(end, crc)
        self._metrics.check(record["bytes"], record["crc"])
        try:
            (self.folder / FINISHED).unlink(missing_ok=True)
            for rest in self.folder.glob("*.tmp"):  # of a write that was killed
                rest.unlink()
        except OSError as error:
            reason = error.strerror or "it cannot be written"
            raise InputError("out", self.folder, reason) from None
        self._metrics.cut(record["bytes"], record["crc"])
        self.data.cut(end, crc)
        self._rows = []
        if self._tensorboard:
            from sailtheory.runs.tensorboard import Mirror

            self._mirror = Mirror(self.folder, step)

    def _flush(self) -> None:
        """Append the rows in memory."""
        if self._metrics.end is None:
            raise RuntimeError("load() comes before save() when a run is resumed")
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._rows)
        self._metrics.append(text.getvalue().encode("utf-8", "backslashreplace"))
        if self._mirror is not None:
            self._mirror.write(self._rows)
        self._rows = []


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as JSON gives it back, so that comparing with a file is exact."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError("config", error, "plain JSON is expected") from None
    return plain


def _same(folder: Path, config: dict[str, Any], declared: list[str]) -> None:
    """Refuse a folder that holds another run."""
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
