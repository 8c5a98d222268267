"""The one error that bad input raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["InputError", "one_line", "real_number", "require", "whole_number"]


class InputError(ValueError):
    """Input that cannot be used: one line with field, value, and what is accepted.

    Args:
        field: Name of the offending field, for example ``prompts[2].weight``.
        value: The value found; long values are cut.
        accepted: What would have been accepted.
    """

    def __init__(self, field: str, value: Any, accepted: str) -> None:
        """Compose the message ``field = value: accepted``."""
        try:
            shown = str(value)
        except (ValueError, RecursionError):  # an integer of thousands of digits, deep nesting
            shown = f"a {type(value).__name__} too long to show"
        found = _line(shown) or "''"
        super().__init__(f"{_line(field)} = {found}: {_line(accepted, 400)}")
        self.field = field
        self.value = value
        self.accepted = accepted

    def __reduce__(self) -> tuple[type[InputError], tuple[str, Any, str]]:
        """Travel between processes whole."""
        return type(self), (self.field, self.value, self.accepted)


def one_line(error: BaseException) -> str:
    """An exception as its type and message, on one line."""
    message = _line(str(error), 400)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _line(text: str, length: int = 80) -> str:
    """Text on one line, without control characters, cut in its middle to a length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    end = length // 2  # of a path, the file's name and the place in it
    return line if len(line) <= length else line[: length - end - 3] + "..." + line[-end:]


_DOMAINS: dict[str, Callable[[Any], Any]] = {
    "a finite number": lambda v: True,
    "a finite number >= 0": lambda v: v >= 0,
    "a finite number > 0": lambda v: v > 0,
    "a finite number <= 0": lambda v: v <= 0,
}


def require(sign: str, **values: Any) -> None:
    """Refuse floats and float arrays that are not finite or not of this sign."""
    accepted = f"a finite number {sign} 0" if sign else "a finite number"
    for name, value in values.items():
        plain = isinstance(value, (int, float, np.number))
        if plain or (isinstance(value, np.ndarray) and value.dtype != object):
            if not np.all(np.isfinite(value) & _DOMAINS[accepted](value)):
                raise InputError(name, value, accepted)


def real_number(name: str, value: Any) -> float:
    """One real number as a float64, as the enclosures need it."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise InputError(name, value, "one real number")
    return float(value)


def whole_number(name: str, value: Any, minimum: int = 0) -> int:
    """One integer that is not too small; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        shown = repr(value) if isinstance(value, str) else value
        raise InputError(name, shown, f"an integer ≥ {minimum} is expected")
    return int(value)
