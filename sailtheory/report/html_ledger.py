"""The page of ``sailtheory verify --html``: the whole ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from sailtheory.claims import Context, Result
from sailtheory.report.environment import environment
from sailtheory.report.html import MARKS, Html, Link, Page, figure, section, table, text, verdict
from sailtheory.report.html_claims import conclusion, evidence, falsehoods, statement, witnesses
from sailtheory.report.html_figures import ledger_figure


def ledger_page(
    results: Sequence[Result],
    context: Context,
    seconds: float,
    figures: Mapping[str, str] | None = None,
) -> str:
    """The ledger as a self-contained page.

    Args:
        results: What was found, in order.
        context: Seed and effort.
        seconds: How long it took.
        figures: Further pictures, caption to inline SVG made by this program.
    """
    links = [Link(r.claim.id, _label(r)) for r in results]
    overview = [Link("ledger", Html("Ledger")), Link("environment", Html("Environment"))]
    ledger = section("ledger", "Ledger", _picture(results), _table(results), _pictures(figures))
    facts = environment() | {
        "seed": str(context.seed),
        "effort": context.effort,
        "time": f"{seconds:.1f} s",
    }
    return Page(
        title="Ledger of claims",
        lead=text(_lead(results)),
        groups={"Overview": overview, "Claims": links},
        body=[ledger, *(_article(r) for r in results)],
        facts=facts,
    ).render()


def _lead(results: Sequence[Result]) -> str:
    failed = [r.claim.id for r in results if r.failure]
    different = [r.claim.id for r in results if r.verdict and not r.as_expected]
    said = []
    if failed:
        said.append(
            f"{len(failed)} of {len(results)} checks ended in an internal error, which is no "
            f"verdict: {', '.join(failed)}."
        )
    if different:
        said.append(
            f"{len(different)} of {len(results)} verdicts differ from what was written down "
            f"beforehand: {', '.join(different)}."
        )
    return (
        " ".join(said) or f"All {len(results)} verdicts are those written down before the checks."
    )


def _label(result: Result) -> Html:
    if result.verdict is None:
        return Html(f'<span class="differs">{text(result.claim.id)}, error</span>')
    outcome = result.verdict.outcome
    return Html(
        f'<span class="{outcome.value}" aria-hidden="true">{MARKS[outcome]}</span> '
        f'{text(result.claim.id)}<span class="away">, {outcome.value}</span>'
    )


def _picture(results: Sequence[Result]) -> Html:
    caption = (
        "What each verdict rests on: ● holds, ✕ refuted, ○ undecided. Proved: exact or symbolic, "
        "or an argument whose every step was checked. Certified: ball arithmetic over the whole "
        "region. Supported: sampled and searched, without a counterexample."
    )
    found = [(r.claim.id, r.verdict) for r in results if r.verdict is not None]
    return figure(ledger_figure(found), caption)


def _pictures(figures: Mapping[str, str] | None) -> Html:
    return Html("".join(figure(svg, caption) for caption, svg in (figures or {}).items()))


def _table(results: Sequence[Result]) -> Html:
    rows = [
        (
            Html(f'<a href="#{escape(r.claim.id)}">{text(r.claim.id)}</a>'),
            r.claim.title,
            *_found(r),
            verdict(r.claim.expected.value) if r.as_expected else _differs(r),
            f"{r.seconds:.1f}",
        )
        for r in results
    ]
    columns = ("id", "claim", "verdict", "strength", "expected", "s")
    return table("Verdicts, and those expected before the checks", columns, rows)


def _found(result: Result) -> tuple[Html, str]:
    """Verdict and strength; an error is neither."""
    if result.verdict is None:
        return Html('<span class="differs">error</span>'), "—"
    strength = result.verdict.strength
    return verdict(result.verdict.outcome.value), strength.value if strength else "—"


def _differs(result: Result) -> Html:
    return Html(f'<span class="differs">{result.claim.expected.value}</span>')


def _article(result: Result) -> Html:
    claim, found = result.claim, result.as_dict()
    parts = [
        statement(claim),
        conclusion(claim, found),
        *witnesses(found, f"{claim.id}, {claim.title}"),
        evidence(found, claim.id),
        falsehoods(claim),
    ]
    anchor = escape(claim.id)
    return Html(
        f'<article id="{anchor}" aria-labelledby="{anchor}-title">\n<h2 id="{anchor}-title">'
        f'<span class="id">{text(claim.id)}</span>{text(claim.title)}</h2>\n'
        f"{''.join(parts)}</article>\n"
    )
