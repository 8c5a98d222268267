"""Figures: data that repeat, drawings that need nothing else, text that can be read."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from sailtheory import InputError, PreferenceProblem, examples, plots, progress
from sailtheory.cli import main
from sailtheory.plots import style
from tests.support.figure_checks import CASES, FIGURES, collisions, drawn, fewer_points, made


@pytest.fixture(autouse=True)
def modest(monkeypatch):
    fewer_points(monkeypatch)


@pytest.mark.parametrize(("kind", "problem"), CASES)
def test_no_text_overlaps_and_the_image_is_not_blank(kind, problem):
    figure = drawn(made(kind, problem))
    assert collisions(figure) == []
    width = figure.get_size_inches()[0] * 25.4
    assert width == pytest.approx(style.SINGLE) or width == pytest.approx(style.DOUBLE)
    image = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(float)
    for ax in figure.axes:
        x0, x1 = (int(x) for x in ax.get_window_extent().intervalx)
        y0, y1 = (int(len(image) - y) for y in ax.get_window_extent().intervaly)
        inside = image[y1 + 3 : y0 - 3, x0 + 3 : x1 - 3]
        assert inside.std() > 3, "an empty panel"
        curves = [line for line in ax.lines if np.isfinite(line.get_xydata()).all(1).sum() > 2]
        assert curves or ax.collections, "a panel without data"
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()]
    assert min(sizes) >= 7


def test_the_check_of_text_can_fail():
    figure, axes = style.panels(style.SINGLE, 40)
    axes[0, 0].text(0.5, 0.5, "one thing")
    assert collisions(drawn_as_is(figure)) == []
    axes[0, 0].text(0.52, 0.5, "another")
    assert any("another" in line for line in collisions(drawn_as_is(figure)))
    figure.text(0.9, 0.9, "much too long a text")
    assert any("cut off" in line for line in collisions(drawn_as_is(figure)))


def drawn_as_is(figure):
    figure.draw_without_rendering()
    return figure


# --- data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "problem"), dict(CASES).items())
def test_data_repeat_and_drawing_needs_only_them(kind, problem, tmp_path):
    data = made(kind, problem)
    assert data["kind"] == kind and problem in data["caption"]
    assert "{" not in data["caption"]
    plots.write_data(data, tmp_path / "a.json")
    again = plots.compute(kind, examples.load(problem), name=problem)
    plots.write_data(again, tmp_path / "b.json")
    text = (tmp_path / "a.json").read_bytes()
    assert text == (tmp_path / "b.json").read_bytes()
    assert json.loads(text) == data
    for name, row in data["series"].items():
        numbers = np.ravel(np.array(row, dtype=object))
        assert (len(numbers) and any(x is not None for x in numbers)) or name == "modulus"


@pytest.mark.parametrize("kind", plots.KINDS)
def test_every_series_is_used(kind):
    """A drawing without one of its series fails or differs: nothing comes from elsewhere."""
    data = made(kind, "ragged")
    unused = []
    for name in data["series"]:
        less = json.loads(json.dumps(data))
        del less["series"][name]
        try:
            plots.draw(less)
        except KeyError:
            continue
        unused.append(name)
    # Kept for readers of the data, or drawn only where present.
    allowed = {"unbiased", "variance_bound", "stop_values", "most", "map", "kl_at_zero", "radius"}
    assert set(unused) <= allowed


def test_files_repeat_byte_for_byte_and_bear_no_date(tmp_path):
    data = made("thresholds", "ragged")
    figures = plots.draw(data), plots.draw(data)
    for suffix in (".svg", ".png"):
        one, two = (style.render(figure, suffix) for figure in figures)
        assert one == two and b"dc:date" not in one
    plots.save(figures[0], tmp_path / "a.pdf")
    text = (tmp_path / "a.pdf").read_bytes()
    assert text.startswith(b"%PDF") and b"CreationDate" not in text


def test_seed_changes_samples_only():
    problem = examples.load("c08-kl-policy-ref")
    other = plots.compute("convergence", problem, name="c08-kl-policy-ref", seed=1)
    first = made("convergence", "c08-kl-policy-ref")
    assert other["settings"] == first["settings"]
    assert other["series"]["stochastic_gap"] != first["series"]["stochastic_gap"]


# --- the committed figures -------------------------------------------------------------------


COMMITTED = sorted(
    path for path in FIGURES.glob("*.json") if '"sailtheory.plot/1"' in path.read_text("utf-8")[:99]
)


def test_each_kind_has_a_figure():
    assert {json.loads(path.read_text("utf-8"))["kind"] for path in COMMITTED} == set(plots.KINDS)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_figure(path):
    data = json.loads(path.read_text(encoding="utf-8"))
    problem = examples.load(data["problem"]["name"])
    assert data["problem"] == plots.describe(problem, data["problem"]["name"])
    assert collisions(drawn(data)) == []
    for suffix in (".png", ".svg", ".py"):
        assert path.with_suffix(suffix).is_file()


@pytest.mark.parametrize(
    ("name", "panel", "words"),
    [
        ("price", "b", {"SAIL", "online DPO"}),  # which the other panel's legend says
        ("divergences", "a", {r"$\mathrm{KL}(\pi_{\mathrm{ref}}\,\|\,\pi_\theta)$"}),
        ("curvature_map", "b", {r"$\theta_2$", r"$\lambda_{\max}(\nabla^2 J_\gamma)$"}),
        ("spectra", "c", {r"$\|\theta - \theta_{\mathrm{ref}}\|$", "DPO term"}),
    ],
)
def test_a_panel_alone_is_complete_and_fits_a_column(name, panel, words):
    data = json.loads((FIGURES / f"{name}.json").read_text(encoding="utf-8"))
    figure = plots.draw(data, panel=panel)
    with style.context():
        figure.draw_without_rendering()
    assert collisions(figure) == []
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(style.SINGLE)
    assert words <= {text.get_text() for text in figure.findobj(Text)}


# --- bad input and odd problems --------------------------------------------------------------


@pytest.fixture
def problem_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(examples.text("c08-kl-policy-ref"), encoding="utf-8")
    return str(path)


def test_command(problem_file, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv(progress.QUIET)
    monkeypatch.setattr(progress, "FIRST", 0.0)
    image, data = tmp_path / "a.svg", tmp_path / "a.json"
    words = ["plot", "divergences", problem_file, "-o", str(image), "--data", str(data)]
    assert main([*words, "--size", "160x70"]) == 0
    shown = capsys.readouterr()
    assert "mine (1 prompt, 2 responses, d = 1" in shown.out
    assert "the data of divergences (" in shown.err
    width = float(re.search(r'width="([\d.]+)pt"', image.read_text("utf-8"))[1])
    assert width == pytest.approx(160 / 25.4 * 72, rel=1e-4)
    assert json.loads(data.read_text("utf-8"))["seed"] == 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["price", "-o", "a.png", "--size", "84"], "174x60"),
        (["divergences", "-o", "a.png", "--size", "84x60"], "at least 139x58"),
        (["divergences", "-o", "a.png", "--size", "84x60"], "one panel (a, b)"),
        (["divergences", "-o", "a.png", "--panel", "d"], "one of a, b is expected"),
        (["price", "-o", "a.png", "--size", "0x5"], "above 0"),
        (["price", "-o", "a.png", "--label", "bound"], "OLD=NEW"),
        (["nonsense", "-o", "a.png"], "self-preference"),
        (["price", "-o", "a.bmp"], ".pdf"),
        (["price", "-o", "a"], ".svg"),
        (["price", "-o", "missing/a.png"], "out = missing/a.png"),
        (["price", "-o", "folder.svg"], "not a directory"),
        (["price", "-o", "a.png", "--gamma", "1"], "price takes none"),
        (["pl", "-o", "a.png", "--gamma", "-1"], "gamma = -1: "),
        (["pl", "-o", "a.png", "--gamma", "nan"], "gamma = nan: "),
        (["pl", "-o", "a.png", "--seed", "-1"], "seed"),
        (["convergence", "-o", "a.png", "--gamma", "0.1"], "above K_B"),
        (["divergences", "-o", "a.png", "--data", "missing/a.json"], "data = missing/a.json"),
    ],
)
def test_bad_input(words, named, problem_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    assert main(["plot", words[0], problem_file, *words[1:]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line
    assert not Path("a.png").exists()


@pytest.mark.parametrize("words", [["missing/a.png"], ["a.png", "--data", "missing/a.json"]])
def test_targets_are_checked_before_the_computation(words, problem_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plots, "compute", lambda *_, **__: pytest.fail("computed in vain"))
    assert main(["plot", "price", problem_file, "-o", *words]) == 2


def null_problem(**changes):
    return examples.load("c08-kl-policy-ref").replace(**changes)


def test_words_of_a_figure_can_be_changed():
    data = plots.compute("divergences", examples.load("c08-kl-policy-ref"))
    before = [axes.get_ylabel() for axes in plots.draw(data).axes]
    changed = [axes.get_ylabel() for axes in plots.draw(data, labels={before[0]: "mine"}).axes]
    assert changed == ["mine" if label == before[0] else label for label in before]
    with pytest.raises(InputError, match="nowhere"):
        plots.draw(data, labels={"nowhere": "mine"})


def test_a_threshold_is_renamed_by_its_name_and_keeps_its_number(tmp_path, problem_file):
    found = tmp_path / "price.svg"
    words = ["--label", "closed form=Theorem 3", "--label", "K_B=K", "--label", "SAIL=a = b"]
    assert main(["plot", "price", problem_file, "-o", str(found), "--panel", "a", *words]) == 0
    svg = found.read_text("utf-8")
    assert "<!-- Theorem 3 = " in svg and "<!-- K = " in svg and "<!-- a = b -->" in svg
    assert "closed form" not in svg and "K_B" not in svg


@pytest.mark.parametrize("kind", plots.KINDS)
def test_nothing_to_draw(kind):
    flat = null_problem(features=[[[1.0], [1.0]]])
    with pytest.raises(InputError, match="nothing to draw"):
        plots.compute(kind, flat)
    with pytest.raises(InputError, match="one point"):
        plots.compute(kind, null_problem(radius=0))


@pytest.mark.parametrize("kind", plots.KINDS)
def test_indifferent_preferences_on_a_line_within_the_plane(kind):
    """p = ½, S of dimension 1 in d = 2, θ_ref on the sphere: J is largest at θ_ref."""
    problem = PreferenceProblem(
        features=[[[1.0, 1.0], [0.0, 0.0], [0.5, 0.5]]], preferences=[np.full((3, 3), 0.5)],
        beta=1.0, radius=1.0, ref_params=[math.sqrt(0.5), math.sqrt(0.5)],
    )  # fmt: skip
    if kind == "samples":  # nothing to reach
        with pytest.raises(InputError, match="theta_ref"):
            plots.compute(kind, problem)
        return
    data = plots.compute(kind, problem)
    assert collisions(drawn(data)) == []


@pytest.mark.parametrize(
    ("ref", "towards"), [(0.0, "along the first axis of S"), (1.0, "towards the centre of C")]
)
def test_where_rays_go_when_nothing_is_better_than_the_reference(ref, towards):
    problem = PreferenceProblem(
        features=[[[1.0], [0.0], [0.5]]], preferences=[np.full((3, 3), 0.5)],
        beta=1.0, radius=1.0, ref_params=[ref],
    )  # fmt: skip
    data = plots.compute("spectra", problem)
    assert towards in data["caption"] and len(set(data["series"]["distance"])) == 81


def test_too_many_pairs_to_enumerate():
    with pytest.raises(InputError, match="8704 pairs of responses: at most 2000"):
        plots.compute("estimators", examples.load("large"))


def test_not_the_data_of_a_figure():
    for data in ({}, {"schema": "other"}, [], None):
        with pytest.raises(InputError, match="schema"):
            plots.draw(data)


def test_importing_the_package_does_not_import_matplotlib():
    code = "import sys, sailtheory, sailtheory.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
