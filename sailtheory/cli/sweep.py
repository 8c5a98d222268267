"""``sailtheory sweep``: the thresholds of one data set over β, B and temperature."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sailtheory.cli.common import Json, Problem, Progress, Seed, console_for, require_outputs
from sailtheory.errors import InputError

_MANY = "Numbers with commas between"


def sweep(
    problem: Problem,
    beta: Annotated[str | None, typer.Option(help=f"{_MANY}; default: the problem's β.")] = None,
    radius: Annotated[str | None, typer.Option(help=f"{_MANY}; default: the problem's B.")] = None,
    temperature: Annotated[
        str, typer.Option(help=f"{_MANY}, by which rewards are divided further.")
    ] = "1",
    held_out: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the prompts to split off.")
    ] = 0.0,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Problems drawn again, for γ*'s interval; at least 10.")
    ] = 0,
    effort: Annotated[
        Literal["light", "quick", "full"], typer.Option(help="How hard to search for γ*.")
    ] = "light",
    csv: Annotated[str | None, typer.Option(help="Write CSV to this file.")] = None,
    latex: Annotated[str | None, typer.Option(help="Write a LaTeX tabular to this file.")] = None,
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """How large γ must be for other β, B and temperatures, and on prompts held out."""
    from sailtheory.analysis.bootstrap import comparisons_of
    from sailtheory.analysis.sweep import sweep as run_sweep
    from sailtheory.problem.folder import ProblemFolder, is_folder
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.json_file import write
    from sailtheory.report.sweep import csv_text, latex_text, print_sweep
    from sailtheory.storage.files import write_text

    require_outputs(problem, csv=csv, latex=latex, json=json)
    betas, radii, temperatures = (
        _numbers(name, given)
        for name, given in (("beta", beta), ("radius", radius), ("temperature", temperature))
    )
    loaded = load_problem(problem)
    comparisons = None
    if bootstrap:
        if not is_folder(problem):
            raise InputError("bootstrap", problem, "a folder with counts.npy is expected")
        comparisons = comparisons_of(ProblemFolder.open(problem))
    with Progress() as progress:
        found = run_sweep(
            loaded, betas, radii, temperatures, held_out, effort, seed, progress,
            comparisons, bootstrap,
        )  # fmt: skip
    print_sweep(console_for(json), found)
    if csv is not None:
        write_text(csv_text(found), csv, "csv")
    if latex is not None:
        write_text(latex_text(found), latex, "latex")
    if json is not None:
        write(found.as_dict(), json)


def _numbers(name: str, given: str | None) -> list[float]:
    """``0.1,0.2`` as numbers."""
    try:
        return [float(part) for part in given.split(",")] if given is not None else []
    except ValueError:
        raise InputError(name, given, "numbers with commas between are expected") from None
