"""``check --objective``: thresholds of rewards on one problem, each computed another way too."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sailtheory import InputError, KLRefPolicy
from sailtheory.analysis.target_check import check_target
from sailtheory.cli import main
from sailtheory.landscape import Domain
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.objectives.registry import target
from sailtheory.objectives.reward_bounds import pass_rate_ranges, reward_bounds
from sailtheory.objectives.rewards import RewardObjective
from sailtheory.problem.problem_file import loads
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.report.html_target import target_page
from sailtheory.theory.reward_methods import METHODS, reward_method
from sailtheory.verdict import Outcome, Strength

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


def ball(count, radius=2.0, seed=0):
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(count, 2))
    theta *= radius / np.linalg.norm(theta, axis=1, keepdims=True)
    return theta * np.sqrt(rng.random((count, 1)))


@pytest.fixture(scope="module")
def report():
    return check_target(target(problem(), "reward"), 1.5)


def test_gamma_star_is_the_largest_on_a_grid(report):
    objective = RewardObjective(problem(), reward_method("reward"))
    values = largest_relative_curvature(objective, Domain(problem()), ball(20_000))[0]
    assert report.gamma_star.value >= np.nanmax(values) - 1e-9
    assert report.gamma_star.value == pytest.approx(np.nanmax(values), abs=2e-2)


def test_thresholds_fall_to_gamma_star(report):
    ladder = report.bounds
    assert 1 < ladder.relative < 1 + 1e-9
    assert report.gamma_star.value <= ladder.data <= ladder.relative
    assert ladder.path == pytest.approx([3 / 7, 12 / 13])


def test_verdicts_and_constants(report):
    (plain, _), (penalised, _) = report.plain, report.penalised
    assert (plain.outcome, plain.strength) == (Outcome.REFUTED, Strength.PROVED)
    assert (penalised.outcome, penalised.strength) == (Outcome.HOLDS, Strength.PROVED)
    least, lower = report.bounds.least, report.bounds.lower
    assert report.factor == pytest.approx(1 - (1.5 - least) / (1.5 + lower))
    assert 0 < report.mu < report.pl[0].constant * (1 + 1e-9)


def test_the_price_is_that_of_the_maximisers(report):
    objective = RewardObjective(problem(), reward_method("reward"))
    theta = ball(60_000)
    kl = KLRefPolicy(problem()).value(theta)
    for each in report.price.values():
        best = (objective.value(theta) - each.gamma * kl).max()
        assert each.best.value >= best - 1e-12
        assert each.worth == pytest.approx(float(objective.value(each.best.theta)))
    assert report.price["zero"].worth > report.price["gamma"].worth > report.start


@pytest.mark.parametrize("name", METHODS)
def test_ranges_of_pass_rates_and_their_bounds_hold_on_c(name):
    rng = np.random.default_rng(4)
    at = reward_problem(
        features=[rng.normal(size=(m, 2)) for m in (3, 5)], radius=1.5, ref_params=[0.3, -0.2],
        response_rewards=[[1, 0, 0], [0, 1, 1, 0, 0]], center=[0.1, 0.2],
        base=[None, [1, 5, 1, 1, 2]],
    )  # fmt: skip
    objective = RewardObjective(at, reward_method(name, 6))
    theta = ball(4000, 1.5) + np.array([0.1, 0.2])
    rates = objective.pass_rates(theta)
    start, low, high = (1 / (1 + np.exp(-odds)) for odds in pass_rate_ranges(at))
    assert start == pytest.approx(objective.pass_rates(at.ref_params))
    assert (low <= rates.min(0)).all()
    assert (rates.max(0) <= high).all()
    ladder = reward_bounds(objective)
    domain = Domain(at)
    top = np.nanmax(largest_relative_curvature(objective, domain, theta)[0])
    bottom = np.nanmax(largest_relative_curvature(-1.0 * objective, domain, theta)[0])
    assert top <= ladder.data
    assert bottom <= ladder.lower
    assert ladder.relative is None or ladder.data <= ladder.relative


def test_unbounded_methods_are_certified_by_the_data():
    found = check_target(target(problem(), "log"), None)
    assert found.bounds.relative is None
    assert found.gamma == found.bounds.data > found.gamma_star.value
    verdict, _ = found.penalised
    assert (verdict.outcome, verdict.strength) == (Outcome.HOLDS, Strength.CERTIFIED)


def test_real_rewards_and_prompts_that_do_not_move():
    at = reward_problem(
        features=[[[1.0], [0.0]], [[2.0], [2.0]]], response_rewards=[[3.5, 1], [0, 5]], radius=1
    )
    ladder = reward_bounds(RewardObjective(at, reward_method("dr-grpo", 2)))
    assert ladder.relative == pytest.approx(2.5)
    with pytest.raises(InputError, match=r"3\.5"):
        check_target(target(at, "grpo"))
    still = reward_problem(features=[[[1], [1]]], response_rewards=[[1, 0]], radius=1)
    assert check_target(target(still, "grpo")).bounds is None


def test_the_command(tmp_path, capsys):
    (tmp_path / "p.toml").write_text(FILE)
    out = tmp_path / "c.json"
    words = ["check", str(tmp_path / "p.toml"), "--objective", "reward", "--gamma", "1.5"]
    assert main([*words, "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "holds (proved)" in said
    assert "whatever the problem and B" in said
    data = json.loads(out.read_text())
    assert data["schema"] == "sailtheory.check-objective/1"
    assert data["concavity"]["penalised"]["verdict"] == "holds"
    assert main([*words, "--html", str(tmp_path / "x.html")]) == 0
    page = (tmp_path / "x.html").read_text()
    assert "whatever the problem and B" in page
    assert "mean reward of π" in page
    assert main(["check", str(tmp_path / "p.toml")]) == 2
    assert "--objective" in capsys.readouterr().err


def test_a_problem_without_rewards_is_told_so(tmp_path, capsys):
    path = tmp_path / "b.toml"
    assert main(["example", "bradley-terry"]) == 0
    path.write_text(capsys.readouterr().out)
    assert main(["check", str(path), "--objective", "grpo"]) == 2
    said = capsys.readouterr().err
    assert "response_rewards = missing" in said
    assert len(said.splitlines()) == 1


def test_a_search_that_does_not_agree_is_called_so_on_the_page_too(report):
    found = replace(report.gamma_star, search=replace(report.gamma_star.search, trusted=False))
    assert "γ* may be larger" in target_page(replace(report, gamma_star=found), "p", 0.0)
    assert "γ* may be larger" not in target_page(report, "p", 0.0)
