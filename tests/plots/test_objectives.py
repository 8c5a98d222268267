"""Figures of objectives other than SAIL: each kind draws each, and says what it is."""

from __future__ import annotations

import pytest

from sailtheory import InputError, examples, plots
from sailtheory.objectives.registry import target
from sailtheory.problem.reward_problem import reward_problem
from tests.support.figure_checks import collisions, drawn, fewer_points

KINDS = [name for name, kind in plots.KINDS.items() if kind.any_objective]


def of(name):
    if name == "ipo":
        return target(examples.load("c08-kl-policy-ref"), name)
    problem = reward_problem(
        features=[[[1, 0], [0, 0], [0, 1]]], response_rewards=[[1, 0, 0]], radius=1
    )
    return target(problem, name)


@pytest.mark.parametrize("name", ["ipo", "reward"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_it(kind, name, monkeypatch):
    fewer_points(monkeypatch)
    data = plots.compute(kind, of(name))
    assert of(name).title in data["caption"] or data["objective"] == of(name).title
    figure = drawn(data)
    # The labels of ticks beyond the axes of pl, which are not drawn, lie on each other.
    assert kind == "pl" or collisions(figure) == []
    assert all(ax.lines or ax.collections for ax in figure.axes)


def test_what_is_of_sail_alone_is_refused():
    (other, *_) = set(plots.KINDS) - set(KINDS)
    with pytest.raises(InputError, match="is of SAIL"):
        plots.compute(other, of("ipo"))
