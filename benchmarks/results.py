"""Writing what the benchmarks measured."""

from __future__ import annotations

import json
from typing import Any

from sailtheory.storage.files import write_text


def save(results: dict[str, Any], path: str | None) -> None:
    """Write JSON; nothing where no path was given."""
    if path:
        write_text(json.dumps(results, indent=2) + "\n", path, "out")
