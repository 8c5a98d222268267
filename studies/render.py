"""Pages of studies: a template in the folder of each study, filled with computed values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from statistics import median
from textwrap import fill as wrapped
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).parent
WIDTH = 98


def read(path: str) -> Any:
    """The contents of a JSON file in the folder ``studies``."""
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


def render(study: str, **values: Any) -> str:
    """The page of a study: its ``page.md.jinja``, filled."""
    text = _ENVIRONMENT.get_template(f"{study}/page.md.jinja").render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def fill(text: str, indent: int = 0) -> str:
    """One paragraph in lines of equal width, the later ones indented.

    No line ends at a hyphen within a word, which Markdown would show as a space.
    """
    words = " ".join(text.split())
    return wrapped(words, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False) + "\n"


def fmt(value: Any, spec: str) -> str:
    """A number by a format of Python, and no sign of what rounds to zero."""
    text = format(value, spec)
    return format(0.0, spec) if text.startswith("-") and not text.strip("-0.") else text


def short(value: float | None) -> str:
    """Four digits, as an integer where it is one or large."""
    if value is None:
        return "–"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}" if abs(value) < 1e5 else f"{value:.1e}"
    return f"{value:.3g}" if abs(value) < 1e-2 else f"{value:.4g}"


def spread(values: Iterable[float | None]) -> str:
    """Median (largest)."""
    known = [v for v in values if v is not None]
    return f"{short(median(known))} ({short(max(known))})" if known else "–"


def interval(found: Sequence[float] | None, spec: str, level: float = 0.95) -> str:
    """A value with the ends of its interval, if there are any; levels other than 95 % are named."""
    if found is None:
        return "–"
    value, *ends = (format(x, spec) for x in found)
    name = "" if level == 0.95 else f"{100 * level:g} %: "
    return f"{value} ({name}{ends[0]} to {ends[1]})" if ends else value


def fixed(value: float) -> str:
    """Two decimals, and no sign of a zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def plus_minus(found: tuple[float, float]) -> str:
    """A mean and half its interval, if that is known."""
    mean, half = found
    return f"{fixed(mean)} ± {half:.2f}" if isfinite(half) else fixed(mean)


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table whose columns are not known to the template."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


# Markdown has nothing to escape. The line of a block tag leaves no line behind.
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(ROOT), undefined=StrictUndefined, autoescape=False,
    trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
)  # fmt: skip
_ENVIRONMENT.filters |= {
    f.__name__: f for f in (fill, fixed, fmt, interval, plus_minus, short, spread)
} | {"median": median}
_ENVIRONMENT.globals |= {"short": short, "table": table}
