"""Memory: what is free, and work refused before it begins rather than killed in the middle."""

from __future__ import annotations

import os
from pathlib import Path

from sailtheory.errors import InputError

__all__ = ["expect_memory", "free_memory"]

_MEMINFO = Path("/proc/meminfo")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current"))
_GIB = 2**30
_LITTLE = 2**26  # bytes that are not worth asking for


def free_memory() -> int | None:
    """Bytes that this process may still take; None where the system does not tell."""
    found = [_of_machine(), _of_container()]
    known = [each for each in found if each is not None]
    return min(known, default=None)


def expect_memory(needed: float, field: str, work: str) -> None:
    """Refuse work that would not fit.

    Args:
        needed: Bytes, estimated.
        field: Name for the error message.
        work: What needs them.

    Raises:
        InputError: More is needed than is free.
    """
    free = free_memory() if needed > _LITTLE else None
    if free is not None and needed > free:
        accepted = f"about {needed / _GIB:.1f} GiB are needed, {free / _GIB:.1f} GiB are free"
        raise InputError(field, work, accepted)


def _of_machine() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        return 1024 * next(int(x.split()[1]) for x in lines if x.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_container() -> int | None:
    try:
        limit, used = (path.read_text(encoding="ascii").strip() for path in _LIMITS)
        return None if limit == "max" else max(int(limit) - int(used), 0)
    except (OSError, ValueError):
        return None
