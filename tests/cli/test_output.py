"""Where a command's words go: streams that are full, closed or gone, and narrow terminals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sailtheory import examples
from sailtheory.cli.streams import spelt
from sailtheory.problem.problem_file import dumps, loads
from sailtheory.problem.problem_file import load as load_problem

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "help": ["--help"],
    "example": ["example", "tabular"],
    "check": ["check", "p.toml", "--gamma", "0.05"],
    "json": ["check", "p.toml", "--gamma", "0.05", "--json", "-"],
    "frontier": ["frontier", "p.toml", "--points", "5"],
    "certify": ["certify", "p.toml", "--property", "concave", "--gamma", "1"],
    "rates": ["rates", "s.csv"],
    "verify": ["verify", "--claims", "C03"],
    "plot": ["plot", "thresholds", "p.toml", "-o", "p.svg"],
    "ledger": ["C03"],  # of python -m proofs_check
}


@pytest.fixture
def run(tmp_path):
    """A command in a folder with a problem and a series, its streams as the shell says."""
    (tmp_path / "p.toml").write_text(examples.text("c04-weighted-reference"), encoding="utf-8")
    (tmp_path / "s.csv").write_text("gap\n" + "".join(f"{0.9**t!r}\n" for t in range(60)))

    def run(name: str, streams: str = "", **environment: str) -> subprocess.CompletedProcess:
        module = "proofs_check" if name == "ledger" else "sailtheory"
        command = " ".join([sys.executable, "-m", module, *COMMANDS.get(name, [name])])
        return subprocess.run(
            ["bash", "-c", f"{command} {streams}"], cwd=tmp_path, capture_output=True, check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        )  # fmt: skip

    return run


def one_line(text: bytes) -> str:
    (line,) = text.decode().splitlines()
    return line


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_exit_code_2(run, name):
    done = run(name, "2>err.txt >/dev/full; code=$?; tail -n 1 err.txt; exit $code")
    assert done.returncode == 2
    said = done.stdout.decode()
    assert said == "sailtheory: standard output: No space left on device\n"


@pytest.mark.parametrize("name", ["example", "check", "ledger"])
def test_closed_output_is_refused_before_the_work(run, name):
    done = run(name, ">&-")
    assert done.returncode == 2
    assert one_line(done.stderr) == "sailtheory: standard output: it is closed"


@pytest.mark.parametrize("name", ["help", "example", "check", "json", "verify", "ledger"])
def test_a_reader_that_has_gone_ends_it_silently(run, name):
    """By typer, by print, as a table, as JSON, from several processes, of the other program."""
    done = run(name, "2>err.txt | true; echo ${PIPESTATUS[0]}; grep -v '[│├┡━]' err.txt >&2")
    assert int(done.stdout) == 141
    if name != "json":  # whose tables are on standard error
        assert done.stderr == b""


def test_without_standard_error_the_exit_code_still_tells(run):
    for streams in ("2>&-", "2>/dev/full"):
        assert run("example", streams).stdout.decode() == examples.text("tabular")
        assert run("example none", streams).returncode == 2
        assert run("check", streams).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters_gets_names_in_tables_that_hold(run, encoding):
    done = run("check", PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and done.stderr == b""
    text = done.stdout.decode("ascii")  # latin-1 has no Greek, and borders are all or nothing
    assert "gamma = 0.05" in text and "KL(pi_ref||pi)" in text and "mu <= " in text
    rows = [line for line in text.splitlines() if line[:1] in "+|" and line]
    start = [i for i, line in enumerate(rows) if line.startswith("+--")]
    for first, last in zip(start[::2], start[1::2], strict=True):
        assert len({len(line) for line in rows[first : last + 1]}) == 1


def test_data_survive_a_terminal_of_few_characters(run):
    given = {"PYTHONIOENCODING": "ascii"}
    written = run("example", **given).stdout.decode("ascii")
    assert dumps(loads(written)) == dumps(examples.load("tabular"))
    data, wide = (json.loads(run("json", **e).stdout) for e in (given, {}))
    assert data == wide


def test_an_error_is_spelt_too(run):
    done = run("frontier p.toml --tolerance γ", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    said = one_line(done.stderr)
    assert said.startswith("sailtheory: tolerance = gamma: Input should be a valid number")


@pytest.mark.parametrize(
    "text, plain",
    [
        ("γ* ≤ K_B", "gamma* <= K_B"),
        ("λ_max ‖∇J‖² Λ", "lambda_max ||grad J||^2 Lambda"),
        ("F̄ ⪰ 0, ½β², K⁻", "Fbar >= 0, 1/2beta^2, K^-"),
        ("plain", "plain"),
        ("\U0001d54a 漢", "S \\u6f22"),
    ],
)
def test_spelling(text, plain):
    assert spelt(text, "ascii") == plain
    assert spelt(text, "utf-8") == text
    assert spelt("é²", "latin-1") == "é²"


def test_the_certificate_is_kept_when_the_summary_cannot_be_printed(run, tmp_path):
    done = run("certify p.toml --property concave --gamma 1 --out c.json >/dev/full")
    assert done.returncode == 2
    assert json.loads((tmp_path / "c.json").read_text())["verdict"] == "certified"
    assert load_problem(tmp_path / "p.toml")
