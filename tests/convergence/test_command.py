"""``sailtheory rates``: predicted against measured, and a user's series."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sailtheory import BradleyTerry, InputError, PreferenceProblem, examples
from sailtheory.cli import main
from sailtheory.convergence.prediction import predict
from sailtheory.objectives.sail_target import SAILTarget


@pytest.fixture(scope="module")
def found():
    return predict(SAILTarget(examples.load("bradley-terry")), 1.0)


def test_no_bound_is_violated(found):
    assert found.gamma > found.relative
    for method in found.methods:
        assert method.predicted is not None
        assert method.worst_ratio <= 1
        assert method.to_accuracy <= method.predicted_steps


def test_measured_rates_beat_what_is_promised(found):
    for method in found.methods:
        assert 0 < method.measured < method.predicted


def test_without_the_theorem_nothing_is_promised():
    below = predict(SAILTarget(examples.load("bradley-terry")), 0.1)
    by_name = {m.name: m for m in below.methods}
    assert by_name["projected, theorem's constants"].predicted is None
    assert by_name["mirror, theorem's constants"].predicted is None
    assert by_name["projected, instance's constants"].worst_ratio <= 1  # γ is above γ*


def test_a_boundary_maximiser():
    problem = examples.load("bradley-terry").replace(radius=0.3)
    found = predict(SAILTarget(problem), 0.6)
    assert found.on_boundary or found.methods[0].worst_ratio is not None
    assert found.gamma > found.relative or found.methods[0].predicted is None
    assert all(m.worst_ratio is None or m.worst_ratio <= 1 for m in found.methods)


def test_nothing_moves_without_differences():
    flat = PreferenceProblem(
        features=[[[1], [1]]], preferences=[[[0.5, 0.7], [0.3, 0.5]]], beta=1, radius=1
    )
    with pytest.raises(InputError):
        predict(SAILTarget(flat), 1.0)


def test_nothing_moves_in_one_point():
    with pytest.raises(InputError, match="radius = 0"):
        predict(
            SAILTarget(examples.load("bradley-terry").replace(radius=0, ref_params=[0, 0])), 1.0
        )


def test_gaps_that_vanish_at_once_have_no_kind_of_decay():
    """β = 1e-9: J_γ is −γ KL to nine digits, and the right step reaches its top in one."""
    still = PreferenceProblem(
        features=[[[0], [1], [2]]], preferences=[BradleyTerry([0, 1, 2])], beta=1e-9, radius=0.001
    )
    found = predict(SAILTarget(still), 1.0)
    assert [method.fit is None for method in found.methods] == [False, True, True]
    assert found.as_dict()["methods"][1]["fit"] is None


def test_commands(tmp_path, capsys):
    series = tmp_path / "s.csv"
    noise = np.exp(0.01 * np.random.default_rng(0).normal(size=80))
    rows = [f"{t},{0.8**t * e!r}" for t, e in enumerate(noise.tolist(), start=1)]
    series.write_text("iteration,gap\n" + "\n".join(rows) + "\n")
    out = tmp_path / "fit.json"
    assert main(["rates", str(series), "--json", str(out)]) == 0
    assert "linear" in capsys.readouterr().out
    low, high = json.loads(out.read_text())["intervals"]["q"]
    assert low < 0.8 < high
    problem = tmp_path / "p.toml"
    problem.write_text(examples.text("c04-one-winner"), encoding="utf-8")
    assert main(["rates", str(problem), "--gamma", "2", "--json", str(out)]) == 0
    data, said = json.loads(out.read_text()), capsys.readouterr().out
    assert data["schema"] == "sailtheory.rates/1"
    open_ = [m["fit"]["reason"] for m in data["methods"] if m["fit"]["model"] == "undecided"]
    assert open_ and all(f"undecided: {reason}." in " ".join(said.split()) for reason in open_)
    for bad in (
        [str(series), "--gamma", "1"], [str(problem)], [str(problem), "--gamma", "-1"],
        [str(problem), "--gamma", "x"], [str(tmp_path / "none.csv")], [str(series), "--seed", "-1"],
    ):  # fmt: skip
        assert main(["rates", *bad]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1, bad
