"""What was found about one statement, as the templates take it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import escape

from sailtheory.verdict import Strength

__all__ = ["findings"]

Found = Mapping[str, Any]


def findings(found: Found, name: str) -> dict[str, Any]:
    """What was found, with what the verdict rests on and the witnesses.

    Args:
        found: ``Result.as_dict()``, or its ``id``, ``verdict`` and ``evidence``.
        name: What the statement is called, for the heads of problem files.
    """
    with_witness = [e for e in found["evidence"] if "witness" in e]
    points = [
        _point(e["witness"], f"{found['id']}-witness-{i}", f"{name}, {e['strength']}")
        for i, e in enumerate(with_witness, start=1)
    ]
    return {**found, "rests_on": _deciding(found), "witnesses": points}


def _deciding(found: Found) -> str:
    """The detail of the strongest evidence for the verdict."""
    pieces = [e for e in found["evidence"] if e["outcome"] == found["verdict"]]
    pieces = pieces or list(found["evidence"])
    if not pieces:
        return "no evidence"
    # max takes the first of equals.
    return str(max(pieces, key=lambda e: Strength(e["strength"]).rank)["detail"])


def _point(data: Found, anchor: str, name: str) -> dict[str, Any]:
    """A point at which a statement fails.

    Args:
        data: ``Witness.as_dict()``.
        anchor: Unique on the page.
        name: What fails there.
    """
    facts = {"at θ": _value(data["theta"]), "value": _value(data["value"])}
    facts |= {key.replace("_", " "): _value(value) for key, value in data["data"].items()}
    return {
        "statement": data["statement"],
        "facts": facts,
        "anchor": anchor,
        "name": name,
        "file": _problem_file(data, name),
    }


def _problem_file(data: Found, name: str) -> str:
    """The problem of a witness as TOML, headed by what it shows."""
    head = (
        f"Witness against {name}: {data['statement']}",
        f"theta = {list(data['theta'])}",
        f"value = {data['value']!r}",
    )
    return "".join(f"# {_printable(line)}\n" for line in head) + str(data["problem"])


def _printable(line: str) -> str:
    """One line that a TOML comment can hold."""
    return "".join(c if c.isprintable() else " " for c in line)


def _value(value: object) -> str:
    """A number, a short list of them, or text."""
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = ", ".join(_value(item) for item in value[:8])
        return f"({shown}{', …' if len(value) > 8 else ''})"
    # The keys of a mapping are names of files and variables, in which nothing is a subscript.
    return escape(str(value)) if isinstance(value, Mapping) else str(value)
