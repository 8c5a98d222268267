"""Features that the user brings: a column of embeddings, or an NPY with a row a response.

They are never broadcast, unpickled, or stripped of an imaginary part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.preference_data.collect import Collected, Vectors
from sailtheory.storage.readers import parse_json

__all__ = ["from_column", "from_npy", "is_file", "vectors_of"]

_ROWS = 4096


def is_file(features: str) -> bool:
    """Whether ``--features`` names a file, not a column."""
    return features.endswith((".npy", ".npz", ".pt", ".bin", ".safetensors")) or "/" in features


def vectors_of(features: str) -> Vectors:
    """Reads vectors out of rows.

    Args:
        features: A column with a vector a response; several columns, separated by commas, with
            one vector each; or a field of the objects that hold the responses.
    """
    names = [name.strip() for name in features.split(",")]
    lengths: list[int] = []  # of the first vector

    def read(row: Mapping[str, Any], count: int) -> list[Any]:
        if len(names) > 1:
            found = [_parsed(_column(row, name), name) for name in names]
        elif names[0] in row:
            found = _parsed(row[names[0]], names[0])
            found = [found] if count == 1 and _is_vector(found) else found
        else:
            found = _nested(row, names[0], count)
        if not isinstance(found, (list, tuple)) or len(found) != count:
            told = f"{len(found)} vectors" if isinstance(found, (list, tuple)) else found
            raise InputError(features, told, f"{count} vectors are expected, one a response")
        vectors = [_vector(entry, features) for entry in found]
        lengths.extend([len(vectors[0])] if vectors and not lengths else [])
        for vector in vectors:
            if len(vector) != lengths[0]:
                accepted = f"{lengths[0]} numbers are expected, as in the first row"
                raise InputError(features, f"a vector of {len(vector)}", accepted)
        return vectors

    return read


def from_column(data: Collected) -> np.ndarray:
    """The vectors of the collected responses, (N, d): float32 where that loses nothing."""
    wide = np.stack([vector for prompt in data.prompts for vector in prompt.vectors])
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    return narrow if np.array_equal(narrow, wide) else wide


def from_npy(path: str | Path, data: Collected) -> Iterator[np.ndarray]:
    """The rows of an NPY that belong to the collected responses, block by block.

    Args:
        path: (R, d) real numbers, a row for each of the R responses of the data, in their order
            there, also for those that are left out.
        data: What was read.

    Raises:
        InputError: Another number of rows, which names both; no plain array of real numbers.
    """
    if Path(path).suffix != ".npy":
        raise InputError("features", path, "a column, or a file that ends in .npy, is expected")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError("features", path, error.strerror or str(error)) from None
    except Exception as error:  # NumPy raises many kinds on damaged files and on objects
        raise InputError("features", path, f"not an NPY of plain numbers: {error}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim != 2:
        found = f"shape {getattr(array, 'shape', '')} of {getattr(array, 'dtype', 'no array')}"
        raise InputError("features", found, "(responses, d) real numbers are expected")
    if data.responses is None:
        accepted = "a column of embeddings: wrong rows were skipped, so rows cannot be counted"
        raise InputError("features", path, accepted)
    if len(array) != data.responses:
        accepted = f"{data.responses} are expected: the data have {data.responses} responses"
        raise InputError("features", f"{len(array)} rows in {path}", accepted)
    places = np.array([place for prompt in data.prompts for place in prompt.places])
    return (np.asarray(array[places[i : i + _ROWS]]) for i in range(0, len(places), _ROWS))


def _column(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        accepted = f"this column; the row has {', '.join(sorted(map(str, row)))}"
        raise InputError(name, "missing", accepted)
    return row[name]


def _nested(row: Mapping[str, Any], name: str, count: int) -> list[Any]:
    """A field of the objects in which the responses stand."""
    for value in row.values():
        objects = isinstance(value, list) and all(isinstance(v, Mapping) for v in value)
        if objects and len(value) == count and all(name in entry for entry in value):
            return [entry[name] for entry in value]
    return list(_column(row, name))


def _parsed(value: Any, name: str) -> Any:
    """A list, also where a cell of CSV has it as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return parse_json(value, finite=False)
    except (ValueError, RecursionError):
        raise InputError(name, repr(value), "a vector, or one as JSON text, is expected") from None


def _is_vector(found: Any) -> bool:
    return isinstance(found, Sequence) and bool(found) and not isinstance(found[0], Sequence)


def _vector(entry: Any, name: str) -> np.ndarray:
    if not isinstance(entry, (list, tuple, np.ndarray)) or not len(entry):
        raise InputError(name, entry, "a vector of numbers is expected for each response")
    for value in entry:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
            raise InputError(name, repr(value), "finite real numbers are expected in a vector")
    try:
        vector = np.array(entry, dtype=np.float64)
    except OverflowError:
        vector = np.array([np.inf])
    if not np.isfinite(vector).all():
        raise InputError(name, "NaN or infinity", "finite real numbers are expected in a vector")
    return vector
