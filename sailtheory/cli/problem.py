"""``sailtheory check``, ``frontier`` and ``example``: one problem."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

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
from sailtheory.cli.objectives import (
    SAIL,
    Divergence,
    Epsilon,
    Group,
    Objective,
    Std,
    given,
    is_paper,
    load_followed,
    load_target,
)
from sailtheory.errors import InputError


def check(
    problem: Problem,
    gamma: Annotated[
        float | None, typer.Option(min=0, help="γ; default: the closed-form threshold.")
    ] = None,
    objective: Objective = SAIL,
    group: Group = None,
    std: Std = None,
    epsilon: Epsilon = None,
    divergence: Divergence = None,
    effort: Effort = "quick",
    json: Json = None,
    html: HtmlFile = None,
    seed: Seed = 0,
    jobs: Annotated[
        int, typer.Option(min=1, max=1024, help="Processes, for the thresholds prompt by prompt.")
    ] = 1,
) -> None:
    """What holds on your problem, how large γ must be, and what that costs.

    There is no time limit: γ* is one search over all prompts at once, and half of it says nothing.
    --effort sets how long it takes; certify has --time-limit.
    """
    from sailtheory.objectives.target import Target
    from sailtheory.report.json_file import write
    from sailtheory.storage.files import write_text

    require_outputs(problem, json=json, html=html)
    followed: Any = load_followed(problem, objective, given(group, std, epsilon, divergence))
    if jobs > 1 and not is_paper(followed):
        what = f"--objective {objective}" if divergence is None else f"--divergence {divergence}"
        raise InputError("jobs", jobs, f"1 with {what}: it has one process")
    began = time.perf_counter()
    with Progress() as progress:
        if is_paper(followed):  # with online DPO beside it
            from sailtheory.analysis.check import check as run
            from sailtheory.report import html_problem, text

            report: Any = run(followed.problem, gamma, effort, seed, progress, jobs)
            page: Any = html_problem.problem_page
            show: Any = text.print_report
        elif not isinstance(followed, Target):
            from sailtheory.analysis.field_check import check_field
            from sailtheory.report import field_check, html_field

            report = check_field(followed, gamma, effort, seed, progress)
            page, show = html_field.field_page, field_check.print_field_report
        else:
            from sailtheory.analysis.target_check import check_target
            from sailtheory.report import html_target, target_check

            report = check_target(followed, gamma, effort, seed, progress)
            page, show = html_target.target_page, target_check.print_target_report
    show(console_for(json), report)
    if json is not None:
        write(report.as_dict(), json)
    if html is not None:
        write_text(page(report, Path(problem).name, time.perf_counter() - began), html, "html")


def frontier(
    problem: Problem,
    tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="Tolerated loss of win rate, or of reward.")
    ] = 0.01,
    points: Annotated[int, typer.Option(min=5, max=10_000, help="How many values of γ.")] = 25,
    objective: Objective = SAIL,
    group: Group = None,
    std: Std = None,
    epsilon: Epsilon = None,
    divergence: Divergence = None,
    effort: Effort = "quick",
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """The curve of win rate (or reward) and KL against γ, and the γ you can afford."""
    from sailtheory.report.json_file import write

    require_outputs(problem, json=json)
    target = load_target(problem, objective, given(group, std, epsilon, divergence))
    with Progress() as progress:
        if is_paper(target):  # with online DPO beside it
            from sailtheory.analysis.frontier import frontier as trace
            from sailtheory.report import text

            curve: Any = trace(target.problem, tolerance, points, effort, seed, progress)
            show: Any = text.print_frontier
        else:
            from sailtheory.analysis.trade_off import trade_off
            from sailtheory.report import target_check

            curve = trade_off(target, tolerance, points, effort, seed, progress)
            show = target_check.print_trade_off
    show(console_for(json), curve)
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
