"""``sailtheory rewards``, as a user types it."""

from __future__ import annotations

import json

import pytest

from sailtheory.cli import main

TABLE = "prompt,samples,correct\na,16,3\nb,16,0\nc,16,9\nd,16,16\ne,8,1\n"
TYPED = "--method grpo --group 8 --std sample --gamma 0.04 --kl ref-policy"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "grpo.csv"
    path.write_text(TABLE)
    return path


def test_what_it_prints(log, capsys):
    assert main(["rewards", str(log), *TYPED.split()]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "5 prompts, 72 samples" in said
    assert "2.475" in said  # (G − 1)/√G
    assert "62 times below what is enough for any prompts" in said
    assert "one prompt alone, or with parameters of its own" in said
    assert "nothing is claimed without ρ" in said
    assert "Clopper–Pearson" in said


def test_json(log, tmp_path, capsys):
    out = tmp_path / "o.json"
    assert main(["rewards", str(log), *TYPED.split(), "--json", str(out)]) == 0
    data = json.loads(out.read_text())
    assert data["schema"] == "sailtheory.rewards/1"
    assert data["settings"]["gamma"] == 0.04
    assert data["prompts"]["prompt"] == ["a", "b", "c", "d", "e"]
    path = data["prompts"]["path_threshold"]
    assert len(path["value"]) == len(path["low"]) == len(path["high"]) == 5
    assert {"GRPO, sample std, G = 8", "reward, RLOO"} <= {m["method"] for m in data["methods"]}
    assert data["rests_on"]
    capsys.readouterr()
    assert main(["rewards", str(log), "--method", "log", "--json", "-"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["prompts"]["path_threshold"]["high"][1] is None  # infinite at p = 0


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("--gamma -1", "gamma"), ("--group 1", "group"),
        ("--steps 5", "steps"), ("--range 1,0", "range"), ("--method ppo", "ppo"),
        ("--steps 0:1", "steps"), ("--confidence 2", "confidence"), ("--prompt key", "key"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(log, capsys, options, named):
    assert main(["rewards", str(log), *options.split()]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert len(found.err.splitlines()) == 1
    assert named in found.err


def test_a_log_is_not_overwritten(log, capsys):
    assert main(["rewards", str(log), "--json", str(log)]) == 2
    assert log.read_text() == TABLE
