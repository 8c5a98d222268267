"""What the commands share: options, progress, where output goes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from sailtheory.errors import InputError
from sailtheory.files import require_writable

Effort = Annotated[Literal["quick", "full"], typer.Option(help="How hard to search.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Json = Annotated[str | None, typer.Option("--json", help="Write JSON to this file; - for stdout.")]
HtmlFile = Annotated[
    str | None, typer.Option("--html", help="Write a self-contained page to this file.")
]
Problem = Annotated[str, typer.Argument(help="A problem file: .toml or .npz.")]


def require_outputs(**paths: str | None) -> None:
    """Refuse files that could not be written, by option, before work is spent on them."""
    taken: dict[Path, str] = {}
    for option, path in paths.items():
        if path is None or path == "-":
            continue
        require_writable(path, option)
        place = Path(path).resolve()
        if place in taken and (place.is_file() or not place.exists()):
            raise InputError(option, path, f"another file than that of {taken[place]} is expected")
        taken[place] = option


class Progress:
    """A status line on standard error, only on a terminal."""

    def __enter__(self) -> Callable[[str], None]:
        from rich.console import Console

        self._status = Console(stderr=True).status("")
        if sys.stderr.isatty():
            self._status.start()
        return lambda stage: self._status.update(stage)

    def __exit__(self, *_: object) -> None:
        self._status.stop()


def console_for(json: str | None):  # type: ignore[no-untyped-def]
    """Standard output, or standard error when JSON takes standard output."""
    from rich.console import Console

    stderr = json == "-"
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 120, highlight=False)
