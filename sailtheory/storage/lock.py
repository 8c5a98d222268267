"""One process a run, or a file: a lock that the system takes back when its holder dies.

The lock belongs to the process, not to an object: a process may open its own run again,
after an interruption for example. That of a run is ``RUN/lock``, which stays, holding the
number of the last process; that of an output is ``FILE.lock``, which goes when the file is
done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sailtheory.errors import InputError
from sailtheory.storage.files import resolved, stands

__all__ = ["LOCK", "acquire", "output", "release"]

LOCK = "lock"

_held: dict[Path, FileLock] = {}


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
    if path in _held:
        return
    if not path.parent.is_dir():  # FileLock would make it
        raise InputError(field, shown, "No such file or directory")
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(field, shown, f"another process {does} (number {_holder(path)})") from None
    except OSError as error:
        raise InputError(field, shown, error.strerror or "it cannot be written") from None
    _held[path] = lock
    with suppress(OSError):
        path.write_text(f"{os.getpid()}\n", encoding="ascii")


def _holder(path: Path) -> str:
    """The number of the process that holds a lock, as far as it can be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip() or "unknown"
    except OSError:
        return "unknown"


def _release(path: Path) -> None:
    lock = _held.pop(path, None)
    if lock is not None:
        lock.release()


if hasattr(os, "register_at_fork"):  # a forked child holds nothing
    os.register_at_fork(after_in_child=_held.clear)
