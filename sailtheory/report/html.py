"""One self-contained page: no request leaves it, and nothing in it is run but its own script.

The HTML is in ``templates``. Text is escaped there; markup is a ``Markup`` and stays as it is.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sailtheory.report.environment import environment
from sailtheory.report.inline import inline
from sailtheory.report.mathml import Unsupported, mathml
from sailtheory.verdict import Outcome

__all__ = ["page", "piece", "render", "templates"]

MARKS = {Outcome.HOLDS: "●", Outcome.REFUTED: "✕", Outcome.UNDECIDED: "○"}
_SUBSCRIPT = re.compile(r"(?<=\w)_([A-Za-z]+)([^A-Za-z]?)")


@cache
def templates() -> Environment:
    """The templates; a name that they use and nobody defines is an error."""
    found = Environment(
        loader=PackageLoader("sailtheory.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.do"],
    )
    found.filters |= {
        "inline": _text,
        "mathml": _formula,
        "numeric": _numeric,
        "subscripts": _SUBSCRIPT.split,
        "fixed": "{:.1f}".format,
    }
    found.globals["marks"] = MARKS
    return found


def render(template: str, **values: object) -> str:
    """A template with these values, as text."""
    return templates().get_template(f"{template}.html.jinja").render(values)


def piece(template: str, name: str, *values: object) -> Markup:
    """What one macro of a template makes of these values."""
    macro = getattr(templates().get_template(f"{template}.html.jinja").module, name)
    return Markup(macro(*values))


def page(template: str, seed: int, effort: str, seconds: float, **values: object) -> str:
    """A page with the environment that its results were made in.

    Args:
        template: Extends ``page.html.jinja``.
        seed: Seed of everything random.
        effort: ``quick`` or ``full``.
        seconds: How long it took.
        values: ``title`` and ``lead`` (one sentence), and what the template itself needs.
    """
    made = {"seed": str(seed), "effort": effort, "time": f"{seconds:.1f} s"}
    script = _asset("page.js")
    return render(
        template,
        style=_asset("page.css"),
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        made=environment() | made,
        **values,
    )


def _asset(name: str) -> Markup:
    return Markup(files("sailtheory.report").joinpath(name).read_text(encoding="utf-8"))


def _text(value: object) -> Markup:
    """Plain text with subscripts and superscripts set; markup as it is."""
    return value if isinstance(value, Markup) else Markup(inline(str(value)))


def _formula(latex: str) -> Markup | None:
    """MathML; None where the formula cannot be converted."""
    try:
        return Markup(mathml(latex))
    except Unsupported:
        return None


def _numeric(rows: Iterable[Sequence[object]], columns: int) -> list[bool]:
    """Which columns hold numbers or percentages only; none does in an empty table."""
    return [all(map(_is_number, c)) for c in zip(*rows, strict=True)] or [False] * columns


def _is_number(value: object) -> bool:
    try:
        float(str(value).replace("−", "-").removesuffix(" %"))
    except ValueError:
        return False
    return True
