"""The page of ``sailtheory check --objective NAME --html`` where training follows a field."""

from __future__ import annotations

from sailtheory.analysis.field_check import FieldReport
from sailtheory.report import field_check as words
from sailtheory.report.html import page
from sailtheory.report.html_figures import price_figure, thresholds_figure
from sailtheory.report.html_problem import problem_file, statements_of
from sailtheory.report.html_target import problem_facts, thresholds_shown
from sailtheory.report.numerals import number
from sailtheory.report.target_check import thresholds
from sailtheory.report.words import agreed

__all__ = ["field_page"]


def field_page(report: FieldReport, name: str, seconds: float) -> str:
    """The result of ``check`` for a field as a self-contained page.

    Args:
        report: The result.
        name: What the problem is called, for example the name of its file.
        seconds: How long it took.
    """
    known = report.bounds
    priced = [] if known is None else words.price(report)
    told = report.told
    worths = [(report.best.kl_ref_policy, float(told.worth(report.best.theta)))]
    worths += [(each.kl_ref_policy, each.worth) for each in report.price.values()]
    gains = [(row[0], kl, worth - report.start)
             for row, (kl, worth) in zip(priced, worths, strict=False)]  # fmt: skip
    values = thresholds_shown(report)
    return page(
        "problem",
        report.seed,
        report.effort,
        seconds,
        title=f"{name}, {told.title}, at γ = {number(report.gamma)}",
        lead=words.summary(report),
        name=name,
        facts={"objective": f"{told.title}. {told.scope}"} | problem_facts(report, told.measure),
        file=problem_file(report.problem),
        landscape=statements_of([] if known is None else words.statements(report), name),
        constants={f"modulus, relative to the Fisher matrix ({told.claim})": words.modulus(report)},
        levels=[] if known is None else thresholds(report),
        levels_words="The γ in use (solid) beside the thresholds of the table.",
        levels_use="what it is",
        levels_figure=thresholds_figure(values, report.gamma) if values else None,
        worst="",
        trust=agreed(report.gamma_star.search),
        price=priced,
        price_title=f"Where {words.formula(report)} comes to rest, from π_ref",
        price_words=f"Each policy: gain in {told.measure} over π_ref, and distance from π_ref.",
        price_columns=words.columns(report),
        price_figure=price_figure(gains, f"gain in {told.measure}"),
        earned=None,
        objectives=None,
        figures={},
    )
