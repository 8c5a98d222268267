"""Certificates: what was shown about one problem, as data that can be checked again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.certificates.cover import LEAF, OPEN
from sailtheory.certificates.region import MOST_DIMENSIONS, Region
from sailtheory.errors import InputError
from sailtheory.numeric.exact import to_fraction
from sailtheory.problem.problem_file import dumps, loads
from sailtheory.shown import Shown
from sailtheory.storage.files import write_text
from sailtheory.storage.readers import read_json

__all__ = ["Certificate", "Stop", "WitnessPoint", "digest", "load", "parse", "require_unaltered"]

SCHEMA = "sailtheory.certificate/1"
VERDICTS = ("certified", "refuted", "undecided")
PROPERTIES = ("concave", "gamma", "pl")


@dataclass(frozen=True)
class WitnessPoint:
    """A point of C and a direction in S, in coordinates x of θ = c + Wx.

    Attributes:
        x: (r,) float64, exact.
        direction: w, (r,) float64, exact.
    """

    x: np.ndarray
    direction: np.ndarray


@dataclass(frozen=True)
class Stop:
    """A point next to a spurious first-order point of J_γ, and a better point of C.

    Attributes:
        x: (r,) float64, exact; the first-order point lies within rounding of it.
        better: (r,) float64, exact.
    """

    x: np.ndarray
    better: np.ndarray


@dataclass(frozen=True, repr=False)
class Certificate(Shown):
    """What was shown.

    Attributes:
        verdict: ``certified``, ``refuted`` or ``undecided``.
        kind: The property: ``concave``, ``gamma`` or ``pl``.
        region: The problem with its exact coordinates.
        gamma: The γ of the cover, or of the refutation; for ``gamma`` the upper bound of
            γ*. None when nothing is known.
        modulus: μ of the cover; 0 unless the property is ``pl``.
        lower: For ``gamma``, the lower bound of γ* that the witness shows; else None.
        witness: Where wᵀ(γF̄ − ∇²J)w < 0, with ``lower`` for γ under ``gamma``; a refuted
            ``pl`` has a :class:`Stop`.
        cover: The tree of :mod:`sailtheory.certificates.cover`, or None.
        bits: Precision at which each piece holds.
        note: What a reader should know, one line.
        seconds: Time that the search took.
    """

    verdict: str
    kind: str
    region: Region
    gamma: Fraction | None
    modulus: Fraction = Fraction(0)
    lower: Fraction | None = None
    witness: WitnessPoint | Stop | None = None
    cover: str | None = None
    bits: int = 96
    note: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def pieces(self) -> int:
        """Pieces of the cover that are settled."""
        return self.cover.count(LEAF) if self.cover else 0

    @property
    def complete(self) -> bool:
        """Whether there is a cover without open pieces."""
        return self.cover is not None and OPEN not in self.cover

    def as_dict(self) -> dict[str, Any]:
        """JSON form, with a digest of everything else in it."""
        from sailtheory import __version__

        out: dict[str, Any] = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "property": self.kind,
            "note": self.note,
            "version": __version__,
            "gamma": _text(self.gamma),
            "modulus": _text(self.modulus),
            "lower": _text(self.lower),
            "witness": None
            if self.witness is None
            else {key: value.tolist() for key, value in vars(self.witness).items()},
            "problem": dumps(self.region.problem),
            "basis": [[str(entry) for entry in row] for row in self.region.basis],
            "radius": self.region.radius,
            "bits": self.bits,
            "pieces": self.pieces,
            "cover": self.cover,
            "seconds": round(self.seconds, 3),
        }
        return out | {"digest": digest(out)}

    def save(self, path: str | Path) -> None:
        """Write JSON, atomically."""
        text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(text + "\n", path, "out")


def digest(data: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of everything but the digest itself."""
    rest = {key: value for key, value in data.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return sha256(text.encode()).hexdigest()


def require_unaltered(data: dict[str, Any], keys: AbstractSet[str]) -> None:
    """Refuse a certificate's JSON form of other keys, or whose digest is not its own.

    Raises:
        InputError: A key is unknown or missing, or the digest differs.
    """
    for key in sorted(data.keys() ^ keys):
        raise InputError(key, "unknown" if key in data else "missing", "the keys of the schema")
    try:
        agrees = data["digest"] == digest(data)
    except (ValueError, RecursionError):  # NaN, or text that UTF-8 cannot hold
        agrees = False
    if not agrees:
        raise InputError("digest", data["digest"], "the file was altered after it was written")


def load(path: str | Path) -> Certificate:
    """Read a certificate. Its digest has to agree; whether it is true is for replay.

    Raises:
        InputError: The file cannot be read, is malformed, or was altered.
    """
    return parse(read_json(path, "certificate"))


def parse(data: Any) -> Certificate:
    """A certificate from its JSON form.

    Raises:
        InputError: Keys are unknown or missing, values malformed, or the digest differs.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError("schema", _at(data, "schema"), f"{SCHEMA} is expected")
    expected = {
        "schema", "verdict", "property", "note", "version", "gamma", "modulus", "lower", "witness",
        "problem", "basis", "radius", "bits", "pieces", "cover", "seconds", "digest",
    }  # fmt: skip
    require_unaltered(data, expected)
    _one_of(data, "verdict", VERDICTS)
    _one_of(data, "property", PROPERTIES)
    if not isinstance(data["bits"], int) or not 53 <= data["bits"] <= 4096:
        raise InputError("bits", data["bits"], "an integer from 53 to 4096 is expected")
    problem = loads(_string(data, "problem"))
    basis = _basis(data["basis"], problem.dimension)
    modulus = _fraction(data, "modulus")
    certificate = Certificate(
        verdict=data["verdict"],
        kind=data["property"],
        region=Region(problem, basis, _float(data, "radius")),
        gamma=_fraction(data, "gamma"),
        modulus=Fraction(0) if modulus is None else modulus,
        lower=_fraction(data, "lower"),
        witness=_witness(data["witness"], basis.shape[1]),
        cover=None if data["cover"] is None else _string(data, "cover"),
        bits=data["bits"],
        note=_string(data, "note"),
        seconds=_float(data, "seconds"),
    )
    if data["pieces"] != certificate.pieces:
        raise InputError("pieces", data["pieces"], f"the cover has {certificate.pieces}")
    return certificate


def _text(value: Fraction | None) -> str | None:
    return None if value is None else str(value)


def _at(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else type(data).__name__


def _one_of(data: dict[str, Any], key: str, accepted: Sequence[str]) -> None:
    if data[key] not in accepted:
        raise InputError(key, data[key], f"one of {', '.join(accepted)} is expected")


def _string(data: dict[str, Any], key: str) -> str:
    if not isinstance(data[key], str):
        raise InputError(key, data[key], "text is expected")
    return str(data[key])


def _float(data: dict[str, Any], key: str) -> float:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e300:
        raise InputError(key, value, "a number ≥ 0 is expected")
    return float(value)


def _fraction(data: dict[str, Any], key: str) -> Fraction | None:
    value = data[key]
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError(key, value, "a fraction such as '1/3' is expected")
    return to_fraction(value, key)


def _basis(rows: Any, d: int) -> np.ndarray:
    if not isinstance(rows, list) or len(rows) != d or not all(isinstance(x, list) for x in rows):
        raise InputError("basis", rows, f"{d} rows are expected")
    widths = {len(row) for row in rows}
    most = min(d, MOST_DIMENSIONS)
    if len(widths) != 1 or max(widths) > most:
        raise InputError("basis", sorted(widths), f"rows of one length ≤ {most} are expected")
    out = np.empty((d, widths.pop()), dtype=object)
    for i, j in np.ndindex(out.shape):
        if not isinstance(rows[i][j], str):
            raise InputError(f"basis[{i}][{j}]", rows[i][j], "a fraction such as '1/3'")
        out[i, j] = to_fraction(rows[i][j], f"basis[{i}][{j}]")
    return out


def _witness(data: Any, r: int) -> WitnessPoint | Stop | None:
    if data is None:
        return None
    keys = set(data) if isinstance(data, dict) else set()
    if keys == {"x", "direction"}:
        return WitnessPoint(*(_vector(data[key], key, r) for key in ("x", "direction")))
    if keys == {"x", "better"}:
        return Stop(*(_vector(data[key], key, r) for key in ("x", "better")))
    raise InputError("witness", data, "x with direction, or x with better, is expected")


def _vector(values: Any, key: str, r: int) -> np.ndarray:
    finite = isinstance(values, list) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < 1e300 for v in values
    )
    if not finite or len(values) != r:
        raise InputError(f"witness.{key}", values, f"{r} numbers are expected")
    return np.array(values, dtype=float)
