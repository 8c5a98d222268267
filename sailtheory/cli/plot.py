"""``sailtheory plot``: a figure of one problem, and its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sailtheory.cli.common import Problem, Seed, integer, real, require_outputs

_KINDS = (
    "spectra, curvature-map, thresholds, pl, convergence, samples, price, estimators, divergences "
    "or self-preference."
)


def plot(
    kind: Annotated[str, typer.Argument(help=_KINDS)],
    problem: Problem,
    out: Annotated[str, typer.Option("--out", "-o", help="FILE.png, FILE.svg or FILE.pdf.")],
    data: Annotated[
        str | None, typer.Option("--data", help="Write the data, as JSON, to this file.")
    ] = None,
    gamma: Annotated[str | None, typer.Option(help="γ ≥ 0, for the kinds that take one.")] = None,
    seed: Seed = "0",
) -> None:
    """Draw a figure of your problem and print its caption."""
    from sailtheory import plots
    from sailtheory.plots.style import check_target
    from sailtheory.problem import PreferenceProblem

    level = None if gamma is None else real("gamma", gamma)
    number = integer("seed", seed)
    plots.check_kind(kind)
    target = check_target(out)
    require_outputs(out=out, data=data)
    loaded = PreferenceProblem.load(problem)
    found = plots.compute(kind, loaded, name=Path(problem).stem, gamma=level, seed=number)
    if data is not None:
        plots.write_data(found, data)
    plots.save(plots.draw(found), target)
    print(found["caption"])
