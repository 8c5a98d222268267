"""``sailtheory new-claims``: the package passes its own tests, and its entry point is found."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sailtheory
from sailtheory.claims_template import new_claims
from sailtheory.errors import InputError


def test_the_package_passes_its_own_tests(tmp_path):
    root = new_claims("my_paper", tmp_path / "made")
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entry = project["entry-points"]["sailtheory.claims"]["my_paper"]
    assert entry == "my_paper.claims:all_claims"
    places = [str(root), str(Path(sailtheory.__file__).parents[1])]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=root, text=True,
        capture_output=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(places)}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert "4 passed" in ran.stdout
    with pytest.raises(InputError, match="empty"):
        new_claims("my_paper", root)


@pytest.mark.parametrize("name", ["My", "a-b", "class", "1a", "sailtheory", ""])
def test_names_that_no_package_has(name, tmp_path):
    with pytest.raises(InputError):
        new_claims(name, tmp_path / "x")
    assert not (tmp_path / "x").exists()
