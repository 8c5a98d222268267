"""Check a built site: every link leads somewhere, and nothing is loaded from elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value for name, value in attrs if value}
        self.anchors |= {named[key] for key in ("id", "name") if key in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if _LOADS.get(tag) in named:
            self.loads.append(named[_LOADS[tag]])


def complaints(site: Path) -> list[str]:
    """What is wrong, one line each: links to no file or anchor, and files from the network."""
    pages = {p.resolve(): _Page(p.read_text(encoding="utf-8")) for p in site.rglob("*.html")}
    found = []
    for path, page in sorted(pages.items()):
        name = path.relative_to(site.resolve())
        for target in page.loads:
            if urlsplit(target).netloc:
                found.append(f"{name}: loads {target}")
        for target in (*page.links, *page.loads):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not to.is_file():
                found.append(f"{name}: no file {target}")
            elif (
                parts.fragment
                and to in pages
                and unquote(parts.fragment) not in (pages[to].anchors | {"top", "#"})
            ):
                found.append(f"{name}: no anchor {target}")
    return found
