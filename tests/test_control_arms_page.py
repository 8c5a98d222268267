"""The results of the control arms: what is trained, what is said of pairs, and when."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("dm_control", reason="the extra rl is not installed")

from benchmarks import control_arms
from benchmarks.control_arms_page import both, page, score


def runs(values, first=0):
    """Runs of six evaluations, the last three of them at a value."""
    steps = list(range(10, 70, 10))
    return [
        {"seed": seed, "curves": {"eval/return": [steps, [0, 0, 0, value - 1, value, value + 1]]}}
        for seed, value in enumerate(values, first)
    ]


def published(pairs, effect):
    noise = np.random.default_rng(0).standard_normal(pairs)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    base = runs(100 + 10 * np.arange(pairs))
    return {"pebble": base, "pebble-revkl": runs(100 + 10 * np.arange(pairs) + effect + noise)}


def test_the_quantity_is_the_mean_of_the_second_half():
    assert [score(run) for run in runs([5.0, 7.0])] == [5.0, 7.0]


def test_pairs_are_of_equal_seeds():
    found = both(runs([1, 2, 3], first=1), runs([10, 20], first=2))
    assert [(seed, score(one), score(other)) for seed, one, other in found] == [
        (2, 2, 10), (3, 3, 20),
    ]  # fmt: skip


@pytest.mark.parametrize("pairs, effect, said", [
    (12, 5.0, "nothing is concluded yet"), (13, 5.0, "the arm with the KL term is better here"),
    (13, -5.0, "the arm with the KL term is worse here"), (13, 0.1, "no effect is shown"),
])  # fmt: skip
def test_conclusions_come_at_thirteen_pairs(pairs, effect, said):
    text = " ".join(page({"published": {"cheetah-run": published(pairs, effect)}}).split())
    assert said in text
    assert f"pebble-revkl − pebble, {pairs} pairs: mean difference {effect:+.1f}" in text
    others = {"concluded yet", "is better", "is worse", "no effect"} - {said}
    assert sum(other in text for other in others if other not in said) == 0


def test_the_paper_s_effect_is_excluded_where_the_interval_lies_below():
    text = " ".join(page({"published": {"cheetah-run": published(60, 0.0)}}).split())
    assert "d = 0.872 is excluded" in text


def test_sail_is_compared_with_and_without_its_kl():
    data = {
        "published": {"cheetah-run": published(3, 1.0)},
        "sail": {"cheetah-run": {"sail": runs([1, 2, 4]), "sail-revkl": runs([3, 5, 8])}},
    }
    text = page(data)
    assert "sail-revkl − sail, 3 pairs: mean difference +3.0" in text
    assert "sail − pebble, 3 pairs" in text and "Described, not tested" in text


def test_committed_runs_are_not_trained_again(tmp_path, monkeypatch):
    evidence = tmp_path / "evidence.json"
    data = {"published": {"cheetah-run": {"pebble": runs([1, 2]), "pebble-revkl": runs([1])}}}
    evidence.write_text(json.dumps(data), encoding="utf-8")
    monkeypatch.setattr(control_arms, "EVIDENCE", evidence)
    trained = []
    monkeypatch.setattr(
        control_arms, "train",
        lambda settings, seeds, out, **_: trained.append((settings.method, seeds, out.name)),
    )  # fmt: skip
    plan = control_arms.PLANS["published"]
    control_arms.run("published", plan, [0, 1, 2], tmp_path, None)
    assert trained == [
        ("pebble", [2], "pebble"), ("pebble-revkl", [1, 2], "pebble-revkl"),
    ]  # fmt: skip
