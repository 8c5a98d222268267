"""The page of ``sailtheory check --objective NAME --html``."""

from __future__ import annotations

from math import isfinite

from sailtheory.analysis.field_check import FieldReport
from sailtheory.analysis.target_check import TargetReport
from sailtheory.report import target_check as words
from sailtheory.report.html import page
from sailtheory.report.html_figures import price_figure, thresholds_figure
from sailtheory.report.html_problem import problem_file, statements_of
from sailtheory.report.numerals import number
from sailtheory.report.words import agreed

__all__ = ["problem_facts", "target_page", "thresholds_shown"]

_LEVELS = (
    "The γ in use (solid) beside what this problem needs (γ*, found by search), what is certified "
    "from its prompts one by one (K_data), and what the theorem asks of every problem (K)."
)


def target_page(report: TargetReport, name: str, seconds: float) -> str:
    """The result of ``check --objective`` as a self-contained page.

    Args:
        report: The result.
        name: What the problem is called, for example the name of its file.
        seconds: How long it took.
    """
    known, target = report.bounds, report.target
    values = thresholds_shown(report)
    priced = [] if known is None else words.price(report)
    gains = [
        (row[0], each.best.kl_ref_policy, each.worth - report.start)
        for row, each in zip(priced, report.price.values(), strict=False)
    ]
    return page(
        "problem",
        report.seed,
        report.effort,
        seconds,
        title=f"{name}, {target.title}, at γ = {number(report.gamma)}",
        lead=words.summary(report),
        name=name,
        facts={"objective": target.title}
        | ({"D": " ".join(words.divergence(report))} if words.divergence(report) else {})
        | problem_facts(report, target.measure),
        file=problem_file(report.problem),
        landscape=statements_of([] if known is None else words.statements(report), name),
        constants={} if known is None else {"constants": words.constants(report)},
        levels=[] if known is None else words.thresholds(report),
        levels_words=_LEVELS,
        levels_use="what it is",
        levels_figure=thresholds_figure(values, report.gamma) if values else None,
        worst=" ".join(words.prompts(report)) if known is not None else "",
        trust=agreed(report.gamma_star.search),
        price_title=f"Maximisers of {target.symbol} − {target.subtracted}",
        price=priced,
        price_words=f"The maximiser: gain in {target.measure} over π_ref, and distance from it.",
        price_columns=("γ", target.measure, "KL(π_ref‖π)", "maximiser"),
        price_figure=price_figure(gains, f"gain in {target.measure}"),
        earned=None,
        objectives=None,
        figures={},
    )


def thresholds_shown(report: TargetReport | FieldReport) -> list[tuple[str, float | None]]:
    """Names and values of what the picture of thresholds shows; none where S = {0}."""
    known = report.bounds
    if known is None:
        return []
    star = report.gamma_star.value
    star = None if star is None or not isfinite(star) else star
    named = [("γ*", star), ("K_data", known.data), ("K", known.relative)]
    return named if known.data_claims else [named[0], named[2]]


def problem_facts(report: TargetReport | FieldReport, measure: str) -> dict[str, str]:
    """Sizes of the problem, what π_ref is worth by the measure, γ and notes."""
    problem = report.problem
    decided = "" if problem.span.exact else " (decided numerically)"
    given = "" if report.gamma_given else f", as none was given: {words.default_gamma(report)}"
    facts = {
        "prompts": str(problem.prompts),
        "responses": ", ".join(map(str, sorted(set(problem.responses)))),
        "dimension": f"{problem.dimension}, of which S has {problem.span.dimension}{decided}",
        "B": f"{number(float(problem.radius))}, radius of C",
        f"{measure} of π_ref": f"{report.start:.4f}",
        "γ": f"{number(report.gamma)}{given}",
    }
    return facts | {f"note {i}": note for i, note in enumerate(problem.notes, start=1)}
