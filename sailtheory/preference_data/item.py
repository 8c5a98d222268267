"""What a reader makes of one row, and the rules that all readers share.

A value that is missing (null, ``"N/A"``, NaN, a number beyond float64) never becomes 0 or text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sailtheory.errors import InputError

__all__ = [
    "Choices",
    "Dropped",
    "Format",
    "Item",
    "Row",
    "Turns",
    "bad",
    "column",
    "finite",
    "is_text",
    "objects",
    "pair",
    "text_of",
    "which",
]

Row = Mapping[str, Any]
Turns = tuple[tuple[str, str], ...]
"""A conversation up to the response: (role, text) pairs; a plain text has the role ``text``."""

MISSING = frozenset({"null", "[null]", "N/A", "NaN", "nan"})
"""Texts that other programs write where there is none."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Choices:
    """What only the user can choose.

    Attributes:
        score: The score that counts, where a format has several.
        label: The label that counts, where a format has several.
    """

    score: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Item:
    """One row: a prompt, responses, and scores or wins.

    Attributes:
        prompt: The conversation before the responses.
        responses: As they stand in the row; what is no text is left out later, and counted.
        scores: One a response, as they stand in the row, but higher is better; or None.
        wins: (k, l, wins of k over l, wins of l over k); a tie is half a win for each.
        id: Of the prompt, where the row has one.
        faults: Responses to leave out, by position, and why.
        remarks: What to count in the report.
    """

    prompt: Turns
    responses: list[Any]
    scores: list[Any] | None = None
    wins: list[tuple[int, int, float, float]] = field(default_factory=list)
    id: str | None = None
    faults: dict[int, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


class Dropped(Exception):
    """A row that is left out, and counted by reason.

    Args:
        reason: For the report.
        responses: How many the row has, so that rows of embeddings can be counted.
    """

    def __init__(self, reason: str, responses: int = 2) -> None:
        super().__init__(reason)
        self.reason, self.responses = reason, responses


@dataclass(frozen=True)
class Format:
    """A format of preference data.

    Attributes:
        name: For ``--format`` and the report.
        direction: What the reader takes for better; may name ``{score}`` and ``{label}``.
        kind: Whether rows hold scores or comparisons.
        matches: Whether a row is of this format.
        read: A row as an item; raises :class:`Dropped`, or InputError for a row that is wrong.
        scores: Those the user can choose from; the first is taken where one is ``default``.
        default: The score that is taken when none is chosen.
        labels: Those the user has to choose from.
        relative: Scores are comparable within a row only.
        rewards: Scores are rewards of training, of which no preferences are made.
        gather: Makes rows of all rows of a file, where several belong together.
    """

    name: str
    direction: str
    kind: Literal["scores", "comparisons"]
    matches: Callable[[Row], bool]
    read: Callable[[Row, Choices], Item]
    scores: tuple[str, ...] = ()
    default: str | None = None
    labels: tuple[str, ...] = ()
    relative: bool = False
    rewards: bool = False
    gather: Callable[[Iterator[tuple[str, Any]]], Iterable[tuple[str, Any]]] | None = None


def bad(name: str, value: Any, accepted: str) -> InputError:
    """A row that is wrong; the message names the column."""
    return InputError(name, repr(value) if isinstance(value, str) else value, accepted)


def column(row: Row, name: str) -> Any:
    """A column that must be there; it may be null.

    Raises:
        InputError: It is missing.
    """
    if name not in row:
        raise InputError(name, "missing", f"this column; the row has {', '.join(sorted(row))}")
    return row[name]


def objects(row: Row, name: str) -> list[Mapping[str, Any]]:
    """A column that holds a list of objects."""
    found = column(row, name)
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise bad(name, found, "a list of objects is expected")
    return found


def is_text(value: Any, what: str = "response") -> str | None:
    """Why a value is no text to read, as a response or a ``prompt``; None where it is one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return f"the {what} is null"
    if not isinstance(value, str):
        return f"the {what} is no text"
    if not value.strip():
        return f"the {what} is empty"
    if value.strip() in MISSING:
        return f"the {what} is {value.strip()!r}, which stands for none"
    if _SURROGATE.search(value):
        return f"the {what} has a lone surrogate, which is no character"
    return None


def finite(value: Any) -> float | None:
    """A finite number, also written as text; None for anything else."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def text_of(row: Row, name: str) -> str | None:
    """An id, where a row has one."""
    value = row.get(name)
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
    return str(value) if isinstance(value, str) or whole else None


def which(row: Row, name: str, choices: int = 2, first: int = 0) -> int:
    """A column that says which response: a number from ``first`` on.

    Raises:
        InputError: Anything else, such as −1 or null.
    """
    value = finite(column(row, name))
    if value is None or value not in range(first, first + choices):
        expected = " or ".join(str(first + i) for i in range(choices))
        raise bad(name, row[name], f"{expected} is expected")
    return int(value) - first


def pair(prompt: Turns, one: Any, two: Any, first_wins: float, **more: Any) -> Item:
    """Two responses compared once; ``first_wins`` is 1, 0, or ½ for a tie."""
    wins = [(0, 1, first_wins, 1 - first_wins)]
    return Item(prompt, [one, two], wins=wins, **more)
