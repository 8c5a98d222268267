"""Problem folders, written: block by block, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.problem.folder import (
    HEADER,
    IDS,
    SCHEMA,
    ProblemFolder,
    is_folder,
)
from sailtheory.problem.folder_checks import expect_finite, expect_scalars, expect_values
from sailtheory.storage.files import move_folder, require_folder, write_text

__all__ = ["require_replaceable", "with_report", "write_folder"]

_BLOCK = 1 << 24


def write_folder(
    path: str | Path,
    *,
    features: np.ndarray | Iterable[np.ndarray],
    offsets: Any,
    beta: float,
    radius: float,
    rewards: Any = None,
    preferences: Any = None,
    counts: Any = None,
    weights: Any = None,
    base: Any = None,
    center: Any = None,
    ref_params: Any = None,
    response_rewards: Any = None,
    ids: Sequence[str] | None = None,
    temperature: dict[str, Any] | None = None,
    report: dict[str, Any] | None = None,
) -> ProblemFolder:
    """Write a problem folder (layout: :mod:`sailtheory.problem.folder`), in place of an old one.

    Args:
        path: Where; nothing, an empty folder, or a problem folder, which is replaced.
        features: (N, d), or its rows block after block: float32 stays float32, other real
            numbers become float64.
        offsets: (n + 1,).
        beta: β > 0.
        radius: B ≥ 0.
        rewards: (N,), divided by the temperature; or
        preferences: (Σ m_x²,) numbers, or a matrix for each prompt.
        counts: As ``preferences``: what they were estimated from.
        weights: (n,) > 0.
        base: (N,) > 0.
        center: (d,).
        ref_params: (d,).
        response_rewards: (N,); with them rewards and preferences may be missing.
        ids: n texts.
        temperature: What the rewards were divided by, and where it comes from.
        report: What an import says of the data, as JSON.

    Raises:
        InputError: Another thing lies there; bad values; row counts that differ.
    """
    path = Path(path)
    require_replaceable(path)
    expect_scalars(beta, radius)
    small = {"rewards": rewards, "preferences": _flat(preferences), "counts": _flat(counts),
             "weights": weights, "base": base, "center": center,
             "ref_params": ref_params, "response_rewards": response_rewards}  # fmt: skip
    starts = np.asarray(offsets)
    if starts.dtype.kind not in "iu" or starts.ndim != 1:
        raise InputError("offsets", starts, "increasing integers from 0 are expected")
    work = path.absolute().with_name(f".{path.absolute().name}.{secrets.token_hex(8)}.tmp")
    try:
        work.mkdir(parents=True)
        files = {"offsets.npy": _write(work / "offsets.npy", [starts.astype(np.int64)])}
        files["features.npy"], shape, dtype = _write_features(work, features)
        for name, values in small.items():
            if values is not None:
                files[f"{name}.npy"] = _write(work / f"{name}.npy", [_real(values, name)])
        if ids is not None:
            text = "".join(json.dumps(str(entry)) + "\n" for entry in ids)
            files[IDS] = _write_bytes(work / IDS, text.encode())
        sizes, held = np.unique(np.diff(starts), return_counts=True)
        header = {
            "schema": SCHEMA, "beta": float(beta), "radius": float(radius),
            "prompts": len(starts) - 1, "rows": shape[0], "dimension": shape[1], "dtype": dtype,
            "responses": {str(m): int(k) for m, k in zip(sizes, held, strict=True)},
            "preferences": _kind(rewards, preferences),
            "temperature": temperature, "files": files, "report": report,
        }  # fmt: skip
        _write_bytes(work / HEADER, json.dumps(header, indent=1, allow_nan=False).encode())
        ProblemFolder.open(work)
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        move_folder(work, path.absolute())
    except OSError as error:
        raise InputError("out", path, error.strerror or "it cannot be written") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return ProblemFolder.open(path)


def _kind(rewards: Any, preferences: Any) -> str | None:
    if rewards is not None:
        return "rewards"
    return None if preferences is None else "matrices"


def with_report(folder: ProblemFolder, report: dict[str, Any]) -> ProblemFolder:
    """The folder with a report in its header.

    Raises:
        InputError: The header cannot be written.
    """
    header = folder.header | {"report": report}
    write_text(json.dumps(header, indent=1, allow_nan=False), folder.path / HEADER, HEADER)
    return ProblemFolder(folder.path, header, folder.arrays)


def require_replaceable(path: str | Path, field: str = "out") -> None:
    """Refuse a place that holds anything but a problem folder, or where none can be made.

    Raises:
        InputError: A file, a folder with other things, or a place that cannot be written.
    """
    path = Path(path)
    if path.is_dir() and any(path.iterdir()) and not is_folder(path):
        raise InputError(field, path, "a new or empty folder, or a problem folder, is expected")
    if path.exists() and not path.is_dir():
        raise InputError(field, path, "a folder is expected, not a file")
    require_folder(path.absolute().parent, field)


def _write_features(
    work: Path, features: np.ndarray | Iterable[np.ndarray]
) -> tuple[dict[str, Any], tuple[int, int], str]:
    """Rows as they come; the shape stands in the file's head, so the head is written last."""
    blocks = _cut(features) if isinstance(features, np.ndarray) else features
    dtype: np.dtype[Any] = np.dtype(np.float64)
    rows, d, head = 0, 0, b""
    file = work / "features.npy"
    with open(file, "wb") as raw:
        for block in blocks:
            array = np.asarray(block)
            if array.ndim != 2 or array.dtype.kind not in "fiu":
                found = f"shape {array.shape} of {array.dtype}"
                raise InputError("features", found, "rows of real numbers, (N, d), are expected")
            if not rows:
                d = array.shape[1]
                dtype = np.dtype(np.float32 if array.dtype == np.float32 else np.float64)
                head = _head((0, d), dtype)
                raw.write(head)
            if array.shape[1] != d:
                raise InputError("features", f"{array.shape[1]} columns", f"{d} are expected")
            expect_finite(array, "features", rows)
            raw.write(np.ascontiguousarray(array, dtype).tobytes())
            rows += len(array)
        if not rows or not d:
            raise InputError("features", f"shape ({rows}, {d})", "one row and column at least")
        whole = _head((rows, d), dtype)
        if len(whole) != len(head):  # NumPy leaves room for a growing first axis
            raise InputError("features", f"{rows} rows", "fewer are expected")
        raw.seek(0)
        raw.write(whole)
    return _entry(file), (rows, d), dtype.name


def _cut(array: np.ndarray) -> Iterable[np.ndarray]:
    if array.ndim != 2:
        raise InputError("features", f"shape {array.shape}", "(N, d) is expected")
    step = max(1, _BLOCK // max(1, array.itemsize * array.shape[1]))
    return (array[first : first + step] for first in range(0, len(array), step))


def _head(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    buffer = io.BytesIO()
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def _real(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiu" or array.ndim != 1:
        found = f"shape {array.shape} of {array.dtype}"
        raise InputError(name, found, "one axis of real numbers is expected")
    array = array.astype(np.float64)
    expect_values(array, name)
    return array


def _flat(matrices: Any) -> np.ndarray | None:
    if matrices is None or (isinstance(matrices, np.ndarray) and matrices.ndim == 1):
        return matrices
    return np.concatenate([np.asarray(matrix, dtype=np.float64).ravel() for matrix in matrices])


def _write(file: Path, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
    with open(file, "wb") as raw:
        for array in arrays:
            np.lib.format.write_array(raw, array, allow_pickle=False)
    return _entry(file)


def _write_bytes(file: Path, content: bytes) -> dict[str, Any]:
    file.write_bytes(content)
    return _entry(file)


def _entry(file: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with open(file, "rb") as raw:
        _feed(raw, digest)
    return {"bytes": file.stat().st_size, "sha256": digest.hexdigest()}


def _feed(raw: IO[bytes], digest: Any) -> None:
    while block := raw.read(1 << 20):
        digest.update(block)
