"""Subscripts and superscripts in the text of a page."""

from __future__ import annotations

import html
import re

from sailtheory.report.inline import inline

_UNTOUCHED = re.compile(
    r"(<(?P<tag>pre|code|math|script|style|svg)\b.*?</(?P=tag)>|<[^>]*>)", re.DOTALL
)


def typeset(content: str) -> str:
    """HTML with ``x_y`` set as a subscript in its text, outside code and formulas."""
    pieces, at = [], 0
    for match in _UNTOUCHED.finditer(content):
        pieces += [_words(content[at : match.start()]), match[0]]
        at = match.end()
    return "".join(pieces) + _words(content[at:])


def _words(text: str) -> str:
    return inline(html.unescape(text)) if "_" in text or "^" in text else text
