"""Completions that a run keeps: what the policy said along training, and what it got for it.

They stand beside the run record, in ``record/completions.jsonl``, a line a completion, on the disk
as soon as they are drawn. Going on from a checkpoint cuts what came after it, as in the record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sailtheory.errors import InputError
from sailtheory.runs.append import AppendOnlyFile
from sailtheory.runs.layout import RECORD
from sailtheory.storage.readers import parse_json, read_bytes

__all__ = ["COMPLETIONS", "CompletionTable", "Kept", "read_completions"]

COMPLETIONS = "completions.jsonl"


@dataclass(frozen=True)
class Kept:
    """One completion.

    Attributes:
        step: Updates made before it was drawn.
        prompt: As given: text, or messages.
        completion: Its text.
        rewards: By the names of the reward functions; none where nothing judged it.
    """

    step: int
    prompt: Any
    completion: str
    rewards: dict[str, float]


class CompletionTable:
    """The file of a run that trains; without :meth:`begin` nothing is kept.

    Only the main process keeps its own share.
    """

    def __init__(self) -> None:
        self._file: AppendOnlyFile | None = None

    def begin(self, folder: Path, state: Sequence[int] | None) -> None:
        """In a record's folder: anew, or from the state that a checkpoint has.

        Raises:
            InputError: A file that does not begin with what the checkpoint knows.
        """
        end, crc = (int(n) for n in state or (0, 0))
        self._file = AppendOnlyFile(folder / COMPLETIONS, "completions")
        self._file.check(end, crc)
        self._file.cut(end, crc)

    def add(
        self, step: int, prompts: Sequence[Any], texts: Sequence[str],
        rewards: Mapping[str, Sequence[float]],
    ) -> None:  # fmt: skip
        """Completions of one batch, with each function's reward."""
        if self._file is None:
            return
        rows = (
            Kept(step, prompt, text, {name: values[k] for name, values in rewards.items()})
            for k, (prompt, text) in enumerate(zip(prompts, texts, strict=True))
        )
        lines = "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
        self._file.append(lines.encode("utf-8", "backslashreplace"))

    def state(self) -> list[int]:
        """For a checkpoint."""
        return [0, 0] if self._file is None else [self._file.end or 0, self._file.crc]


def read_completions(folder: str | Path) -> list[Kept]:
    """What a run kept, in the order it was drawn.

    Args:
        folder: Of a run or of its record.

    Raises:
        InputError: None was kept, or a file that is damaged.
    """
    place = Path(folder)
    path = next((p for p in (place / RECORD, place) if (p / COMPLETIONS).exists()), place)
    path = path / COMPLETIONS
    if not path.exists():
        raise InputError("run", folder, f"one with {COMPLETIONS}: see log_completions_steps")
    found = []
    for number, line in enumerate(read_bytes(path, "completions").splitlines(), 1):
        try:
            row = parse_json(line)
        except ValueError as error:
            raise InputError(f"completions, line {number}", path, str(error)) from None
        if not _is_one(row):
            raise InputError(f"completions, line {number}", path, "a completion that was kept")
        found.append(Kept(**row))
    return found


def _is_one(row: Any) -> bool:
    """Whether a line holds what :class:`Kept` does."""
    if not isinstance(row, dict) or row.keys() != {field.name for field in fields(Kept)}:
        return False
    numbers = isinstance(row["rewards"], dict) and all(
        isinstance(value, int | float) for value in row["rewards"].values()
    )
    known = type(row["step"]) is int and isinstance(row["prompt"], str | list)
    return known and numbers and isinstance(row["completion"], str)
