"""All prompts of a source, reduced, with what is known of each; kept over an interruption."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import to_fraction
from sailtheory.problem.reduced import (
    BUDGET,
    Chunk,
    PromptSource,
    Reduced,
    as_vector,
    chunk_bytes,
    reduce_chunk,
)
from sailtheory.storage.files import write_bytes
from sailtheory.storage.readers import read_npz

__all__ = ["Digest", "Group", "Survey", "chunks", "recall", "remember", "survey"]

_REFUSED = "an unfinished certificate of prompts is expected, or none (delete it to begin anew)"


@dataclass
class Group:
    """The prompts of m ≥ 2 responses whose policies move.

    Attributes:
        data: The reduced prompts.
        searched: The highest relative curvature found, in float64, (k,); −∞ before the search.
        point: Where, in the unit ball, (k, m − 1).
        upper: A bound of γ*_x, (k,); ∞ before there is one.
    """

    data: Reduced
    searched: np.ndarray
    point: np.ndarray
    upper: np.ndarray


@dataclass
class Survey:
    """What is known of all prompts.

    Attributes:
        beta: β, the float64 next to it.
        groups: The prompts that move, by m.
        prompts: How many prompts there are, those at rest included.
        weight: Their total weight.
        digest: SHA-256 of the data.
    """

    beta: float
    groups: list[Group]
    prompts: int
    weight: float
    digest: str

    def column(self, name: str) -> np.ndarray:
        """One attribute of all groups, or of their data, in one array."""
        where = [group if hasattr(group, name) else group.data for group in self.groups]
        return np.concatenate([np.empty(0), *(getattr(each, name) for each in where)])

    @property
    def moving(self) -> int:
        """How many prompts move."""
        return sum(len(group.upper) for group in self.groups)


class Digest:
    """SHA-256 of the data, whatever the order of the prompts and the size of the chunks."""

    def __init__(self, source: PromptSource) -> None:
        head = [str(to_fraction(value, "beta")) for value in (source.beta, source.radius)]
        vectors = [as_vector(v).tobytes() for v in (source.center, source.ref_params)]
        self._head = sha256(" ".join(head).encode() + b"".join(vectors)).digest()
        self._each: dict[int, bytes] = {}

    def add(self, chunk: Chunk) -> None:
        """Add a chunk.

        Raises:
            InputError: A prompt stands twice.
        """
        for i, x in enumerate(np.asarray(chunk.prompts).tolist()):
            if x in self._each:
                raise InputError(f"prompts[{x}]", "twice", "each prompt once is expected")
            made = sha256()
            for values in chunk[1:]:
                made.update(np.ascontiguousarray(values[i]).data)
            self._each[x] = made.digest()

    def hex(self) -> str:
        """The digest of all that was added."""
        return sha256(self._head + b"".join(self._each[x] for x in sorted(self._each))).hexdigest()

    def __len__(self) -> int:
        return len(self._each)


def survey(
    source: PromptSource,
    budget_bytes: int = BUDGET,
    progress: Callable[[str], None] = lambda line: None,
) -> Survey:
    """Read every prompt once and keep its reduction: about (2m² + 4m) numbers each."""
    parts: dict[int, list[Reduced]] = {}
    weight = 0.0
    digest = Digest(source)
    for chunk in chunks(source, budget_bytes):
        digest.add(chunk)
        weight += float(np.sum(chunk.weights))
        made = reduce_chunk(source, chunk)
        if made.moves.any():
            parts.setdefault(made.responses, []).append(made.take(made.moves))
        progress(f"{len(digest)} prompts read")
    groups = []
    for _, found in sorted(parts.items()):
        data = Reduced(*(np.concatenate(values) for values in zip(*found, strict=True)))
        k, m = data.offset.shape
        empty = np.full(k, -np.inf), np.zeros((k, m - 1)), np.full(k, np.inf)
        groups.append(Group(data, *empty))
    if not len(digest):
        raise InputError("prompts", "[]", "at least one prompt is expected")
    beta = float(to_fraction(source.beta, "beta"))
    return Survey(beta, groups, len(digest), weight, digest.hex())


def chunks(source: PromptSource, budget_bytes: int) -> Iterator[Chunk]:
    """The chunks of a source within a budget of memory."""
    for chunk in source.chunks(chunk_bytes(budget_bytes)):
        yield Chunk(*chunk)


def recall(path: Path | None, made: Survey) -> bool:
    """Take over what a file knows about the same data; False where that is nothing.

    Raises:
        InputError: The file is none of these: it is not written over.
    """
    if path is None or not path.exists():
        return False
    arrays = read_npz(path, "state")
    try:
        key, values = str(arrays["key"]), [arrays[name] for name in ("searched", "point", "upper")]
    except KeyError:
        raise InputError("state", path, _REFUSED) from None
    if key != _key(made, values):
        return False
    k, r = 0, 0
    for group in made.groups:
        n, dimension = group.point.shape
        group.searched, group.upper = (v[k : k + n].copy() for v in (values[0], values[2]))
        group.point = values[1][r : r + n * dimension].reshape(n, dimension).copy()
        k, r = k + n, r + n * dimension
    return True


def remember(path: Path | None, made: Survey) -> None:
    """Write down what is known so far."""
    if path is None:
        return
    points = [group.point.ravel() for group in made.groups]
    values = [made.column("searched"), np.concatenate([np.empty(0), *points]), made.column("upper")]
    named: dict[str, Any] = dict(zip(("searched", "point", "upper"), values, strict=True))
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(_key(made, values)), **named)
    write_bytes(buffer.getvalue(), path, "state")


def _key(made: Survey, values: list[np.ndarray]) -> str:
    """Of the data, the version and the values: against accidents, not against intent."""
    from sailtheory import __version__

    digest = sha256(f"{__version__} {made.digest}".encode())
    for array in values:
        digest.update(np.ascontiguousarray(array, dtype=float).data)
    return digest.hexdigest()
