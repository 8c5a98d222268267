"""Writing files so that an interruption leaves the old one or the new one, never half."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from sailtheory.errors import InputError


def write_text(text: str, path: str | Path, field: str = "file") -> None:
    """Write a text file atomically.

    Raises:
        InputError: The file cannot be written.
    """
    write_bytes(text.encode("utf-8"), path, field)


def write_bytes(content: bytes, path: str | Path, field: str = "file") -> None:
    """Write a file atomically, so that it survives a power cut too.

    Raises:
        InputError: The file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(path.name + ".tmp")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise InputError(field, path, error.strerror or "it cannot be written") from None


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows does not open folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def require_folder(path: str | Path, field: str = "out") -> None:
    """Refuse a path where no folder can be made or written in, before work is spent on it.

    Raises:
        InputError: It, or what it lies in, is a file; or nothing can be made there.
    """
    try:
        place = Path(path).absolute()
        while not place.exists():
            place = place.parent
        os.rmdir(tempfile.mkdtemp(dir=place))
    except OSError as error:
        raise InputError(field, path, error.strerror or "it cannot be made") from None
