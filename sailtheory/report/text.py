"""Terminal output with rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.analysis.check import STRENGTHS, Report
from sailtheory.analysis.frontier import Frontier, OnlinePoint
from sailtheory.claims import Result
from sailtheory.landscape.concavity import Curvature
from sailtheory.report.numerals import number, percent
from sailtheory.report.words import (
    ONE_POLICY,
    SIDE_BY_SIDE,
    THRESHOLD_USES,
    earned,
    modulus,
    priced,
    summary,
    trust,
    vector,
    worst_prompts,
)
from sailtheory.verdict import Outcome, Strength, Verdict

__all__ = [
    "add_result", "ledger_table", "print_frontier", "print_report", "print_verdicts",
    "verdict_text",
]  # fmt: skip

_STYLE = {Outcome.HOLDS: "green", Outcome.REFUTED: "red", Outcome.UNDECIDED: "yellow"}


def verdict_text(verdict: Verdict | None) -> str:
    """``holds (proved)`` in colour; an em dash for a null quantity."""
    if verdict is None:
        return "—"
    strength = f" ({verdict.strength.value})" if verdict.strength else ""
    style = _STYLE[verdict.outcome]
    return f"[{style}]{verdict.outcome.value}[/{style}]{strength}"


def ledger_table() -> Table:
    """An empty table for the results of ``verify``."""
    table = Table(title="The ledger", title_justify="left", expand=False)
    table.add_column("id", no_wrap=True)
    table.add_column("claim", min_width=24)
    table.add_column("verdict", no_wrap=True)
    table.add_column("strength", no_wrap=True)
    table.add_column("evidence", overflow="fold", min_width=24)
    table.add_column("expected", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    return table


def add_result(table: Table, result: Result) -> None:
    """One row of the ledger."""
    verdict, expected = result.verdict, result.claim.expected.value
    if verdict is None:
        assert result.failure is not None
        found, strength, basis = "[bold red]error[/bold red]", None, result.failure.says
    else:
        style, strength, basis = _STYLE[verdict.outcome], verdict.strength, _deciding(verdict)
        found = f"[{style}]{verdict.outcome.value}[/{style}]"
        formal = [piece.detail for piece in verdict.evidence if piece.kind == "formal"]
        basis = "\n".join([basis, *formal])
    table.add_row(
        result.claim.id,
        escape(result.claim.title),
        found,
        strength.value if strength else "—",
        escape(basis),
        expected if result.as_expected else f"[bold red]{expected}[/bold red]",
        f"{result.seconds:.1f}",
    )


def _deciding(verdict: Verdict) -> str:
    """The detail of the strongest evidence for the outcome, and how much more there is."""

    def rank(i: int) -> tuple[bool, int, int]:
        piece = verdict.evidence[i]
        strength = piece.strength or Strength.SUPPORTED
        return piece.outcome is verdict.outcome, strength.rank, -i

    if not verdict.evidence:
        return "none"
    best = max(range(len(verdict.evidence)), key=rank)
    more = len(verdict.evidence) - 1
    return verdict.evidence[best].detail + (f"  [+{more} more]" if more else "")


def print_report(console: Console, report: Report) -> None:
    """The result of ``check``."""
    problem = report.problem
    console.print(escape(repr(problem)))
    for note in problem.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}")
    console.print(
        f"S has dimension {problem.span.dimension} of {problem.dimension}"
        f"{'' if problem.span.exact else ' (decided numerically)'}; L = "
        f"{number(problem.feature_norm)}, D = {number(problem.feature_diameter)}, "
        f"Z_max = {number(problem.z_max)}"
    )
    given = "" if report.gamma_given else "  (not given: the closed-form threshold)"
    console.print(f"γ = {number(report.gamma)}{given}\n")
    console.print(_landscape(report))
    console.print(_thresholds(report))
    for line in (trust(report), worst_prompts(report)):
        if line:
            console.print(line)
    console.print(_price(report))
    console.print(_side_by_side(report))
    console.print(_earned(report))
    console.print(_constants(report))
    console.print(f"\n[bold]{escape(summary(report))}[/bold]")


def print_verdicts(
    console: Console,
    title: str,
    statements: Iterable[tuple[str, Verdict | None, str, str]],
    thresholds: Iterable[Sequence[str]],
) -> None:
    """Two tables: what holds on C, with a value and a point; thresholds, with what they are."""
    table = Table("statement on C", "verdict", "value", "at θ", title=title, title_justify="left")
    for says, verdict, value, at in statements:
        table.add_row(says, verdict_text(verdict), value, at)
    console.print(table)
    table = Table("threshold", "γ", "strength", "what it is", title="How large must γ be?",
                  title_justify="left")  # fmt: skip
    for row in thresholds:
        table.add_row(*row)
    console.print(table)


def _landscape(report: Report) -> Table:
    table = Table("statement on C", "verdict", "value", "at θ", title="Landscape",
                  title_justify="left")  # fmt: skip
    for name, (verdict, point) in (("J is concave", report.sail),
                                   ("J_γ is concave", report.sail_revkl)):  # fmt: skip
        largest = f"λ_max = {number(point.value)}"
        table.add_row(name, verdict_text(verdict), largest, _point(point))
    verdict, point = report.online.monotone
    table.add_row("V − γ∇KL is monotone", verdict_text(verdict),
                  f"γ*_V − γ = {number(point.value)}", _point(point))  # fmt: skip
    for name, pl in (("J_γ is plain PL", report.plain), ("J_γ is prox-PL", report.prox)):
        at = "—" if pl.constant is None else vector(pl.theta)
        table.add_row(name, verdict_text(pl.verdict), f"μ ≤ {number(pl.constant)}", at)
    return table


def _thresholds(report: Report) -> Table:
    table = Table("threshold", "γ", "strength", "when to use it", title="How large must γ be?",
                  title_justify="left")  # fmt: skip
    for key, (name, use) in THRESHOLD_USES.items():
        table.add_row(name, number(getattr(report.thresholds, key)), STRENGTHS[key], use)
    return table


def _side_by_side(report: Report) -> Table:
    table = Table("γ", "SAIL, with its score term", "online DPO, without it",
                  title="Which objective?", title_justify="left")  # fmt: skip
    for says, of_sail, of_field in SIDE_BY_SIDE:
        table.add_row(
            says, number(getattr(report.thresholds, of_sail)),
            number(getattr(report.online.thresholds, of_field)),
        )  # fmt: skip
    return table


def _earned(report: Report) -> Table:
    columns = ["policy", "win rate", "share of best gain", "KL(π_ref‖π)"]
    known = report.online.best.reward is not None
    columns += ["reward", "share of best gain"] if known else []
    table = Table(*columns, title="What each earns", title_justify="left")
    for name, each in earned(report):
        row = [name, f"{each.win_rate:.4f}", percent(each.share), number(each.kl_ref_policy)]
        row += [number(each.reward), percent(each.reward_share)] if known else []
        table.add_row(*(f"{cell}{'' if each.settled or i else ' (unsettled)'}"
                        for i, cell in enumerate(row)))  # fmt: skip
    return table


def _price(report: Report) -> Table:
    table = Table("γ", "win rate", "gain", "KL(π_ref‖π)", "maximiser",
                  title="What the guarantee costs", title_justify="left")  # fmt: skip
    for name, best in priced(report):
        place = "on the boundary" if best.on_boundary else "inside"
        kl = number(best.kl_ref_policy)
        table.add_row(name, f"{best.win_rate:.4f}", f"{best.gain:.4f}", kl, place)
    return table


def _constants(report: Report) -> str:
    best = report.maximiser
    return (
        f"strong concavity μ = {modulus(report)}, smoothness Λ = {number(report.smoothness)}, "
        f"K⁻ = {number(report.k_minus)}; maximiser of J_γ at {vector(best.theta)}, "
        f"J_γ = {best.value:.6g}"
    )


def _point(point: Curvature) -> str:
    return "—" if point.value is None else vector(point.theta)


def print_frontier(console: Console, curve: Frontier) -> None:
    """The result of ``frontier``."""
    table = Table("γ", "win rate", "KL(π_ref‖π)", "J_γ concave", "online DPO: win rate",
                  "KL(π_ref‖π)", "monotone", title="Frontier", title_justify="left")  # fmt: skip
    for p in curve.points:
        unknown = "undecided" if curve.relative is not None else "—"
        mark = {None: unknown, False: "no", True: "found no counterexample"}[p.concave]
        mark = "certified (C23)" if p.certified else mark
        mark = "proved (C11)" if p.guaranteed else mark
        table.add_row(number(p.gamma, 4), f"{p.win_rate:.4f}", number(p.kl_ref_policy), mark,
                      *_without_score(p.online))  # fmt: skip
    console.print(table)
    if curve.relative is None:
        console.print(ONE_POLICY)
        return
    best = curve.affordable
    console.print(
        f"For online DPO γ ≥ {number(curve.online.data)} is certified to suffice on this data, "
        f"γ ≥ {number(curve.online.relative)} proved for any of this β and Z_max (C36)."
    )
    console.print(
        f"[bold]A loss of {curve.tolerance:g} in win rate affords γ ≤ {number(best.gamma, 4)} "
        f"(win rate {best.win_rate:.4f}), and of online DPO γ ≤ "
        f"{number(curve.online_affordable, 4)}; γ* = {number(curve.instance)}, "
        f"K_B = {number(curve.relative)}.[/bold]"
    )


def _without_score(point: OnlinePoint | None) -> tuple[str, str, str]:
    """Win rate, KL and what is known of online DPO's field at one γ."""
    if point is None:
        return "—", "—", "—"
    known = "proved (C36)" if point.guaranteed else "certified (C36)" if point.certified else "—"
    rate = f"{point.win_rate:.4f}{'' if point.found else ' (unsettled)'}"
    return rate, number(point.kl_ref_policy), known
