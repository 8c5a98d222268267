"""Standard output and error: failures named, characters that a terminal lacks spelt out."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_SPELT = {
    "‖": "||", "≤": "<=", "≥": ">=", "−": "-", "–": "-", "—": "-", "·": "*", "×": "x", "∇": "grad ",
    "∂": "d", "√": "sqrt", "∞": "inf", "±": "+-", "→": "->", "↦": "->", "∈": " in ", "≻": ">",
    "⪰": ">=", "⪯": "<=", "≠": "!=", "≈": "~", "ᵀ": "^T", "′": "'", "″": "''", "⁄": "/",
    "“": '"', "”": '"', "‘": "'", "’": "'", "●": "*", "✕": "x", "○": "o",
    "\N{COMBINING MACRON}": "bar", "\N{COMBINING CIRCUMFLEX ACCENT}": "hat",
}  # fmt: skip
_ERRORS = "sailtheory.spelt"


class OutputError(Exception):
    """Standard output cannot be written.

    Attributes:
        pipe: Whether whoever read it has gone.
    """

    def __init__(self, reason: str, pipe: bool = False) -> None:
        super().__init__(f"standard output: {reason}")
        self.pipe = pipe


def spelt(text: str, encoding: str | None) -> str:
    """Text in the characters of an encoding: ``γ ≤ 1`` reads ``gamma <= 1`` in ASCII."""
    return text.encode(encoding or "utf-8", _ERRORS).decode(encoding or "utf-8")


def _spell(error: UnicodeError) -> tuple[str, int]:
    """What a codec calls for characters that it lacks."""
    assert isinstance(error, UnicodeEncodeError)
    piece = error.object[error.start : error.end]
    return "".join(map(_spelling, piece)), error.end


def _spelling(character: str) -> str:
    name = unicodedata.name(character, "")
    if name.startswith("GREEK ") and " LETTER " in name:
        letter = name.partition(" LETTER ")[2].partition(" ")[0].lower().replace("lamda", "lambda")
        return letter if "SMALL" in name else letter.capitalize()
    plain = "".join(_SPELT.get(c, c) for c in unicodedata.normalize("NFKD", character))
    if not plain.isascii():
        return character.encode("ascii", "backslashreplace").decode()
    return f"^{plain}" if name.startswith("SUPERSCRIPT ") else plain


codecs.register_error(_ERRORS, _spell)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Streams that spell out what they cannot show, and fail as :class:`OutputError`.

    Raises:
        OutputError: Standard output is closed, full, or no longer read.
    """
    if sys.stderr is None:  # nothing else may take its number, and what is said is lost
        sys.stderr = _nowhere()
    if sys.stdout is None:
        raise OutputError("it is closed")
    before = sys.stdout, sys.stderr
    streams = [_wrapped(stream) for stream in before]
    sys.stdout, sys.stderr = streams
    try:
        yield
    except BaseException:
        with suppress(OutputError):
            _leave(before, streams)
        raise
    _leave(before, streams)


def _leave(before: tuple[Any, Any], streams: list[Any]) -> None:
    """Put the streams back that were there before; what was written reaches them."""
    failed: OutputError | None = None
    sys.stdout, sys.stderr = before
    for stream in streams:
        try:
            stream.flush()
        except OutputError as error:
            failed = failed or error
            _discard(stream)
        if isinstance(stream, _Stream):
            stream.detach()
    if failed is not None:
        raise failed


class _Stream(io.TextIOWrapper):
    """A text stream whose failures are :class:`OutputError`, which no library takes for its own."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _failure(error) from None

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _failure(error) from None


def _failure(error: OSError) -> OutputError:
    return OutputError(error.strerror or str(error), error.errno == errno.EPIPE)


def _wrapped(stream: Any) -> Any:
    """The stream as a :class:`_Stream`; one of another kind, as it is."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _Stream(
        stream.buffer, stream.encoding, _ERRORS, line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )  # fmt: skip


def _discard(stream: Any) -> None:
    """Let what is still buffered go nowhere, so that nothing fails again at the end."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    stream.flush()


def _nowhere() -> io.TextIOWrapper:
    """A stream that leads nowhere, at number 2 where that is free."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.fstat(2)
    except OSError:
        os.dup2(nowhere, 2)
    return open(nowhere, "w", encoding="utf-8")
