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
    Epsilon,
    Group,
    Objective,
    Std,
    given,
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
    divergence: Annotated[
        str | None,
        typer.Option(help="chi2, kl-policy, js, chipo, entropy, alpha=A … in place of KL."),
    ] = None,
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
    if objective != SAIL and jobs > 1:
        raise InputError("jobs", jobs, f"1 with --objective {objective}: it has one process")
    from sailtheory.objectives.rewards import GroupField
    from sailtheory.report.json_file import write
    from sailtheory.storage.files import write_text

    require_outputs(problem, json=json, html=html)
    options = given(group, std, epsilon)
    if divergence is not None:
        target = load_target(problem, objective, options)
        return _check_divergence(target, divergence, gamma, effort, json, html, seed)
    followed: Any = load_followed(problem, objective, options)
    began = time.perf_counter()
    with Progress() as progress:
        if objective == SAIL:  # with online DPO beside it
            from sailtheory.analysis.check import check as run
            from sailtheory.report import html_problem, text

            report: Any = run(followed.problem, gamma, effort, seed, progress, jobs)
            page: Any = html_problem.problem_page
            show: Any = text.print_report
        elif isinstance(followed, GroupField):
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


def _check_divergence(
    target: Any, name: str, gamma: float | None, effort: str, json: str | None, html: str | None,
    seed: int,
) -> None:  # fmt: skip
    from sailtheory.analysis.divergence_check import check_divergence
    from sailtheory.report.divergence_check import print_divergence_report
    from sailtheory.report.json_file import write

    if html is not None:
        raise InputError("html", html, "none yet with --divergence: --json has all of it")
    with Progress() as progress:
        report = check_divergence(target, name, gamma, effort, seed, progress)
    print_divergence_report(console_for(json), report)
    if json is not None:
        write(report.as_dict(), json)


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
    effort: Effort = "quick",
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """The curve of win rate (or reward) and KL against γ, and the γ you can afford."""
    from sailtheory.report.json_file import write

    require_outputs(problem, json=json)
    target = load_target(problem, objective, given(group, std, epsilon))
    with Progress() as progress:
        if objective == SAIL:  # with online DPO beside it
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
