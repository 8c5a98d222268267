"""Reader of expected.toml, the verdicts written down before the checks."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from proofs_check.formal import with_formal
from sailtheory.claims import Check, Claim, Falsehood
from sailtheory.verdict import Outcome, Strength


@cache
def _table() -> dict[str, dict[str, str]]:
    return tomllib.loads((files(__package__) / "expected.toml").read_text(encoding="utf-8"))


def claim(
    id: str,
    *,
    title: str,
    statement: str,
    source: str,
    hypotheses: tuple[str, ...] = (),
    check: Check,
    planted: tuple[Falsehood, ...] = (),
) -> Claim:
    """A claim whose expected verdict is the one in expected.toml, machine-checked parts named."""
    entry: dict[str, Any] = _table()[id]
    return Claim(
        id=id,
        title=title,
        statement=statement,
        source=source,
        hypotheses=hypotheses,
        expected=Outcome(entry["verdict"]),
        reachable=Strength(entry["strength"]),
        check=with_formal(id, check),
        planted=planted,
    )
