"""Objectives by name, and the bounds of their curvature, against points of C."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import InputError, examples
from sailtheory.landscape import Domain
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives import registry
from sailtheory.objectives.registry import ObjectiveKind, names, register, target
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.theory.reward_methods import METHODS, reward_method


def single(radius=1.5):
    """One prompt on tabular features, one correct response of three."""
    return reward_problem(
        features=[np.eye(3)], response_rewards=[[1, 0, 0]], radius=radius, base=[[1, 3, 5]]
    )


def points(count=1500, radius=1.5):
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(count, 3))
    theta -= theta.mean(1, keepdims=True)
    theta *= radius / np.linalg.norm(theta, axis=1, keepdims=True)
    return theta * np.sqrt(rng.random((count, 1)))


@pytest.mark.parametrize("name", METHODS)
def test_one_correct_response_needs_less_and_no_point_needs_more(name):
    """The bound is sup w', and (1 − V)f' is not needed; γ* on C is found close below it."""
    made = target(
        single(), name, **({"group": 4} if "group" in registry.kind(name).options else {})
    )
    known = made.bounds()
    found = np.nanmax(largest_relative_curvature(made.objective, Domain(single()), points())[0])
    odds = np.log(1 / 8) + np.linspace(-1.5 * np.sqrt(2), 1.5 * np.sqrt(2), 801)
    rate = 1 / (1 + np.exp(-odds))
    method = reward_method(name, 4, "sample")
    slope = np.array([float(method.slope(FLOAT64, v, 1 - v)) for v in rate])
    turn = np.gradient(rate * (1 - rate) * slope, rate)  # another way than the closed form
    assert found <= known.data
    assert known.data >= max(turn[1:-1].max(), 0) * (1 - 1e-3)
    assert known.data < ((1 - rate) * slope).max()
    if turn.max() > 0 and name != "dynamic-sampling":  # enclosed more widely
        assert known.data <= turn[1:-1].max() * 1.02 + 1e-9


def test_a_bound_too_small_is_seen(monkeypatch):
    """The comparison above can fail: nine tenths of w' lie below a point of C."""
    method = type(reward_method("grpo"))
    right = method.turn
    monkeypatch.setattr(method, "turn", lambda self, *a: right(self, *a) * 0.9)
    made = target(single(), "grpo")
    found = np.nanmax(largest_relative_curvature(made.objective, Domain(single()), points())[0])
    assert found > made.bounds().data


def test_an_option_that_is_not_taken_is_refused():
    for name, options, said in (
        ("log", {"group": 4}, "log has no options"),
        ("maxrl", {"std": "sample"}, "maxrl takes group"),
        ("none", {}, "one of sail, reward"),
    ):
        with pytest.raises(InputError, match=said):
            target(single(), name, **options)
    with pytest.raises(InputError, match="preferences"):
        target(single(), "sail")


def test_an_objective_of_ones_own(monkeypatch):
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    made = registry.kind("sail").make
    register(ObjectiveKind("mine", "SAIL under another name", made))
    assert names()[-1] == "mine"
    problem = examples.load("bradley-terry")
    assert target(problem, "mine").worth(problem.ref_params) == pytest.approx(0.5)
    with pytest.raises(InputError, match="name that no objective has"):
        register(ObjectiveKind("mine", "again", made))
