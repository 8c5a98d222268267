"""``sailtheory check``, ``frontier`` and ``example``: one problem."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from sailtheory.cli.common import (
    Effort,
    Epsilon,
    Group,
    HtmlFile,
    Json,
    Problem,
    Progress,
    Seed,
    Std,
    console_for,
    require_outputs,
)
from sailtheory.errors import InputError

Objective = Literal[
    "sail", "reward", "dr-grpo", "grpo", "dynamic-sampling", "arcsine", "log", "pass-at-k", "maxrl"
]


def check(
    problem: Problem,
    gamma: Annotated[
        float | None, typer.Option(min=0, help="γ; default: the closed-form threshold.")
    ] = None,
    objective: Annotated[
        Objective, typer.Option(help="SAIL on preferences, or a method on response_rewards.")
    ] = "sail",
    group: Group = 8,
    std: Std = "sample",
    epsilon: Epsilon = 0.0,
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
    if objective != "sail":
        if jobs > 1:
            raise InputError("jobs", jobs, f"1 with --objective {objective}: it has one process")
        method = (objective, group, std, epsilon)
        return _check_rewards(problem, method, gamma, effort, json, html, seed)
    from sailtheory.analysis.check import check as run_check
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.json_file import write
    from sailtheory.report.text import print_report

    require_outputs(problem, json=json, html=html)
    loaded = load_problem(problem)
    began = time.perf_counter()
    with Progress() as progress:
        report = run_check(loaded, gamma, effort, seed, progress, jobs)
    print_report(console_for(json), report)
    if json is not None:
        write(report.as_dict(), json)
    if html is not None:
        from sailtheory.report.html_problem import problem_page
        from sailtheory.storage.files import write_text

        page = problem_page(report, Path(problem).name, time.perf_counter() - began)
        write_text(page, html, "html")


def _check_rewards(
    problem: str, method: tuple[str, int, str, float], gamma: float | None, effort: str,
    json: str | None, html: str | None, seed: int,
) -> None:  # fmt: skip
    from sailtheory.analysis.reward_check import check_rewards
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.json_file import write
    from sailtheory.report.reward_check import print_reward_report
    from sailtheory.theory.reward_methods import reward_method

    require_outputs(problem, json=json)
    if html is not None:
        accepted = f"none yet with --objective {method[0]}: --json has all of it"
        raise InputError("html", html, accepted)
    asked = reward_method(*method)
    loaded = load_problem(problem, preferences=False)
    with Progress() as progress:
        report = check_rewards(loaded, asked, gamma, effort, seed, progress)
    print_reward_report(console_for(json), report)
    if json is not None:
        write(report.as_dict(), json)


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
