"""What the commands share: options, progress, where output goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from sailtheory.cli.streams import spelt
from sailtheory.errors import InputError
from sailtheory.progress import lines
from sailtheory.storage.files import require_writable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Effort = Annotated[Literal["quick", "full"], typer.Option(help="How hard to search.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Json = Annotated[str | None, typer.Option("--json", help="Write JSON to this file; - for stdout.")]
HtmlFile = Annotated[
    str | None, typer.Option("--html", help="Write a self-contained page to this file.")
]
Group = Annotated[int, typer.Option(min=1, help="Samples a prompt, G; k of pass@k, T of MaxRL.")]
Std = Annotated[
    Literal["population", "sample"], typer.Option(help="Of GRPO's groups; TRL's is sample.")
]
Epsilon = Annotated[float, typer.Option(min=0, help="Added to it; TRL's is 1e-4.")]
Problem = Annotated[str, typer.Argument(help="A problem: a .toml or .npz file, or a folder.")]


def require_outputs(*read: str | None, **paths: str | None) -> None:
    """Refuse files that could not be written, by option, before work is spent on them.

    Args:
        read: What the command reads, which no output may replace.
        paths: Outputs by option.
    """
    taken = {Path(path).resolve(): "what is read" for path in read if path is not None}
    for option, path in paths.items():
        if path is None or path == "-":
            continue
        require_writable(path, option)
        place = Path(path).resolve()
        if place in taken and (place.is_file() or not place.exists()):
            raise InputError(option, path, f"another file than that of {taken[place]} is expected")
        taken[place] = option


class Progress:
    """On standard error: a status line on a terminal, elsewhere a line where it takes long."""

    def __enter__(self) -> Callable[[str], None]:
        self._shown = _status() if sys.stderr.isatty() else lines()
        return self._shown.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._shown.__exit__(*error)


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    console = _console(sys.stderr)
    plain = not console.encoding.startswith("utf")
    with console.status("", spinner="line" if plain else "dots") as status:
        yield lambda stage: status.update(stage)


def console_for(json: str | None) -> Console:
    """Standard output, or standard error when JSON takes standard output."""
    return _console(sys.stderr if json == "-" else sys.stdout)


def _console(stream: TextIO) -> Console:
    """A console whose tables keep their shape where characters have to be spelt out."""
    from rich.console import Console

    class Spelling(Console):
        def render_str(self, text: str, **named: Any) -> Text:
            return super().render_str(spelt(text, self.encoding), **named)

        def print(self, *shown: Any, **named: Any) -> None:
            if not stream.isatty() and all(isinstance(each, str) for each in shown):
                fits = all(len(word) <= _PROSE for each in shown for word in each.split())
                named = ({"width": _PROSE} if fits else {"soft_wrap": True}) | named
            super().print(*shown, **named)

    return Spelling(file=stream, width=None if stream.isatty() else _TABLES, highlight=False)


_PROSE, _TABLES = 80, 120
"""Columns where no terminal says how many: sentences wrap, paths and tables stay whole."""
