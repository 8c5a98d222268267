"""``sailtheory check``, ``frontier`` and ``example``: one problem."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sailtheory.cli.common import (
    Effort,
    HtmlFile,
    Json,
    Problem,
    Progress,
    Seed,
    console_for,
    require_outputs,
)


def check(
    problem: Problem,
    gamma: Annotated[
        float | None, typer.Option(min=0, help="γ; default: the closed-form threshold.")
    ] = None,
    effort: Effort = "quick",
    json: Json = None,
    html: HtmlFile = None,
    seed: Seed = 0,
) -> None:
    """What holds on your problem, how large γ must be, and what that costs."""
    from sailtheory.analysis.check import check as run_check
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.json_file import write
    from sailtheory.report.text import print_report

    require_outputs(problem, json=json, html=html)
    loaded = load_problem(problem)
    began = time.perf_counter()
    with Progress() as progress:
        report = run_check(loaded, gamma, effort, seed, progress)
    print_report(console_for(json), report)
    if json is not None:
        write(report.as_dict(), json)
    if html is not None:
        from sailtheory.report.html_problem import problem_page
        from sailtheory.storage.files import write_text

        page = problem_page(report, Path(problem).name, time.perf_counter() - began)
        write_text(page, html, "html")


def frontier(
    problem: Problem,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="Tolerated loss of win rate.")
    ] = 0.01,
    points: Annotated[int, typer.Option(min=5, max=10_000, help="How many values of γ.")] = 25,
    effort: Effort = "quick",
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """The curve of win rate and KL against γ, and the γ you can afford."""
    from sailtheory.analysis.frontier import frontier as run_frontier
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.json_file import write
    from sailtheory.report.text import print_frontier

    require_outputs(problem, json=json)
    loaded = load_problem(problem)
    with Progress() as progress:
        curve = run_frontier(loaded, tolerance, points, effort, seed, progress)
    print_frontier(console_for(json), curve)
    if json is not None:
        write(curve.as_dict(), json)


def _names() -> list[str]:
    from sailtheory import examples

    return examples.names()


def example(
    name: Annotated[
        str | None, typer.Argument(help="Name; without one, the list.", autocompletion=_names)
    ] = None,
) -> None:
    """Print a built-in problem file to standard output."""
    from sailtheory import examples

    if name is None:
        print("\n".join(examples.names()))
    else:
        print(examples.text(name), end="")
