"""The page of ``sailtheory verify --html``: the whole ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sailtheory.claims import Context, Result
from sailtheory.report.html import page
from sailtheory.report.html_claims import findings

__all__ = ["ledger_page"]


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
    found = [findings(r.as_dict(), f"{r.claim.id}, {r.claim.title}") for r in results]
    return page(
        "ledger",
        context.seed,
        context.effort,
        seconds,
        title="Ledger of claims",
        lead=_lead(results),
        results=list(zip(results, found, strict=True)),
        figures=figures or {},
    )


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
