"""Each assumption of the theory in records of runs: planted violations are found, none invented."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.compare.assumptions import Standing, assumptions
from sailtheory.runs.read import Record
from sailtheory.runs.write import Run

HOLDS, VIOLATED, UNKNOWN = Standing
GOOD = {
    "method": "online-dpo", "seed": 0, "beta": [0.1], "kl_coef": 0.25, "policy_kl_coef": 0.0,
    "kl_estimator": "ref-samples", "score_weight": 0.0, "preference": "expectation",
    "tune": "full", "max_new_tokens": 8, "ref_model": "m", "r": 0.0, "p": 0.0, "g": 1.0,
}  # fmt: skip
ROWS = [(1, "loss/total", "0.7"), (2, "loss/total", "0.6")]
NAMES = {
    "reference": "π_ref is fixed", "linear": "log π_θ/π_ref is linear in what is trained",
    "preferences": "preferences are antisymmetric and Bradley–Terry",
    "divergence": "the penalty is γ·KL(π_ref‖π_θ), estimated without bias",
    "score": "the score term is that of J, or absent", "gamma": "γ is above the threshold",
    "finite": "every logged number is finite",
}  # fmt: skip


def record(rows=ROWS, **changes):
    return Record(Path("run"), GOOD | changes, (), None, True, {}, list(rows))


def lines(*args, **changes):
    found = {line.name: line for line in assumptions(record(*args, **changes))}
    return {key: found[name] for key, name in NAMES.items()}, found


def test_a_run_that_keeps_to_the_theory():
    """But for one: no network is log-linear, and no record of one can say otherwise."""
    short, found = lines()
    standing = {key: line.standing for key, line in short.items()}
    assert standing == dict.fromkeys(NAMES, HOLDS) | {"linear": VIOLATED}
    others = [line for name, line in found.items() if name not in NAMES.values()]
    assert len(others) == 6
    assert all(line.standing is UNKNOWN and line.why.startswith("log ") for line in others)


@pytest.mark.parametrize(
    ("key", "standing", "why", "changes"),
    [
        ("gamma", VIOLATED, "0.2 ≤ 2β = 0.2", {"kl_coef": 0.2}),
        ("gamma", HOLDS, "> 2β = 0.2", {"beta": 0.1}),
        ("gamma", UNKNOWN, "K_B needs a B", {"method": "sail-dpr", "score_weight": 1.0}),
        ("divergence", VIOLATED, "no penalty", {"kl_coef": 0.0}),
        ("divergence", VIOLATED, "token-proxy", {"kl_estimator": "token-proxy"}),
        ("divergence", VIOLATED, "C33", {"policy_kl_coef": 0.1}),
        ("divergence", HOLDS, "importance", {"kl_estimator": "importance"}),
        ("score", VIOLATED, "score_weight = 0.2", {"score_weight": 0.2}),
        ("score", HOLDS, "J is not the reward", {"score_weight": 1.0}),
        ("score", HOLDS, "absent", {}),
        ("preferences", UNKNOWN, "a share 0.7", {"g": 0.3}),
        ("preferences", VIOLATED, "C06", {"p": 1.0, "g": 0.0}),
        ("linear", VIOLATED, "tune = lora", {"tune": "lora"}),
    ],
)
def test_each_line(key, standing, why, changes):
    line = lines(**changes)[0][key]
    assert line.standing is standing and why in line.why


@pytest.mark.parametrize("text", ["nan", "inf", "broken"])
def test_numbers_that_are_none_are_named_with_their_step(text):
    line = lines([*ROWS, (7, "kl/kl_ref_policy", text)])[0]["finite"]
    assert line.standing is VIOLATED and line.why == f"kl/kl_ref_policy = {text} at step 7"
    assert lines([])[0]["finite"].standing is UNKNOWN


def test_other_records_are_refused():
    other = Record(Path("run"), {"method": "sac"}, (), None, True, {}, [])
    with pytest.raises(InputError, match="a run of SAILTrainer"):
        assumptions(other)


def test_the_command(tmp_path, capsys):
    run = Run.create(tmp_path / "run", GOOD, declared=[])
    run.log(1, {"loss/total": 0.7})
    run.finish()
    out = tmp_path / "audit.json"
    assert main(["audit", str(tmp_path / "run"), "--json", str(out)]) == 1  # not log-linear
    shown = capsys.readouterr().out
    assert "not measurable" in shown and "violated" in shown and "holds" in shown
    data = json.loads(out.read_text(encoding="utf-8"))
    assert [line["standing"] for line in data["assumptions"]].count("violated") == 1
    assert main(["audit", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
