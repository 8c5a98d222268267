"""``sailtheory train control``: MuJoCo runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sailtheory.cli.common import integer
from sailtheory.errors import InputError

_SEEDS = "FIRST:LAST+1 or a list such as 4,5,6"


def control(
    task: Annotated[
        str,
        typer.Option(help="walker-walk, walker-stand, cheetah-run, door-open, or a Gymnasium id."),
    ],
    out: Annotated[str, typer.Option(help="Folder; each run is recorded in seed-SEED within.")],
    method: Annotated[str, typer.Option(help="sac (true reward) or pebble.")] = "pebble",
    seeds: Annotated[str, typer.Option(help=f"{_SEEDS}; they train together.")] = "0:1",
    steps: Annotated[str | None, typer.Option(help="Steps in the environment.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as sac.width=256.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="A TOML file of settings.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is there.")] = False,
    device: Annotated[str, typer.Option(help="Where the networks live: cpu or cuda.")] = "cpu",
    threads: Annotated[str, typer.Option(help="Environments stepped at once.")] = "1",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Show the metrics to TensorBoard as well.")
    ] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="In the end, write metrics.parquet as well.")
    ] = False,
    video: Annotated[
        bool, typer.Option("--video", help="In the end, film an evaluation episode (EGL).")
    ] = False,
) -> None:
    """Train SAC or PEBBLE on a control task, several seeds together.

    Settings are the paper's unless changed. A run that was stopped goes on with --resume
    and ends, on the CPU, with the numbers of one that was left alone.
    """
    from sailtheory.training.config import Text, assignments, read_toml
    from sailtheory.training.control.film import film, require_renderer
    from sailtheory.training.control.live import Live
    from sailtheory.training.control.settings import settings_of
    from sailtheory.training.control.train import train
    from sailtheory.training.parquet import require_parquet, write_parquet

    given = [read_toml(config)] if config is not None else []
    given.append(assignments(change or []))
    for key in ("task", "method", "seed", "device"):
        if any(key in source for source in given):
            raise InputError(key, "set", f"the option --{'seeds' if key == 'seed' else key}")
    chosen = {"device": device} | ({} if steps is None else {"steps": Text(steps)})
    numbers = seeds_of(seeds)
    settings = settings_of(task, method, numbers[0], *given, chosen)
    count = integer("threads", threads)
    if count < 1:
        raise InputError("threads", count, "an integer ≥ 1 is expected")
    if parquet:
        require_parquet()
    if video:
        require_renderer(settings.task)
    with Live(settings.steps, len(numbers), sys.stdout) as live:
        folders = train(
            settings, numbers, out, resume=resume, threads=count, tensorboard=tensorboard,
            progress=live,
        )  # fmt: skip
    for folder in folders:
        if parquet:
            write_parquet(folder)
        if video:
            typer.echo(f"film: {film(folder)}")
    typer.echo(f"done: {', '.join(map(str, folders))}")


def seeds_of(text: str) -> list[int]:
    """Seeds from ``0:5`` (0 to 4) or ``4,5,6``.

    Raises:
        InputError: Anything else, no seed, a negative one, or one named twice.
    """
    first, colon, last = text.partition(":")
    if colon:
        found = list(range(integer("seeds", first or "0"), integer("seeds", last)))
    else:
        found = [integer("seeds", part) for part in text.split(",")]
    if not found or min(found) < 0 or len(set(found)) != len(found) or len(found) > 1000:
        raise InputError("seeds", text, f"{_SEEDS}, each ≥ 0 and once")
    return found
