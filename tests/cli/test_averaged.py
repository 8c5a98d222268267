"""``certify --method averaged``, its replay, and what is said of C24."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.cli import main
from sailtheory.problem.folder_write import write_folder
from sailtheory.problem.problem_file import save


def written(path, n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    problem = PreferenceProblem(
        features=rng.normal(size=(n, m, d)) / np.sqrt(2 * d),
        preferences=[BradleyTerry(r) for r in rng.normal(size=(n, m))], beta=0.1, radius=1,
    )  # fmt: skip
    save(problem, path)
    return str(path)


def test_certify_and_replay(tmp_path, capsys):
    path, out = written(tmp_path / "p.npz", 60, 2, 3), str(tmp_path / "c.json")
    command = ["certify", path, "--property", "gamma", "--method", "averaged", "--out", out]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith("certified: γ* ≤ 0.0") and "(C26)" in said and "By prompt: ḡ ≤" in said
    data = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert data["method"] == "averaged" and 0 < data["gamma"] < data["by_prompt"]
    assert main(["replay", out]) == 0
    assert "valid: gamma certified" in capsys.readouterr().out
    other = written(tmp_path / "q.npz", 60, 2, 3, seed=1)
    assert main(["replay", out, "--problem", other]) == 1
    assert capsys.readouterr().out.startswith("not valid")


def test_more_than_two_responses_are_refused_in_one_line(tmp_path, capsys):
    path = written(tmp_path / "p.npz", 4, 3, 3)
    assert main(["certify", path, "--property", "gamma", "--method", "averaged"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "two are expected by the averaged method" in error


@pytest.mark.parametrize(("d", "reached"), [(16, True), (4, False)])
def test_that_gamma_star_reaches_the_bound_is_told_where_it_is_shown(d, reached, tmp_path, capsys):
    path, out = written(tmp_path / "p.npz", 5, 3, d), str(tmp_path / "c.json")
    command = ["certify", path, "--property", "gamma", "--method", "per-prompt", "--out", out]
    assert main(command) == 0
    assert ("By C24 γ* = ḡ" in capsys.readouterr().out) == reached
    assert main(["replay", out]) == 0
    assert ("by C24 γ* = ḡ" in capsys.readouterr().out) == reached


def test_a_folder_of_mapped_arrays(tmp_path, capsys):
    rng = np.random.default_rng(0)
    write_folder(
        tmp_path / "p", features=rng.normal(size=(80, 3)).astype(np.float32) / 2,
        offsets=np.arange(0, 81, 2), beta=0.1, radius=1.0, rewards=rng.normal(size=80),
        weights=rng.uniform(0.5, 2, 40),
    )  # fmt: skip
    path, out = str(tmp_path / "p"), str(tmp_path / "c.json")
    command = ["certify", path, "--property", "gamma", "--method", "averaged", "--out", out]
    assert main(command) == 0
    assert "(C26)" in capsys.readouterr().out
    assert main(["replay", out]) == 0
