"""JSON output: finite numbers only, written atomically."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from sailtheory.storage.files import write_text

__all__ = ["write"]


def write(data: dict[str, Any], target: str, *, compact: bool = False) -> None:
    """Write JSON to a file, or to standard output when ``target`` is ``-``.

    Args:
        data: What is written.
        target: A file, or ``-``.
        compact: All on one line, for arrays of 100,000 numbers.

    Raises:
        InputError: The file cannot be written.
    """
    # A terminal that lacks a character gets JSON's own name for it.
    plain = target == "-" and not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    indent = None if compact else 2
    text = json.dumps(_finite(data), indent=indent, ensure_ascii=plain, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    write_text(text, target, "json")


def _finite(value: Any) -> Any:
    """The same data with null for numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if set(map(type, value)) == {float} and all(map(math.isfinite, value)):
            return value  # one look at each of 100,000 numbers
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
