"""``frontier``, ``rates`` and ``plot`` with another objective than SAIL."""

from __future__ import annotations

import json

import numpy as np
import pytest

import sailtheory
from sailtheory import InputError, KLRefPolicy, plots
from sailtheory.cli import main
from sailtheory.convergence import prediction
from sailtheory.objectives.registry import target
from sailtheory.problem.reward_problem import reward_problem


def problem():
    return reward_problem(
        features=[[[1, 0], [0, 1], [0.5, -1]], [[1, 2], [0, 0]]], radius=2,
        response_rewards=[[1, 0, 0], [1, 0]], base=[[1, 2, 3], [1, 4]],
    )  # fmt: skip


@pytest.fixture(scope="module")
def curve():
    return sailtheory.frontier(problem(), objective="grpo", group=4, points=6, tolerance=0.02,
                               effort="light")  # fmt: skip


def ball(count):
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(count, 2))
    theta *= 2 / np.linalg.norm(theta, axis=1, keepdims=True)
    return theta * np.sqrt(rng.random((count, 1)))


def test_points_are_maximisers_and_their_worth_is_the_mean_reward(curve):
    theta, made = ball(40_000), target(problem(), "grpo", group=4)
    values, kl = made.objective.value(theta), KLRefPolicy(problem()).value(theta)
    for point in curve.points:
        own = made.objective.value(point.theta) - point.gamma * point.kl_ref_policy
        assert own >= (values - point.gamma * kl).max() - 1e-12
        assert point.worth == pytest.approx(made.objective.pass_rates(point.theta).mean())
    assert curve.points[0].worth - curve.affordable.worth <= 0.02
    assert curve.points[0].concave is False and curve.points[-1].guaranteed
    assert [p.certified for p in curve.points] == [
        p.gamma >= curve.bounds.least for p in curve.points
    ]
    assert json.loads(json.dumps(curve.as_dict()))["measure"] == "mean reward"


def test_figures_name_the_objective_and_others_say_which_do():
    data = plots.compute("curvature-map", target(problem(), "grpo", group=4))
    assert data["objective"].startswith("GRPO") and data["objective"] in data["caption"]
    plots.draw(data)
    with pytest.raises(InputError, match="samples is of SAIL; of any: curvature-map"):
        plots.compute("samples", target(problem(), "grpo"))


def test_rates_hold_above_the_least_certain_bound(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(prediction, "_STEPS", prediction._RECORDS)
    monkeypatch.setattr(prediction, "_RUNS", 2)
    path, out = tmp_path / "p.toml", tmp_path / "r.json"
    path.write_text("radius = 1\n[[prompts]]\nfeatures = [[1], [0]]\nresponse_rewards = [1, 0]\n")
    words = ["rates", str(path), "--gamma", "2", "--objective", "grpo", "--group", "4"]
    assert main([*words, "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "not measured for GRPO" in said and "least certified bound for GRPO" in said
    found = json.loads(out.read_text())
    loaded = sailtheory.problem.problem_file.load(path, preferences=False)
    assert found["relative"] == target(loaded, "grpo", group=4).bounds().least < 2
    assert all(m["worst_ratio"] is None or m["worst_ratio"] <= 1 for m in found["methods"])
    assert any(m["predicted"] for m in found["methods"])
    (tmp_path / "gaps.csv").write_text("0,1\n1,0.5\n2,0.25\n")
    assert main(["rates", str(tmp_path / "gaps.csv"), "--objective", "grpo"]) == 2
    assert "none is expected with a CSV" in capsys.readouterr().err
