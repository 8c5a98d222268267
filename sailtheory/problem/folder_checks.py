"""What the files of a problem folder must hold; each check raises one line with the place."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.problem.fields import LARGEST

__all__ = ["expect_digest", "expect_finite", "expect_scalars", "expect_values"]


def expect_scalars(beta: float, radius: float) -> None:
    """Refuse β and B outside what a problem may have."""
    if not 1 / LARGEST <= beta <= LARGEST:
        raise InputError("beta", beta, f"a number from {1 / LARGEST:g} to {LARGEST:g} is expected")
    if not 0 <= radius <= LARGEST:
        raise InputError("radius", radius, f"a number from 0 to {LARGEST:g} is expected")


def expect_values(array: np.ndarray, name: str) -> None:
    """Refuse what no array of this name may hold."""
    expect_finite(array, name)
    if name in ("weights", "base") and (array <= 0).any():
        x = int(np.flatnonzero(array <= 0)[0])
        raise InputError(f"{name}[{x}]", array[x], "a positive number is required")
    if name == "counts" and (array < 0).any():
        x = int(np.flatnonzero(array < 0)[0])
        raise InputError(f"counts[{x}]", array[x], "a number of wins ≥ 0 is expected")
    if name == "preferences" and ((array < 0) | (array > 1)).any():
        x = int(np.flatnonzero((array < 0) | (array > 1))[0])
        raise InputError(f"preferences[{x}]", array[x], "a probability in [0, 1] is expected")


def expect_finite(array: np.ndarray, name: str, first: int = 0) -> None:
    """Refuse NaN, infinities and magnitudes above 1e50, by place."""
    limit = min(LARGEST, float(np.finfo(array.dtype).max)) if array.dtype.kind == "f" else LARGEST
    if bool((np.abs(array) <= limit).all()):
        return
    place = np.argwhere(~(np.abs(array) <= limit))[0]
    shown = "".join(f"[{i}]" for i in (place[0] + first, *place[1:]))
    accepted = f"a finite number of magnitude at most {LARGEST:g} is expected"
    raise InputError(f"{name}{shown}", array[tuple(place)], accepted)


def expect_digest(path: Path, name: str, header: dict[str, Any]) -> None:
    """Refuse a file that is not the one written."""
    digest = hashlib.sha256()
    with open(path / name, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != header["files"][name].get("sha256"):
        raise InputError(name, path / name, "it is not the file that was written: digests differ")
