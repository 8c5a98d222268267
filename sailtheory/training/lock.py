"""One process a run: a lock that the system takes back when its holder dies.

The lock belongs to the process, not to an object: a process may open its own run again,
after an interruption for example. It is an ``flock`` on ``RUN/lock``, so nothing has to be
cleaned up after SIGKILL. The file stays, holding the number of the last process.
"""

from __future__ import annotations

import os
from pathlib import Path

from sailtheory.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: runs are not locked there
    fcntl = None  # type: ignore[assignment]

LOCK = "lock"

_held: dict[Path, int] = {}


def acquire(folder: Path) -> None:
    """Lock a run's folder for this process, until :func:`release` or its end.

    Raises:
        InputError: Another process holds it, or the folder cannot be written.
    """
    key = folder.resolve()
    if key in _held or fcntl is None:
        return
    try:
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError("out", folder, error.strerror or "it cannot be written") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(file)
        raise InputError("out", folder, f"another process trains it (number {holder})") from None
    except OSError:  # a file system without locks: better unlocked than not at all
        os.close(file)
        return
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    _held[key] = file


def release(folder: Path) -> None:
    """Unlock a run's folder, where this process holds it."""
    file = _held.pop(folder.resolve(), None)
    if file is not None:
        os.close(file)


def _forget() -> None:
    """A forked child holds nothing: its parent's locks end with the parent."""
    for file in _held.values():
        os.close(file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
