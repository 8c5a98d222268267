"""The one error that bad input raises."""

from __future__ import annotations

from typing import Any


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
        super().__init__(f"{_line(field)} = {_line(shown)}: {_line(accepted, 400)}")
        self.field = field
        self.value = value


def _line(text: str, length: int = 80) -> str:
    """Text on one line, without control characters, cut to a length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= length else line[: length - 3] + "..."
