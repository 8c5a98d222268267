"""Words and tables about training runs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.compare.arms import ArmDiff
from sailtheory.report.numerals import number
from sailtheory.runs.completions import Kept

__all__ = ["describe_diff", "print_completions"]


def describe_diff(found: ArmDiff) -> str:
    """A few lines: the arms, how they differ, and whether they may be compared."""
    seeds = {arm: ", ".join(str(run.seed) for run in runs) for arm, runs in found.arms.items()}
    sections = (
        ("arms", [f"{arm}: seeds {numbers}" for arm, numbers in seeds.items()]),
        ("declared differences", found.allowed),
        ("other differences", found.refused),
        ("the same algorithm", found.same),
        ("declared but never read", found.unread),
        ("library versions", found.versions),
    )
    lines = []
    for title, items in sections:
        shown = [f"  {item}" for item in items]
        lines += [title, *shown] if shown else []
    verdict = "cannot" if found.refused else "may"
    return "\n".join([*lines, f"These runs {verdict} be compared."])


def print_completions(kept: Sequence[Kept], console: Console) -> None:
    """A table of what a policy said, a column for each reward."""
    names = list(dict.fromkeys(name for row in kept for name in row.rewards))
    table = Table(title="Completions", title_justify="left", show_lines=True)
    for column in ("update", "prompt", "completion"):
        table.add_column(column, overflow="fold")
    for name in names:
        table.add_column(escape(name), justify="right", overflow="fold")
    for row in kept:
        texts = (_last_message(row.prompt), row.completion)
        rewards = (number(row.rewards[name]) if name in row.rewards else "—" for name in names)
        table.add_row(str(row.step), *map(escape, texts), *rewards)
    console.print(table)


def _last_message(prompt: object) -> str:
    """A text as it is; of messages the last, which is what was answered."""
    if isinstance(prompt, list) and prompt and isinstance(prompt[-1], dict):
        return str(prompt[-1].get("content", ""))
    return str(prompt)
