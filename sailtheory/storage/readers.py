"""JSON, TOML and NPZ as data: nothing is evaluated or unpickled, and no name may stand twice.

Where a name stands twice, readers of these formats take the last value without a word, so
that two programs can read two different things from one file.
"""

from __future__ import annotations

import io
import json
import tomllib
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError

__all__ = [
    "DuplicateError",
    "members_once",
    "once",
    "parse_json",
    "parse_npz",
    "read_bytes",
    "read_json",
    "read_npz",
    "read_toml",
]


class DuplicateError(ValueError):
    """A name that stands twice."""


def once(names: Iterable[str]) -> None:
    """Refuse a name that stands twice.

    Raises:
        DuplicateError: One does.
    """
    for name, count in Counter(names).items():
        if count > 1:
            raise DuplicateError(f"{name!r} stands {count} times, once is expected")


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """JSON without names that stand twice, and (``finite``) without NaN and infinities.

    Raises:
        ValueError: Anything else, or text that is not UTF-8.
        RecursionError: Nested too deeply.
    """
    constant = _constant if finite else None
    return json.loads(text, object_pairs_hook=_table, parse_constant=constant)


def read_json(path: str | Path, field: str, *, finite: bool = True) -> Any:
    """The content of a JSON file, as :func:`parse_json` has it.

    Raises:
        InputError: The file cannot be read or is no such JSON.
    """
    content = read_bytes(path, field)
    try:
        return parse_json(content, finite=finite)
    except DuplicateError as error:
        raise InputError(field, path, str(error)) from None
    except (ValueError, RecursionError) as error:
        raise InputError(field, path, f"not valid JSON: {error}") from None


def read_toml(path: str | Path, field: str = "config") -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        InputError: The file cannot be read or is not TOML.
    """
    content = read_bytes(path, field)
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(field, path, f"not valid TOML: {error}") from None


def read_npz(path: str | Path, field: str) -> dict[str, np.ndarray]:
    """The arrays of an NPZ file without pickled objects.

    Raises:
        InputError: It cannot be read as one, or holds an array twice.
    """
    return parse_npz(read_bytes(path, field), field, path)


def parse_npz(content: bytes, field: str, path: str | Path) -> dict[str, np.ndarray]:
    """The same from the file's content; the path is for messages."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            once(archive.files)
            return {name: np.asarray(archive[name]) for name in archive.files}
    except DuplicateError as error:
        raise InputError(field, path, str(error)) from None
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds on damaged files
        raise InputError(field, path, f"not a readable NPZ of plain arrays: {error}") from None


def members_once(archive: zipfile.ZipFile) -> None:
    """Refuse a ZIP file with two members of one name.

    Raises:
        DuplicateError: It has.
    """
    once(archive.namelist())


def read_bytes(path: str | Path, field: str) -> bytes:
    """The content of a file.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(field, path, reason) from None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        once(name for name, _ in pairs)
    return table


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
