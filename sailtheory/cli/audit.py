"""``sailtheory audit``: which assumptions of the theory hold in a run."""

from __future__ import annotations

from typing import Annotated

import typer

from sailtheory.cli.common import Json, console_for, require_outputs
from sailtheory.cli.exits import DIFFERS


def audit(
    run: Annotated[str, typer.Argument(help="Folder of a run of a language model.")],
    json: Json = None,
) -> None:
    """Which assumptions of the theory a run satisfies. Exit 1 if one is violated, else 0."""
    from sailtheory.compare.assumptions import Standing, assumptions
    from sailtheory.report.assumptions import assumption_table
    from sailtheory.report.json_file import write
    from sailtheory.runs.read import read_record

    require_outputs(json=json)
    record = read_record(run)
    found = assumptions(record)
    console_for(json).print(assumption_table(found, f"{run}: {record.method}"))
    if json is not None:
        lines = [line.as_dict() for line in found]
        write({"schema": "sailtheory.audit/1", "run": run, "assumptions": lines}, json)
    violated = any(line.standing is Standing.VIOLATED for line in found)
    raise typer.Exit(DIFFERS if violated else 0)
