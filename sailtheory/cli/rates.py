"""``sailtheory rates``: the rate of a series, or of ascent on a problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sailtheory.cli.common import Json, Progress, Seed, console_for, require_outputs
from sailtheory.errors import InputError


def rates(
    source: Annotated[
        str, typer.Argument(help="A CSV of gaps (iteration,gap), or a problem file.")
    ],
    gamma: Annotated[float | None, typer.Option(min=0, help="γ, for a problem file.")] = None,
    samples: Annotated[
        bool, typer.Option(help="For a problem file: measure N(ε) too, of three methods.")
    ] = True,
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """Fit the rate of a series, or compare predicted rates with measured ones."""
    require_outputs(source, json=json)
    is_problem = Path(source).suffix in (".toml", ".npz") or Path(source).is_dir()
    if is_problem != (gamma is not None):
        accepted = "a number is expected with a problem file" if is_problem else "none with a CSV"
        raise InputError("gamma", gamma, accepted)
    if gamma is None:
        _series(source, json, seed)
    else:
        _problem(source, gamma, samples, json, seed)


def _series(source: str, json: str | None, seed: int) -> None:
    from sailtheory.convergence import fit_rate, read_series
    from sailtheory.report.json_file import write
    from sailtheory.report.rates import describe

    series = read_series(source)
    fit = fit_rate(series.gaps, series.iterations, seed=seed)
    console_for(json).print(describe(fit))
    if json is not None:
        write(fit.as_dict(), json)


def _problem(source: str, gamma: float, samples: bool, json: str | None, seed: int) -> None:
    from sailtheory.convergence.complexity import Complexity, sample_complexity
    from sailtheory.convergence.prediction import predict
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.json_file import write
    from sailtheory.report.rates import complexity_table, print_prediction

    problem = load_problem(source)
    with Progress() as progress:
        found = predict(problem, gamma, seed, progress)
        counts: tuple[Complexity, ...] = ()
        if samples:
            counts = sample_complexity(problem, gamma, seed=seed, progress=progress)
    console = console_for(json)
    print_prediction(console, found)
    if counts:
        console.print(complexity_table(counts))
    elif samples:
        console.print("θ_ref maximises J_γ to within rounding: there is no N(ε) to measure.")
    if json is not None:
        write(found.as_dict() | {"samples": [each.as_dict() for each in counts]}, json)
