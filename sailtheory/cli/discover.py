"""``sailtheory discover``: the least constants of a bound's form."""

from __future__ import annotations

from typing import Annotated

import typer

from sailtheory.cli.common import Effort, Json, Progress, Seed, console_for, require_outputs
from sailtheory.errors import InputError


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(option, text, "numbers with commas between them") from None


def discover(
    objective: Annotated[
        str, typer.Option(help="A payoff: ipo, hinge, squared:margin=2, payoff:FORMULA …")
    ] = "logistic",
    form: Annotated[
        str, typer.Option(help="Of the bound, linear in constants a, b, c, d; Z and beta.")
    ] = "a*Z + b*beta",
    betas: Annotated[str, typer.Option(help="β to try.")] = "0.1,1",
    ranges: Annotated[str, typer.Option(help="Z to try.")] = "0.5,1,2",
    effort: Effort = "quick",
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """The smallest constants of a form that no problem searched refutes, and what is proved."""
    from sailtheory.analysis.discover import discover as run
    from sailtheory.objectives.registry import payoff_of
    from sailtheory.report.discover import print_discovery
    from sailtheory.report.json_file import write

    require_outputs(json=json)
    payoff = payoff_of(objective)
    wanted = _numbers(betas, "betas"), _numbers(ranges, "ranges")
    with Progress() as progress:
        found = run(payoff, form, *wanted, effort, seed, progress)
    print_discovery(console_for(json), found)
    if json is not None:
        write(found.as_dict(), json)
