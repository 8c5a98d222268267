"""Weights in safetensors files, a tensor at a time: a header in JSON, then plain numbers.

Nothing is unpickled. The format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.storage.readers import parse_json

__all__ = ["Safetensors"]

_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_LARGEST_HEADER = 100_000_000


class Safetensors:
    """The tensors of one file; numbers are read when they are asked for.

    Args:
        path: A .safetensors file.

    Attributes:
        names: Of floating-point tensors, sorted.

    Raises:
        InputError: It cannot be read as one.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with open(self.path, "rb") as file:
                size = int.from_bytes(file.read(8), "little")
                if not 2 <= size <= _LARGEST_HEADER:
                    raise ValueError("no header")
                header = parse_json(file.read(size))
                length = file.seek(0, 2) - 8 - size
            self._start = 8 + size
            self._entries = _checked(header, length)
        except OSError as error:
            reason = error.strerror or "it cannot be read"
            raise InputError("weights", path, reason) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError("weights", path, f"not readable safetensors: {error}") from None
        self.names = sorted(self._entries)

    def read(self, name: str) -> np.ndarray:
        """One tensor, in float32 or float64."""
        kind, shape, begin = self._entries[name]
        found = np.memmap(self.path, _KINDS[kind], "r", self._start + begin, tuple(shape) or (1,))
        if kind == "BF16":  # the upper half of a float32
            return (np.asarray(found, np.uint32) << 16).view(np.float32)
        return np.asarray(found, np.float64 if kind == "F64" else np.float32)


def _checked(header: Any, length: int) -> dict[str, tuple[str, list[int], int]]:
    found = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _KINDS:
            continue
        begin, end = entry["data_offsets"]
        size = int(np.dtype(_KINDS[entry["dtype"]]).itemsize)
        count = int(np.prod(entry["shape"], dtype=object))
        if not 0 <= begin <= end <= length or end - begin != count * size:
            raise ValueError(f"{name} has other than its numbers")
        if count:
            found[name] = (entry["dtype"], entry["shape"], begin)
    return found
