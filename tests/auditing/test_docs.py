"""docs/loss-audit.md says what the code does: its tables are made from it."""

from __future__ import annotations

from docs.generate import blocks, losses
from sailtheory.auditing.catalogue import CATALOGUE

PAGE = losses.PAGE.read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_code():
    """If this fails: ``python -m docs.generate.losses``."""
    assert losses.renewed(PAGE) == PAGE
    assert blocks.names(PAGE) == [*losses.tables()]
    assert all(f"| {entry.name.replace('|', chr(92) + '|')} |" in PAGE for entry in CATALOGUE)
