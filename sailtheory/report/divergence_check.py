"""Terminal output of ``sailtheory check --divergence``."""

from __future__ import annotations

import math

from rich.console import Console
from rich.markup import escape

from sailtheory.analysis.divergence_check import DivergenceReport
from sailtheory.report.numerals import number
from sailtheory.report.text import verdict_text

__all__ = ["print_divergence_report"]


def print_divergence_report(console: Console, report: DivergenceReport) -> None:
    """What holds of J − γD on one problem."""
    made = report.divergence
    console.print(f"{escape(report.target.title)}; D = {escape(made.title)}")
    of = "(θ − θ_ref)ᵀφ" if made.by_reference else "log π_θ"
    strength = "proved" if made.proved else "numerical"
    radius = "for every R" if math.isinf(made.radius) else f"while R ≤ {number(made.radius)}"
    console.print(
        f"The range of {of} on C is at most R = {number(report.reach)}; D is convex {radius}."
    )
    if report.convexity is None:
        console.print("c(R) is not known for this R (C38).")
    else:
        console.print(f"∇²D ⪰ c(R)F̄ with c(R) = {number(report.convexity)} ({strength}, C38).")
    console.print(f"The least convexity found here is {number(report.least)} (search).")
    if report.relative is None:
        console.print("∇²J has no bound relative to F̄ that is certain.")
    elif math.isinf(report.threshold):
        console.print(
            f"∇²J ⪯ {number(report.relative)}F̄; K/c(R) is no threshold. Where D bends down and J "
            "up at one point, no γ works; KL(π_ref‖π_θ) has a threshold for every B."
        )
    else:
        console.print(
            f"∇²J ⪯ {number(report.relative)}F̄, so γ > {number(report.threshold)} makes J − γD "
            "concave."
        )
    if report.verdict is not None and report.gamma is not None:
        found, point = report.verdict
        console.print(
            f"[bold]J − γD is concave at γ = {number(report.gamma)}:[/bold] "
            f"{verdict_text(found)}, λ_max = {number(point.value)}"
        )
