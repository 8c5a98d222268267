"""``sailtheory verify``: the claims of the paper."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sailtheory.cli.common import Effort, HtmlFile, Json, Seed, console_for, require_outputs
from sailtheory.cli.exits import DIFFERS, INTERNAL, internal

_HANDFUL = 6


def verify(
    claims: Annotated[str | None, typer.Option(help="Ids, such as C04,C11; default all.")] = None,
    effort: Effort = "quick",
    json: Json = None,
    html: HtmlFile = None,
    seed: Seed = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: the cores, for many claims.")
    ] = None,
) -> None:
    """Check the paper's claims and compare with what was expected."""
    from rich.live import Live

    from sailtheory import __version__
    from sailtheory.claims import Context, registered, run_all, select
    from sailtheory.report.json_file import write
    from sailtheory.report.text import add_result, ledger_table

    require_outputs(json=json, html=html)
    context = Context(effort, seed)
    chosen = select(registered(), claims.split(",") if claims is not None else None)
    processes = _processes(len(chosen)) if jobs is None else jobs
    began = time.perf_counter()
    console, table, results = console_for(json), ledger_table(), []
    with Live(table, console=console, refresh_per_second=4, vertical_overflow="visible"):
        for result in run_all(chosen, context, processes):
            add_result(table, result)
            results.append(result)
    if json is not None:
        write(
            {
                "schema": "sailtheory.verify/1",
                "version": __version__,
                "seed": context.seed,
                "claims": [result.as_dict() for result in results],
            },
            json,
        )
    seconds = time.perf_counter() - began
    if html is not None:
        from sailtheory.report.html_ledger import ledger_page
        from sailtheory.storage.files import write_text

        write_text(ledger_page(results, context, seconds), html, "html")
    different = [r.claim.id for r in results if r.verdict and not r.as_expected]
    if different:
        console.print(f"{len(different)} of {len(results)} differ: {', '.join(different)}")
    failed = [(r.claim.id, r.failure) for r in results if r.failure]
    for claim, failure in failed:
        internal(failure.says, failure.traceback, claim)
    if failed or different:
        raise typer.Exit(INTERNAL if failed else DIFFERS)
    console.print(f"All {len(results)} verdicts are as expected ({seconds:.0f} s).")


def _processes(claims: int) -> int:
    """Other processes take seconds to start, which a handful of claims does not repay."""
    from joblib import cpu_count

    return int(cpu_count()) if claims > _HANDFUL else 1


def new_claims(
    name: Annotated[str, typer.Argument(help="Of the package: small letters, digits and _.")],
    out: Annotated[str | None, typer.Option(help="Folder; default: one of that name.")] = None,
) -> None:
    """Write a package for claims of your own: expected verdicts, planted falsehoods, tests."""
    from sailtheory.claims_template import new_claims as write

    root = write(name, out)
    print(f"{root}: pip install -e '{root}[dev]', then pytest and sailtheory verify")
