"""The README's worked examples are real output."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from sailtheory.cli import main

README = Path(__file__).parents[2] / "README.md"


def console_examples() -> list[tuple[str, str]]:
    """(command, output) of every ``$ sailtheory …`` line in the console blocks."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            if command.startswith("sailtheory"):
                found.append((command, output.rstrip()))
    return found


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def test_worked_example(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = 0
    for command, output in console_examples():
        words = shlex.split(command)[1:]
        target = words.pop() if ">" in words else None
        words = [w for w in words if w != ">"]
        assert main(words) == 0
        shown = capsys.readouterr().out
        if target:
            Path(target).write_text(shown, encoding="utf-8")
        else:
            assert lines(shown) == lines(output)
            ran += 1
    assert ran == 2


def python_example(word):
    """The names that the example with this word defines, run."""
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    (code,) = [block for block in blocks if word in block]
    scope: dict = {}
    exec(compile(code, "README", "exec"), scope)
    return code, scope


def test_python_example_runs():
    _, scope = python_example("gamma_star")
    assert 0 < scope["gamma_star"](scope["p"]).value < 1


def test_the_audited_loss_is_judged_as_shown(capsys):
    pytest.importorskip("torch", reason="the extra torch is not installed")
    code, _ = python_example("audit_loss")
    shown = " ".join(re.findall(r"^# (.*)$", code, re.M))
    assert capsys.readouterr().out == f"{shown}\n"


def test_toml_example_loads():
    from sailtheory.problem.problem_file import loads

    (text,) = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    problem = loads(text)
    assert problem.responses == (3,)


@pytest.mark.parametrize("name", ["docs/theory.md", "docs/verdicts.md", "CONTRIBUTING.md"])
def test_links_exist(name):
    assert (README.parent / name).is_file()
    for target in re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8")):
        assert (README.parent / target).exists(), target
