"""Plain text with some mathematics, such as ``γ* ≤ e^{−R}/λ_min``, as escaped HTML.

Subscripts and superscripts written ``_x``, ``_{…}``, ``^x``, ``^{…}`` are set as such where the
base is a single letter or one of a few names, so that names of files and of variables stay as
they are. No other character is dropped or changed.
"""

from __future__ import annotations

import re
from html import escape

__all__ = ["inline"]

_ACCENTS = "\u0300-\u036f*⁺⁻²"
_NAMES = "KL|Var|Cov|Proj|gap|sup|max|min|tr"
# A lower-case letter within a word is no base, and neither is one of a file name.
_BASE = (
    rf"(?:(?<![A-Za-z0-9_./-])(?:[a-z]|{_NAMES})|(?<![A-Z_.-])(?:[A-Z]|KL)"
    rf"|[α-ωΑ-Ωℒ∇]|[{_ACCENTS})\]])[{_ACCENTS}]*"
)
_BELOW = r"(?:[a-z]+|[A-Z](?![A-Za-z])|[0-9]+|[α-ω∞]'?)(?:\*[α-ω]?)?(?:,[a-z]\b)?"
_ABOVE = r"[−-]?(?:[A-Za-zα-ω⊥]|[0-9]+)'?"
_SCRIPT = re.compile(
    rf"(?P<base>{_BASE})(?:_(?:\{{(?P<low>[^{{}}]*)\}}|(?P<below>{_BELOW}))"
    rf"|\^(?P<above>{_ABOVE}))|\^\{{(?P<high>[^{{}}]*)\}}"
)


def inline(text: str) -> str:
    """Text as HTML: escaped, with subscripts and superscripts."""
    pieces, at = [], 0
    for match in _SCRIPT.finditer(text):
        below = match["low"] if match["low"] is not None else match["below"]
        above = match["high"] if match["high"] is not None else match["above"]
        tag, inside = ("sub", below) if below is not None else ("sup", above)
        pieces += [escape(text[at : match.start()]), escape(match["base"] or "")]
        pieces.append(f"<{tag}>{inline(inside)}</{tag}>")
        at = match.end()
    return "".join(pieces) + escape(text[at:])
