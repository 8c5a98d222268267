"""A table of what the theory assumes and how it stands in a run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from sailtheory.compare.assumptions import Assumption

__all__ = ["assumption_table"]


def assumption_table(found: Sequence[Assumption], title: str) -> Table:
    """One row an assumption."""
    table = Table(title=escape(title), title_justify="left")
    for column in ("assumption", "stands", "because", "source"):
        table.add_column(column, overflow="fold")
    for line in found:
        cells = (line.name, line.standing.value, line.why, line.source)
        table.add_row(*map(escape, cells))
    return table
