"""``certify`` and ``replay`` where γ* itself is out of reach: by prompt, and saying so."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.certificates.certificate import digest
from sailtheory.cli import main
from sailtheory.problem.problem_file import save


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A problem in 12 dimensions: γ* is not tried."""
    rng = np.random.default_rng(0)
    phi = rng.normal(size=(30, 2, 12)) / 4
    rewards = [BradleyTerry(r) for r in rng.normal(size=(30, 2))]
    path = tmp_path_factory.mktemp("large") / "p.npz"
    save(PreferenceProblem(features=phi, preferences=rewards, beta=0.1, radius=1), path)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "p.toml"
    path.write_text(
        "beta = 0.1\nradius = 1\n[[prompts]]\nfeatures = [[1], [0]]\nrewards = [1, 0]\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def certificate(large):
    out = large.with_name("c.json")
    assert main(["certify", str(large), "--property", "gamma", "--out", str(out)]) == 0
    return out


def test_a_large_problem_is_certified_by_prompt(large, certificate, capsys):
    assert main(["certify", str(large), "--property", "gamma"]) == 0
    said = capsys.readouterr().out
    assert "ḡ" in said and "By prompt: 30 prompts" in said and "Prompts that set ḡ" in said
    assert json.loads(certificate.read_text())["method"] == "per-prompt"
    assert not certificate.with_name("c.json.partial").exists()
    assert main(["replay", str(certificate)]) == 0
    assert "valid: gamma certified: 30 prompts hold" in capsys.readouterr().out


def test_a_small_one_is_certified_as_a_whole_unless_told_otherwise(small, tmp_path, capsys):
    assert main(["certify", str(small), "--property", "gamma"]) == 0
    whole = capsys.readouterr().out
    assert "≤ γ* ≤" in whole and "pieces cover C" in whole
    arguments = ["certify", str(small), "--property", "gamma", "--method", "per-prompt"]
    assert main([*arguments, "--tol", "0.01", "--out", str(tmp_path / "c.json")]) == 0
    by_prompt = capsys.readouterr().out
    assert "≤ ḡ ≤" in by_prompt
    # One prompt: ḡ is γ*, so the enclosures meet.
    ends = [
        re.match(r"certified: (\S+) ≤ \S+ ≤ ([0-9.e-]+\d)", t).groups() for t in (whole, by_prompt)
    ]
    (low, high), (other_low, other_high) = (map(float, pair) for pair in ends)
    assert low <= other_high and other_low <= high


def test_a_width_out_of_reach_is_undecided(tmp_path, capsys):
    rng = np.random.default_rng(1)
    path = tmp_path / "p.npz"
    phi, rewards = rng.normal(size=(4, 6, 12)), [BradleyTerry(r) for r in rng.normal(size=(4, 6))]
    save(PreferenceProblem(features=phi, preferences=rewards, beta=0.1, radius=1), path)
    out = tmp_path / "c.json"
    arguments = ["certify", str(path), "--property", "gamma", "--tol", "0.01", "--out", str(out)]
    assert main(arguments) == 3
    assert "wider than asked" in capsys.readouterr().out
    assert main(["replay", str(out)]) == 0


def test_replay_finds_a_problem_that_moved(large, certificate, tmp_path, capsys):
    moved = tmp_path / "moved.npz"
    shutil.copy(large, moved)
    data = json.loads(certificate.read_text()) | {"problem": str(tmp_path / "gone.npz")}
    other = tmp_path / "c.json"
    other.write_text(json.dumps(data | {"digest": digest(data)}), encoding="utf-8")
    assert main(["replay", str(other)]) == 2
    assert "gone.npz" in capsys.readouterr().err
    assert main(["replay", str(other), "--problem", str(moved)]) == 0


def test_replay_refuses_another_problem_and_a_lower_γ(certificate, small, tmp_path, capsys):
    assert main(["replay", str(certificate), "--problem", str(small)]) == 1
    data = json.loads(certificate.read_text())
    data |= {"levels": [{"gamma": data["lower"] * 0.9999, "dropped": []}]}
    data |= {"lower": None, "witness": None}
    forged = tmp_path / "c.json"
    forged.write_text(json.dumps(data | {"digest": digest(data)}), encoding="utf-8")
    capsys.readouterr()
    assert main(["replay", str(forged)]) == 1
    assert "is not shown for prompt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--property", "concave", "--gamma", "1", "--method", "per-prompt"], "method"),
        (["--property", "gamma", "--method", "whole"], "features"),
        (["--property", "gamma", "--backend", "dask"], "scheduler"),
        (["--property", "gamma", "--scheduler", "tcp://127.0.0.1:1"], "scheduler"),
        (["--property", "gamma", "--method", "some"], "method"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(large, arguments, named, capsys):
    assert main(["certify", str(large), *arguments]) == 2
    said = capsys.readouterr().err
    assert named in said and len(said.strip().splitlines()) == 1


def test_a_folder_that_is_no_problem(tmp_path, capsys):
    assert main(["certify", str(tmp_path), "--property", "gamma"]) == 2
    assert main(["certify", str(tmp_path), "--property", "concave", "--gamma", "1"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 2
