"""Intervals of γ* in a sweep: comparisons drawn again, by the rule that the import used."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from sailtheory import PreferenceProblem
from sailtheory.analysis.bootstrap import Comparisons, comparisons_of
from sailtheory.analysis.sweep import sweep
from sailtheory.cli import main
from sailtheory.errors import InputError
from sailtheory.preference_data.preferences import Rule
from sailtheory.problem.folder import ProblemFolder
from sailtheory.problem.folder_write import write_folder
from sailtheory.problem.problem_file import of_folder

PROMPTS = 6


def imported(folder, scale=1, rule=("--smoothing", "0.5")):
    """A folder that ``sailtheory problem`` makes of counted comparisons."""
    rng = np.random.default_rng(0)
    source, features = folder / f"c{scale}.jsonl", folder / f"f{scale}.npy"
    with source.open("w", encoding="utf-8") as file:
        for x in range(PROMPTS):
            row = {"prompt": f"p{x}", "response_a": "a", "response_b": "b",
                   "wins_a": scale * (1 + x), "wins_b": scale * (7 - x), "ties": 0}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    np.save(features, rng.normal(size=(2 * PROMPTS, 3)))
    out = folder / f"uf{scale}{rule[0]}"
    arguments = ["--features", str(features), "--beta", "0.1", "--radius", "1", "--out", str(out)]
    assert main(["problem", str(source), "--format", "counts", *rule, *arguments]) == 0
    return out


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return imported(tmp_path_factory.mktemp("few"))


def row_of(folder, **arguments):
    opened = ProblemFolder.open(folder)
    comparisons = comparisons_of(opened)
    return sweep(of_folder(opened), comparisons=comparisons, draws=20, **arguments).rows


def test_the_interval_shrinks_towards_the_estimate_with_the_comparisons(few, tmp_path):
    """With few labels it may lie above: γ* is convex in p, so noise raises it."""
    one = row_of(few)[0]
    many = row_of(imported(tmp_path, 400))[0]
    assert many.low < many.instance < many.high
    assert many.high - many.low < 0.2 * (one.high - one.low)
    assert row_of(few)[0] == one


def test_each_part_has_an_interval_of_its_own(few):
    whole, kept, held = row_of(few, held_out=0.5)
    assert len({(r.low, r.high) for r in (whole, kept, held)}) == 3
    assert all(r.low <= r.high for r in (whole, kept, held))


def test_what_is_drawn_again_has_the_same_comparisons_and_p_as_its_mean():
    counts = [np.array([[0.0, 6.0], [2.0, 0.0]])]
    comparisons = Comparisons(counts, Rule(confidence=1.0))

    problem = PreferenceProblem(features=[[[0.0], [1.0]]], preferences=[[[0.5, 0.75], [0.25, 0.5]]],
                                beta=1, radius=1)  # fmt: skip
    drawn = [p[0].matrix[0, 1] for p in comparisons.resampled(problem, 400, 0)]
    assert set(np.round(np.array(drawn) * 8, 9)) <= set(range(9))
    assert np.mean(drawn) == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / 8 / 400) ** 0.5)
    assert np.std(drawn) == pytest.approx((0.75 * 0.25 / 8) ** 0.5, rel=0.15)


@pytest.mark.parametrize(
    ("rule", "estimate"),
    [
        (("--bradley-terry", "1.5"), {"bradley_terry": "1.5"}),
        (("--confidence", "0.9"), {"confidence": "0.9"}),
    ],
)
def test_the_rule_of_the_import_is_used_again(tmp_path, rule, estimate):
    folder = ProblemFolder.open(imported(tmp_path, 1, rule))
    assert folder.report["estimate"] == estimate
    problem, comparisons = of_folder(folder), comparisons_of(folder)
    again = Comparisons(comparisons.counts, comparisons.rule)
    kind = type(problem.preferences[0])
    assert all(type(p) is kind for p in next(again.resampled(problem, 1, 0)))


def test_the_command_prints_and_writes_the_ends(few, tmp_path, capsys):
    out = tmp_path / "t.csv"
    assert main(["sweep", str(few), "--bootstrap", "10", "--csv", str(out)]) == 0
    assert "95 %" in capsys.readouterr().out
    (row,) = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8")))
    assert float(row["low"]) < float(row["high"])


def test_a_problem_without_comparisons_is_refused(tmp_path, few, capsys):
    opened = ProblemFolder.open(few)
    bare = tmp_path / "bare"
    write_folder(
        bare, features=np.asarray(opened.features), offsets=opened.offsets, beta=0.1, radius=1,
        preferences=[opened.matrices("preferences", np.array([x]))[0] for x in range(PROMPTS)],
        counts=[opened.matrices("counts", np.array([x]))[0] for x in range(PROMPTS)],
    )  # fmt: skip
    assert main(["sweep", str(bare), "--bootstrap", "10"]) == 2
    assert "bootstrap" in capsys.readouterr().err
    toml = tmp_path / "p.toml"
    assert main(["examples", "c04-one-winner", "--out", str(toml)]) in (0, 2)
    assert main(["sweep", str(few), "--bootstrap", "3"]) == 2
    assert "bootstrap = 3" in capsys.readouterr().err
    with pytest.raises(InputError, match="bootstrap"):
        sweep(of_folder(opened), draws=20)
