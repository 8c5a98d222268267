"""The ``sailtheory`` command. Exit codes: 0 done, 1 a verdict differs, 2 bad input."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.exceptions import TyperException

from sailtheory.errors import InputError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Check the theory of SAIL and SAIL-RevKL, and say honestly what holds.",
)

Effort = Annotated[str, typer.Option(help="quick or full.")]
Seed = Annotated[str, typer.Option(help="Seed of everything random; an integer ≥ 0.")]
Json = Annotated[str | None, typer.Option("--json", help="Write JSON to this file; - for stdout.")]
Problem = Annotated[str, typer.Argument(help="A problem file: .toml or .npz.")]


@app.command()
def verify(
    claims: Annotated[str | None, typer.Option(help="Ids, such as C04,C11; default all.")] = None,
    effort: Effort = "quick",
    json: Json = None,
    seed: Seed = "0",
) -> None:
    """Check the paper's claims and compare with what was expected."""
    from rich.live import Live

    from sailtheory import __version__
    from sailtheory.claims import Context, registered, run_all, select
    from sailtheory.report.json_file import write
    from sailtheory.report.text import add_result, ledger_table

    context = Context(effort, _integer("seed", seed))
    chosen = select(registered(), claims.split(",") if claims is not None else None)
    console, table, results = _console(json), ledger_table(), []
    with Live(table, console=console, refresh_per_second=4, vertical_overflow="visible"):
        for result in run_all(chosen, context):
            add_result(table, result)
            results.append(result)
    if json is not None:
        write(
            {
                "schema": "sailtheory.verify/1",
                "version": __version__,
                "seed": context.seed,
                "claims": [result.as_dict() for result in results],
            },
            json,
        )
    different = [result.claim.id for result in results if not result.as_expected]
    seconds = sum(result.seconds for result in results)
    if different:
        console.print(f"{len(different)} of {len(results)} differ: {', '.join(different)}")
        raise typer.Exit(1)
    console.print(f"All {len(results)} verdicts are as expected ({seconds:.0f} s).")


@app.command()
def check(
    problem: Problem,
    gamma: Annotated[
        str | None, typer.Option(help="γ ≥ 0; default: the closed-form threshold.")
    ] = None,
    effort: Effort = "quick",
    json: Json = None,
    seed: Seed = "0",
) -> None:
    """What holds on your problem, how large γ must be, and what that costs."""
    from sailtheory.check import check as run_check
    from sailtheory.problem import PreferenceProblem
    from sailtheory.report.json_file import write
    from sailtheory.report.text import print_report

    level = None if gamma is None else _real("gamma", gamma)
    number = _integer("seed", seed)
    loaded = PreferenceProblem.load(problem)
    with _Progress() as progress:
        report = run_check(loaded, level, effort, number, progress)
    if json is not None:
        write(report.as_dict(), json)
    print_report(_console(json), report)


@app.command()
def frontier(
    problem: Problem,
    tolerance: Annotated[str, typer.Option(help="Tolerated loss of win rate.")] = "0.01",
    points: Annotated[str, typer.Option(help="How many values of γ.")] = "25",
    effort: Effort = "quick",
    json: Json = None,
    seed: Seed = "0",
) -> None:
    """The curve of win rate and KL against γ, and the γ you can afford."""
    from sailtheory.frontier import frontier as run_frontier
    from sailtheory.problem import PreferenceProblem
    from sailtheory.report.json_file import write
    from sailtheory.report.text import print_frontier

    loss, count = _real("tolerance", tolerance), _integer("points", points)
    number = _integer("seed", seed)
    loaded = PreferenceProblem.load(problem)
    with _Progress() as progress:
        curve = run_frontier(loaded, loss, count, effort, number, progress)
    if json is not None:
        write(curve.as_dict(), json)
    print_frontier(_console(json), curve)


@app.command()
def example(
    name: Annotated[str | None, typer.Argument(help="Name; without one, the list.")] = None,
) -> None:
    """Print a built-in problem file to standard output."""
    from sailtheory import examples

    if name is None:
        typer.echo("\n".join(examples.names()))
    else:
        typer.echo(examples.text(name), nl=False)


def _version(value: bool) -> None:
    if value:
        from sailtheory import __version__

        typer.echo(f"sailtheory {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Check the theory of SAIL and SAIL-RevKL, and say honestly what holds."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code. Bad input is one line on standard error."""
    try:
        code = app(args=arguments, standalone_mode=False, prog_name="sailtheory")
    except InputError as error:
        return _fail(str(error))
    except TyperException as error:
        return _fail(error.format_message() if hasattr(error, "format_message") else str(error))
    except (typer.Abort, KeyboardInterrupt):
        print("sailtheory: interrupted", file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    if message:
        print("sailtheory: " + " ".join(message.split()), file=sys.stderr)
    return 2


def _real(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(field, text, "a number is expected") from None


def _integer(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(field, text, "an integer is expected") from None


class _Progress:
    """A status line on standard error, only on a terminal."""

    def __enter__(self) -> Callable[[str], None]:
        from rich.console import Console

        self._status = Console(stderr=True).status("")
        if sys.stderr.isatty():
            self._status.start()
        return lambda stage: self._status.update(stage)

    def __exit__(self, *_: object) -> None:
        self._status.stop()


def _console(json: str | None):  # type: ignore[no-untyped-def]
    """Standard output, or standard error when JSON takes standard output."""
    from rich.console import Console

    stderr = json == "-"
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 120, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
