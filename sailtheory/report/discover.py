"""Terminal output of ``sailtheory discover``."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.analysis.discover import Discovery
from sailtheory.report.numerals import number

__all__ = ["print_discovery"]


def print_discovery(console: Console, found: Discovery) -> None:
    """The constants, and the β and Z that set them."""

    def said(constants: dict[str, float]) -> str:
        return ", ".join(f"{name} = {number(value)}" for name, value in constants.items())

    formula, form = escape(found.payoff.formula), escape(found.form)
    console.print(f"G(z) = {formula}; is ∇²J ⪯ ({form})F̄?")
    table = Table("β", "Z", "found by search", "K, proved (C35)", "found ÷ K", "tight")
    for cell in found.cells:
        sure = "" if cell.confirmed else ", not confirmed"
        table.add_row(
            number(cell.beta), number(cell.z_range), number(cell.found) + sure,
            number(cell.proved), f"{cell.found / cell.proved:.3f}", "yes" if cell.tight else "",
        )  # fmt: skip
    console.print(table)
    console.print(f"[bold]No problem searched refutes {said(found.searched)}.[/bold] (supported)")
    console.print(
        f"Proved at each β and Z of the table: {said(found.proved)}, as K is below it there. "
        "Between them nothing is proved."
    )
