"""The figure of rewards: saved data are those that the code makes, and points by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from figures.rewards import compute, draw
from figures.write import FOLDER


@pytest.fixture(scope="module")
def data():
    return json.loads((FOLDER / "rewards.json").read_text("utf-8"))


def same(a, b):
    """Equal up to rounding, which may differ between machines."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return np.allclose(np.array(a, float), np.array(b, float), rtol=1e-9, atol=1e-12)
    return a == pytest.approx(b, rel=1e-12) if isinstance(a, float) else a == b


def test_the_saved_data_are_what_the_code_makes(data):
    assert same(json.loads(json.dumps(compute())), data)


def test_points_by_hand(data):
    found = data["series"]
    rate = np.array(found["rates"])[60]
    assert found["path"]["reward"][60] == pytest.approx(1 - rate, rel=1e-7)
    assert found["path"]["log"][60] == pytest.approx((1 - rate) / rate, rel=1e-7)
    assert found["path"]["pass-at-k"][60] == pytest.approx(8 * (1 - rate) ** 8, rel=1e-7)
    assert found["threshold"]["grpo"] == pytest.approx(7 / 8**0.5)
    assert found["threshold"]["log"] is None
    for gamma, v in zip(found["gammas"], found["reached"]["reward"]["ref_policy"], strict=True):
        assert v - 0.1 == pytest.approx(v * (1 - v) / gamma, abs=1e-7)
    for gamma, v in zip(found["gammas"], found["reached"]["reward"]["policy_ref"], strict=True):
        odds = np.exp(min(1 / gamma, 700)) / 9
        assert v == pytest.approx(odds / (1 + odds), rel=1e-7)


def test_it_draws_three_panels(data):
    assert len(draw(data).axes) == 3
