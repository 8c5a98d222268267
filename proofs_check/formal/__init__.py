"""Machine-checked theorems: Coq sources, what of each claim they state, what Coq accepted.

Nothing here needs Coq. ``record.json`` holds the digests of the sources that Coq accepted; evidence
says "machine-checked" only while the sources at hand are those, byte for byte.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from proofs_check.formal import build
from sailtheory.claims import Check, Context
from sailtheory.verdict import Evidence, Outcome, Strength


@dataclass(frozen=True)
class Coverage:
    """What of a claim is machine-checked.

    Attributes:
        theorems: Names as ``FILE.NAME``, without the suffix ``.v``.
        words: What is left to words; empty when nothing is.
    """

    theorems: tuple[str, ...]
    words: str


@cache
def coverage() -> dict[str, Coverage]:
    """Coverage by claim id, as ``claims.toml`` states it."""
    table = tomllib.loads((build.SOURCES / "claims.toml").read_text(encoding="utf-8"))
    return {
        claim: Coverage(tuple(entry.get("theorems", ())), entry.get("words", ""))
        for claim, entry in table.items()
    }


def evidence(claim: str) -> Evidence | None:
    """What of a claim Coq accepted and what is left to words, one line; None for other claims.

    It is evidence on a part of the statement, so it decides no verdict by itself.
    """
    found = coverage().get(claim)
    if found is None:
        return None
    if not found.theorems:
        detail = f"not machine-checked; left to words: {found.words}"
        return Evidence("formal", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    return _line(found, build.is_current())


def _line(found: Coverage, current: bool) -> Evidence:
    places: dict[str, list[str]] = {}
    for name in found.theorems:
        file, theorem = name.split(".")
        places.setdefault(file, []).append(theorem)
    named = "; ".join(f"{', '.join(names)} in {file}.v" for file, names in places.items())
    if not current:
        detail = f"NOT machine-checked: the sources differ from those that Coq accepted ({named})"
        return Evidence("formal", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    left = f"; left to words: {found.words}" if found.words else ""
    detail = f"machine-checked, every n, m, d (Coq {build.recorded()['coq']}): {named}{left}"
    return Evidence("formal", detail, Outcome.UNDECIDED, Strength.PROVED)


def with_formal(claim: str, check: Check) -> Check:
    """A claim's check, followed by what of it is machine-checked."""

    def both(context: Context) -> Iterator[Evidence]:
        yield from check(context)
        if (line := evidence(claim)) is not None:
            yield line

    return both
