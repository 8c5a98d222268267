"""Rewards of responses in problem files: a key of their own, never taken for Bradley–Terry ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from sailtheory import SAIL, BradleyTerry, Gain, InputError, OnlineDPO, PreferenceProblem
from sailtheory.cli import main
from sailtheory.problem.folder import ProblemFolder
from sailtheory.problem.problem_file import dumps, load, loads, save
from sailtheory.problem.reward_problem import reward_problem

ALONE = """
radius = 2
[[prompts]]
features = [[1, 0], ["1/3", 0], [0, 1]]
base = [1, 1, 2]
response_rewards = [1, 0, "1/3"]
[[prompts]]
features = [[1, 2], [0, 0]]
response_rewards = [0, 1]
"""
PLAIN = ALONE.replace('"1/3"', "0.25")


def both():
    rng = np.random.default_rng(0)
    return PreferenceProblem(
        features=rng.normal(size=(2, 3, 2)), preferences=[BradleyTerry([2, 0, -1])] * 2, beta=0.5,
        radius=1, response_rewards=[[0, 1, 1], [1, 0, 0]],
    )  # fmt: skip


def test_a_file_without_preferences_is_read_where_none_are_asked_about():
    found = loads(ALONE, preferences=False)
    assert found.response_rewards[0].tolist() == [1, 0, Fraction(1, 3)]
    assert not found.states_preferences
    assert any("none are stated" in note for note in found.notes)
    with pytest.raises(InputError, match="rewards of responses alone"):
        loads(ALONE)


@pytest.mark.parametrize("kind", [SAIL, OnlineDPO, Gain])
def test_no_objective_of_preferences_takes_it(kind):
    with pytest.raises(InputError, match="preferences = none"):
        kind(loads(ALONE, preferences=False))


def test_preferences_do_not_see_them():
    problem = both()
    theta = np.array([0.3, -0.2])
    without = problem.replace(response_rewards=None)
    assert SAIL(problem).value(theta) == SAIL(without).value(theta)
    assert without.response_rewards is None


@pytest.mark.parametrize("name", ["p.toml", "p.npz", "folder"])
@pytest.mark.parametrize("make", [both, lambda: loads(PLAIN, preferences=False)])
def test_files_give_them_back(tmp_path, make, name):
    problem = make()
    save(problem, tmp_path / name)
    found = load(tmp_path / name, preferences=False)
    assert found.states_preferences == problem.states_preferences
    for a, b in zip(found.response_rewards, problem.response_rewards, strict=True):
        assert a.astype(float).tolist() == b.astype(float).tolist()
    if problem.states_preferences:
        assert load(tmp_path / name).beta == 0.5
    else:
        with pytest.raises(InputError, match="--objective"):
            load(tmp_path / name)


def test_toml_keeps_fractions():
    text = dumps(loads(ALONE, preferences=False))
    assert 'response_rewards = [1, 0, "1/3"]' in text
    assert "beta" not in text
    assert "preferences" not in text
    assert dumps(loads(text, preferences=False)) == text


def test_a_folder_without_preferences_has_no_chunks_of_them(tmp_path):
    save(loads(PLAIN, preferences=False), tmp_path / "folder")
    folder = ProblemFolder.open(tmp_path / "folder")
    assert not folder.states_preferences
    with pytest.raises(InputError, match="preferences = none"):
        folder.chunk(np.array([0]))


def test_what_changes_and_what_does_not():
    problem = loads(ALONE, preferences=False)
    assert not problem.replace(radius=1).states_preferences
    ties = [np.full((3, 3), 0.5), np.full((2, 2), 0.5)]
    assert problem.replace(preferences=ties).states_preferences
    dropped = reward_problem(
        features=np.zeros((2, 2, 1)), response_rewards=[[1, 0], [0, 1]], radius=1, weights=[0, 1]
    )
    assert dropped.response_rewards[0].tolist() == [0, 1]


REFUSED = [
    (ALONE.replace("response_rewards = [0, 1]", ""), r"prompts\[1\].response_rewards = missing"),
    (ALONE.replace("[0, 1]\n", "[0, 1, 2]\n").replace("[0, 1]]", "[0, 1]]"), "3 entries"),
    (ALONE.replace("response_rewards = [0, 1]", "response_rewards = [0, inf]"), "Infinity"),
    (ALONE.replace("response_rewards = [0, 1]", 'response_rewards = [0, "x"]'), "x"),
    (ALONE.replace("response_rewards = [0, 1]", "rewards = [0, 1]"), "missing"),
    (ALONE.replace("response_rewards = [0, 1]", "scores = [0, 1]"), "unknown key"),
]


@pytest.mark.parametrize(("text", "named"), REFUSED)
def test_what_is_refused(text, named):
    with pytest.raises(InputError, match=named):
        loads(text, preferences=False)


@pytest.mark.parametrize("command", ["frontier", "certify --property gamma", "plot price"])
def test_commands_that_ask_about_preferences_say_so(tmp_path, capsys, command):
    (tmp_path / "p.toml").write_text(ALONE)
    words = command.split()
    extra = ["-o", str(tmp_path / "p.svg")] if words[0] == "plot" else []
    at = [*words[:1], *words[1:2], str(tmp_path / "p.toml")] if words[0] == "plot" else [
        words[0], str(tmp_path / "p.toml"), *words[1:]]  # fmt: skip
    assert main([*at, *extra]) == 2
    assert "rewards of responses alone" in capsys.readouterr().err
