"""``python -m docs.generate [FOLDER]``: build the site; a warning or a broken link fails."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from docs.generate.gather import ROOT, gather
from docs.generate.links import complaints


def main(target: Path) -> int:
    """Build into a folder; returns the exit code."""
    with tempfile.TemporaryDirectory() as work:
        source, cache = Path(work, "source"), Path(work, "cache")
        source.mkdir()
        gather(source)
        with patch_docutils(), docutils_namespace():
            app = Sphinx(
                source, Path(__file__).parent, target, cache, "html",
                confoverrides={"html_static_path": [str(source / "_static")]},
                freshenv=True, warningiserror=True, status=None,
            )  # fmt: skip
            app.build()
    found = complaints(target)
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    if app.statuscode == 0 and not found:
        print(f"{target}: {len(list(target.rglob('*.html')))} pages, no warning, no broken link")
    return app.statuscode or bool(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="build the site")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "site")
    sys.exit(main(parser.parse_args().folder))
