"""The folder for what can be made again: fetched models, compiled theorems."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["cache_folder"]


def cache_folder(name: str) -> Path:
    """A folder of this name under $SAILTHEORY_CACHE, or in the user's cache folder; not made."""
    own = os.environ.get("SAILTHEORY_CACHE")
    return (Path(own) if own else user_cache_path("sailtheory")) / name
