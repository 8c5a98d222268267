"""What was shown about an average over prompts, as a file that can be checked again."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sailtheory.certificates.certificate import digest, require_unaltered
from sailtheory.errors import InputError
from sailtheory.shown import Shown
from sailtheory.storage.files import write_text

__all__ = ["SCHEMA", "AveragedCertificate", "parse"]

SCHEMA = "sailtheory.averaged-certificate/1"
_NUMBERS = ("gamma", "bend", "share", "third", "fourth", "by_prompt")
_OPTIONAL = ("gamma", "by_prompt")
_TEXTS = ("problem", "note", "data")
_KEYS = {
    "schema", "verdict", "property", "method", "version", "prompts", "moving", "seconds", "digest",
    *_NUMBERS, *_TEXTS,
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class AveragedCertificate(Shown):
    """What was shown.

    Attributes:
        verdict: ``certified`` or ``undecided``.
        prompts: n.
        moving: How many prompts have a policy that depends on θ.
        data: SHA-256 of the data.
        gamma: γ with γF̄ ⪰ ∇²J on C; None where none is shown.
        bend: κ of every minorant.
        share: ℓ as a share of the tangent at c.
        third: A bound of T₃.
        fourth: A bound of T₄; 0 where κ = 0.
        by_prompt: A bound of ḡ; None where none was asked for.
        problem: Path of the problem; empty where it was none.
        note: What a reader should know, one line.
        seconds: Time that it took.
    """

    verdict: str
    prompts: int
    moving: int
    data: str
    gamma: float | None = None
    bend: float = 0.0
    share: float = 0.0
    third: float = 0.0
    fourth: float = 0.0
    by_prompt: float | None = None
    problem: str = ""
    note: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def threshold(self) -> float | None:
        """The smaller of the two bounds of γ*."""
        known = [each for each in (self.gamma, self.by_prompt) if each is not None]
        return min(known, default=None)

    def replace(self, **changes: Any) -> AveragedCertificate:
        """The same with other values."""
        return dataclasses.replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, with a digest of everything else in it."""
        from sailtheory import __version__

        out: dict[str, Any] = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "property": "gamma",
            "method": "averaged",
            "version": __version__,
            "prompts": self.prompts,
            "moving": self.moving,
            "seconds": round(self.seconds, 3),
        }
        out |= {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        return out | {"digest": digest(out)}

    def save(self, path: str | Path) -> None:
        """Write JSON, atomically."""
        text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(text + "\n", path, "out")


def parse(data: dict[str, Any]) -> AveragedCertificate:
    """A certificate from its JSON form.

    Raises:
        InputError: Keys are unknown or missing, values malformed, or the digest differs.
    """
    require_unaltered(data, _KEYS)
    fixed = {"schema": SCHEMA, "property": "gamma", "method": "averaged"}
    for key, value in fixed.items():
        if data[key] != value:
            raise InputError(key, data[key], f"{value} is expected")
    if data["verdict"] not in ("certified", "undecided"):
        raise InputError("verdict", data["verdict"], "certified or undecided is expected")
    for key in (*_TEXTS, "version"):
        if not isinstance(data[key], str):
            raise InputError(key, data[key], "text is expected")
    numbers: dict[str, Any] = {
        key: None if key in _OPTIONAL and data[key] is None else _number(data[key], key)
        for key in _NUMBERS
    }
    texts: dict[str, Any] = {key: data[key] for key in _TEXTS}
    return AveragedCertificate(
        verdict=data["verdict"],
        prompts=_count(data["prompts"], "prompts"),
        moving=_count(data["moving"], "moving"),
        seconds=_number(data["seconds"], "seconds"),
        **texts,
        **numbers,
    )


def _count(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(key, value, "an integer ≥ 0 is expected")
    return value


def _number(value: Any, key: str) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not abs(value) < 1e300:
        raise InputError(key, value, "a finite number is expected")
    return float(value)
