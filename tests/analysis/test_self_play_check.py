"""``check --objective self-play``: γ*, K of C37, equilibria known by hand, best replies."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.linalg import eigh

from sailtheory import InputError, PreferenceProblem, check
from sailtheory.cli import main
from sailtheory.objectives.self_play import self_play_bounds
from sailtheory.problem.problem_file import dumps

P = np.array([[0.5, 0.9, 0.2], [0.1, 0.5, 0.8], [0.8, 0.2, 0.5]])  # each beats the next
PHI = np.array([[1.0, 0], [0, 1], [0, 0]])
REF = np.array([0.2, 0.2, 0.6])


def cycle(radius=3.0):
    return PreferenceProblem(
        features=[PHI], preferences=[P.tolist()], beta=0.2, radius=radius, base=[REF]
    )


def pair(lead, radius=8.0):
    p = [[0.5, 0.5 + lead], [0.5 - lead, 0.5]]
    return PreferenceProblem(
        features=[[[1.0], [0.0]]], preferences=[p], beta=0.2, radius=radius, base=[[1, 1]]
    )


def policy(theta):
    odds = REF * np.exp(PHI @ theta)
    return odds / odds.sum()


def field(theta):
    pi = policy(theta)
    return (pi * (P @ pi)) @ (PHI - pi @ PHI)


@pytest.fixture(scope="module")
def report():
    return check(cycle(), 0.2, objective="self-play", effort="light")


def test_gamma_star_by_differences_of_the_field(report):
    rng, found, h = np.random.default_rng(0), [], 1e-5
    for theta in rng.uniform(-3, 3, (600, 2)):
        if np.linalg.norm(theta) > 3:
            continue
        columns = [(field(theta + s) - field(theta - s)) / (2 * h) for s in h * np.eye(2)]
        turning = np.stack(columns, axis=1)
        pi, centred = policy(theta), PHI - policy(theta) @ PHI
        fisher = (centred * pi[:, None]).T @ centred
        found.append(eigh((turning + turning.T) / 2, fisher, eigvals_only=True)[-1])
    assert max(found) <= report.gamma_star.value + 1e-6
    assert report.gamma_star.value == pytest.approx(max(found), rel=0.05)
    assert report.monotone[0].outcome == "refuted" and report.monotone[0].witness.replay()


def test_equilibria(report):
    """At γ = 0 the mixture by the three leads; nobody gains by a reply, at any γ."""
    zero = report.price["zero"]
    assert zero.settled and policy(zero.theta) == pytest.approx([0.3, 0.3, 0.4], abs=1e-7)
    rng = np.random.default_rng(1)
    for each in report.price.values():
        assert each.regret < 1e-9
        own = policy(each.theta)
        for theta in rng.uniform(-2, 2, (200, 2)):
            reply = policy(theta)
            kl = [REF @ np.log(REF / pi) for pi in (reply, own)]
            gains = reply @ P @ own - 0.5 - each.gamma * (kl[0] - kl[1])
            assert gains < 1e-9
    used = report.price["gamma"]
    assert used.worth == pytest.approx(policy(used.theta) @ P @ REF)


def test_k_is_nearly_reached_and_less_is_seen():
    for lead in (0.5, 0.2):
        found = check(pair(lead), 1.0, objective="self-play", effort="light")
        known = found.bounds
        assert (known.relative, known.data) == (0.5, pytest.approx(lead))
        assert 0.99 * known.data < found.gamma_star.value <= known.data
        assert found.monotone[0].strength == "proved"
    assert self_play_bounds(cycle()).prompts == pytest.approx([0.4])


def test_other_commands_and_other_divergences_refuse(tmp_path, capsys):
    path, page, out = tmp_path / "p.toml", tmp_path / "p.html", tmp_path / "p.json"
    path.write_text(dumps(cycle(1.0)), encoding="utf-8")
    both = [str(path), "--objective", "self-play"]
    assert main(["check", *both, "--html", str(page), "--json", str(out)]) == 0
    assert "V − γ∇KL" in page.read_text(encoding="utf-8")
    assert "a best reply gains" in capsys.readouterr().out
    solutions = json.loads(out.read_text())["worth"]["solutions"]
    assert solutions["relative"]["regret"] < 1e-9
    for command in (["frontier"], ["certify", "--property", "gamma"], ["rates", "--gamma", "1"]):
        assert main([command[0], *both, *command[1:]]) == 2
    assert capsys.readouterr().err.count("self-play follows a field") == 3
    with pytest.raises(InputError, match="follows a field"):
        check(cycle(), objective="self-play", divergence="chi2")
