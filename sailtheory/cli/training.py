"""``sailtheory train`` and ``compare``: training runs and what they show."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sailtheory.cli.common import Json, Seed, require_outputs
from sailtheory.cli.control import control
from sailtheory.cli.llm import llm

train = typer.Typer(no_args_is_help=True, help="Train, and compare runs with one another.")

train.command()(control)
train.command()(llm)

Runs = Annotated[list[str], typer.Argument(help="Folders of runs.")]


@train.command()
def diff(runs: Runs) -> None:
    """May these runs be compared? Exit 0 if they differ only as their methods declare, else 1."""
    from sailtheory.compare.arms import diff as run_diff
    from sailtheory.report.training import describe_diff
    from sailtheory.runs.read import read_record

    found = run_diff([read_record(folder) for folder in runs])
    print(describe_diff(found))
    raise typer.Exit(1 if found.refused else 0)


@train.command()
def export(runs: Runs) -> None:
    """Write the metrics of runs, finished or not, as RUN/metrics.parquet."""
    from sailtheory.runs.parquet import write_parquet

    for run in runs:
        print(write_parquet(run))


@train.command()
def completions(
    run: Annotated[str, typer.Argument(help="Folder of a run of a language model.")],
    updates: Annotated[int, typer.Option(min=1, help="The last so many updates kept.")] = 3,
    most: Annotated[int, typer.Option(min=1, help="Completions of an update.")] = 4,
) -> None:
    """What the policy said along training, and its rewards: the completions that a run kept."""
    from rich.console import Console

    from sailtheory.report.training import print_completions
    from sailtheory.runs.completions import read_completions

    kept = read_completions(run)
    steps = list(dict.fromkeys(row.step for row in kept))[-updates:]
    of_each = [[row for row in kept if row.step == step] for step in steps]
    console = Console()
    print_completions([row for rows in of_each for row in rows[:most]], console)
    left = len(kept) - sum(len(rows[:most]) for rows in of_each)
    if left:
        console.print(f"{left} more of {len(kept)} are kept: --updates, --most, or the file itself")


def compare(
    runs: Runs,
    metric: Annotated[
        str | None,
        typer.Option(help="One that is better when larger; default: a usual one that all have."),
    ] = None,
    effect: Annotated[
        float, typer.Option(help="Cohen's d; says how many runs would be needed to see it.")
    ] = 0.8,
    html: Annotated[str | None, typer.Option(help="Write a page to this file.")] = None,
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """Compare finished runs with one another; the first one named is of the baseline."""
    from sailtheory.compare.compare import compare as run_compare
    from sailtheory.report.comparison import describe
    from sailtheory.report.comparison_html import page
    from sailtheory.report.json_file import write
    from sailtheory.runs.read import read_record
    from sailtheory.storage.files import write_text

    require_outputs(html=html, json=json)
    found = run_compare([read_record(run) for run in runs], metric, effect=effect, seed=seed)
    print(describe(found), file=sys.stderr if json == "-" else sys.stdout)
    if html is not None:
        write_text(page(found), html, "html")
    if json is not None:
        write(found.as_dict(), json)
