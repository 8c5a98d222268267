"""The file that carries unfinished covers over an interruption.

It holds one entry for each statement that a run has worked on, so that a coarse pass does
not push out a fine one. Pieces are open again where another version settled them or the file was
damaged. Deleting the file loses time, nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.certificates.cover import LEAF, OPEN, leaves, root
from sailtheory.errors import InputError, one_line
from sailtheory.storage.files import write_text
from sailtheory.storage.readers import read_json

__all__ = ["Cover", "recall", "remember"]

_SCHEMA = "sailtheory.cover/1"
_REFUSED = f"a file of schema {_SCHEMA} is expected, or none (delete it to begin anew)"


@dataclass(frozen=True)
class Cover:
    """How far a cover came.

    Attributes:
        word: The tree, complete unless it contains ``?``.
        against: A point x of C where the statement is false in float64, or None.
        stuck: Whether a box could not be halved any further.
    """

    word: str
    against: np.ndarray | None = None
    stuck: bool = False

    @property
    def complete(self) -> bool:
        """Whether every leaf is settled."""
        return OPEN not in self.word


def recall(path: Path | None, key: str, dimension: int) -> Cover | None:
    """What the file knows about a statement; None when that is nothing.

    Args:
        path: The file; None for none.
        key: Digest of the statement.
        dimension: r of the boxes and points.

    Raises:
        InputError: The file cannot be read, or is no such file: it is not written over.
    """
    if path is None:
        return None
    entry = _read(path).get(key)
    if entry is None:
        return None
    try:
        word, against, stuck = entry["word"], entry["against"], entry["stuck"]
        if entry["digest"] != _digest(key, word):
            word = word.replace(LEAF, OPEN)
        for _ in leaves(word, root(dimension)):  # raises where it is no tree
            pass
        point = None if against is None else np.array(against, dtype=float)
        if point is not None and not (point.shape == (dimension,) and np.isfinite(point).all()):
            raise ValueError(f"{dimension} numbers are expected")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("state", path, f"{_REFUSED}: {one_line(error)}") from None
    return Cover(word, point, bool(stuck))


def remember(path: Path | None, key: str, cover: Cover) -> None:
    """Add a cover to the file, or renew it.

    Raises:
        InputError: The file cannot be written.
    """
    if path is None:
        return
    entries = _read(path) | {
        key: {
            "word": cover.word,
            "against": None if cover.against is None else cover.against.tolist(),
            "stuck": cover.stuck,
            "digest": _digest(key, cover.word),
        }
    }
    write_text(json.dumps({"schema": _SCHEMA, "covers": entries}) + "\n", path, "state")


def _read(path: Path) -> dict[str, Any]:
    """The entries of the file; none where there is no file yet."""
    if not path.exists():
        return {}
    data = read_json(path, "state")
    if not isinstance(data, dict) or data.get("schema") != _SCHEMA:
        raise InputError("state", path, _REFUSED)
    if not isinstance(data.get("covers"), dict):
        raise InputError("state", path, f"{_REFUSED}: covers are missing")
    return dict(data["covers"])


def _digest(key: str, word: str) -> str:
    """Of a cover, its statement and the version: against accidents, not against intent."""
    from sailtheory import __version__

    return sha256(f"{__version__}\n{key}\n{word}".encode()).hexdigest()
