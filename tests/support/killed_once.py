"""A task whose process is killed the first time."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def square(number: int, fatal: int, mark: str) -> int:
    """The square; one number kills its process, once for each mark."""
    if number == fatal and not Path(mark).exists():
        if Path(mark).parent.exists():
            Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number
