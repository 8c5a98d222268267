"""One self-contained page: no request leaves it, and nothing in it is run but its own script.

The builders below take text and escape it; what they return is HTML, marked by its type.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from sailtheory.report.inline import inline
from sailtheory.report.mathml import Unsupported, mathml
from sailtheory.verdict import Outcome, Strength

MARKS = {Outcome.HOLDS: "●", Outcome.REFUTED: "✕", Outcome.UNDECIDED: "○"}


class Html(str):
    """Text that is already HTML."""

    __slots__ = ()


@dataclass(frozen=True)
class Link:
    """An entry of the page's navigation: an anchor on the page and its label."""

    anchor: str
    label: Html


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        title: Plain text.
        lead: One sentence under the title.
        groups: Headings of the navigation with their links.
        body: Sections, in order.
        facts: What the results were made with, name and value.
    """

    title: str
    lead: Html
    groups: Mapping[str, Sequence[Link]]
    body: Iterable[Html]
    facts: Mapping[str, str]

    def render(self) -> str:
        """The page as text."""
        style, script = _asset("page.css"), _asset("page.js")
        # The policy names the one script that may run, by its digest.
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )
        title = escape(self.title)
        navigation = "".join(_group(name, links) for name, links in self.groups.items())
        return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<div class="layout">
<nav class="contents" aria-label="Contents">{navigation}</nav>
<main id="main" tabindex="-1">
<header>
<h1>{title}</h1>
<p class="lead">{self.lead}</p>
</header>
{"".join(self.body)}
<footer id="environment">
<h2>Environment</h2>
{facts(self.facts)}
</footer>
</main>
</div>
<script>{script}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return files("sailtheory.report").joinpath(name).read_text(encoding="utf-8")


def _group(name: str, links: Sequence[Link]) -> str:
    items = "".join(f'<li><a href="#{escape(k.anchor)}">{k.label}</a></li>' for k in links)
    return f"<h2>{escape(name)}</h2><ul>{items}</ul>"


def text(value: str) -> Html:
    """Plain text, escaped, with subscripts and superscripts set."""
    return value if isinstance(value, Html) else Html(inline(value))


def facts(values: Mapping[str, str]) -> Html:
    """Names with their values."""
    rows = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in values.items())
    return Html(f'<dl class="facts">{rows}</dl>')


def section(anchor: str, title: str, *parts: Html) -> Html:
    """A section that the navigation can link to."""
    anchor = escape(anchor)
    return Html(
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n'
        f'<h2 id="{anchor}-title">{text(title)}</h2>\n{"".join(parts)}\n</section>\n'
    )


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Html:
    """A table whose first column names the row; columns of numbers align right."""
    rows = [list(row) for row in rows]
    numeric = [bool(rows) and all(map(_numeric, column)) for column in zip(*rows, strict=True)]
    numeric = numeric or [False] * len(columns)
    aligned = [' class="number"' if n else "" for n in numeric]
    head = "".join(
        f'<th scope="col"{a}>{text(c)}</th>' for c, a in zip(columns, aligned, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row"{aligned[0]}>{text(first)}</th>'
        + "".join(f"<td{a}>{text(v)}</td>" for v, a in zip(rest, aligned[1:], strict=True))
        + "</tr>\n"
        for first, *rest in rows
    )
    return Html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


def _numeric(value: str) -> bool:
    try:
        float(value.replace("−", "-"))
    except ValueError:
        return False
    return True


def details(summary: Html, *parts: Html) -> Html:
    """Something that can be opened."""
    return Html(f"<details><summary>{summary}</summary>{''.join(parts)}</details>\n")


def formula(latex: str) -> Html:
    """A statement in LaTeX as MathML; what cannot be converted is shown as it was written."""
    try:
        return Html(f'<div class="statement">{mathml(latex)}</div>\n')
    except Unsupported:
        return Html(f'<div class="statement"><code>{escape(latex)}</code></div>\n')


def copyable(anchor: str, content: str, label: str, name: str) -> Html:
    """Text with a button that copies it exactly.

    Args:
        anchor: Unique on the page.
        content: What is copied.
        label: What the button says.
        name: What a screen reader calls the text.
    """
    anchor, name = escape(anchor), escape(name)
    return Html(
        f'<p><button type="button" hidden data-copy="{anchor}">{escape(label)}'
        f'<span class="away">: {name}</span></button><output></output></p>\n'
        f'<pre tabindex="0" role="region" aria-label="{name}"><code id="{anchor}">'
        f"{escape(content, quote=False)}</code></pre>\n"
    )


def figure(svg: str, caption: str) -> Html:
    """An inline picture; ``svg`` is markup and must come from this program."""
    return Html(f"<figure>{svg}<figcaption>{text(caption)}</figcaption></figure>\n")


def verdict(outcome: str, strength: str | None = None) -> Html:
    """A verdict with its mark and colour; the words say the same."""
    known = Outcome(outcome)
    basis = f" ({Strength(strength).value})" if strength else ""
    return Html(
        f'<span class="verdict {known.value}"><span aria-hidden="true">{MARKS[known]}</span> '
        f"{known.value}</span>{basis}"
    )
