"""Tables that code makes, on pages written by hand.

Each stands between ``<!-- NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_BLOCK = re.compile(r"<!-- ([\w-]+) -->\n.*?<!-- end -->\n", re.S)


def renewed(page: str, found: dict[str, str]) -> str:
    """A page with these tables, by name."""
    return _BLOCK.sub(lambda block: f"<!-- {block[1]} -->\n{found[block[1]]}<!-- end -->\n", page)


def names(page: str) -> list[str]:
    """The tables that a page has, in order."""
    return [block[1] for block in _BLOCK.finditer(page)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
