"""Pages about claims, from the ledger, the claims' own text and the theory page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sailtheory.claims import Claim, registered
from sailtheory.report.html import piece
from sailtheory.report.html_claims import findings

DOCS = Path(__file__).parents[1]


def ledger() -> list[tuple[Claim, dict[str, Any]]]:
    """Each claim with what the committed ledger found about it.

    Raises:
        ValueError: The ledger and the claims do not name the same ids, or a check failed.
    """
    found = json.loads((DOCS / "evidence/ledger.json").read_text(encoding="utf-8"))["claims"]
    by_id = {entry["id"]: entry for entry in found}
    claims = registered()
    if [claim.id for claim in claims] != list(by_id):
        raise ValueError("docs/evidence/ledger.json is not of these claims; run make evidence")
    for entry in found:
        if "error" in entry:
            raise ValueError(f"docs/evidence/ledger.json: {entry['id']} failed: {entry['error']}")
    return [(claim, by_id[claim.id]) for claim in claims]


def pages() -> Iterator[tuple[str, str, str]]:
    """Path, title for the navigation, and Markdown of each page; the overview comes first."""
    entries = ledger()
    yield "claims/index.md", "Claims", overview(entries)
    for claim, found in entries:
        yield f"claims/{claim.id}.md", claim.id, page(claim, found)


def overview(entries: list[tuple[Claim, dict[str, Any]]]) -> str:
    """The ledger as one table."""
    rows = "".join(
        f"| [{c.id}]({c.id}.md) | {_plain(c.title)} "
        f"| {piece('parts', 'verdict', found['verdict'])} | {found['strength'] or '—'} |\n"
        for c, found in entries
    )
    return (
        "# Claims\n\nThe verdicts of the last full run (`make evidence`). What a verdict and its "
        "strength mean: [Verdicts](../verdicts.md); where the statements come from and their "
        "proofs: [Theory](../theory.md).\n\n"
        f"| id | claim | verdict | strength |\n|---|---|---|---|\n{rows}"
    )


def page(claim: Claim, found: dict[str, Any]) -> str:
    """One claim: statement, hypotheses, verdict, the theory's words, evidence, falsehoods."""
    found = findings(found, f"{claim.id}, {claim.title}")
    told = piece("claim", "statement", claim) + piece("claim", "conclusion", claim, found)
    parts = [f"# {claim.id} {_plain(claim.title)}\n", _block(told)]
    words = theory(claim.id)
    if words:
        parts.append(f"## In the theory\n\n{words}\n\nFrom [Theory](../theory.md).\n")
    parts.append("## Evidence\n")
    parts += [_block(piece("claim", "witness", point)) for point in found["witnesses"]]
    parts.append(_block(piece("claim", "evidence", found, claim.id)))
    if claim.planted:
        parts.append(_planted(claim))
    return "\n".join(parts)


def theory(name: str) -> str:
    """What docs/theory.md says about a claim; C05b is told under C05."""
    source = (DOCS / "theory.md").read_text(encoding="utf-8")
    section = source.partition("## 2. Claims")[2].partition("\n## ")[0].partition("\n### ")[0]
    number = re.escape(name[:3])
    match = re.search(rf"\*\*{number}\b.*?(?=\*\*C\d\d\b(?!b)|\Z)", section, re.DOTALL)
    if match is None:
        return ""
    # A line that begins with a space begins a paragraph there.
    return re.sub(r"\n (?=\S)", "\n\n", match[0]).strip()


def _planted(claim: Claim) -> str:
    """The false variants with what refuted them, as docs/falsehoods.md has it."""
    source = (DOCS / "falsehoods.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| {re.escape(claim.id)} \|(.*)$", source, re.MULTILINE)
    if len(rows) != len(claim.planted):
        raise ValueError(f"docs/falsehoods.md is not of {claim.id}; run make evidence")
    head = (
        "| false variant | verdict | witness θ | what fails there | value |\n|---|---|---|---|---|"
    )
    body = "\n".join("|" + row for row in rows)
    return (
        "## Planted falsehoods\n\nFalse variants that the check of this claim must refute, and the "
        f"[witness](../falsehoods.md) that it found.\n\n{head}\n{body}\n"
    )


def _plain(words: str) -> str:
    """Plain text as Markdown: subscripts are set later, with those of the written pages."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", words)


def _block(markup: str) -> str:
    """HTML that Markdown leaves as it is: one element, without blank lines outside <pre>."""
    return f'<div class="generated">\n{markup}\n</div>\n'
