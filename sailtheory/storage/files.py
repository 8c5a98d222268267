"""Writing files so that an interruption leaves the old one or the new one, never half."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sailtheory.errors import InputError

__all__ = [
    "move_folder",
    "replacing",
    "require_folder",
    "require_writable",
    "resolved",
    "stands",
    "sync_folder",
    "write_bytes",
    "write_text",
]


def write_text(text: str, path: str | Path, field: str = "file") -> None:
    """Write a text file atomically.

    Raises:
        InputError: The file cannot be written.
    """
    write_bytes(text.encode("utf-8"), path, field)


def write_bytes(content: bytes, path: str | Path, field: str = "file") -> None:
    """Write a file atomically, so that it survives a power cut too.

    A link stays a link, and what is no file (a device, a pipe) is written to as it stands.

    Raises:
        InputError: The file cannot be written.
    """
    target = resolved(path, field)
    try:
        if stands(path):
            with open(path, "ab") as file:
                file.write(content)
        else:
            with replacing(target) as file:
                file.write(content)
    except OSError as error:
        raise InputError(field, path, error.strerror or "it cannot be written") from None


def stands(path: str | Path) -> bool:
    """Whether a path is to be written to as it stands: a device, a pipe, an open file's name."""
    given = Path(path).absolute()
    return given.is_relative_to("/dev") or (given.exists() and not given.is_file())


def resolved(path: str | Path, field: str) -> Path:
    """Where a path leads.

    Raises:
        InputError: To a directory, or nowhere.
    """
    try:
        target = Path(path).resolve()
        folder = target.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(field, path, getattr(error, "strerror", None) or str(error)) from None
    if folder:
        raise InputError(field, path, "a file is expected, not a directory")
    return target


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A new file beside another, which takes its place when the block ends well.

    Raises:
        OSError: It cannot be written; the old file stays.
    """
    partial, descriptor = _beside(target)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(partial, target.stat().st_mode & 0o777)
        os.replace(partial, target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    sync_folder(target.parent)


def _beside(target: Path) -> tuple[Path, int]:
    """A new file in the folder of another: its path and descriptor."""
    partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    return partial, os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)


def move_folder(made: Path, target: Path) -> None:
    """Give a folder that is whole its name, in place of the folder that had it.

    Whenever this is interrupted the name stands for all of the one or of the other, or for
    nothing; what had it may then lie beside it as ``.NAME.old``.

    Raises:
        OSError: It cannot be moved there.
    """
    for path in made.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    sync_folder(made)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(made, target)
    sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


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
    target = resolved(path, field)
    try:
        if stands(path):
            return
        partial, descriptor = _beside(target)
        os.close(descriptor)
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
