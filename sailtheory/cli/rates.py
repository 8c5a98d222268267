"""``sailtheory rates``: the rate of a series, or of ascent on a problem."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sailtheory.cli.common import Json, Progress, Seed, console_for, require_outputs
from sailtheory.cli.objectives import (
    SAIL,
    Divergence,
    Epsilon,
    Group,
    Objective,
    Std,
    given,
    is_paper,
    load_target,
)
from sailtheory.errors import InputError

if TYPE_CHECKING:
    from sailtheory.objectives.target import Target


def rates(
    source: Annotated[
        str, typer.Argument(help="A CSV of gaps (iteration,gap), or a problem file.")
    ],
    gamma: Annotated[float | None, typer.Option(min=0, help="γ, for a problem file.")] = None,
    samples: Annotated[
        bool,
        typer.Option(help="For a problem file and SAIL: measure N(ε) too, of three methods."),
    ] = True,
    objective: Objective = SAIL,
    group: Group = None,
    std: Std = None,
    epsilon: Epsilon = None,
    divergence: Divergence = None,
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """Fit the rate of a series, or compare predicted rates with measured ones."""
    require_outputs(source, json=json)
    is_problem = Path(source).suffix in (".toml", ".npz") or Path(source).is_dir()
    if is_problem != (gamma is not None):
        accepted = "a number is expected with a problem file" if is_problem else "none with a CSV"
        raise InputError("gamma", gamma, accepted)
    options = given(group, std, epsilon, divergence)
    if gamma is None:
        if objective != SAIL or options:
            raise InputError("objective", objective, "none is expected with a CSV")
        _series(source, json, seed)
    else:
        _problem(load_target(source, objective, options), gamma, samples, json, seed)


def _series(source: str, json: str | None, seed: int) -> None:
    from sailtheory.convergence import fit_rate, read_series
    from sailtheory.report.json_file import write
    from sailtheory.report.rates import describe

    series = read_series(source)
    fit = fit_rate(series.gaps, series.iterations, seed=seed)
    console_for(json).print(describe(fit))
    if json is not None:
        write(fit.as_dict(), json)


def _problem(target: Target, gamma: float, samples: bool, json: str | None, seed: int) -> None:
    from sailtheory.convergence.complexity import Complexity, sample_complexity
    from sailtheory.convergence.prediction import predict
    from sailtheory.report.json_file import write
    from sailtheory.report.rates import complexity_table, print_prediction

    pairs = samples and is_paper(target)
    with Progress() as progress:
        found = predict(target, gamma, seed, progress)
        counts: tuple[Complexity, ...] = ()
        if pairs:
            counts = sample_complexity(target.problem, gamma, seed=seed, progress=progress)
    console = console_for(json)
    print_prediction(console, found)
    if counts:
        console.print(complexity_table(counts))
    elif pairs:
        console.print("θ_ref maximises J_γ to within rounding: there is no N(ε) to measure.")
    elif samples:
        console.print(f"N(ε) is that of estimators from pairs, so not measured for {target.title}.")
    if json is not None:
        write(found.as_dict() | {"samples": [each.as_dict() for each in counts]}, json)
