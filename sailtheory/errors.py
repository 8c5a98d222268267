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
        shown = " ".join(str(value).split())
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"{field} = {shown}: {' '.join(accepted.split())}")
        self.field = field
        self.value = value
