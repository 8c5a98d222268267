"""Checkpoints of transformers that a kill may have left half written.

Transformers writes a checkpoint file by file into its final folder, and goes on from the
newest folder whatever it holds. Here a checkpoint counts once its last file, the mark, is
there; the record of a run reaches the disk before it.
"""

from __future__ import annotations

import re
from pathlib import Path

from sailtheory.errors import InputError
from sailtheory.storage.files import write_text

__all__ = ["chosen", "last", "mark"]

MARK = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def mark(folder: Path) -> None:
    """Say that everything is in the folder.

    Raises:
        InputError: It cannot be written.
    """
    write_text("{}\n", folder / MARK, "checkpoint")


def last(output_dir: str | Path) -> Path | None:
    """The newest complete checkpoint; None where there is none."""
    found = {
        int(match[1]): path
        for path in Path(output_dir).glob("checkpoint-*")
        if (match := _NAME.fullmatch(path.name)) and (path / MARK).is_file()
    }
    return found[max(found)] if found else None


def chosen(folder: str | Path) -> Path:
    """A checkpoint that was named, if it is complete.

    Raises:
        InputError: It is not.
    """
    folder = Path(folder)
    if not (folder / MARK).is_file():
        raise InputError(
            "resume_from_checkpoint", folder,
            f"a checkpoint with {MARK}, its last file; True takes the newest such",
        )  # fmt: skip
    return folder
