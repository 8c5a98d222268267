"""What was shown about every prompt of a data set, as a file that can be checked again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.certificates.certificate import digest, require_unaltered
from sailtheory.certificates.prompts.witness import PromptWitness
from sailtheory.errors import InputError
from sailtheory.shown import Shown
from sailtheory.storage.files import write_text

__all__ = ["SCHEMA", "Level", "PromptCertificate", "parse"]

SCHEMA = "sailtheory.prompt-certificate/1"
_KEYS = {
    "schema", "verdict", "property", "method", "note", "version", "problem", "data", "prompts",
    "moving", "levels", "lower", "witness", "worst", "seconds", "digest",
}  # fmt: skip


@dataclass(frozen=True)
class Level:
    """γ*_x ≤ γ for every prompt but some.

    Attributes:
        gamma: γ, a float64 taken exactly.
        dropped: Positions of the prompts that are left out.
    """

    gamma: float
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class PromptCertificate(Shown):
    """What was shown.

    Attributes:
        verdict: ``certified`` or ``undecided``.
        prompts: n.
        moving: How many prompts have a policy that depends on θ.
        data: SHA-256 of the data.
        levels: The first for all prompts: its γ is above ḡ, and so above γ*. The second, where
            it is lower, without the worst.
        lower: Below ḡ, by the witness; None where there is none.
        witness: Where that is seen.
        worst: The prompts that set ḡ: position, value found by search, bound.
        problem: Path of the problem; empty where it was none.
        note: What a reader should know, one line.
        seconds: Time that it took.
        first: The bound of ḡ before any box was opened (K_data, C25); not saved.
    """

    verdict: str
    prompts: int
    moving: int
    data: str
    levels: tuple[Level, ...] = ()
    lower: float | None = None
    witness: PromptWitness | None = None
    worst: tuple[tuple[int, float, float], ...] = ()
    problem: str = ""
    note: str = ""
    seconds: float = 0.0
    first: float | None = field(default=None, compare=False)

    @property
    def gamma(self) -> float | None:
        """The upper bound of ḡ."""
        return self.levels[0].gamma if self.levels else None

    def as_dict(self) -> dict[str, Any]:
        """JSON form, with a digest of everything else in it."""
        from sailtheory import __version__

        witness = self.witness
        out: dict[str, Any] = {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "property": "gamma",
            "method": "per-prompt",
            "note": self.note,
            "version": __version__,
            "problem": self.problem,
            "data": self.data,
            "prompts": self.prompts,
            "moving": self.moving,
            "levels": [{"gamma": x.gamma, "dropped": list(x.dropped)} for x in self.levels],
            "lower": self.lower,
            "witness": None
            if witness is None
            else {
                "prompt": witness.prompt,
                "point": witness.point.tolist(),
                "direction": witness.direction.tolist(),
            },
            "worst": [list(each) for each in self.worst],
            "seconds": round(self.seconds, 3),
        }
        return out | {"digest": digest(out)}

    def save(self, path: str | Path) -> None:
        """Write JSON, atomically."""
        text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(text + "\n", path, "out")


def parse(data: dict[str, Any]) -> PromptCertificate:
    """A certificate from its JSON form.

    Raises:
        InputError: Keys are unknown or missing, values malformed, or the digest differs.
    """
    require_unaltered(data, _KEYS)
    for key, value in (("property", "gamma"), ("method", "per-prompt")):
        if data[key] != value:
            raise InputError(key, data[key], f"{value} is expected")
    if data["verdict"] not in ("certified", "undecided"):
        raise InputError("verdict", data["verdict"], "certified or undecided is expected")
    for key in ("note", "problem", "data"):
        if not isinstance(data[key], str):
            raise InputError(key, data[key], "text is expected")
    return PromptCertificate(
        data["verdict"],
        _count(data["prompts"], "prompts"),
        _count(data["moving"], "moving"),
        data["data"],
        tuple(_level(each) for each in _list(data["levels"], "levels")),
        None if data["lower"] is None else _number(data["lower"], "lower"),
        _witness(data["witness"]),
        tuple(_worst(each) for each in _list(data["worst"], "worst")),
        data["problem"],
        data["note"],
        _number(data["seconds"], "seconds"),
    )


def _level(entry: Any) -> Level:
    if not isinstance(entry, dict) or set(entry) != {"gamma", "dropped"}:
        raise InputError("levels", entry, "gamma and dropped are expected")
    dropped = [_count(x, "dropped") for x in _list(entry["dropped"], "dropped")]
    return Level(_number(entry["gamma"], "gamma"), tuple(dropped))


def _worst(entry: Any) -> tuple[int, float, float]:
    if not isinstance(entry, list) or len(entry) != 3:
        raise InputError("worst", entry, "position, value and bound are expected")
    return _count(entry[0], "worst"), _number(entry[1], "worst"), _number(entry[2], "worst")


def _witness(entry: Any) -> PromptWitness | None:
    if entry is None:
        return None
    if not isinstance(entry, dict) or set(entry) != {"prompt", "point", "direction"}:
        raise InputError("witness", entry, "prompt, point and direction are expected")
    point, direction = (
        np.array([_number(v, key) for v in _list(entry[key], key)])
        for key in ("point", "direction")
    )
    return PromptWitness(_count(entry["prompt"], "prompt"), point, direction)


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(key, value, "a list is expected")
    return value


def _count(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InputError(key, value, "an integer ≥ 0 is expected")
    return value


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise InputError(key, value, "a finite number is expected")
    return float(value)
