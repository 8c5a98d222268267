"""docs/your-own-theorem.md does what it says: its code and its commands are run."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sailtheory.cli import main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "your-own-theorem.md").read_text(encoding="utf-8")
FIRST, CLAIMS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
COMMANDS = re.findall(r"^\$ (sailtheory .*)$", TEXT, re.M)


def words(beginning: str) -> list[str]:
    (found,) = [c for c in COMMANDS if c.startswith(f"sailtheory {beginning}")]
    return shlex.split(found)[1:]


def test_no_command_is_left_out():
    assert len(COMMANDS) == 2


def test_inequality_and_its_witness(capsys, tmp_path, monkeypatch):
    """β(3LB + 1) is too small near B = 0, where K reaches 2β − β²/2: found, and shrunk."""
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(compile(FIRST, "your-own-theorem", "exec"), scope)
    shown = capsys.readouterr().out
    witness = scope["witness"]
    assert witness.replay() is True
    assert witness.data["lhs"] > witness.data["rhs"]
    assert (witness.problem.prompts, witness.problem.dimension) == (1, 1)
    assert max(witness.problem.responses) <= 4
    assert f"lhs = {witness.data['lhs']:.10g} > rhs = {witness.data['rhs']:.10g}" in shown
    kept = json.loads(Path("witness.json").read_text("utf-8"))
    assert kept["theta"] == witness.theta.tolist() and kept["data"] == witness.data
    assert main(words("check")) == 0
    assert "witness.toml at γ" in Path("witness.html").read_text(encoding="utf-8")


@pytest.fixture
def installed(tmp_path) -> Path:
    """The tutorial's module as an installed package: its metadata on the path is all it takes."""
    (toml,) = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    group, entry = re.findall(r'^\[project\.entry-points\."(.*?)"\]\n(.*)$', toml, re.M)[0]
    (tmp_path / "mypaper_claims.py").write_text(CLAIMS, encoding="utf-8")
    metadata = tmp_path / "mypaper-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mypaper\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    return tmp_path


def test_the_claim_is_part_of_the_ledger(installed):
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(installed)!r}];"
        "from sailtheory.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *words("verify")],
        cwd=installed, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "All 1 verdicts are as expected" in ran.stdout
    page = (installed / "ledger.html").read_text(encoding="utf-8")
    assert 'id="P01"' in page and "<math" in page and "1,000 points, no violation" in page
