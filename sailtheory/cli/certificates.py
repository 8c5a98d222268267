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

MOST_PIECES = 10**6
"""Prompts times 10 to the dimension of S, above which γ* itself is not tried by default."""

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
) -> None:
    """Prove a property over the whole of C: exit 0 certified, 1 refuted, 3 undecided."""
    import time

    from sailtheory.certificates import Budget, certify_concave, certify_gamma, certify_pl
    from sailtheory.certificates.prompts import Workers
    from sailtheory.problem.problem_file import load as load_problem
    from sailtheory.report.certificates import summary

    if (gamma is None) != (property_ == "gamma"):
        needed = "none is expected for gamma" if property_ == "gamma" else "a number is expected"
        raise InputError("gamma", gamma, needed)
    limit = math.inf if time_limit is None else time_limit
    if not limit > 0:
        raise InputError("time-limit", limit, "a positive number of seconds is expected")
    if method != "auto" and property_ != "gamma":
        raise InputError("method", method, "only gamma can be certified by another method")
    folder = Path(problem).is_dir()
    if folder and (property_ != "gamma" or method == "whole" or formal is not None):
        raise InputError("file", problem, "a .toml or .npz file is expected; folders have ḡ alone")
    loaded = None if folder else load_problem(problem)
    if loaded is not None and formal is not None:
        _certify_formally(loaded, property_, gamma, formal, out)
    require_outputs(problem, out=out)
    by_prompt = loaded is None or (property_ == "gamma" and _by_prompt(loaded, method))
    if by_prompt or loaded is None:
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


def _by_prompt(problem: PreferenceProblem, method: str) -> bool:
    """Whether ḡ is to be certified: as asked, or because γ* itself would never be."""
    if method != "auto":
        return method != "whole"
    pieces = 10 ** min(problem.span.dimension, 20)
    return bool(problem.prompts * pieces > MOST_PIECES)


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
    from sailtheory.certificates import averaged
    from sailtheory.certificates import replay as run_replay
    from sailtheory.certificates.averaged.certificate import SCHEMA as AVERAGED
    from sailtheory.certificates.averaged.certificate import parse as parse_averaged
    from sailtheory.certificates.certificate import parse as parse_whole
    from sailtheory.certificates.exactness import REACHED, spans_apart
    from sailtheory.certificates.prompts import Workers, replay_prompts
    from sailtheory.certificates.prompts.certificate import SCHEMA as BY_PROMPT
    from sailtheory.certificates.prompts.certificate import parse as parse_prompts
    from sailtheory.certificates.prompts.sources import open_source
    from sailtheory.report import averaged as averaged_words
    from sailtheory.report import certificates, prompts
    from sailtheory.storage.readers import read_json

    data = read_json(certificate, "certificate")
    schema = data.get("schema") if isinstance(data, dict) else None
    with Progress() as progress:
        if schema == AVERAGED:
            of_average = parse_averaged(data)
            source = open_source(problem or of_average.problem)
            found = averaged.replay_averaged(of_average, source, progress)
            says = averaged_words.claim(of_average)
        elif schema == BY_PROMPT:
            by_prompt = parse_prompts(data)
            source = open_source(problem or by_prompt.problem)
            workers = Workers(jobs, backend, scheduler)
            found = replay_prompts(by_prompt, source, workers, progress)
            says = prompts.claim(by_prompt)
            if found.valid and by_prompt.witness is not None:
                says += f"\n{REACHED}" * spans_apart(source, by_prompt.witness.prompt)
        else:
            whole = parse_whole(data)
            found = run_replay(whole, progress)
            says = f"{certificates.claim(whole)}\n{whole.region.problem!r}"
    size = Path(certificate).stat().st_size
    verdict = "valid" if found.valid else "not valid"
    print(f"{verdict}: {found.reason} ({found.seconds:.1f} s, {size} bytes)")
    if found.valid:
        print(says)
    raise typer.Exit(0 if found.valid else 1)
