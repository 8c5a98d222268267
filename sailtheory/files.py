"""Writing files so that an interruption leaves the old one or the new one, never half."""

from __future__ import annotations

import os
from pathlib import Path

from sailtheory.errors import InputError


def write_text(text: str, path: str | Path, field: str = "file") -> None:
    """Write a text file atomically.

    Raises:
        InputError: The file cannot be written.
    """
    write_bytes(text.encode("utf-8"), path, field)


def write_bytes(content: bytes, path: str | Path, field: str = "file") -> None:
    """Write a file atomically.

    Raises:
        InputError: The file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".tmp")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        raise InputError(field, path, error.strerror or "it cannot be written") from None


def require_writable(path: str | Path, field: str = "file") -> None:
    """Refuse a path that :func:`write_text` could not write, before work is spent on it.

    Raises:
        InputError: It is a directory, or no file can be made beside it.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(field, path, "a file is expected, not a directory")
    partial = path.with_name(path.name + ".tmp")
    try:
        partial.touch()
        partial.unlink()
    except OSError as error:
        raise InputError(field, path, error.strerror or "it cannot be written") from None
