"""How an assumption stands in a run: it holds, is violated, or is not measurable."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Assumption", "Found", "Standing", "holds", "unknown", "violated"]


class Standing(StrEnum):
    """How an assumption stands in a run."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "not measurable"


class Found(NamedTuple):
    """How, and the value that decides, its step where it has one, or what to log."""

    standing: Standing
    why: str


def holds(why: str) -> Found:
    """It holds."""
    return Found(Standing.HOLDS, why)


def violated(why: str) -> Found:
    """It is violated."""
    return Found(Standing.VIOLATED, why)


def unknown(why: str) -> Found:
    """The run does not show it."""
    return Found(Standing.UNKNOWN, why)


@dataclass(frozen=True)
class Assumption:
    """One line of the audit.

    Attributes:
        key: Its name in JSON.
        name: What is assumed.
        standing: How it stands.
        why: The value that decides, its step where it has one, or what to log.
        source: The claim that needs it.
    """

    key: str
    name: str
    standing: Standing
    why: str
    source: str

    def as_dict(self) -> dict[str, str]:
        """JSON form."""
        return {
            "key": self.key, "name": self.name, "standing": self.standing.value,
            "why": self.why, "source": self.source,
        }  # fmt: skip
