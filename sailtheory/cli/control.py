"""``sailtheory train control``: MuJoCo runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sailtheory.errors import InputError

_SEEDS = "FIRST:LAST+1 or a list such as 4,5,6"


def control(
    out: Annotated[str, typer.Option(help="Folder; each run is recorded in seed-SEED within.")],
    task: Annotated[
        str | None,
        typer.Option(help="walker-walk, walker-stand, cheetah-run, door-open, Id or module:Id."),
    ] = None,
    method: Annotated[
        str, typer.Option(help="sac (true reward), pebble, pebble-revkl, sail or sail-revkl.")
    ] = "pebble",
    seeds: Annotated[
        str | None, typer.Option(help=f"{_SEEDS}; they train together. By default 0.")
    ] = None,
    paper: Annotated[
        bool,
        typer.Option("--paper", help="The paper's tasks and seeds, in OUT/TASK/METHOD."),
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps in the environment.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as sac.width=256.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="A TOML file of settings.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is there.")] = False,
    device: Annotated[str, typer.Option(help="Where the networks live: cpu or cuda.")] = "cpu",
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
    """Train SAC, PEBBLE or an arm of SAIL on a control task, several seeds together.

    Settings are the paper's unless changed. A run that was stopped goes on with --resume
    and ends, on the CPU, with the numbers of one that was left alone. With --paper, every
    task of the paper (or the one named) trains with its seeds, budgets equal for all methods.
    """
    from sailtheory.runs.parquet import require_parquet, write_parquet
    from sailtheory.storage.config import assignments
    from sailtheory.storage.readers import read_toml
    from sailtheory.training.control.film import film, require_renderer
    from sailtheory.training.control.progress_table import ProgressTable
    from sailtheory.training.control.settings import settings_of
    from sailtheory.training.control.train import train

    plan = planned(task, seeds, paper)
    changes = {"--steps": steps, "--set": change, "--config": config}
    for option, value in changes.items():
        if paper and value:
            raise InputError(option, value, "nothing is changed with --paper")
    given = [read_toml(config)] if config is not None else []
    given.append(assignments(change or []))
    for key in ("task", "method", "seed", "device"):
        if any(key in source for source in given):
            raise InputError(key, "set", f"the option --{'seeds' if key == 'seed' else key}")
    if steps is not None and "steps" in given[-1]:
        raise InputError("steps", steps, "--steps or --set steps=..., not both")
    chosen = {"device": device} | ({} if steps is None else {"steps": steps})
    if parquet:
        require_parquet()
    if video:
        for name in plan:
            require_renderer(name)
    folders = []
    for name, numbers in plan.items():
        settings = settings_of(name, method, numbers[0], *given, chosen)
        folder = Path(out) / name / method if paper else Path(out)
        with ProgressTable(settings.steps, len(numbers), sys.stdout) as table:
            folders += train(
                settings, numbers, folder, resume=resume, tensorboard=tensorboard, progress=table
            )
    for folder in folders:
        if parquet:
            write_parquet(folder)
        if video:
            print(f"film: {film(folder)}")
    print(f"done: {', '.join(map(str, folders))}")


def planned(task: str | None, seeds: str | None, paper: bool) -> dict[str, list[int]]:
    """The seeds to train, by task.

    Raises:
        InputError: No task, or with ``paper`` a task that is none of its own, or seeds.
    """
    from sailtheory.training.control.settings import PAPER_SEEDS

    if not paper:
        if task is None:
            raise InputError("task", "missing", "the option --task, or --paper for all its tasks")
        return {task: seeds_of("0:1" if seeds is None else seeds)}
    if seeds is not None:
        raise InputError("seeds", seeds, "none with --paper, whose seeds are the paper's")
    if task is not None and task not in PAPER_SEEDS:
        raise InputError("task", task, f"one of {', '.join(PAPER_SEEDS)} with --paper")
    return {name: list(PAPER_SEEDS[name]) for name in ([task] if task else PAPER_SEEDS)}


def seeds_of(text: str) -> list[int]:
    """Seeds from ``0:5`` (0 to 4) or ``4,5,6``.

    Raises:
        InputError: Anything else, no seed, a negative one, or one named twice.
    """
    first, colon, last = text.partition(":")
    found: Sequence[int] = (
        range(_seed(first or "0"), _seed(last)) if colon else [*map(_seed, text.split(","))]
    )
    many = not 0 < len(found[:1001]) <= 1000  # len alone overflows on a range beyond 2⁶³
    if many or min(found) < 0 or len(set(found)) != len(found):
        raise InputError("seeds", text, f"{_SEEDS}, each ≥ 0 and once, and at most 1,000")
    return [*found]


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError("seeds", text, f"{_SEEDS} is expected") from None
