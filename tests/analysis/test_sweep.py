"""Thresholds over β, B and temperature, and on prompts held out: rows, CSV, LaTeX, refusals."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from sailtheory import BradleyTerry, PreferenceProblem, examples
from sailtheory.analysis.check import check, theorem_threshold
from sailtheory.analysis.sweep import _parts, sweep
from sailtheory.cli import main
from sailtheory.errors import InputError
from sailtheory.report.sweep import csv_text, latex_text


def problem(prompts=12):
    rng = np.random.default_rng(0)
    phi = rng.normal(size=(prompts, 2, 4))
    return PreferenceProblem(
        features=phi, preferences=[BradleyTerry(r) for r in phi[..., 0]], beta=0.2, radius=1
    )


@pytest.fixture(scope="module")
def found():
    return sweep(problem(), [0.1, 0.2], [1.0], [1.0, 4.0], held_out=0.25, seed=3)


def test_every_combination_and_part_has_a_row_of_its_own_thresholds(found):
    assert [(r.prompts, r.beta, r.temperature) for r in found.rows[:6]] == [
        ("all", 0.1, 1), ("kept", 0.1, 1), ("held out", 0.1, 1),
        ("all", 0.1, 4), ("kept", 0.1, 4), ("held out", 0.1, 4),
    ]  # fmt: skip
    assert len(found.rows) == 12
    for row in found.rows:
        assert row.instance <= row.per_prompt <= row.data <= row.relative <= row.closed_form
    whole = problem().replace(beta=0.1)
    assert found.rows[0].relative == theorem_threshold(whole)
    colder = [BradleyTerry(m.rewards / 4) for m in whole.preferences]
    assert (
        found.rows[3].per_prompt
        == check(whole.replace(preferences=colder), gamma=1.0).thresholds.per_prompt
    )


def test_parts_are_prompts_of_the_whole_and_bound_it_together(found):
    """ḡ is a maximum over prompts: that of all is the larger one of both parts."""
    for whole, kept, held in zip(*(found.rows[i::3] for i in range(3)), strict=True):
        assert whole.per_prompt_lower == pytest.approx(
            max(kept.per_prompt_lower, held.per_prompt_lower), rel=1e-3
        )


def test_csv_holds_all_digits_and_latex_the_same_rows(found):
    rows = list(csv.DictReader(io.StringIO(csv_text(found))))
    assert [float(row["per_prompt"]) for row in rows] == [r.per_prompt for r in found.rows]
    text = latex_text(found)
    assert text.count(r"\\") == len(found.rows) + 1
    assert text.splitlines()[4].count("&") == text.splitlines()[2].count("&") == 10


def test_the_command_writes_what_it_prints(tmp_path, capsys):
    file = tmp_path / "p.toml"
    file.write_text(examples.text("c04-weighted-reference"), encoding="utf-8")
    out = [f"--{kind}={tmp_path / kind}" for kind in ("csv", "latex", "json")]
    assert main(["sweep", str(file), "--radius", "0.5,1", *out]) == 0
    assert "K_data" in capsys.readouterr().out
    data = json.loads((tmp_path / "json").read_text(encoding="utf-8"))
    assert [row["radius"] for row in data["rows"]] == [0.5, 1.0]
    assert len((tmp_path / "csv").read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"temperatures": [0.0]}, "temperature"),
        ({"temperatures": [float("nan")]}, "temperature"),
        ({"betas": [-1.0]}, "beta"),
        ({"held_out": 1.0}, "held_out"),
        ({"held_out": 0.01}, "held_out"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_values_are_refused_by_name(arguments, field):
    with pytest.raises(InputError, match=field):
        sweep(problem(), **arguments)


def test_temperatures_need_rewards():
    with pytest.raises(InputError, match="not made of rewards"):
        sweep(examples.load("c04-one-winner"), temperatures=[2.0])


def test_a_list_that_is_none_exits_with_2(tmp_path, capsys):
    file = tmp_path / "p.toml"
    file.write_text(examples.text("bradley-terry"), encoding="utf-8")
    assert main(["sweep", str(file), "--beta", "0.1;0.2"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_prompt_is_on_both_sides_of_a_split():
    sides = dict(_parts(12, 0.25, 3))
    kept, held = sides["kept"].tolist(), sides["held out"].tolist()
    assert len(kept) == 9
    assert sorted(kept + held) == list(range(12))
