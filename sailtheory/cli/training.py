"""``sailtheory train`` and ``compare``: training runs and what they show."""

from __future__ import annotations

from typing import Annotated

import typer

train = typer.Typer(no_args_is_help=True, help="Train, and hold runs against one another.")

Runs = Annotated[list[str], typer.Argument(help="Folders of runs.")]


@train.command()
def diff(runs: Runs) -> None:
    """May these runs be compared? Exit 0 if they differ only as their methods declare, else 1."""
    from sailtheory.report.training import describe_diff
    from sailtheory.training.arms import diff as run_diff
    from sailtheory.training.record import read_record

    found = run_diff([read_record(folder) for folder in runs])
    typer.echo(describe_diff(found))
    raise typer.Exit(1 if found.refused else 0)
