"""The list of slow tests names tests that exist, and marks them."""

from __future__ import annotations

import ast
import re
import shutil
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


def listed():
    return SLOW_LIST.read_text(encoding="utf-8").split()


def test_what_is_listed_exists():
    """Tests, fixtures, files; nothing of a file that is listed as a whole."""
    whole = {name for name in listed() if "::" not in name}
    files = {name.partition("::")[0] for name in listed()}
    known = {f"{file}::{name}" for file in files - whole for name in functions(ROOT / file)}
    assert len(listed()) > 50 and set(listed()) - whole <= known
    assert listed() == sorted(set(listed())) and all((ROOT / file).is_file() for file in whole)


def test_every_test_file_that_imports_transformers_is_slow():
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(r'^pytest\.importorskip\("transformers"', path.read_text("utf-8"), re.M)
    }
    assert found == {name for name in listed() if "::" not in name}


SUITE = """
import pytest

@pytest.fixture(scope="module")
def trained(): pass

@pytest.mark.parametrize("n", [1, 2])
def test_listed(n): pass
def test_fast(): pass
def test_first(trained): pass
def test_second(trained): pass
"""


def test_listed_tests_and_no_others_are_marked(tmp_path):
    """A test, the users of a fixture, and a file that is not even imported."""
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: slow\n")
    (tmp_path / "tests/slow.txt").write_text(
        "tests/test_a.py::test_listed\ntests/test_a.py::trained\ntests/test_b.py\n"
    )
    (tmp_path / "tests/test_a.py").write_text(SUITE)
    (tmp_path / "tests/test_b.py").write_text("def test_b(): pass\n")

    def collected(expression):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--co", "-q", "-m", expression, "-p",
             "no:cacheprovider"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return {function_of(line.partition("::")[2]) for line in done.stdout.splitlines()} - {""}

    assert collected("slow") == {"test_listed", "test_first", "test_second", "test_b"}
    (tmp_path / "tests/test_b.py").write_text("import no_such_module\n")
    assert collected("not slow") == {"test_fast"}
