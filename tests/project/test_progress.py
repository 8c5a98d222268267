"""What takes long says so on standard error, where no terminal has a status line."""

from __future__ import annotations

import time

import pytest

from sailtheory import examples, progress
from sailtheory.cli import main
from sailtheory.testing import find_counterexample, preference_problems


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "FIRST", 0.0)


def test_the_stage_is_said_ever_more_rarely(capsys):
    with progress.lines("first") as say:
        time.sleep(0.02)
        say("second")
        time.sleep(0.2)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("first (") and any(line.startswith("second (") for line in said)
    assert len(said) < 30
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_command_is_not_silent(tmp_path, capsys):
    problem = tmp_path / "problem.toml"
    problem.write_text(examples.text("c08-kl-policy-ref"), encoding="utf-8")
    main(["certify", str(problem), "--property", "concave", "--gamma", "0.001"])
    assert " s)" in capsys.readouterr().err


def test_a_search_is_not_silent(capsys):
    strategy = preference_problems(max_prompts=1, max_responses=2, max_dimension=1)
    assert find_counterexample(lambda p, t: 0.0, lambda p, t: 1.0, strategy, max_examples=3) is None
    assert "problems searched (" in capsys.readouterr().err
