"""The list of slow tests names tests that exist, and marks them."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.conftest import LIST, SLOW_LIST, function_of

ROOT = LIST.parents[1]


def functions(path):
    """Names of the tests in a file, as pytest joins them to the path."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}::{f.name}" for f in node.body if hasattr(f, "name"))


def test_the_listed_tests_exist():
    named = SLOW_LIST.read_text(encoding="utf-8").split()
    files = {name.partition("::")[0] for name in named}
    known = {f"{file}::{name}" for file in files for name in functions(ROOT / file)}
    assert len(named) > 50 and set(named) <= known


def test_listed_tests_and_no_others_are_marked():
    """By collecting one file with ``-m slow``."""
    named = SLOW_LIST.read_text(encoding="utf-8").split()
    file = named[0].partition("::")[0]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--co", "-m", "slow", "-p", "no:cacheprovider", file],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {function_of(line) for line in done.stdout.splitlines() if line.startswith(file)}
    assert found == {name for name in named if name.startswith(f"{file}::")} != set()
