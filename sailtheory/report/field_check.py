"""Terminal output of ``check --objective`` where training follows a field (C32, C37)."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.analysis.field_check import FieldReport
from sailtheory.report.numerals import number
from sailtheory.report.target_check import LEVEL_NAMES, needed, sizes, thresholds
from sailtheory.report.text import print_verdicts
from sailtheory.report.words import ONE_POLICY, agreed, vector
from sailtheory.verdict import Verdict

__all__ = [
    "columns", "formula", "modulus", "price", "print_field_report", "statements", "summary",
]  # fmt: skip

_ROUNDING = 1e-12  # of a difference of win rates


def formula(report: FieldReport) -> str:
    """The field less γ∇KL."""
    return f"{report.told.symbol} − γ∇KL(π_ref‖π_θ)"


def columns(report: FieldReport) -> tuple[str, ...]:
    """Titles of the columns of :func:`price`."""
    game = ("a best reply gains",) if _game(report) else ()
    return ("γ", report.told.measure, "KL(π_ref‖π)", "solution", *game)


def _game(report: FieldReport) -> bool:
    return any(each.regret is not None for each in report.price.values())


def print_field_report(console: Console, report: FieldReport) -> None:
    """The result of ``check --objective grpo`` for a field."""
    console.print(f"{sizes(report.problem)}; {report.told.measure} of π_ref {report.start:.4f}")
    for note in report.problem.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}")
    given = "" if report.gamma_given else "  (not given: the least threshold that is certain)"
    console.print(f"{escape(report.told.title)}, γ = {number(report.gamma)}{given}")
    console.print(f"{report.told.scope}\n")
    if report.bounds is None:
        console.print(ONE_POLICY)
        return
    print_verdicts(console, "The field", statements(report), thresholds(report))
    if report.gamma_star.search is not None:
        console.print(agreed(report.gamma_star.search))
    table = Table(*columns(report), title=f"Where {formula(report)} comes to rest, from π_ref",
                  title_justify="left")  # fmt: skip
    for cells in price(report):
        table.add_row(*cells)
    console.print(table)
    console.print(
        f"modulus of strong monotonicity, relative to the Fisher matrix ({report.told.claim}): "
        f"{modulus(report)}"
    )
    console.print(f"\n[bold]{escape(summary(report))}[/bold]")


def statements(report: FieldReport) -> list[tuple[str, Verdict | None, str, str]]:
    """The words, the verdict, γ* − γ and where it is taken."""
    verdict, point = report.monotone
    at = "—" if point.value is None else vector(point.theta)
    return [(f"−({formula(report)}) is monotone", verdict, f"γ* − γ = {number(point.value)}", at)]


def price(report: FieldReport) -> list[tuple[str, ...]]:
    """γ, worth, KL and place of each solution, below the best on C; in a game regret too."""
    best = report.best
    doubt = "" if best.trusted else " (the search does not agree on it)"
    none = ("",) if _game(report) else ()
    rows: list[tuple[str, ...]] = [
        ("best on C", f"{report.told.worth(best.theta):.4f}", number(best.kl_ref_policy),
         _place(best.on_boundary) + doubt, *none)
    ]  # fmt: skip
    for name, each in report.price.items():
        shown = LEVEL_NAMES[name] + (f" = {number(each.gamma)}" if name != "zero" else "")
        unsettled = "" if each.settled else " (not settled)"
        regret = (
            ()
            if each.regret is None
            else ("0" if each.regret < _ROUNDING else number(each.regret, 2),)
        )
        rows.append((shown, f"{each.worth:.4f}", number(each.kl_ref_policy),
                     _place(each.on_boundary) + unsettled, *regret))  # fmt: skip
    return rows


def _place(on_boundary: bool) -> str:
    return "on the boundary" if on_boundary else "inside"


def modulus(report: FieldReport) -> str:
    """γ − K, or why there is none."""
    if report.modulus is not None or report.bounds is None:
        return number(report.modulus)
    return f"none (needs γ > {number(report.bounds.least)})"


def summary(report: FieldReport) -> str:
    """γ against need and theorem, and what the guarantee costs."""
    if report.bounds is None:
        return ONE_POLICY
    said = needed(report.gamma_star.value, report.bounds.least, report.gamma)
    free, used = report.price["zero"].worth, report.price["gamma"].worth
    return said + (
        f"The {report.told.measure} goes from {report.start:.3f} (π_ref) to {used:.3f} at this γ, "
        f"{free:.3f} at γ = 0; the best on C is {report.told.worth(report.best.theta):.3f}."
    )
