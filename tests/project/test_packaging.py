"""What the package declares against what it imports; the list of skipped tests is enforced."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Names under which distributions are imported, where they differ.
IMPORTED = {
    "python-flint": "flint",
    "dm-control": "dm_control",
    "pillow": "PIL",
    "stable-baselines3": "stable_baselines3",
}
BY_OTHERS = {
    "gguf": "transformers reads GGUF files with it",
    "accelerate": "the trainer of transformers asks for it",
    "tensorboard": "torch.utils.tensorboard writes with it",
    "ipykernel": "nbclient starts it",
    "arch": "rliable needs arch < 8",
}
OPTIONAL = PROJECT["optional-dependencies"]


def named(requirements):
    """Names under which the requirements are imported, the package itself left out."""
    names = [re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in requirements]
    return {IMPORTED.get(name, name) for name in names} - {"sailtheory"}


def imports(*folders):
    """Top-level names of what the modules import, wherever in them."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    found.add(node.module.partition(".")[0])
                elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
                    found.add(node.args[0].value.partition(".")[0])
    return found - set(sys.stdlib_module_names)


def test_the_product_imports_what_it_declares_and_declares_what_it_imports():
    product = [
        PROJECT["dependencies"],
        *(OPTIONAL[extra] for extra in ("torch", "rl", "llm", "dask", "pandas", "trl")),
    ]
    declared = set().union(*map(named, product))
    found = imports("sailtheory", "proofs_check") - {"sailtheory", "proofs_check"}
    assert found == declared - set(BY_OTHERS)


def test_peers_are_compared_with():
    used = imports("tests", "benchmarks", "figures")
    assert named(OPTIONAL["peers"]) <= used | set(BY_OTHERS)
    assert {"curvlinops", "hessian_eigenthings", "mpmath"} <= used


def test_torch_comes_with_what_needs_it():
    for extra in ("dev", "rl", "llm"):
        assert "sailtheory[torch]" in OPTIONAL[extra]
    assert "torch" not in named(PROJECT["dependencies"])


def test_extras_are_quoted_wherever_they_are_installed():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("sailtheory/**/*.py")]
    for path in pages:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"pip install [^'\"]*\bsailtheory\[", line), (path, line)


SKIPPING = {
    "tests/test_whole.py": "import pytest\npytest.skip('no', allow_module_level=True)\n",
    "tests/test_one.py": "import pytest\ndef test_a(): pytest.skip('no')\ndef test_b(): pass\n",
}


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_skip_that_is_not_listed_fails(processes, tmp_path):
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests")
    (tmp_path / "tests/slow.txt").touch()
    for name, content in SKIPPING.items():
        (tmp_path / name).write_text(content, encoding="utf-8")

    def ended(*listed, options=("--only-listed-skips",)):
        lines = "".join(f'"{name}" = "why"\n' for name in listed)
        (tmp_path / "tests/skips.toml").write_text(lines, encoding="utf-8")
        plugin = ["-p", "xdist", "-n", processes] if int(processes) else []
        words = ["-m", "pytest", "tests", *plugin, "-p", "no:cacheprovider", *options]
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        )  # fmt: skip
        said = re.findall(r"NOT IN skips.toml: (\S+):", done.stdout)
        return done.returncode, said

    if processes == "0":
        assert ended(options=()) == (0, [])
        assert ended("tests/test_gone.py") == (4, [])
    assert ended() == (1, ["tests/test_one.py::test_a", "tests/test_whole.py"])
    assert ended("tests/test_one.py") == (1, ["tests/test_whole.py"])
    assert ended("tests/test_one.py::test_a", "tests/test_whole.py") == (0, [])
