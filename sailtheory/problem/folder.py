"""A problem as a folder of memory-mapped NPY files: any number of prompts, never whole in memory.

The folder, for prompts x = 0..n-1 with m_x responses, o = cumsum(m) and N = o_n rows::

    problem.json      schema, beta, radius, sizes, and bytes and SHA-256 of every array
    features.npy      (N, d) float32 or float64: φ, prompt after prompt
    offsets.npy       (n + 1,) int64: prompt x has the rows o_x to o_{x+1}
    rewards.npy       (N,) float64, Bradley-Terry, already divided by the temperature; or
    preferences.npy   (Σ m_x²,) float64: the matrices p, row by row, one after another
    counts.npy        (Σ m_x²,) float64, optional: wins w_kl that p was estimated from; a tie is
                      half a win for each
    weights.npy       (n,) float64 > 0, optional: default equal
    base.npy          (N,) float64 > 0, optional: ν, default uniform
    response_rewards.npy
                      (N,) float64, optional: what training with rewards is given; where it stands,
                      rewards and preferences may both be missing
    center.npy, ref_params.npy
                      (d,) float64, optional: default zeros
    ids.txt           optional: a JSON string a line, the prompts' ids

:func:`sailtheory.problem.folder_write.write_folder` writes one. Nothing in it is evaluated or
unpickled.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sailtheory.errors import InputError
from sailtheory.problem.fields import no_preferences
from sailtheory.problem.folder_checks import (
    expect_digest,
    expect_finite,
    expect_scalars,
    expect_values,
)
from sailtheory.storage.readers import parse_json, read_bytes, read_json
from sailtheory.theory.pair_form import pairwise

__all__ = ["ARRAYS", "FLOATS", "HEADER", "IDS", "SCHEMA", "Chunk", "ProblemFolder", "is_folder"]

SCHEMA = "sailtheory.problem-folder/1"
HEADER, IDS = "problem.json", "ids.txt"
FLOATS = ("float32", "float64")
ARRAYS = (
    "features", "offsets", "rewards", "preferences", "counts",
    "weights", "base", "center", "ref_params", "response_rewards",
)  # fmt: skip
_REQUIRED = ("schema", "beta", "radius", "prompts", "rows", "dimension", "dtype", "files")
_BLOCK = 1 << 26
_TOLERANCE = 1e-9


class Chunk(NamedTuple):
    """Prompts that have equally many responses, stacked.

    Attributes:
        prompts: Their positions in the folder, (k,).
        features: φ, (k, m, d), float32 or float64 as stored; a view where rows are adjacent.
        preference: q = p₁₂ − ½, (k, m, m) float64, antisymmetric.
        log_base: log ν, (k, m) float64.
        weights: Prompt weights, normalised over the whole folder, (k,).
    """

    prompts: np.ndarray
    features: np.ndarray
    preference: np.ndarray
    log_base: np.ndarray
    weights: np.ndarray


def is_folder(path: str | Path) -> bool:
    """Whether a path is a folder with the header of a problem."""
    return (Path(path) / HEADER).is_file()


@dataclass(frozen=True, eq=False)
class ProblemFolder:
    """An opened folder; :meth:`open` is the way to get one.

    Attributes:
        path: The folder.
        header: ``problem.json``.
        arrays: The memory-mapped arrays by name; those that are absent have no entry.
    """

    path: Path
    header: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def open(cls, path: str | Path) -> ProblemFolder:
        """Map a folder's arrays, their sizes checked, and their values but for ``features``.

        Raises:
            InputError: No such folder; a file that is missing, truncated, of another shape or
                dtype than the header says, or changed; bad values.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise InputError("folder", path, "a folder is expected, not a file")
        header = _header(path)
        arrays = {name: _mapped(path, name, header) for name in ARRAYS if _has(header, name)}
        folder = cls(path, header, arrays)
        folder._check()
        return folder

    # --- what it holds -------------------------------------------------------------

    @property
    def prompts(self) -> int:
        """Number of prompts, n."""
        return len(self.offsets) - 1

    @property
    def dimension(self) -> int:
        """Number of features, d."""
        return int(self.features.shape[1])

    @property
    def beta(self) -> float:
        """β > 0."""
        return float(self.header["beta"])

    @property
    def radius(self) -> float:
        """B ≥ 0."""
        return float(self.header["radius"])

    @property
    def offsets(self) -> np.ndarray:
        """Where prompts begin, (n + 1,) int64."""
        return self.arrays["offsets"]

    @property
    def features(self) -> np.ndarray:
        """φ, (N, d), mapped: float32 or float64."""
        return self.arrays["features"]

    @property
    def center(self) -> np.ndarray:
        """The centre c of the domain, (d,)."""
        return self.arrays.get("center", np.zeros(self.dimension))

    @property
    def ref_params(self) -> np.ndarray:
        """θ_ref as given, (d,)."""
        return self.arrays.get("ref_params", np.zeros(self.dimension))

    @property
    def states_preferences(self) -> bool:
        """Whether it states preferences; else it has rewards of responses alone."""
        return "rewards" in self.arrays or "preferences" in self.arrays

    @property
    def report(self) -> dict[str, Any]:
        """What the import said of the data; empty where there was none."""
        return dict(self.header.get("report") or {})

    @cached_property
    def responses(self) -> np.ndarray:
        """Numbers of responses m_x, (n,)."""
        return np.diff(self.offsets)

    @cached_property
    def weights(self) -> np.ndarray:
        """Prompt weights, normalised, (n,)."""
        given = self.arrays.get("weights")
        if given is None:
            return np.full(self.prompts, 1 / self.prompts)
        return np.asarray(given / given.sum())

    @cached_property
    def squares(self) -> np.ndarray:
        """Where the prompts' matrices begin in ``preferences`` and ``counts``, (n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.responses**2)])

    def ids(self) -> list[str] | None:
        """The prompts' ids; None where there are none."""
        if IDS not in self.header["files"]:
            return None
        lines = read_bytes(self.path / IDS, IDS).splitlines()
        try:
            found = [parse_json(line) for line in lines]
        except (ValueError, RecursionError):
            found = [None]
        if not all(isinstance(entry, str) for entry in found):
            raise InputError(IDS, self.path / IDS, "a JSON string on each line is expected")
        return found

    # --- chunks --------------------------------------------------------------------

    def chunks(self, budget_bytes: int) -> Iterator[Chunk]:
        """The prompts, stacked, in the order of :meth:`parts`.

        Raises:
            InputError: No preferences are stated.
        """
        for prompts in self.parts(budget_bytes):
            yield self.chunk(prompts)

    def parts(self, budget_bytes: int) -> Iterator[np.ndarray]:
        """Positions of prompts by number of responses, the fewest first, then as the folder has.

        Args:
            budget_bytes: What the arrays of one chunk may take; one prompt is the least. Of the
                mapped file no more than that stays in memory.
        """
        itemsize = self.features.dtype.itemsize
        for m in np.unique(self.responses):
            members = np.flatnonzero(self.responses == m)
            each = m * (self.dimension * itemsize + 8 * (m + 1)) + 16
            size = max(1, int(budget_bytes // each))
            for first in range(0, len(members), size):
                yield members[first : first + size]
                self._release()

    def chunk(self, prompts: np.ndarray) -> Chunk:
        """These prompts, all of one number of responses, stacked."""
        m = int(self.responses[prompts[0]])
        rows, features = _places(self.offsets[prompts], m), self.features_of(prompts)
        base = self.arrays.get("base")
        log_base = np.zeros(rows.shape) if base is None else np.log(base[rows])
        return Chunk(prompts, features, self._centred(prompts, rows), log_base,
                     self.weights[prompts])  # fmt: skip

    def features_of(self, prompts: np.ndarray) -> np.ndarray:
        """φ of prompts of one number of responses, (k, m, d)."""
        m = int(self.responses[prompts[0]])
        rows = _places(self.offsets[prompts], m)
        return _taken(self.features, rows).reshape(len(prompts), m, self.dimension)

    def rewards_of(self, prompts: np.ndarray) -> np.ndarray:
        """The response rewards of prompts of one number of responses, (k, m)."""
        m = int(self.responses[prompts[0]])
        rows = _places(self.offsets[prompts], m)
        return np.asarray(self.arrays["response_rewards"][rows]).reshape(len(prompts), m)

    def _release(self) -> None:
        """Give the pages of features that were read back; whoever reads them again gets them."""
        mapping = getattr(self.features.base, "_mmap", None)
        if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)

    def _centred(self, prompts: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if not self.states_preferences:
            raise no_preferences(self.path)
        if "rewards" in self.arrays:
            return np.asarray(np.tanh(pairwise(self.arrays["rewards"][rows]) / 2) / 2)
        p = self.matrices("preferences", prompts)
        return np.asarray((p - p.swapaxes(-1, -2)) / 2)

    def matrices(self, name: str, prompts: np.ndarray) -> np.ndarray:
        """``preferences`` or ``counts`` of prompts of one number of responses, (k, m, m)."""
        m = int(self.responses[prompts[0]])
        places = _places(self.squares[prompts], m * m)
        return np.asarray(self.arrays[name][places]).reshape(len(prompts), m, m)

    # --- checks --------------------------------------------------------------------

    def verify(self) -> None:
        """Read all of ``features`` once: its digest, and that every number is finite.

        Raises:
            InputError: The file was changed, or a number is not finite or above 1e50.
        """
        expect_digest(self.path, "features.npy", self.header)
        step = max(1, _BLOCK // (self.dimension * 8))
        for first in range(0, len(self.features), step):
            expect_finite(self.features[first : first + step], "features", first)
            self._release()

    def _check(self) -> None:
        header, offsets, arrays = self.header, self.offsets, self.arrays
        for name in (*(f"{array}.npy" for array in arrays if array != "features"), IDS):
            if name in header["files"]:
                expect_digest(self.path, name, header)
        n, rows, d = (header[key] for key in ("prompts", "rows", "dimension"))
        increasing = len(offsets) > 1 and offsets[0] == 0 and (np.diff(offsets) >= 1).all()
        if not increasing:
            raise InputError("offsets", offsets, "increasing integers from 0 are expected")
        if offsets[-1] != rows or len(offsets) != n + 1:
            found = f"{len(offsets) - 1} prompts of {offsets[-1]} responses"
            raise InputError("offsets", found, f"{n} of {rows}, as the header says, are expected")
        stated = ("rewards" in arrays) + ("preferences" in arrays)
        if stated == 2 or not (stated or "response_rewards" in arrays):
            accepted = "exactly one of rewards.npy and preferences.npy is expected"
            raise InputError("folder", self.path, accepted)
        squares = int((np.diff(offsets) ** 2).sum())
        shapes = {"features": (rows, d), "offsets": (n + 1,), "rewards": (rows,), "base": (rows,),
                  "weights": (n,), "preferences": (squares,), "counts": (squares,),
                  "center": (d,), "ref_params": (d,), "response_rewards": (rows,)}  # fmt: skip
        for name, array in arrays.items():
            if array.shape != shapes[name]:
                raise InputError(name, f"shape {array.shape}", f"{shapes[name]} is expected")
            if name not in ("features", "offsets"):
                expect_values(array, name)
        for m in np.unique(self.responses):
            self._check_matrices(np.flatnonzero(self.responses == m))
        ids = self.ids()
        if ids is not None and len(ids) != n:
            raise InputError(IDS, f"{len(ids)} lines", f"{n} are expected, one a prompt")

    def _check_matrices(self, prompts: np.ndarray) -> None:
        if "preferences" in self.arrays:
            p = self.matrices("preferences", prompts)
            wrong = np.argwhere(np.abs(p + p.swapaxes(1, 2) - 1) > _TOLERANCE)
            if len(wrong):
                x, k, j = wrong[0]
                field = f"preferences of prompt {prompts[x]}"
                raise InputError(f"{field} [{k}][{j}] + [{j}][{k}]", p[x, k, j] + p[x, j, k],
                                 "p₁₂ + p₂₁ = 1 is required (so the diagonal is ½)")  # fmt: skip
        if "counts" in self.arrays:
            own = np.argwhere(self.matrices("counts", prompts).diagonal(axis1=1, axis2=2))
            if len(own):
                x, k = own[0]
                raise InputError(f"counts of prompt {prompts[x]} [{k}][{k}]", "a win over itself",
                                 "0 is expected on the diagonal")  # fmt: skip


def _header(path: Path) -> dict[str, Any]:
    header = read_json(path / HEADER, "folder")
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        found = header.get("schema") if isinstance(header, dict) else type(header).__name__
        raise InputError("schema", found, f"{SCHEMA} is expected")
    for key in _REQUIRED:
        if key not in header:
            raise InputError(f"{HEADER} {key}", "missing", "this key is required")
    for key in ("prompts", "rows", "dimension"):
        if type(header[key]) is not int or header[key] < 1:
            raise InputError(f"{HEADER} {key}", header[key], "an integer ≥ 1 is expected")
    for key in ("beta", "radius"):
        if type(header[key]) not in (int, float):
            raise InputError(f"{HEADER} {key}", header[key], "a number is expected")
    expect_scalars(header["beta"], header["radius"])
    if header["dtype"] not in FLOATS:
        accepted = f"one of {', '.join(FLOATS)} is expected"
        raise InputError(f"{HEADER} dtype", header["dtype"], accepted)
    if not isinstance(header.get("report") or {}, dict):
        raise InputError(f"{HEADER} report", header["report"], "an object is expected")
    files = header["files"]
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        raise InputError(f"{HEADER} files", files, "an object for each file is expected")
    known = (*(f"{name}.npy" for name in ARRAYS), IDS)
    for name, entry in files.items():
        if name not in known:
            raise InputError(f"{HEADER} files", name, f"one of {', '.join(known)} is expected")
        _expect_size(path / name, entry)
    for name in ("features.npy", "offsets.npy"):
        if name not in files:
            raise InputError("folder", path, f"{name} is expected in it")
    return header


def _expect_size(file: Path, entry: dict[str, Any]) -> None:
    try:
        size = file.stat().st_size
    except OSError as error:
        raise InputError(file.name, file, error.strerror or "it cannot be read") from None
    if size != entry.get("bytes"):
        accepted = f"{entry.get('bytes')} are expected: it was truncated or changed"
        raise InputError(file.name, f"{size} bytes", accepted)


def _has(header: dict[str, Any], name: str) -> bool:
    return f"{name}.npy" in header["files"]


def _mapped(path: Path, name: str, header: dict[str, Any]) -> np.ndarray:
    file = path / f"{name}.npy"
    try:
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds on damaged files
        raise InputError(name, file, f"not a readable NPY of numbers: {error}") from None
    expected = {"features": header["dtype"], "offsets": "int64"}.get(name, "float64")
    if mapped.dtype != np.dtype(expected):
        raise InputError(name, f"dtype {mapped.dtype}", f"{expected} is expected")
    return np.asarray(mapped)  # a plain view: slices of a memmap cost much more


def _places(starts: np.ndarray, length: int) -> np.ndarray:
    return np.asarray(starts[:, None] + np.arange(length))


def _taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of an array: a view where they follow one another."""
    first, last = int(rows[0, 0]), int(rows[-1, -1]) + 1
    return array[first:last] if last - first == rows.size else array[rows.ravel()]
