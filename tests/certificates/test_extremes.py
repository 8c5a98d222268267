"""Certificates where nothing can move, and on data of absurd magnitude."""

from __future__ import annotations

import json
import time
from fractions import Fraction

import numpy as np
import pytest

from sailtheory import InputError, PreferenceProblem, examples
from sailtheory.certificates import Budget, certify_concave, certify_gamma, certify_pl, replay
from sailtheory.certificates.certificate import digest, parse
from sailtheory.cli import main
from sailtheory.problem.problem_file import save as save_problem
from sailtheory.report.certificates import summary

FLAT = {
    "features": [[[1, 0], [1, 0]]],
    "preferences": [[[0.5, 0.7], [0.3, 0.5]]],
    "beta": 1,
    "radius": 1,
}


# --- nothing can move -------------------------------------------------------------------


def test_wording_without_differences(tmp_path, capsys):
    source, out = tmp_path / "p.toml", tmp_path / "c.json"
    save_problem(PreferenceProblem(**FLAT), source)
    for arguments, expected in (
        (["gamma"], "certified: γ* is null.\n"),
        (["concave", "--gamma", "0.1"], "certified: J_γ is constant on C at γ = 0.1.\n"),
        (["pl", "--gamma", "0.1"], "certified: J_γ is constant on C at γ = 0.1.\n"),
    ):
        certify = ["certify", str(source), "--property", *arguments, "--out", str(out)]
        assert main(certify) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(expected) and "no policy depends on θ" in shown
        assert main(["replay", str(out)]) == 0
        assert "nothing that can move" in capsys.readouterr().out


def test_wording_at_one_point():
    """B = 0: γ* and concavity are about the Hessian at c; PL asks for nothing."""
    point = examples.load("c04-one-winner").replace(radius=0)
    exact = float(Fraction(37, 2700) / Fraction(2, 9))
    made = certify_gamma(point, 1e-6)
    assert "≤ γ* ≤" in summary(made) and "at c, the one point of C (B = 0)." in summary(made)
    for factor, verdict in ((1.01, "certified"), (0.99, "refuted")):
        made = certify_concave(point, factor * exact)
        assert made.verdict == verdict and replay(made).valid
        assert summary(made).startswith(f"{verdict}: γF̄ − ∇²J ≻ 0 at γ = ")
        assert "at c, the one point of C (B = 0)." in summary(made).splitlines()[0]
        made = certify_pl(point, factor * exact)
        assert made.verdict == "certified" and replay(made).valid
        assert "hold on C with every μ at γ = " in summary(made)
        assert "gap to its maximum is 0" in summary(made)


def test_replay_grants_one_point_to_pl_only():
    point = examples.load("c04-one-winner").replace(radius=0)
    data = certify_pl(point, 0).as_dict()
    ball = examples.load("c04-one-winner")
    for changes in (
        {"property": "concave"},
        {"property": "gamma"},
        {"modulus": "1"},
        {"verdict": "refuted"},
        {"problem": data["problem"].replace("radius = 0", f"radius = {float(ball.radius):g}")},
    ):
        changed = data | changes
        assert changed != data
        assert not replay(parse(changed | {"digest": digest(changed)})).valid, changes


# --- absurd magnitudes ------------------------------------------------------------------


def extreme(features, radius, beta):
    return PreferenceProblem(
        features=[
            features * np.array([[1, 0.3], [-0.4, 1], [0.2, -0.7]]),
            features * np.array([[0.5, 0.1], [0.3, -1]]),
        ],
        preferences=[
            [[0.5, 0.7, 1], [0.3, 0.5, 0.2], [0, 0.8, 0.5]],
            [[0.5, 0.9], [0.1, 0.5]],
        ],
        beta=beta,
        radius=radius,
    )


PROPERTIES = {
    "gamma": lambda problem, budget: certify_gamma(problem, 0.01, budget),
    "concave": lambda problem, budget: certify_concave(problem, 0.1, budget),
    "pl": lambda problem, budget: certify_pl(problem, 0.1, 0.01, budget),
}


@pytest.mark.parametrize("kind", PROPERTIES)
@pytest.mark.parametrize(
    "features, radius, beta",
    [
        (1, 1, 1e50),
        (1e-50, 1, 1e50),
        (1e-50, 1e50, 1e-50),
        (1e6, 1e6, 1),
        (1e50, 1e-50, 1),
        (1e50, 1e50, 1e50),
    ],
)
def test_every_magnitude_ends_as_a_verdict(features, radius, beta, kind):
    problem = extreme(features, radius, beta)
    began = time.process_time()
    made = PROPERTIES[kind](problem, Budget(time.monotonic() + 0.2))
    assert time.process_time() - began < 8
    assert made.verdict != "undecided" or made.note
    assert summary(made)
    assert replay(parse(made.as_dict())).valid


@pytest.mark.parametrize("kind", PROPERTIES)
@pytest.mark.parametrize("data", [{"radius": 1e200}, {"beta": 1e-200}, {"features": 1e60}])
def test_beyond_the_accepted_range_is_one_line(data, kind, tmp_path, capsys):
    source = tmp_path / "p.toml"
    features, rest = data.get("features", 1), {"radius": 1, "beta": 1} | data
    source.write_text(
        f"beta = {rest['beta']}\nradius = {rest['radius']}\n[[prompts]]\n"
        f"features = [[0], [{features}]]\nrewards = [0, 1]\n"
    )
    gamma = [] if kind == "gamma" else ["--gamma", "0.1"]
    assert main(["certify", str(source), "--property", kind, *gamma]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_tolerance_is_refused_before_the_work():
    for value in (0.0, np.nan, 1e-13):
        with pytest.raises(InputError, match="tol = "):
            certify_gamma(extreme(1, 1, 1), value)


@pytest.mark.parametrize("line", ["{}", "[{}]", "[[prompts]]\nx.{}"])
def test_replay_of_endless_keys_is_quick(line, tmp_path, capsys):
    """The TOML reader alone would take minutes."""
    data = certify_gamma(PreferenceProblem(**FLAT)).as_dict()
    data["problem"] += line.format(".".join(["a"] * 100_000)) + " = 1\n"
    path = tmp_path / "c.json"
    path.write_text(json.dumps(data | {"digest": digest(data)}))
    began = time.process_time()
    assert main(["replay", str(path)]) == 2
    assert time.process_time() - began < 2
    assert len(capsys.readouterr().err.splitlines()) == 1
