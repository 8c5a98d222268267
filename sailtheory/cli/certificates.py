"""``sailtheory certify`` and ``replay``: proofs about one problem that can be checked again."""

from __future__ import annotations

import math
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from sailtheory.cli.common import Problem, Progress, require_outputs
from sailtheory.cli.exits import DIFFERS, UNDECIDED
from sailtheory.cli.objectives import (
    SAIL,
    Divergence,
    Epsilon,
    Group,
    Objective,
    Std,
    given,
    load_target,
)
from sailtheory.errors import InputError
from sailtheory.numeric.exact import to_fraction
from sailtheory.storage import lock

if TYPE_CHECKING:
    from sailtheory.certificates.prompts import Workers
    from sailtheory.problem.problem import PreferenceProblem

Jobs = Annotated[int, typer.Option(min=1, max=1024, help="Processes.")]
Backend = Annotated[
    Literal["loky", "threading", "dask"],
    typer.Option(help="Of joblib, where prompts are checked one by one."),
]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Of the Dask scheduler, with --backend dask.")
]

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
        float | None,
        typer.Option(
            min=1e-12,
            max=1,
            help="Relative width, for gamma and pl; default 0.01, or what time allows.",
        ),
    ] = None,
    method: Annotated[
        Literal["auto", "whole", "per-prompt", "averaged"],
        typer.Option(
            help="For gamma: γ* on all of C, ḡ ≥ γ* prompt by prompt, or, for two responses a "
            "prompt, also a γ ≥ γ* of their average."
        ),
    ] = "auto",
    out: Annotated[str | None, typer.Option(help="Write the certificate to this file.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds after which to stop.")] = None,
    jobs: Jobs = 1,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
    formal: Annotated[
        str | None, typer.Option(help="Write certificate.v to this folder and have Coq check it.")
    ] = None,
    objective: Objective = SAIL,
    group: Group = None,
    std: Std = None,
    epsilon: Epsilon = None,
    divergence: Divergence = None,
) -> None:
    """Prove a property over the whole of C: exit 0 certified, 1 refuted, 3 undecided."""
    import time

    from sailtheory.certificates import Budget, certify_concave, certify_gamma, certify_pl
    from sailtheory.certificates.kinds import by_prompt
    from sailtheory.certificates.prompts import Workers
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.certificates import summary

    if (gamma is None) != (property_ == "gamma"):
        needed = "none is expected for gamma" if property_ == "gamma" else "a number is expected"
        raise InputError("gamma", gamma, needed)
    limit = math.inf if time_limit is None else time_limit
    if not limit > 0:
        raise InputError("time-limit", limit, "a positive number of seconds is expected")
    options = given(group, std, epsilon, divergence)
    if objective != SAIL or "divergence" in options:
        unused = {"tol": tol, "method": method, "jobs": jobs, "time_limit": limit, "formal": formal}
        raise typer.Exit(_certify_bound(problem, objective, options, property_, gamma, out, unused))
    if options:
        raise InputError("objective", objective, "another one takes --group, --std and --epsilon")
    if method != "auto" and property_ != "gamma":
        raise InputError("method", method, "only gamma can be certified by another method")
    folder = Path(problem).is_dir()
    if folder and (property_ != "gamma" or method == "whole" or formal is not None):
        raise InputError("file", problem, "a .toml or .npz file is expected; folders have ḡ alone")
    loaded = None if folder else load_problem(problem)
    if loaded is not None and formal is not None:
        _certify_formally(loaded, property_, gamma, formal, out)
    require_outputs(problem, out=out)
    one_by_one = loaded is None or (property_ == "gamma" and by_prompt(loaded, method))
    if one_by_one or loaded is None:
        workers = Workers(jobs, backend, scheduler)
        run = _certify_averaged if method == "averaged" else _certify_prompts
        raise typer.Exit(run(problem, loaded, tol, limit, workers, out))
    tol = 0.01 if tol is None else tol
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


def _certify_bound(
    path: str, objective: str, options: dict[str, Any], property_: str,
    gamma: Fraction | None, out: str | None, unused: dict[str, Any],
) -> int:  # fmt: skip
    """γ* between a witness and the bounds of an objective, or concavity at γ."""
    from dataclasses import replace

    from sailtheory.certificates.bounded import certify_bound
    from sailtheory.certificates.kinds import require_closed_form
    from sailtheory.report.bounded import summary

    require_closed_form(objective, property_, **unused)
    require_outputs(path, out=out)
    target = load_target(path, objective, options)
    with nullcontext() if out is None else lock.output(out, "out"):
        with Progress() as progress:
            made = certify_bound(target, gamma, progress)
        made = replace(made, problem=str(path))
        if out is not None:
            made.save(out)
    print(summary(made))
    return EXIT_CODES[made.verdict]


def _certify_prompts(
    path: str,
    problem: PreferenceProblem | None,
    tolerance: float | None,
    limit: float,
    workers: Workers,
    out: str | None,
) -> int:
    """ḡ and the prompts that set it."""
    import time
    from dataclasses import replace

    from sailtheory.certificates import Budget
    from sailtheory.certificates.exactness import REACHED, spans_apart
    from sailtheory.certificates.prompts import Plan, certify_prompts
    from sailtheory.certificates.prompts.sources import open_source
    from sailtheory.problem.reduced import ProblemPrompts
    from sailtheory.report.prompts import summary

    state = None if out is None else Path(out + ".partial")
    with nullcontext() if out is None else lock.output(out, "out"):
        source = open_source(path) if problem is None else ProblemPrompts(problem)
        with Progress() as progress:
            budget = Budget(time.monotonic() + limit, progress=progress, state=state)
            made = certify_prompts(source, Plan(tolerance, budget, workers))
            reached = made.witness is not None and spans_apart(source, made.witness.prompt)
        notes = [made.note] * bool(made.note) + [REACHED] * reached
        made = replace(made, problem=str(path), note="; ".join(notes))
        if out is not None:
            made.save(out)
            if made.verdict != "undecided" and state is not None:
                state.unlink(missing_ok=True)
    print(summary(made))
    return EXIT_CODES[made.verdict]


def _certify_averaged(
    path: str,
    problem: PreferenceProblem | None,
    tolerance: float | None,
    limit: float,
    workers: Workers,
    out: str | None,
) -> int:
    """ḡ, and a γ at which the average over prompts is concave; the smaller counts."""
    import time

    from sailtheory.certificates import Budget
    from sailtheory.certificates.averaged import certify_averaged
    from sailtheory.certificates.prompts import Plan, certify_prompts
    from sailtheory.certificates.prompts.sources import open_source
    from sailtheory.problem.reduced import ProblemPrompts
    from sailtheory.report.averaged import summary

    with nullcontext() if out is None else lock.output(out, "out"):
        source = open_source(path) if problem is None else ProblemPrompts(problem)
        with Progress() as progress:
            budget = Budget(time.monotonic() + limit, progress=progress)
            made = certify_averaged(source, budget)
            by_prompt = certify_prompts(source, Plan(tolerance, budget, workers)).gamma
        made = made.replace(by_prompt=by_prompt, problem=str(path))
        if out is not None:
            made.save(out)
    print(summary(made))
    return EXIT_CODES[made.verdict]


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
    problem: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The problem, where it has moved since certify."),
    ] = None,
    jobs: Jobs = 1,
    backend: Backend = "loky",
    scheduler: Scheduler = None,
) -> None:
    """Check a certificate again, without the search: exit 0 valid, 1 not."""
    from sailtheory.certificates import Certificate, kinds
    from sailtheory.certificates.bounded import BoundCertificate
    from sailtheory.certificates.exactness import REACHED, spans_apart
    from sailtheory.certificates.prompts import PromptCertificate, Workers
    from sailtheory.certificates.prompts.sources import open_source
    from sailtheory.report import averaged, bounded, certificates, prompts

    made = kinds.read(certificate)
    workers = Workers(jobs, backend, scheduler)
    with Progress() as progress:
        found = kinds.replay(
            made, lambda named: open_source(problem or named),
            lambda objective, named: load_target(problem or named, objective, {}).problem,
            workers, progress,
        )  # fmt: skip
        if isinstance(made, BoundCertificate):
            says = bounded.claim(made)
        elif isinstance(made, Certificate):
            says = f"{certificates.claim(made)}\n{made.region.problem!r}"
        elif isinstance(made, PromptCertificate):
            says = prompts.claim(made)
            if found.valid and made.witness is not None:
                source = open_source(problem or made.problem)
                says += f"\n{REACHED}" * spans_apart(source, made.witness.prompt)
        else:
            says = averaged.claim(made)
    size = Path(certificate).stat().st_size
    verdict = "valid" if found.valid else "not valid"
    print(f"{verdict}: {found.reason} ({found.seconds:.1f} s, {size} bytes)")
    if found.valid:
        print(says)
    raise typer.Exit(0 if found.valid else 1)
