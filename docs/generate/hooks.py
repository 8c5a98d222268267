"""Hooks of MkDocs: add the generated pages, and typeset subscripts in the written ones."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.generate import claims, reference  # noqa: E402
from sailtheory.report.inline import inline  # noqa: E402

_GUIDE = [
    {"Home": "index.md"},
    {"Check your own theorem": "your-own-theorem.md"},
    {"What you have to trust": "trust.md"},
    {"Theory": "theory.md"},
    {"Verdicts": "verdicts.md"},
]
_RESULTS = [
    {"Tightness": "tightness.md"},
    {"Certificates": "certificates.md"},
    {"Planted falsehoods": "falsehoods.md"},
]
_UNTOUCHED = re.compile(r"(<(?P<tag>pre|code|math|script|style)\b.*?</(?P=tag)>|<[^>]*>)", re.DOTALL)


def on_config(config: Any) -> Any:
    """The navigation: what is written, then what is generated."""
    config.nav = [
        *_GUIDE,
        {"Claims": [{title: path} for path, title, _ in claims.pages()]},
        {"Measured": _RESULTS},
        {"Reference": [{title: path} for path, title, _ in reference.pages()]},
        {"Contributing": "contributing.md"},
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """The generated files, none of which is written into the tree."""
    for path, _, content in (*claims.pages(), *reference.pages()):
        files.append(File.generated(config, path, content=content))
    for path, source in (("index.md", "README.md"), ("contributing.md", "CONTRIBUTING.md")):
        content = relink((ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, path, content=content))
    for path, source in (
        ("generated/style.css", "docs/generate/style.css"),
        ("generated/page.js", "sailtheory/report/page.js"),
    ):
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, path, content=content))
    return files


def relink(markdown: str) -> str:
    """Links of a file at the root, for the site: pages to pages, other files to their names."""

    def link(match: re.Match[str]) -> str:
        words, target = match["words"], match["target"]
        if target.startswith(("http", "#")):
            return match[0]
        if not (ROOT / target).exists():
            raise ValueError(f"{target} does not exist")
        if target.startswith("docs/") and target.endswith(".md"):
            return f"[{words}]({target.removeprefix('docs/')})"
        if target == "CONTRIBUTING.md":
            return f"[{words}](contributing.md)"
        return f"`{target}`" if words == target else f"{words} (`{target}`)"

    return re.sub(r"\[(?P<words>[^\]]+)\]\((?P<target>[^)\s]+)\)", link, markdown)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Subscripts and superscripts of plain text, outside code and formulas."""
    if page.file.src_uri.startswith("reference/"):
        return content  # identifiers, mostly
    return typeset(content)


def typeset(content: str) -> str:
    """HTML with ``x_y`` set as a subscript in its text."""
    pieces, at = [], 0
    for match in _UNTOUCHED.finditer(content):
        pieces += [_words(content[at : match.start()]), match[0]]
        at = match.end()
    return "".join(pieces) + _words(content[at:])


def _words(text: str) -> str:
    return inline(html.unescape(text)) if "_" in text or "^" in text else text
