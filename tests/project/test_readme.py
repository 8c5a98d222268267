"""The worked examples of the README and of the guide are real output."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.exceptions import TyperException

from sailtheory import examples
from sailtheory.cli import app, main

README = Path(__file__).parents[2] / "README.md"
DOCS = README.parent / "docs"


def blocks(language: str, page: Path) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)


def console_examples() -> list[tuple[str, str]]:
    """(command, output) of every ``$ sailtheory …`` line in the console blocks."""
    found = []
    for block in blocks("console", DOCS / "check.md"):
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


COMMANDS = sorted(
    set(re.findall(r"(?:^|`)(sailtheory (?!is |--)[^`\n]+)", README.read_text("utf-8"), re.M))
)
RUN = ("check problem.toml --gamma", "certify", "rewards", "example")
"""Those that take seconds; the others are run by tests of their own."""


def parsed(words: list[str]) -> None:
    """Refuse a command or option that is none."""
    group = typer.main.get_command(app)
    while isinstance(group, typer.core.TyperGroup):
        group = group.commands[words.pop(0)]
    group.make_context(group.name, words)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_run_as_printed(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command.partition(" >")[0])[1:]
    if not command.removeprefix("sailtheory ").startswith(RUN):
        return parsed(words)
    Path("problem.toml").write_text(examples.text("c08-kl-policy-ref"), encoding="utf-8")
    Path("runs").mkdir()
    Path("runs/grpo.csv").write_text("prompt,samples,correct\na,8,2\nb,8,5\n", encoding="utf-8")
    assert main(words) == 0
    assert capsys.readouterr().out


def test_a_command_that_is_none_is_noticed():
    assert len(COMMANDS) >= 15
    with pytest.raises(TyperException):
        parsed(shlex.split("frontier problem.toml --points-of 8"))
    with pytest.raises(KeyError):
        parsed(["train", "robots"])


def python_example(word, page):
    """The names that the example with this word defines, run."""
    (code,) = [block for block in blocks("python", page) if word in block]
    scope: dict = {}
    exec(compile(code, page.name, "exec"), scope)
    return code, scope


def test_the_first_example_runs(capsys):
    _, scope = python_example("problem_from", README)
    assert capsys.readouterr().out.strip() == str(scope["report"])
    assert scope["report"].thresholds.relative > scope["report"].thresholds.instance > 0


def test_python_example_runs():
    _, scope = python_example("gamma_star", DOCS / "python.md")
    assert 0 < scope["gamma_star"](scope["p"]).value < 1


def test_the_monitor_measures(capsys):
    pytest.importorskip("torch", reason="the extra torch is not installed")
    _, scope = python_example("CurvatureMonitor(", DOCS / "python.md")
    largest, slope = map(float, capsys.readouterr().out.split())
    assert slope > 0 and np.isfinite(largest)
    assert {"lambda_min", "kl_ref_policy"} <= set(scope["monitor"].records[0])


def test_records_of_ones_own_are_compared(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    python_example("Run.create", DOCS / "python.md")
    assert "mine scores more than plain" in capsys.readouterr().out


def test_the_property_test_runs():
    _, scope = python_example("@given", DOCS / "python.md")
    scope["test_kl_is_not_negative"]()


def test_the_audited_loss_is_judged_as_shown(capsys):
    pytest.importorskip("torch", reason="the extra torch is not installed")
    code, _ = python_example("audit_loss", DOCS / "python.md")
    shown = " ".join(re.findall(r"^# (.*)$", code, re.M))
    assert capsys.readouterr().out == f"{shown}\n"


def test_toml_example_loads():
    from sailtheory.problem.problem_file import loads

    (text,) = blocks("toml", DOCS / "check.md")
    problem = loads(text)
    assert problem.responses == (3,)


def test_the_functions_of_the_root_are_told():
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    from sailtheory import api

    for name in api.__all__:
        assert f"`{name}(" in text, name


def test_what_the_readme_says_of_the_example_problem():
    from sailtheory import check, examples

    found = check(examples.load("bradley-terry"), 0.1)
    assert f"γ ≥ {found.ladder.least:.3g} is certified to suffice" in README.read_text("utf-8")


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


PAGES = sorted([README, README.parent / "CONTRIBUTING.md", *DOCS.glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
