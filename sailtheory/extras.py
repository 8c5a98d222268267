"""Libraries that an extra brings, refused in one line where they are missing."""

from __future__ import annotations

from importlib.util import find_spec

from sailtheory.errors import InputError

__all__ = ["MissingExtra", "require_extra"]


class MissingExtra(InputError, ImportError):
    """A library is missing that an extra brings; the message is the command that mends it.

    Args:
        library: As it is imported.
        extra: Of sailtheory.
    """

    def __init__(self, library: str, extra: str) -> None:
        # Quoted, since brackets are a pattern of file names in zsh.
        super().__init__(library, "not installed", f"pip install 'sailtheory[{extra}]'")
        self.name = library


def require_extra(extra: str, *libraries: str) -> None:
    """Refuse, before work is spent, where a library of an extra is missing.

    Args:
        extra: ``torch``, ``rl``, ``llm``, ``data``, ``embed``, ``pandas``, ``trl`` or ``dask``.
        libraries: As they are imported; they are looked for, not imported.

    Raises:
        MissingExtra: Names the first one that is missing.
    """
    for library in libraries:
        if find_spec(library) is None:
            raise MissingExtra(library, extra) from None
