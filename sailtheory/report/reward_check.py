"""Terminal output of ``sailtheory check --objective`` for methods of rewards."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.analysis.reward_check import STRENGTHS, RewardReport
from sailtheory.landscape.concavity import agreement
from sailtheory.report.numerals import number, times
from sailtheory.report.text import verdict_text
from sailtheory.report.words import ONE_POLICY, vector

__all__ = ["print_reward_report"]

_USES = {
    "instance": ("γ* (this problem)", "the least γ that works here, found by search"),
    "data": (
        "K_data (pass rates)",
        "(1 − V)f' at the least pass rate that C allows (C31)",
    ),
    "relative": ("K (theorem)", "whatever the problem and B (C30, C31)"),
}
_NAMES = {"zero": "0", "instance": "γ*", "gamma": "γ in use", "data": "K_data", "relative": "K"}


def print_reward_report(console: Console, report: RewardReport) -> None:
    """The result of ``check --objective``."""
    problem = report.problem
    sizes = sorted(set(problem.responses))
    m = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]}..{sizes[-1]}"
    console.print(
        f"{problem.prompts} prompts, {m} responses, dimension {problem.dimension}, B = "
        f"{float(problem.radius):g}; mean reward of π_ref {report.start:.4f}"
    )
    for note in problem.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}")
    given = "" if report.gamma_given else "  (not given: the least threshold that is certain)"
    console.print(f"{escape(report.method.title)}, γ = {number(report.gamma)}{given}\n")
    if report.ladder is None:
        console.print(ONE_POLICY)
        return
    console.print(_landscape(report))
    console.print(_thresholds(report))
    found = report.gamma_star.search
    if found is not None:
        doubt = "" if found.trusted else ": γ* may be larger. Try --effort full"
        console.print(f"γ*: {agreement(found)}{doubt}.")
    console.print(_paths(report))
    console.print(_price(report))
    console.print(
        f"μ = {number(report.mu)}, smoothness Λ = {number(report.smoothness)}, K⁻ = "
        f"{number(report.ladder.lower)}, mirror factor {number(report.factor)}"
    )
    console.print(f"\n[bold]{escape(_summary(report))}[/bold]")


def _landscape(report: RewardReport) -> Table:
    table = Table("statement on C", "verdict", "value", "at θ", title="Landscape",
                  title_justify="left")  # fmt: skip
    rows = (("E f(V) is concave", report.plain), ("E f(V) − γKL(π_ref‖π_θ) is", report.penalised))
    for name, (verdict, point) in rows:
        at = "—" if point.value is None else vector(point.theta)
        table.add_row(name, verdict_text(verdict), f"λ_max = {number(point.value)}", at)
    for name, pl in zip(("it is plain PL", "it is prox-PL"), report.pl, strict=True):
        at = "—" if pl.constant is None else vector(pl.theta)
        table.add_row(name, verdict_text(pl.verdict), f"μ ≤ {number(pl.constant)}", at)
    return table


def _thresholds(report: RewardReport) -> Table:
    table = Table("threshold", "γ", "strength", "what it is", title="How large must γ be?",
                  title_justify="left")  # fmt: skip
    assert report.ladder is not None
    values = {"instance": report.gamma_star.value, "data": report.ladder.data,
              "relative": report.ladder.relative}  # fmt: skip
    for key, (name, use) in _USES.items():
        shown = "∞" if values[key] is None and key == "relative" else number(values[key])
        table.add_row(name, shown, STRENGTHS[key], use)
    return table


def _paths(report: RewardReport) -> str:
    """What prompts need alone, and which set K_data."""
    assert report.ladder is not None
    path = report.ladder.path
    worst = ", ".join(f"{x} (V ≥ {number(low)})" for x, low, _ in report.ladder.worst[:3])
    above = int((report.gamma > path).sum())
    return (
        f"Alone, from θ_ref: prompts need {number(float(path.min()))} to "
        f"{number(float(path.max()))}, the median {number(float(np.median(path)))}; γ is above "
        f"that of {above} of {len(path)}. It says nothing for prompts that share features (C30).\n"
        f"Prompts that set K_data: {worst}."
    )


def _price(report: RewardReport) -> Table:
    table = Table("γ", "mean reward", "KL(π_ref‖π)", "maximiser", title="What the guarantee costs",
                  title_justify="left")  # fmt: skip
    for name, each in report.price.items():
        place = "on the boundary" if each.best.on_boundary else "inside"
        shown = _NAMES[name] if name == "zero" else f"{_NAMES[name]} = {number(each.gamma)}"
        table.add_row(shown, f"{each.rate:.4f}", number(each.best.kl_ref_policy), place)
    return table


def _summary(report: RewardReport) -> str:
    assert report.ladder is not None
    star, least, gamma = report.gamma_star.value, report.ladder.least, report.gamma
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
    free, used = report.price["zero"].rate, report.price["gamma"].rate
    return said + (
        f"The mean reward goes from {report.start:.3f} (π_ref) to {used:.3f} at this γ, "
        f"{free:.3f} at γ = 0."
    )
