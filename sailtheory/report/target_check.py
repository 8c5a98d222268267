"""Terminal output of ``check --objective`` and ``frontier --objective``."""

from __future__ import annotations

from math import inf

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.analysis.field_check import FieldReport
from sailtheory.analysis.target_check import STRENGTHS, TargetReport
from sailtheory.analysis.trade_off import TradeOff
from sailtheory.objectives.penalised import Penalised
from sailtheory.objectives.target import CurvatureBounds
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.report.numerals import number, times
from sailtheory.report.text import print_verdicts
from sailtheory.report.words import ONE_POLICY, agreed, vector
from sailtheory.verdict import Verdict

__all__ = [
    "LEVEL_NAMES", "constants", "default_gamma", "divergence", "needed", "price",
    "print_target_report", "print_trade_off", "prompts", "sizes", "statements", "summary",
    "thresholds",
]  # fmt: skip

_SHOWN = 3
_NEVER = "a search found where the objective bends up and D does not"
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
    given = "" if report.gamma_given else f"  (not given: {default_gamma(report)})"
    console.print(f"{escape(target.title)}, γ = {number(report.gamma)}{given}\n")
    if report.bounds is None:
        console.print(ONE_POLICY)
        return
    for line in divergence(report):
        console.print(escape(line))
    print_verdicts(console, "Landscape", statements(report), thresholds(report))
    found = report.gamma_star.search
    if found is not None:
        console.print(agreed(found))
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


def default_gamma(report: TargetReport | FieldReport) -> str:
    """Which γ was taken for want of one."""
    if report.bounds is not None and report.bounds.least is None:
        return "no threshold is certain"
    return "the least threshold that is certain"


def divergence(report: TargetReport) -> list[str]:
    """How convex D is; nothing for KL(π_ref‖π_θ)."""
    target = report.target
    if not isinstance(target, Penalised):
        return []
    lines: dict[str, list[str]] = {}
    for (_, made), reach in zip(target.terms, target.reach, strict=True):
        of = "(θ − θ_ref)ᵀφ" if made.by_reference else "log π_θ"
        radius = "for every R" if made.radius == inf else f"while R ≤ {number(made.radius)}"
        lines.setdefault(f"The range of {of} on C is at most R = {number(reach)}", []).append(
            f"{made.name} is convex {radius}"
        )
    said = [f"{where}; {', '.join(which)}." for where, which in lines.items()]
    if target.convexity is None:
        return [*said, "c(R) is not known for this R (C38)."]
    strength = "proved" if target.proved else "numerical"
    return [*said, f"∇²D ⪰ c(R)F̄ with c(R) = {number(target.convexity)} ({strength}, C38)."]


def statements(report: TargetReport) -> list[tuple[str, Verdict | None, str, str]]:
    """What is said of C: the words, the verdict, a value and where it is taken."""
    symbol = report.target.symbol
    rows = []
    for name, (verdict, point) in (
        (f"{symbol} is concave", report.plain),
        (f"{symbol} − {report.target.subtracted} is concave", report.penalised),
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
    proved = _unknown(known) if known.relative is None else number(known.relative)
    rows = [
        ("γ* (this problem)", _shown(report.gamma_star.value), STRENGTHS["instance"],
         _least(report)),
    ]  # fmt: skip
    if known.data_claims:
        certain = _unknown(known) if known.data is None else number(known.data)
        rows.append(("K_data (by prompt)", certain, STRENGTHS["data"], f"from {known.data_claims}"))
    said = known.why or f"{known.scope} ({known.claims})"
    return [*rows, ("K (theorem)", proved, STRENGTHS["relative"], said)]


def _unknown(known: CurvatureBounds) -> str:
    return "none" if known.why else "∞"


def _shown(star: float | None) -> str:
    return "none" if star == inf else number(star)


def _least(report: TargetReport | FieldReport) -> str:
    target = None if isinstance(report, FieldReport) else report.target
    if report.gamma_star.value == inf:
        return "at a point found J bends up and D does not: no γ works"
    said = "the least γ that works here, found by search"
    bent = isinstance(target, Penalised) and (target.convexity is None or target.convexity <= 0)
    return f"{said}; a larger one need not" if bent else said


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
    """μ, Λ, K⁻ and mirror ascent's factor, or why none is known."""
    known = report.bounds
    assert known is not None
    mirror = f"mirror ascent contracts by {number(report.factor)}"
    if report.factor is None:
        why = (
            "no bound of γ* is certain" if known.least is None
            else "K⁻ is infinite" if report.gamma > known.least
            else f"needs γ > {number(known.least)}"
        )  # fmt: skip
        mirror = f"no contraction of mirror ascent is known ({why})"
    return (
        f"strong concavity μ = {number(report.mu)}, smoothness Λ = {number(report.smoothness)}, "
        f"K⁻ = {number(known.lower)}; {mirror}"
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
    if star == inf:
        said = f"No γ works: {_NEVER}. "
    elif star is not None and star > 0:
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
        f"({measure} {best.worth:.4f}); γ* = {_shown(curve.instance)}, certain to suffice: "
        f"{f'none, as {escape(known.why)}' if known.why else number(known.least)}.[/bold]"
    )
