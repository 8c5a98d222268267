"""``sailtheory certify`` and ``replay``: proofs about one problem that can be checked again."""

from __future__ import annotations

import math
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from sailtheory.cli.common import Problem, Progress, require_outputs
from sailtheory.cli.exits import DIFFERS, UNDECIDED
from sailtheory.errors import InputError
from sailtheory.numeric.exact import to_fraction
from sailtheory.storage import lock

if TYPE_CHECKING:
    from sailtheory.problem.problem import PreferenceProblem

EXIT_CODES = {"certified": 0, "refuted": DIFFERS, "undecided": UNDECIDED}


def _exact(text: str) -> Fraction:
    try:
        return to_fraction(text, "gamma")
    except InputError as error:
        raise ValueError(error.accepted) from None


def certify(
    problem: Problem,
    property_: Annotated[
        Literal["concave", "gamma", "pl"], typer.Option("--property", help="What to prove.")
    ],
    gamma: Annotated[
        Fraction | None,
        typer.Option(
            parser=_exact, metavar="NUMBER", help="γ ≥ 0, such as 0.1 or 1/3; not for gamma."
        ),
    ] = None,
    tol: Annotated[
        float, typer.Option(min=1e-12, max=1, help="Relative width, for gamma and pl.")
    ] = 0.01,
    out: Annotated[str | None, typer.Option(help="Write the certificate to this file.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds after which to stop.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="Processes.")] = 1,
    formal: Annotated[
        str | None, typer.Option(help="Write certificate.v to this folder and have Coq check it.")
    ] = None,
) -> None:
    """Prove a property over the whole of C: exit 0 certified, 1 refuted, 3 undecided."""
    import time

    from sailtheory.certificates import Budget, certify_concave, certify_gamma, certify_pl
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.certificates import summary

    if (gamma is None) != (property_ == "gamma"):
        needed = "none is expected for gamma" if property_ == "gamma" else "a number is expected"
        raise InputError("gamma", gamma, needed)
    limit = math.inf if time_limit is None else time_limit
    if not limit > 0:
        raise InputError("time-limit", limit, "a positive number of seconds is expected")
    loaded = load_problem(problem)
    if formal is not None:
        _certify_formally(loaded, property_, gamma, formal, out)
    require_outputs(problem, out=out)
    state = None if out is None else Path(out + ".partial")
    with nullcontext() if out is None else lock.output(out, "out"):
        with Progress() as progress:
            budget = Budget(time.monotonic() + limit, jobs, progress, state)
            if gamma is None:
                made = certify_gamma(loaded, tol, budget)
            elif property_ == "concave":
                made = certify_concave(loaded, gamma, budget)
            else:
                made = certify_pl(loaded, gamma, tol, budget)
        if out is not None:
            made.save(out)
            if made.verdict != "undecided" and state is not None:
                state.unlink(missing_ok=True)
    print(summary(made))
    raise typer.Exit(EXIT_CODES[made.verdict])


def _certify_formally(
    problem: PreferenceProblem,
    property_: str,
    gamma: Fraction | None,
    folder: str,
    out: str | None,
) -> NoReturn:
    """The Coq file in place of the cover: exit 0 certified, 3 undecided."""
    from sailtheory.certificates.formal import certify_formal

    if property_ != "concave" or gamma is None:
        raise InputError("property", property_, "concave is expected with --formal")
    if out is not None:
        raise InputError("out", out, "--formal writes certificate.v; no --out is expected with it")
    with Progress() as progress:
        progress("Coq checks the theorems (once) and the certificate")
        made = certify_formal(problem, gamma, folder)
    print(f"{made.verdict}: {made.note}")
    raise typer.Exit(EXIT_CODES[made.verdict])


def replay(
    certificate: Annotated[str, typer.Argument(help="A certificate written by certify.")],
) -> None:
    """Check a certificate again, without the search: exit 0 valid, 1 not."""
    from sailtheory.certificates import load
    from sailtheory.certificates import replay as run_replay
    from sailtheory.report.certificates import claim

    loaded = load(certificate)
    with Progress() as progress:
        found = run_replay(loaded, progress)
    size = Path(certificate).stat().st_size
    verdict = "valid" if found.valid else "not valid"
    print(f"{verdict}: {found.reason} ({found.seconds:.1f} s, {size} bytes)")
    if found.valid:
        print(f"{claim(loaded)}\n{loaded.region.problem!r}")
    raise typer.Exit(0 if found.valid else 1)
