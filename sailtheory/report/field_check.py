"""Terminal output of ``check --objective grpo`` where rewards are not 0 and 1 (C32)."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.analysis.field_check import FieldReport
from sailtheory.landscape.concavity import agreement
from sailtheory.report.numerals import number
from sailtheory.report.target_check import LEVEL_NAMES, needed, sizes, thresholds
from sailtheory.report.text import verdict_text
from sailtheory.report.words import ONE_POLICY, vector
from sailtheory.verdict import Verdict

__all__ = [
    "FIELD", "PRICE_COLUMNS", "modulus", "price", "print_field_report", "scope", "statements",
    "summary", "trust",
]  # fmt: skip

FIELD = "h − γ∇KL(π_ref‖π_θ)"
PRICE_COLUMNS = ("γ", "mean reward", "KL(π_ref‖π)", "solution")


def print_field_report(console: Console, report: FieldReport) -> None:
    """The result of ``check --objective grpo`` for a field."""
    console.print(f"{sizes(report.problem)}; mean reward of π_ref {report.start:.4f}")
    for note in report.problem.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}")
    given = "" if report.gamma_given else "  (not given: the least threshold that is certain)"
    console.print(f"{escape(report.field.title)}, γ = {number(report.gamma)}{given}")
    console.print(f"{scope(report)}\n")
    if report.bounds is None:
        console.print(ONE_POLICY)
        return
    table = Table("statement on C", "verdict", "value", "at θ", title="The field",
                  title_justify="left")  # fmt: skip
    for says, verdict, value, at in statements(report):
        table.add_row(says, verdict_text(verdict), value, at)
    console.print(table)
    table = Table("threshold", "γ", "strength", "what it is", title="How large must γ be?",
                  title_justify="left")  # fmt: skip
    for row in thresholds(report):
        table.add_row(*row)
    console.print(table)
    if report.gamma_star.search is not None:
        console.print(trust(report))
    table = Table(*PRICE_COLUMNS, title=f"Where {FIELD} comes to rest, from π_ref",
                  title_justify="left")  # fmt: skip
    for cells in price(report):
        table.add_row(*cells)
    console.print(table)
    console.print(f"modulus of strong monotonicity, relative to A (C32): {modulus(report)}")
    console.print(f"\n[bold]{escape(summary(report))}[/bold]")


def scope(report: FieldReport) -> str:
    """Whether there is an objective, and what then applies."""
    if report.levels > 2:
        return (
            "With more than two levels of reward GRPO follows a field h that is no gradient (C32): "
            "no objective exists, so concavity, PL, certify, frontier, rates and plot do not apply."
        )
    return (
        "No prompt has more than two levels of reward. Written as 0 and 1 (ε over their "
        "difference) they have the objective E f(V), to which every command applies (C31)."
    )


def statements(report: FieldReport) -> list[tuple[str, Verdict | None, str, str]]:
    """The words, the verdict, γ* − γ and where it is taken."""
    verdict, point = report.monotone
    at = "—" if point.value is None else vector(point.theta)
    return [(f"−({FIELD}) is monotone", verdict, f"γ* − γ = {number(point.value)}", at)]


def trust(report: FieldReport) -> str:
    """How far γ* can be trusted."""
    found = report.gamma_star.search
    if found is None:
        return ""
    doubt = "" if found.trusted else ": γ* may be larger. Try --effort full"
    return f"γ*: {agreement(found)}{doubt}."


def price(report: FieldReport) -> list[tuple[str, str, str, str]]:
    """γ, mean reward, KL and place of each solution, below the best mean reward on C."""
    best = report.best
    doubt = "" if best.trusted else " (the search does not agree on it)"
    rows = [("best on C", f"{best.value:.4f}", number(best.kl_ref_policy),
             _place(best.on_boundary) + doubt)]  # fmt: skip
    for name, each in report.price.items():
        shown = LEVEL_NAMES[name] + (f" = {number(each.gamma)}" if name != "zero" else "")
        unsettled = "" if each.settled else " (not settled)"
        rows.append((shown, f"{each.worth:.4f}", number(each.kl_ref_policy),
                     _place(each.on_boundary) + unsettled))  # fmt: skip
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
        f"The mean reward goes from {report.start:.3f} (π_ref) to {used:.3f} at this γ, "
        f"{free:.3f} at γ = 0; the best on C is {report.best.value:.3f}."
    )
