"""The ``sailtheory`` command.

Exit codes: 0 done, 1 a verdict differs or is refuted, 2 bad input, 3 undecided.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from sailtheory.cli import (
    certificates,
    curvature,
    models,
    plot,
    problem,
    rates,
    theory,
    training,
)
from sailtheory.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Check the theory of SAIL and SAIL-RevKL, and say honestly what holds.",
)
for command in (
    theory.verify,
    problem.check,
    problem.frontier,
    certificates.certify,
    certificates.replay,
    rates.rates,
    curvature.curvature,
    training.compare,
    plot.plot,
    models.fetch,
    problem.example,
):
    app.command()(command)
app.add_typer(training.train, name="train")


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
    except typer.BadParameter as error:
        return _fail(_refused(error))
    except TyperException as error:
        return _fail(error.format_message() if hasattr(error, "format_message") else str(error))
    except (typer.Abort, KeyboardInterrupt):
        print("sailtheory: interrupted", file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0


def _refused(error: typer.BadParameter) -> str:
    """Field, value and what is accepted, where typer says what it was given."""
    reasons = getattr(error.__cause__, "errors", None)
    if reasons is None or error.param is None:
        return error.format_message()
    field = max(error.param.opts, key=len).lstrip("-")
    accepted = error.message.removeprefix("Value error, ")
    return str(InputError(field, reasons()[0]["input"], accepted))


def _fail(message: str) -> int:
    if message:
        print("sailtheory: " + " ".join(message.split()), file=sys.stderr)
    return 2
