"""``sailtheory plot``: a figure of one problem, and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sailtheory import plots
from sailtheory.cli.common import Problem, Seed, require_outputs


def _kinds() -> list[str]:
    return list(plots.KINDS)


def plot(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(plots.KINDS)}.", autocompletion=_kinds)],
    problem: Problem,
    out: Annotated[str, typer.Option("--out", "-o", help="FILE.png, FILE.svg or FILE.pdf.")],
    data: Annotated[
        str | None, typer.Option("--data", help="Write the data, as JSON, to this file.")
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(min=0, help="γ, for the kinds that take one.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Draw a figure of your problem and print its caption."""
    from sailtheory.plots.style import check_target
    from sailtheory.problem.problem_file import load as load_problem

    plots.check_kind(kind)
    target = check_target(out)
    require_outputs(problem, out=out, data=data)
    loaded = load_problem(problem)
    found = plots.compute(kind, loaded, name=Path(problem).stem, gamma=gamma, seed=seed)
    if data is not None:
        plots.write_data(found, data)
    plots.save(plots.draw(found), target)
    print(found["caption"])
