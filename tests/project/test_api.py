"""The functions of the root do what the commands do, and their results show themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

import sailtheory
from sailtheory import BradleyTerry, InputError, PreferenceProblem, api
from sailtheory.cli import main
from sailtheory.verdict import Witness


@pytest.fixture(scope="module")
def curve(small):
    return sailtheory.frontier(small, points=5)


@pytest.fixture(scope="module")
def swept(small):
    return sailtheory.sweep(small, beta=[0.1, 0.2], radius=[0.5, 1.0])


TWO = {
    "beta": 0.1, "radius": 1,
    "prompts": [{"features": [[0], [1]], "rewards": [0, 1]}],
}  # fmt: skip


@pytest.fixture(scope="module")
def small():
    return sailtheory.problem_from(TWO)


@pytest.fixture(scope="module")
def report(small):
    return sailtheory.check(small, 0.1)


def test_the_root_has_the_functions_and_imports_nothing_that_they_need():
    assert {*api.__all__} < {*sailtheory.__all__}
    assert all(getattr(sailtheory, name) is getattr(api, name) for name in api.__all__)
    code = (
        "import sys, sailtheory; "
        "assert not {'rich', 'scipy.optimize', 'sailtheory.analysis', 'torch'} & {*sys.modules}; "
        "import sailtheory.analysis.check; assert not {'scipy.stats', 'sympy'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", ["problem", "mapping", "toml", "folder"])
def test_a_problem_is_taken_in_every_form(kind, small, tmp_path):
    from sailtheory.problem.problem_file import save

    source = {"problem": small, "mapping": TWO}.get(
        kind, tmp_path / f"p{'.toml' * (kind == 'toml')}"
    )
    if kind in ("toml", "folder"):
        save(PreferenceProblem(
            features=np.array([[[0.0], [1.0]]]), preferences=[BradleyTerry([0.0, 1.0])],
            beta=0.1, radius=1.0,
        ), source)  # fmt: skip
    found = sailtheory.problem_from(source)
    assert (found.prompts, found.dimension, float(found.radius)) == (1, 1, 1.0)
    assert found.z_max == small.z_max


def test_preference_data_become_a_problem(tmp_path):
    rows = [{"prompt": f"q{i}", "responses": ["a", "b"], "scores": [i, 1], "x": [[0.0], [1.0]]}
            for i in range(3)]  # fmt: skip
    data = tmp_path / "d.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = sailtheory.problem_from(
        data, out=str(tmp_path / "p"), beta=0.1, radius=2, features="x", temperature=2.0
    )
    assert (made.prompts, float(made.beta)) == (3, 0.1)
    with pytest.raises(InputError, match="bta"):
        sailtheory.problem_from(data, out=str(tmp_path / "q"), bta=0.1, radius=2)
    with pytest.raises(InputError, match="radius = not given"):
        sailtheory.problem_from(data, out=str(tmp_path / "q"), beta=0.1)
    with pytest.raises(InputError, match="beta"):
        sailtheory.problem_from(data, beta=0.1)
    with pytest.raises(InputError, match="prompst"):
        sailtheory.problem_from({"beta": 1, "radius": 1, "prompst": []})


def test_check_says_what_the_command_prints(report, small, tmp_path, capsys):
    from sailtheory.problem.problem_file import save

    save(small, tmp_path / "p.toml")
    assert main(["check", str(tmp_path / "p.toml"), "--gamma", "0.1"]) == 0
    printed = capsys.readouterr().out.split()
    assert str(report).split() == printed
    assert len(repr(report)) < 120
    for part in ("holds", f"{report.thresholds.relative:.3g}"):
        assert part in repr(report)


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["td"]:
            self.cells.append(data)


def test_notebooks_show_the_same_tables(report):
    seen = Cells()
    seen.feed(report._repr_html_())
    assert seen.open == []
    assert f"{report.thresholds.relative:.3g}" in seen.cells
    assert report.sail_revkl[0].outcome.value in " ".join(seen.cells)


def test_tables_hold_all_digits(report, curve, swept):
    pytest.importorskip("pandas", reason="pandas is not installed")
    table = report.to_pandas().set_index("threshold")
    assert table.gamma["relative"] == report.thresholds.relative
    assert table.win_rate["relative"] == report.price["relative"].win_rate
    found = curve.to_pandas()
    assert list(found.gamma) == [point.gamma for point in curve.points]
    assert found.online_win_rate.notna().any()
    assert list(swept.to_pandas().relative) == [row.relative for row in swept.rows]


def test_results_draw_on_given_axes(report, curve, swept):
    axes = Figure().subplots(1, 3)
    assert report.plot(axes[0], color="red") is axes[0]
    known = {value for value in axes[0].lines[0].get_xdata() if value > 0}
    assert report.thresholds.relative in known
    assert axes[0].lines[0].get_color() == "red"
    curve.plot(axes[1], label="mine")
    assert list(axes[1].lines[0].get_ydata()) == [p.win_rate for p in curve.points if p.gamma > 0]
    assert axes[1].get_legend().get_texts()[0].get_text() == "mine"
    assert list(swept.plot().lines[0].get_xdata()) == [0.5, 1.0]


def test_certify_and_replay(small, tmp_path):
    made = sailtheory.certify(small, tolerance=0.1)
    assert made.verdict == "certified"
    assert "γ*" in repr(made)
    assert sailtheory.replay(made).valid
    made.save(tmp_path / "c.json")
    assert sailtheory.replay(tmp_path / "c.json").valid
    level = sailtheory.check(small, 0.0).thresholds.instance
    assert sailtheory.certify(small, "concave", level / 2).verdict == "refuted"
    by_prompt = sailtheory.certify(small, method="per-prompt", tolerance=0.05)
    assert sailtheory.replay(by_prompt, small).valid
    with pytest.raises(InputError, match="problem"):
        sailtheory.replay(by_prompt)
    with pytest.raises(InputError, match="gamma"):
        sailtheory.certify(small, "concave")
    with pytest.raises(InputError, match="property"):
        sailtheory.certify(small, "convex", 1)
    with pytest.raises(InputError, match="time_limit"):
        sailtheory.certify(small, time_limit=0)
    with pytest.raises(InputError, match="Certificate"):
        made.plot()


def test_rates_of_gaps_of_a_file_and_of_a_problem(small, tmp_path):
    gaps = [0.8**t for t in range(60)]
    fit = sailtheory.rates(gaps)
    assert fit.parameters["q"] == pytest.approx(0.8, rel=1e-6)
    (tmp_path / "g.csv").write_text("".join(f"{t},{gap!r}\n" for t, gap in enumerate(gaps, 1)))
    assert sailtheory.rates(tmp_path / "g.csv") == fit
    found = sailtheory.rates(small, 1.0)
    assert found.methods[0].measured < found.methods[0].predicted
    with pytest.raises(InputError, match="gamma"):
        sailtheory.rates(small)
    with pytest.raises(InputError, match="source"):
        sailtheory.rates(gaps, 1.0)


def test_audit_of_a_run(tmp_path):
    pytest.importorskip("torch", reason="the extra torch is not installed")
    from tests.support.plain_loop import run

    run(tmp_path / "a", steps=8)
    found = sailtheory.audit(tmp_path / "a")
    assert "violated" in repr(found)
    seen = Cells()
    seen.feed(found._repr_html_())
    assert seen.cells.count("violated") == len(found.violated)


def test_reward_thresholds_of_pass_rates(tmp_path):
    (tmp_path / "g.csv").write_text("prompt,samples,correct\na,8,1\nb,8,6\n")
    found = sailtheory.reward_thresholds(tmp_path / "g.csv", method="reward", gamma=0.5)
    assert found.chosen.threshold == 1.0
    assert "K = 1" in repr(found)
    pytest.importorskip("pandas", reason="the extra pandas is not installed")
    table = found.to_pandas().set_index("prompt")
    assert list(table["mean"]) == [1 / 8, 6 / 8]
    assert list(table.path_threshold) == pytest.approx([7 / 8, 2 / 8])
    with pytest.raises(InputError, match="gama"):
        sailtheory.reward_thresholds(tmp_path / "g.csv", gama=0.5)


def test_a_witness_shows_itself_in_a_line(small):
    witness = Witness(small, np.full(6, 0.5), "lhs > rhs at θ", 0.123456, lambda: True)
    assert repr(witness) == "Witness(lhs > rhs at θ: 0.1235 at θ = (0.5, 0.5, 0.5, 0.5, …))"
