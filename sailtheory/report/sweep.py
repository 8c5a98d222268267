"""The rows of a sweep as a table, as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io

from rich.console import Console
from rich.table import Table

from sailtheory.analysis.sweep import Row, Sweep
from sailtheory.report.numerals import number

__all__ = ["csv_text", "latex_text", "print_sweep"]

_COLUMNS = {
    "prompts": ("prompts", "prompts"),
    "beta": ("β", r"$\beta$"),
    "radius": ("B", "$B$"),
    "temperature": ("T", "$T$"),
    "instance": ("γ*", r"$\gamma^*$"),
    "low": ("95 %, from", r"95\,\%, from"),
    "high": ("to", "to"),
    "per_prompt_lower": ("ḡ ≥", r"$\bar g \ge$"),
    "per_prompt": ("ḡ ≤", r"$\bar g \le$"),
    "most_prompts": ("99 % ≤", r"$99\,\% \le$"),
    "data": ("K_data", r"$K_{\mathrm{data}}$"),
    "relative": ("K_B", "$K_B$"),
    "closed_form": ("closed form", "closed form"),
}


def print_sweep(console: Console, found: Sweep) -> None:
    """A table of the thresholds; γ* with ≥ where rounds of its search disagree."""
    table = Table(title="Thresholds for γ", title_justify="left")
    columns = _columns(found)
    for name, _ in columns.values():
        table.add_column(name, justify="left" if name == "prompts" else "right", no_wrap=True)
    for row in found.rows:
        table.add_row(*(_cell(row, key) for key in columns))
    console.print(table)


def csv_text(found: Sweep) -> str:
    """One line a row, all digits; an empty cell where there is no value."""
    out = io.StringIO()
    names = [*_columns(found), "trusted"]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for row in found.rows:
        cells = [getattr(row, name) for name in names]
        writer.writerow(["" if cell is None else cell for cell in cells])
    return out.getvalue()


def latex_text(found: Sweep) -> str:
    """A ``tabular`` for the package booktabs."""
    shown = _columns(found)
    head = " & ".join(name for _, name in shown.values())
    body = [" & ".join(_latex(_cell(row, key)) for key in shown) for row in found.rows]
    columns = "l" + "r" * (len(shown) - 1)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rf"{head} \\", r"\midrule"]
    lines += [rf"{line} \\" for line in body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _columns(found: Sweep) -> dict[str, tuple[str, str]]:
    """The columns that have values: intervals only where they were asked for."""
    hidden = () if found.draws else ("low", "high")
    return {key: names for key, names in _COLUMNS.items() if key not in hidden}


def _cell(row: Row, key: str) -> str:
    value = getattr(row, key)
    if isinstance(value, str):
        return value
    shown = number(value)
    return f"≥ {shown}" if key == "instance" and value is not None and not row.trusted else shown


def _latex(cell: str) -> str:
    if cell.startswith("≥ "):
        return rf"$\ge$ {cell[2:]}"
    return "---" if cell == "—" else cell
