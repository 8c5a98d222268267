"""The reference: one page for each package, made of its docstrings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The command line has its help, and reports are no interface for others.
_LEFT_OUT = {"cli", "report", "examples"}


def pages() -> Iterator[tuple[str, str, str]]:
    """Path, title for the navigation, and Markdown of each page; the overview comes first."""
    packages = dict(_packages())
    listed = "".join(f"- [{name}]({name}.md)\n" for name in packages)
    yield (
        "reference/index.md",
        "Reference",
        "# Reference\n\nWhat `from sailtheory import …` gives is defined in "
        "[objectives](objectives.md), [problem](problem.md) and [errors](errors.md). "
        f"All packages:\n\n{listed}",
    )
    for name, modules in packages.items():
        body = "\n".join(_module(module, alone=len(modules) == 1) for module in modules)
        yield f"reference/{name}.md", name, f"# {name}\n\n{body}"


def _module(name: str, alone: bool) -> str:
    heading = "" if alone else f"## {name}\n\n"
    return f"{heading}```{{eval-rst}}\n.. automodule:: {name}\n```\n"


def _packages() -> Iterator[tuple[str, list[str]]]:
    for path in sorted((ROOT / "sailtheory").iterdir()):
        if path.name.startswith("_") or path.name in _LEFT_OUT:
            continue
        if path.suffix == ".py":
            yield path.stem, [f"sailtheory.{path.stem}"]
        elif (path / "__init__.py").is_file():
            modules = sorted(m.stem for m in path.glob("*.py") if not m.name.startswith("_"))
            yield path.name, [f"sailtheory.{path.name}.{m}" for m in modules]
