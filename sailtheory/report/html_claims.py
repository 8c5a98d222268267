"""One claim and what was found about it, as HTML; pages and the documentation share it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sailtheory.claims import Claim
from sailtheory.report.html import Html, copyable, details, facts, formula, table, text, verdict
from sailtheory.verdict import Strength

Found = Mapping[str, Any]


def statement(claim: Claim) -> Html:
    """The statement, what it assumes and where it comes from."""
    known = {"where": "; ".join(claim.hypotheses), "source": claim.source}
    return Html(formula(claim.statement) + facts({k: v for k, v in known.items() if v}))


def conclusion(claim: Claim, found: Found) -> Html:
    """The verdict beside the one written down beforehand."""
    expected = verdict(claim.expected.value)
    if "error" in found:
        failed = Html(f'<span class="differs">internal error: {escape(found["error"])}</span>')
        return facts({"no verdict": failed, "expected": expected})
    if found["verdict"] != claim.expected.value:
        expected = Html(f'<span class="differs">{expected}: they differ</span>')
    rows = {
        "verdict": verdict(found["verdict"], found["strength"]),
        "expected": Html(f"{expected} (strength within reach: {claim.reachable.value})"),
        "rests on": deciding(found),
    }
    return facts(rows)


def deciding(found: Found) -> str:
    """The detail of the strongest evidence for the verdict."""
    pieces = [e for e in found["evidence"] if e["outcome"] == found["verdict"]]
    pieces = pieces or list(found["evidence"])
    if not pieces:
        return "no evidence"
    # max takes the first of equals.
    return str(max(pieces, key=lambda e: Strength(e["strength"]).rank)["detail"])


def evidence(found: Found, name: str) -> Html:
    """Every piece of evidence, in the order it was gathered."""
    pieces = found["evidence"]
    rows = [
        (str(i), e["kind"], e["detail"], _shows(e), e["strength"])
        for i, e in enumerate(pieces, start=1)
    ]
    caption = f"Evidence on {name}, in the order it was gathered"
    return details(
        Html(f"All evidence ({len(pieces)})"),
        table(caption, ("", "kind", "what was done and found", "shows", "strength"), rows),
    )


def _shows(piece: Found) -> str:
    """Evidence on a part of a statement decides nothing by itself."""
    return "a step" if piece["outcome"] == "undecided" else verdict(piece["outcome"])


def witnesses(found: Found, name: str) -> list[Html]:
    """The witnesses among the evidence, each with a problem file to copy."""
    with_witness = [e for e in found["evidence"] if "witness" in e]
    return [
        witness(e["witness"], f"{found['id']}-witness-{i}", f"{name}, {e['strength']}")
        for i, e in enumerate(with_witness, start=1)
    ]


def witness(data: Found, anchor: str, name: str) -> Html:
    """A point at which a statement fails.

    Args:
        data: ``Witness.as_dict()``.
        anchor: Unique on the page.
        name: What fails there, for the head of the file.
    """
    rows = {"at θ": _value(data["theta"]), "value": _value(data["value"])}
    rows |= {key.replace("_", " "): _value(value) for key, value in data["data"].items()}
    return details(
        Html(f"Witness: {text(data['statement'])}"),
        facts(rows),
        copyable(anchor, problem_file(data, name), "Copy problem file", f"problem file of {name}"),
    )


def problem_file(data: Found, name: str) -> str:
    """The problem of a witness as TOML, headed by what it shows."""
    head = (
        f"Witness against {name}: {data['statement']}",
        f"theta = {list(data['theta'])}",
        f"value = {data['value']!r}",
    )
    return "".join(f"# {_printable(line)}\n" for line in head) + str(data["problem"])


def falsehoods(claim: Claim) -> Html:
    """The wrong variants that the check of the claim must refute."""
    if not claim.planted:
        return Html("")
    items = "".join(f"<li>{text(f.statement)}</li>" for f in claim.planted)
    return details(
        Html(f"False variants that the same check must refute ({len(claim.planted)})"),
        Html(f"<ul>{items}</ul>"),
    )


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
    return Html(escape(str(value))) if isinstance(value, Mapping) else str(value)
