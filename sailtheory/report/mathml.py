r"""LaTeX formulas as MathML, for the small part of LaTeX that statements of claims use.

Nothing is dropped in silence: what is not understood raises :class:`Unsupported`, and the
caller shows the source instead. A long formula is several ``<math>`` elements, cut before
relations and sums outside brackets, so that a line can end there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from sailtheory.report.mathml_symbols import (
    ACCENTS,
    ALPHABETS,
    BARS,
    CLOSING,
    IDENTIFIERS,
    LIMITS,
    NAMES,
    OPENING,
    OPERATORS,
    RELATIONS,
    SPACES,
    SUMS,
    UPRIGHT,
)

__all__ = ["Piece", "Unsupported", "mathml"]

# No thin space between a named function and these.
_CLOSE_TO_NAMES = ("}", "(", "[", "^", "_", "'", ")", "]", ",", "\\,", "\\;")

_TOKEN = re.compile(r"\\[A-Za-z]+\s*|\\.|\s+|.", re.DOTALL)


class Unsupported(ValueError):
    """The formula uses something that this converter does not know."""


class Piece(NamedTuple):
    """A converted atom.

    Attributes:
        markup: MathML.
        kind: Decides where a line may end, what gets limits and what gets space.
        spaced: Whether thin space follows, scripts first.
    """

    markup: str
    kind: str = "atom"
    spaced: bool = False


def mathml(latex: str) -> str:
    r"""A formula as one or more ``<math>`` elements in display style.

    Args:
        latex: LaTeX without dollar signs, such as ``\nabla^2 J \preceq K\bar F``.

    Raises:
        Unsupported: A command that is not known, or braces that do not match.
    """
    lines = [""]
    depth, before, within_bars = 0, "", False
    for piece in _Parser(latex).all():
        markup = piece.markup
        depth += {"open": 1, "close": -1}.get(piece.kind, 0)
        if depth == 0 and not within_bars and _breaks(before, piece.kind):
            lines.append("")
            # The first of its element would otherwise be a prefix, as in -x.
            markup = markup.replace("<mo>", '<mo form="infix">') if piece.kind == "sum" else markup
        if piece.kind == "bar" and depth == 0:
            within_bars = not within_bars
        lines[-1] += markup
        before = piece.kind
    return "".join(f'<math displaystyle="true">{line}</math>' for line in lines)


def _breaks(before: str, kind: str) -> bool:
    """Whether a line may end between two pieces of these kinds."""
    if before == "wide":
        return kind != "wide"
    if kind == "relation":
        return before not in ("", "relation")
    return kind == "sum" and before in ("atom", "close", "bar")


@dataclass
class _Scripts:
    below: str | None = None
    above: str | None = None


class _Parser:
    """Recursive descent over the tokens of one formula."""

    def __init__(self, latex: str) -> None:
        self._latex = latex
        # Spaces end a command and say nothing else, except within \text.
        self._tokens = _TOKEN.findall(latex)
        self._at = 0

    def all(self) -> list[Piece]:
        pieces = self._row()
        if self._at < len(self._tokens):
            raise Unsupported(f"}} without {{ in {self._latex!r}")
        return pieces

    def _peek(self) -> str | None:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        return self._tokens[self._at].rstrip() if self._at < len(self._tokens) else None

    def _next(self) -> str:
        token = self._peek()
        if token is None:
            raise Unsupported(f"{self._latex!r} ends too early")
        if token == "\\":  # an escaped space, of which rstrip left the backslash
            token = "\\ "
        self._at += 1
        return token

    def _row(self) -> list[Piece]:
        pieces: list[Piece] = []
        while (token := self._peek()) not in (None, "}"):
            if token == "\\rm":
                self._next()
                pieces.append(Piece(_identifier(self._letters())))
                continue
            piece = self._scripted()
            if piece.kind in ("function", "limits") and pieces and pieces[-1].kind in _OPERANDS:
                pieces.append(Piece(_THIN, "thin"))
            if piece.kind == "sum" and (not pieces or pieces[-1].kind not in _OPERANDS):
                # A sign: no space after it.
                piece = piece._replace(markup=piece.markup.replace("<mo>", '<mo form="prefix">'))
            pieces.append(piece)
        return pieces

    def _scripted(self) -> Piece:
        token = self._peek() or ""
        base = Piece(self._number()) if token.isdigit() else self._atom()
        if base.kind in ("thin", "wide"):
            return base
        scripts = _Scripts()
        while (token := self._peek() or "") in ("^", "_", "'"):
            self._next()
            if token == "_":
                if scripts.below is not None:
                    raise Unsupported(f"two subscripts in {self._latex!r}")
                scripts.below = self._argument()
            elif token == "'":
                scripts.above = (scripts.above or "") + "<mo>′</mo>"
            elif scripts.above is not None:
                raise Unsupported(f"two superscripts in {self._latex!r}")
            else:
                scripts.above = self._argument()
        return Piece(_attach(base, scripts) + (_THIN if base.spaced else ""), base.kind)

    def _argument(self) -> str:
        """What one command takes: a group, or a single token."""
        if self._peek() == "{":
            self._next()
            inside = "".join(p.markup for p in self._row())
            self._close()
            return f"<mrow>{inside}</mrow>"
        if (self._peek() or "").isdigit():
            return f"<mn>{self._next()}</mn>"
        return self._atom().markup

    def _close(self) -> None:
        if self._peek() != "}":
            raise Unsupported(f"{{ without }} in {self._latex!r}")
        self._next()

    def _number(self) -> str:
        digits = self._next()
        while self._at < len(self._tokens) and re.match(r"[\d.]", self._tokens[self._at]):
            digits += self._tokens[self._at]
            self._at += 1
        return f"<mn>{digits}</mn>"

    def _letters(self) -> str:
        """Letters up to the closing brace."""
        letters = ""
        while re.fullmatch(r"[A-Za-z]", self._peek() or ""):
            letters += self._next()
        return letters

    def _raw_group(self) -> str:
        """The characters of a group, spaces included."""
        if self._peek() != "{":
            raise Unsupported(f"a group is expected in {self._latex!r}")
        self._next()
        end = self._tokens.index("}", self._at) if "}" in self._tokens[self._at :] else None
        if end is None:
            raise Unsupported(f"{{ without }} in {self._latex!r}")
        text = "".join(self._tokens[self._at : end])
        self._at = end + 1
        if re.search(r"[\\{^_$]", text):
            raise Unsupported(f"formulas within text, in {self._latex!r}")
        return text

    def _atom(self) -> Piece:
        token = self._peek()
        if token == "{":
            return Piece(self._argument())
        token = self._next()
        if token in BARS:
            return Piece(f'<mo stretchy="false" lspace="0" rspace="0">{BARS[token]}</mo>', "bar")
        if token.startswith("\\"):
            return self._command(token[1:])
        return self._symbol(token)

    def _symbol(self, name: str) -> Piece:
        for table, kind in ((RELATIONS, "relation"), (SUMS, "sum"), (OPERATORS, "operator")):
            if name in table:
                return Piece(_operator(table[name], kind), kind)
        if name in OPENING:
            return Piece(f'<mo stretchy="false">{OPENING[name]}</mo>', "open")
        if name in CLOSING:
            return Piece(f'<mo stretchy="false">{CLOSING[name]}</mo>', "close")
        if name.isalpha() and len(name) == 1:
            return Piece(f"<mi>{name}</mi>")
        raise Unsupported(f"{name!r} in {self._latex!r}")

    def _command(self, name: str) -> Piece:
        if name in SPACES:
            return Piece(_space(SPACES[name]), "wide" if SPACES[name] > 0.25 else "thin")
        if name in ("frac", "tfrac", "dfrac"):
            style = ' displaystyle="false"' if name == "tfrac" else ""
            return Piece(f"<mfrac{style}>{self._argument()}{self._argument()}</mfrac>")
        if name in ACCENTS:
            accent = f'<mo stretchy="false">{ACCENTS[name]}</mo>'
            return Piece(f'<mover accent="true">{self._argument()}{accent}</mover>')
        if name == "text":
            # MathML trims the ends of text, LaTeX keeps them.
            return Piece(f"<mtext>{_escape(self._raw_group()).replace(' ', chr(0xA0))}</mtext>")
        if name in UPRIGHT:
            return Piece(_identifier(self._raw_group()))
        if name in ALPHABETS:
            grouped = self._peek() == "{"
            letter = self._raw_group() if grouped else self._next()
            if letter not in ALPHABETS[name]:
                raise Unsupported(f"\\{name} {letter} in {self._latex!r}")
            return Piece(f"<mi>{ALPHABETS[name][letter]}</mi>")
        if name == "sum" or name == "prod":
            return Piece(f'<mo movablelimits="false">{LIMITS[name]}</mo>', "limits")
        if name in NAMES:
            return self._function(name)
        if name in IDENTIFIERS:
            letter = IDENTIFIERS[name]
            return Piece(_identifier(letter) if letter.isupper() else f"<mi>{letter}</mi>")
        return self._symbol(name)

    def _function(self, name: str) -> Piece:
        """A named function; like LaTeX, thin space before an argument without brackets."""
        follows = self._peek() or "}"
        spaced = follows not in _CLOSE_TO_NAMES
        return Piece(_identifier(name), "limits" if name in LIMITS else "function", spaced)


def _space(width: float) -> str:
    return f'<mspace width="{width}em"></mspace>'


_THIN = _space(0.17)
_OPERANDS = ("atom", "close", "bar")


def _operator(character: str, kind: str) -> str:
    # First in its element, an operator would be a prefix: closer to what follows.
    form = ' form="infix"' if kind == "relation" else ""
    form = ' lspace="0" rspace="0"' if character == "/" else form
    return f"<mo{form}>{_escape(character)}</mo>"


def _identifier(name: str) -> str:
    # A single letter would be set in italics.
    upright = ' mathvariant="normal"' if len(name) == 1 else ""
    return f"<mi{upright}>{_escape(name)}</mi>"


def _attach(base: Piece, scripts: _Scripts) -> str:
    below, above = scripts.below, scripts.above
    if above is not None and above.count("<mo") > 1 and not above.startswith("<mrow>"):
        above = f"<mrow>{above}</mrow>"
    if base.kind == "limits" and below is not None and above is None:
        return f"<munder>{base.markup}{below}</munder>"
    if below is not None and above is not None:
        return f"<msubsup>{base.markup}{below}{above}</msubsup>"
    if below is not None:
        return f"<msub>{base.markup}{below}</msub>"
    if above is not None:
        return f"<msup>{base.markup}{above}</msup>"
    return base.markup


def _escape(text: str) -> str:
    return escape(text, quote=False)
