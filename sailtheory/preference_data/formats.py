"""All formats, and which of them a file has."""

from __future__ import annotations

from sailtheory.errors import InputError
from sailtheory.preference_data import arena, pairs, scored, trees
from sailtheory.preference_data.item import Choices, Format, Row

__all__ = ["FORMATS", "choose", "detect"]

FORMATS = {
    format.name: format
    for format in (*scored.FORMATS, *pairs.FORMATS, *arena.FORMATS, *trees.FORMATS)
}


def detect(row: Row, name: str | None = None) -> Format:
    """The format of a file's first row, or the one that is named.

    Raises:
        InputError: An unknown name; a row of no format or of several.
    """
    if name is not None:
        if name not in FORMATS:
            raise InputError("format", name, f"one of {', '.join(FORMATS)} is expected")
        return FORMATS[name]
    found = [format for format in FORMATS.values() if format.matches(row)]
    if len(found) == 1:
        return found[0]
    columns = ", ".join(sorted(map(str, row)))
    if not found:
        accepted = f"one of {', '.join(FORMATS)} is expected (docs/preference-data.md)"
        raise InputError("format", f"columns {columns}", accepted)
    names = ", ".join(format.name for format in found)
    raise InputError("format", f"columns {columns}", f"ambiguous: --format, one of {names}")


def choose(format: Format, choices: Choices) -> Choices:
    """The user's choices with the format's default; refused where one is open or senseless.

    Raises:
        InputError: A score or label that the format does not have, or has to be told.
    """
    for option, offered in (("score", format.scores), ("label", format.labels)):
        given = getattr(choices, option)
        if given is not None and given not in offered:
            accepted = f"one of {', '.join(offered)}" if offered else f"no choice in {format.name}"
            raise InputError(option, given, f"{accepted} is expected")
        if given is None and offered and not (option == "score" and format.default):
            accepted = f"--{option} is needed for {format.name}: one of {', '.join(offered)}"
            raise InputError(option, "not given", accepted)
    return Choices(choices.score or format.default, choices.label)
