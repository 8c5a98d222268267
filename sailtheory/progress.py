"""What a long computation is doing, on standard error, where no terminal shows it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["FIRST", "lines"]

FIRST = 3.0
"""Seconds after which a computation is no longer silent."""


@contextmanager
def lines(what: str = "") -> Iterator[Callable[[str], None]]:
    """Say a stage and the seconds so far, after three and then each time they have doubled.

    Args:
        what: The stage until another is named.

    Yields:
        What takes the name of each stage as it begins.
    """
    stage, done, began = [what], threading.Event(), time.monotonic()

    def speak() -> None:
        wait = FIRST
        while not done.wait(wait):
            wait = time.monotonic() - began
            with suppress(Exception):  # whoever read standard error may have gone
                print(f"{stage[0] or 'at work'} ({wait:.0f} s)", file=sys.stderr, flush=True)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    try:
        yield lambda name: stage.__setitem__(0, name)
    finally:
        done.set()
        speaker.join()
