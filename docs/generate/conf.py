"""Settings of Sphinx; the pages are gathered by docs/generate/__main__.py."""

from __future__ import annotations

import re

from docs.generate.typeset import typeset

_SERIF = (
    '"Charter", "Bitstream Charter", "Source Serif 4", "STIX Two Text", "Libertinus Serif", '
    '"Palatino", "Georgia", "DejaVu Serif", serif'
)

project = "sailtheory"
author = "The sailtheory authors"
copyright = "the sailtheory authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
language = "en"
nitpicky = False  # types of other libraries have no page here

smartquotes = False  # R' is no quotation
html_theme = "furo"
html_theme_options = {
    "light_css_variables": {
        "font-stack": _SERIF,
        "font-stack--headings": _SERIF,
        "color-brand-primary": "#1d1d1b",
        "color-brand-content": "#1f4e8c",
    },
    "dark_css_variables": {
        "color-brand-primary": "#dddcd5",
        "color-brand-content": "#8ab4f0",
    },
}
html_title = "sailtheory"
html_css_files = ["style.css"]
html_js_files = ["page.js"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "native"

myst_heading_anchors = 3
suppress_warnings = ["myst.header", "config.cache"]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# What reStructuredText would take for markup in plain text: J*, |z|, J_. Code is left alone.
_LITERAL = re.compile(r"(``.+?``|:\w+:`[^`]+`)")
_MARKUP = re.compile(r"([*|]|_(?=\W|$))")
_BULLET = re.compile(r"\s*\* ")


def _escape(app, what, name, obj, options, lines):  # type: ignore[no-untyped-def]
    """Docstrings are plain text with literals, not reStructuredText."""
    for i, line in enumerate(lines):
        bullet = found[0] if (found := _BULLET.match(line)) else ""
        pieces = _LITERAL.split(line.removeprefix(bullet))
        pieces[::2] = [_MARKUP.sub(r"\\\1", piece) for piece in pieces[::2]]
        lines[i] = bullet + "".join(pieces)


def _typeset(app, pagename, templatename, context, doctree):  # type: ignore[no-untyped-def]
    """Subscripts in written pages; the reference holds identifiers, mostly."""
    if doctree is not None and not pagename.startswith("reference/"):
        context["body"] = typeset(context["body"])


def setup(app):  # type: ignore[no-untyped-def]
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _escape, priority=400)  # before Napoleon
    app.connect("html-page-context", _typeset)
