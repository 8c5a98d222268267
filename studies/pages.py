"""The page of every study that has a template, from the committed evidence; nothing is run.

``python -m studies.pages [--check]``. With ``--check`` nothing is written, and the exit status
is 1 where a page is not what template and evidence make.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from sailtheory.storage.files import write_text
from studies.render import ROOT, read

STUDIES = sorted(path.parent.name for path in ROOT.glob("*/page.md.jinja"))


def made(study: str) -> str:
    """The page of a study as its evidence has it."""
    text: str = import_module(f"studies.{study}.page").page(read(f"{study}/evidence.json"))
    return text


def main() -> None:
    """Write every page, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail where one differs"
    )
    check = parser.parse_args().check
    different = []
    for study in STUDIES:
        path, text = ROOT / study / "page.md", made(study)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        different.append(path)
        if not check:
            write_text(text, path)
    for path in different:
        print(path.relative_to(ROOT.parent), "differs" if check else "written")
    sys.exit(1 if check and different else 0)


if __name__ == "__main__":
    main()
