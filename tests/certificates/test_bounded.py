"""Certificates by an objective's own bounds: what they say, replay, and what a replay refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sailtheory import InputError, certify, replay
from sailtheory.certificates.bounded import certify_bound, replay_bound
from sailtheory.cli import main
from sailtheory.landscape import Domain, search
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.objectives.registry import target
from sailtheory.problem.problem_file import loads

FILE = """
radius = 2
[[prompts]]
features = [[1, 0], ["1/3", 0.2], [0, 1], [0.5, -1]]
base = [1, 1, 2, 3]
response_rewards = [1, 0, 0, 1]
[[prompts]]
features = [[1, 2], [0, 0], [-1, 0.5]]
base = [1, 6, 6]
response_rewards = [1, 0, 0]
"""


def problem():
    return loads(FILE, preferences=False)


@pytest.fixture(scope="module")
def made():
    return certify_bound(target(problem(), "grpo"))


def test_gamma_star_lies_between_and_both_ends_replay(made):
    theta = np.random.default_rng(0).uniform(-2, 2, (20_000, 2))
    theta = theta[np.linalg.norm(theta, axis=1) <= 2]
    objective = target(problem(), "grpo").objective
    met = np.nanmax(largest_relative_curvature(objective, Domain(problem()), theta)[0])
    assert made.verdict == "certified"
    assert met - 1e-9 <= made.lower <= made.gamma
    assert made.gamma == Fraction(float(made.prompts.max()))
    again = replay_bound(made, problem())
    assert again.valid and "witness holds" in again.reason


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: {"gamma": c.gamma * Fraction(99, 100)}, "bound of γ* is not shown"),
        (lambda c: {"prompts": c.prompts * 0.99}, "not shown for prompt 0"),
        (lambda c: {"prompts": c.prompts[:1]}, "another number of prompts"),
        (lambda c: {"lower": c.lower * Fraction(101, 100)}, "does not show the lower bound"),
        (lambda c: {"witness": (2 * c.witness[0], c.witness[1])}, "does not show"),
        (lambda c: {"witness": (c.witness[0], 0 * c.witness[1])}, "does not show"),
        (lambda c: {"witness": None}, "needs a witness"),
        (lambda c: {"options": {"group": 4, "std": "sample", "epsilon": 0.0}}, ""),
        (lambda c: {"verdict": "refuted"}, "the witness does not show it"),
        (lambda c: {"data": "0" * 64}, "other"),
    ],
)
def test_a_wrong_certificate_is_refused(change, says, made):
    found = replay_bound(replace(made, **change(made)), problem())
    assert not found.valid and says in found.reason


def test_a_witness_at_its_own_gamma_refutes(made):
    refuted = certify_bound(target(problem(), "grpo"), Fraction(1, 2))
    assert refuted.verdict == "refuted" and replay_bound(refuted, problem()).valid
    proved = certify_bound(target(problem(), "grpo"), Fraction(5, 2))
    assert proved.verdict == "certified" and replay_bound(proved, problem()).valid
    alone = {"kind": "concave", "gamma": Fraction(2), "lower": None, "witness": None}
    assert replay_bound(replace(made, verdict="undecided", **alone), problem()).valid
    assert not replay_bound(replace(made, verdict="certified", **alone), problem()).valid


def test_other_data_are_told_from_these(made):
    other = loads(FILE.replace("base = [1, 6, 6]", "base = [1, 6, 7]"), preferences=False)
    assert "data are others" in replay_bound(made, other).reason


def test_the_commands_and_the_functions(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(search._ROUNDS, "quick", 1)  # the searched end may be lower
    path, out = tmp_path / "p.toml", tmp_path / "c.json"
    path.write_text(FILE)
    words = ["certify", str(path), "--objective", "log", "--property", "gamma"]
    assert main([*words, "--out", str(out)]) == 0
    assert "γ* ≤" in capsys.readouterr().out
    assert main(["replay", str(out)]) == 0
    assert "valid: gamma certified" in capsys.readouterr().out
    assert replay(str(out), problem()).valid
    altered = json.loads(out.read_text()) | {"gamma": "1"}
    out.write_text(json.dumps(altered))
    assert main(["replay", str(out)]) == 2
    assert "altered" in capsys.readouterr().err
    for more, said in ((["--tol", "0.1"], "tol"), (["--method", "whole"], "method"),
                       (["--time-limit", "5"], "time-limit")):  # fmt: skip
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(InputError, match="searches μ"):
        certify(problem(), "pl", 1, objective="grpo")
