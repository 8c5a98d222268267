"""``sailtheory audit``: which assumptions of the theory hold in a run."""

from __future__ import annotations

from typing import Annotated

import typer

from sailtheory.cli.common import HtmlFile, Json, console_for, require_outputs
from sailtheory.cli.exits import DIFFERS


def audit(
    run: Annotated[
        str,
        typer.Argument(
            help="Folder of a run: of TRL or transformers, with or without the log of "
            "AuditCallback; of AuditLog; or of sailtheory train."
        ),
    ],
    arm: Annotated[
        list[str] | None, typer.Option(help="A run that it is compared with; repeatable.")
    ] = None,
    accuracy: Annotated[
        float, typer.Option(help="The share of the first gap that noise may leave.")
    ] = 0.1,
    html: HtmlFile = None,
    json: Json = None,
) -> None:
    """Which assumptions of the theory a run satisfies. Exit 1 if one is violated, else 0."""
    import time

    from sailtheory.report.html_run_audit import audit_page
    from sailtheory.report.json_file import write
    from sailtheory.report.run_audit import as_dict, print_audit
    from sailtheory.run_audit.audit import audit as run_audit
    from sailtheory.run_audit.read import read_run
    from sailtheory.storage.files import write_text

    require_outputs(html=html, json=json)
    began = time.perf_counter()
    found = run_audit(
        read_run(run), [(name, read_run(name)) for name in arm or ()], accuracy=accuracy
    )
    print_audit(found, run, console_for(json))
    if html is not None:
        write_text(audit_page(found, run, time.perf_counter() - began), html, "html")
    if json is not None:
        write(as_dict(found, run), json)
    raise typer.Exit(DIFFERS if found.violated else 0)
