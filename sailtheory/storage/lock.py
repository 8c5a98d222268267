"""One process a run, or a file: a lock that the system takes back when its holder dies.

The lock belongs to the process, not to an object: a process may open its own run again,
after an interruption for example. It is an ``flock`` on a file of its own, so nothing has to
be cleaned up after SIGKILL. That of a run is ``RUN/lock``, which stays, holding the number
of the last process; that of an output is ``FILE.lock``, which goes when the file is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sailtheory.errors import InputError
from sailtheory.storage.files import resolved, stands

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"

_held: dict[Path, int] = {}


def acquire(folder: Path) -> None:
    """Lock a run's folder for this process, until :func:`release` or its end.

    Raises:
        InputError: Another process holds it, or the folder cannot be written.
    """
    _acquire(folder.resolve() / LOCK, "out", folder, "trains it")


def release(folder: Path) -> None:
    """Unlock a run's folder, where this process holds it."""
    _release(folder.resolve() / LOCK)


@contextmanager
def output(path: str | Path, field: str) -> Iterator[None]:
    """Only this process writes a file, and what lies beside it, until the end of the block.

    Raises:
        InputError: Another process does, or the folder cannot be written.
    """
    if stands(path):  # a device or a pipe
        yield
        return
    target = resolved(path, field)
    file = target.with_name(target.name + ".lock")
    _acquire(file, field, path, "writes it")
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink()  # while it is locked, so that nobody else's goes
        _release(file)


def _acquire(path: Path, field: str, shown: str | Path, does: str) -> None:
    if path in _held or fcntl is None:
        return
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(field, shown, error.strerror or "it cannot be written") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(file)
        raise InputError(field, shown, f"another process {does} (number {holder})") from None
    except OSError:  # a file system without locks: better unlocked than not at all
        os.close(file)
        return
    if not _same(file, path):  # its holder was just done with it
        os.close(file)
        return _acquire(path, field, shown, does)
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    _held[path] = file


def _same(file: int, path: Path) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def _release(path: Path) -> None:
    file = _held.pop(path, None)
    if file is not None:
        os.close(file)


def _forget() -> None:
    """A forked child holds nothing: its parent's locks end with the parent."""
    for file in _held.values():
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
