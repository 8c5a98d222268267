"""Terminal output of ``check --objective`` and ``frontier --objective``."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.analysis.field_check import FieldReport
from sailtheory.analysis.target_check import STRENGTHS, TargetReport
from sailtheory.analysis.trade_off import TradeOff
from sailtheory.landscape.concavity import agreement
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.report.numerals import number, times
from sailtheory.report.text import verdict_text
from sailtheory.report.words import ONE_POLICY, vector
from sailtheory.verdict import Verdict

__all__ = [
    "LEVEL_NAMES", "constants", "needed", "price", "print_target_report", "print_trade_off",
    "prompts", "sizes", "statements", "summary", "thresholds",
]  # fmt: skip

_SHOWN = 3
LEVEL_NAMES = {
    "zero": "0", "instance": "γ*", "gamma": "γ in use", "data": "K_data", "relative": "K",
}  # fmt: skip
"""What the γ of a price is, in tables."""


def print_target_report(console: Console, report: TargetReport) -> None:
    """The result of ``check --objective``."""
    problem, target = report.problem, report.target
    console.print(f"{sizes(problem)}; {target.measure} of π_ref {report.start:.4f}")
    for note in problem.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}")
    given = "" if report.gamma_given else "  (not given: the least threshold that is certain)"
    console.print(f"{escape(target.title)}, γ = {number(report.gamma)}{given}\n")
    if report.bounds is None:
        console.print(ONE_POLICY)
        return
    table = Table("statement on C", "verdict", "value", "at θ", title="Landscape",
                  title_justify="left")  # fmt: skip
    for says, verdict, value, at in statements(report):
        table.add_row(says, verdict_text(verdict), value, at)
    console.print(table)
    table = Table("threshold", "γ", "strength", "what it is", title="How large must γ be?",
                  title_justify="left")  # fmt: skip
    for row in thresholds(report):
        table.add_row(*row)
    console.print(table)
    found = report.gamma_star.search
    if found is not None:
        doubt = "" if found.trusted else ": γ* may be larger. Try --effort full"
        console.print(f"γ*: {agreement(found)}{doubt}.")
    for line in prompts(report):
        console.print(line)
    table = Table("γ", target.measure, "KL(π_ref‖π)", "maximiser",
                  title="What the guarantee costs", title_justify="left")  # fmt: skip
    for row in price(report):
        table.add_row(*row)
    console.print(table)
    console.print(constants(report))
    console.print(f"\n[bold]{escape(summary(report))}[/bold]")


def sizes(problem: PreferenceProblem) -> str:
    """Prompts, responses, dimension and B."""
    few, many = min(problem.responses), max(problem.responses)
    m = str(few) if few == many else f"{few}..{many}"
    return (
        f"{problem.prompts} prompts, {m} responses, dimension {problem.dimension}, B = "
        f"{float(problem.radius):g}"
    )


def statements(report: TargetReport) -> list[tuple[str, Verdict | None, str, str]]:
    """What is said of C: the words, the verdict, a value and where it is taken."""
    symbol = report.target.symbol
    rows = []
    for name, (verdict, point) in (
        (f"{symbol} is concave", report.plain),
        (f"{symbol} − γKL(π_ref‖π_θ) is concave", report.penalised),
    ):
        at = "—" if point.value is None else vector(point.theta)
        rows.append((name, verdict, f"λ_max = {number(point.value)}", at))
    for name, pl in zip(("it is plain PL", "it is prox-PL"), report.pl, strict=True):
        at = "—" if pl.constant is None else vector(pl.theta)
        rows.append((name, pl.verdict, f"μ ≤ {number(pl.constant)}", at))
    return rows


def thresholds(report: TargetReport | FieldReport) -> list[tuple[str, str, str, str]]:
    """Name, γ, strength and meaning of each."""
    known = report.bounds
    assert known is not None
    proved = "∞" if known.relative is None else number(known.relative)
    rows = [
        ("γ* (this problem)", number(report.gamma_star.value), STRENGTHS["instance"],
         "the least γ that works here, found by search"),
    ]  # fmt: skip
    if known.data_claims:
        certain = "∞" if known.data is None else number(known.data)
        rows.append(("K_data (by prompt)", certain, STRENGTHS["data"], f"from {known.data_claims}"))
    said = f"{known.scope} ({known.claims})"
    return [*rows, ("K (theorem)", proved, STRENGTHS["relative"], said)]


def prompts(report: TargetReport) -> list[str]:
    """What prompts need alone, and which set K_data."""
    known = report.bounds
    assert known is not None
    lines = []
    if known.path is not None:
        path = known.path
        above = int((report.gamma > path).sum())
        lines.append(
            f"Alone, from θ_ref: prompts need {number(float(path.min()))} to "
            f"{number(float(path.max()))}, the median {number(float(np.median(path)))}; γ is above "
            f"that of {above} of {len(path)}. It says nothing for prompts that share features "
            "(C30)."
        )
    worst = known.worst[:_SHOWN]
    if worst:
        seen = known.seen or {}
        named = [f"{x}{f' ({seen[x]})' if x in seen else ''}" for x, _ in worst]
        lines.append(f"Prompts that set K_data: {', '.join(named)}.")
    return lines


def price(report: TargetReport) -> list[tuple[str, str, str, str]]:
    """γ, worth, KL and place of each maximiser."""
    rows = []
    for name, each in report.price.items():
        place = "on the boundary" if each.best.on_boundary else "inside"
        shown = LEVEL_NAMES[name] + (f" = {number(each.gamma)}" if name != "zero" else "")
        rows.append((shown, f"{each.worth:.4f}", number(each.best.kl_ref_policy), place))
    return rows


def constants(report: TargetReport) -> str:
    """μ, Λ, K⁻ and mirror ascent's factor, or why there is none."""
    known = report.bounds
    assert known is not None
    factor = number(report.factor)
    if report.factor is None:
        why = (
            "no bound of γ* is certain" if known.least is None
            else "K⁻ is infinite" if report.gamma > known.least
            else f"needs γ > {number(known.least)}"
        )  # fmt: skip
        factor = f"none ({why})"
    return (
        f"strong concavity μ = {number(report.mu)}, smoothness Λ = {number(report.smoothness)}, "
        f"K⁻ = {number(known.lower)}, mirror ascent contracts by {factor}"
    )


def summary(report: TargetReport) -> str:
    """γ against need and theorem, and what the guarantee costs."""
    if report.bounds is None:
        return ONE_POLICY
    said = needed(report.gamma_star.value, report.bounds.least, report.gamma)
    free, used = report.price["zero"].worth, report.price["gamma"].worth
    return said + (
        f"The {report.target.measure} goes from {report.start:.3f} (π_ref) to {used:.3f} at this "
        f"γ, {free:.3f} at γ = 0."
    )


def needed(star: float | None, least: float | None, gamma: float) -> str:
    """γ against what the problem needs, and what is certain to suffice: sentences."""
    said = ""
    if star is not None and star > 0:
        if gamma >= star:
            said = f"γ = {number(gamma)} is {times(gamma / star)} what this problem needs "
        elif gamma > 0:
            said = f"γ = {number(gamma)} is {times(star / gamma)} below what this problem needs "
        else:
            said = "γ = 0 is below what this problem needs "
        said += f"(γ* = {number(star)}). "
    if least is not None:
        said += f"γ > {number(least)} is certain to suffice. "
    return said


def print_trade_off(console: Console, curve: TradeOff) -> None:
    """The result of ``frontier --objective``."""
    known, measure = curve.bounds, curve.target.measure
    title = f"Frontier of {escape(curve.target.title)}"
    table = Table("γ", measure, "KL(π_ref‖π)", "concave on C", title=title,
                  title_justify="left")  # fmt: skip
    for p in curve.points:
        unknown = "—" if known is None else "undecided"
        mark = {None: unknown, False: "no", True: "found no counterexample"}[p.concave]
        if known is not None and p.certified:
            mark = "certified"
        if known is not None and p.guaranteed:
            mark = f"proved ({known.claims})"
        table.add_row(number(p.gamma, 4), f"{p.worth:.4f}", number(p.kl_ref_policy), mark)
    console.print(table)
    if known is None:
        console.print(ONE_POLICY)
        return
    best = curve.affordable
    console.print(
        f"[bold]A loss of {curve.tolerance:g} in {measure} affords γ ≤ {number(best.gamma, 4)} "
        f"({measure} {best.worth:.4f}); γ* = {number(curve.instance)}, certain to suffice: "
        f"{number(known.least)}.[/bold]"
    )
