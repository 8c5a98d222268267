"""The ``sailtheory`` command. Its exit codes: :mod:`sailtheory.cli.exits`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.exceptions import TyperException

from sailtheory.cli import (
    audit,
    certificates,
    curvature,
    discover,
    models,
    plot,
    preference_data,
    problem,
    rates,
    rewards,
    sweep,
    theory,
    training,
    which_kl,
)
from sailtheory.cli.exits import BAD_INPUT, INTERRUPTED, ended, said
from sailtheory.errors import InputError

__all__ = ["main"]

_COMPLETION = "_SAILTHEORY_COMPLETE"

GLOSSARY = (
    "J: SAIL's objective. J_γ: J − γ·KL(π_ref‖π_θ). C: the ball of radius B in which θ lies. "
    "β: scale of the preference loss. γ*: the least γ that makes J_γ concave on C. "
    "ḡ: the largest γ* of a prompt alone. K_data, K_B: the theorem's γ for this data, and for all. "
    "PL: the Polyak–Łojasiewicz inequality. "
    "holds (proved, certified or supported), refuted, undecided: a verdict and what it rests on."
)

COMMANDS: dict[Callable[..., None], str] = {
    theory.verify: "sailtheory verify --claims C04,C11",
    theory.new_claims: "sailtheory new-claims mypaper",
    preference_data.problem: "sailtheory problem data.jsonl --embed minilm --temperature 2 "
    "--beta 0.1 --radius 2 --out folder",
    problem.check: "sailtheory check problem.toml --gamma 0.1 --html report.html",
    problem.frontier: "sailtheory frontier problem.toml --tolerance 0.02",
    sweep.sweep: "sailtheory sweep problem.toml --beta 0.05,0.1 --radius 1,2 --csv table.csv",
    certificates.certify: "sailtheory certify problem.toml --property gamma --out cert.json",
    certificates.replay: "sailtheory replay cert.json",
    rates.rates: "sailtheory rates problem.toml --gamma 1",
    discover.discover: "sailtheory discover --objective ipo --form 'a*Z**2/beta**2 + b'",
    curvature.curvature: "sailtheory curvature config.toml",
    training.compare: "sailtheory compare runs/a/* runs/b/* --html page.html",
    audit.audit: "sailtheory audit runs/q",
    which_kl.which_kl: "sailtheory which-kl grpo beta=0.04 loss_type=dr_grpo",
    rewards.rewards: "sailtheory rewards runs/grpo.csv --method grpo --group 8 --gamma 0.04",
    plot.plot: "sailtheory plot price problem.toml --out price.pdf",
    models.fetch: "sailtheory fetch smollm2-135m",
    problem.example: "sailtheory example bradley-terry > problem.toml",
}
"""Each with an example."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Check the theory of SAIL and SAIL-RevKL, and say honestly what holds.",
    epilog=GLOSSARY,
)
for command, example in COMMANDS.items():
    app.command(epilog=f"Example: {example}")(command)
app.add_typer(training.train, name="train")


def _version(value: bool) -> None:
    if value:
        from sailtheory import __version__

        print(f"sailtheory {__version__}")
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
    return ended(lambda: _run(sys.argv[1:] if arguments is None else list(arguments)))


def _run(arguments: list[str]) -> int:
    """The command without typer's own way to end, in which a broken pipe is exit code 1."""
    if _COMPLETION in os.environ:  # a shell asks, and is answered by typer
        app(args=arguments, prog_name="sailtheory")
    group = typer.main.get_command(app)
    try:
        with group.make_context("sailtheory", arguments) as context:
            group.invoke(context)
    except typer.Exit as end:
        return int(end.exit_code)
    except typer.BadParameter as error:
        return said(BAD_INPUT, _refused(error))
    except TyperException as error:
        message = error.format_message()
        return said(BAD_INPUT, message) if message else BAD_INPUT
    except typer.Abort:
        return said(INTERRUPTED, "interrupted")
    return 0


def _refused(error: typer.BadParameter) -> str:
    """Field, value and what is accepted, where typer says what it was given."""
    reasons = getattr(error.__cause__, "errors", None)
    if reasons is None or error.param is None:
        return error.format_message()
    field = max(error.param.opts, key=len).lstrip("-")
    accepted = error.message.removeprefix("Value error, ")
    return str(InputError(field, reasons()[0]["input"], accepted))
