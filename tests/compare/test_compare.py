"""Comparisons of runs: what they conclude, refuse, and show."""

from __future__ import annotations

import dataclasses
import json
import os
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.compare.compare import compare
from sailtheory.report.comparison import caveats, conclusion, describe
from sailtheory.report.comparison_html import page
from sailtheory.runs.read import read_record
from sailtheory.runs.write import Run
from tests.support.training_instances import write_run

REVKL = {"method": "pebble-revkl", "kl_coef": 1e-4}


def arms(folder, level=130.0, seeds=range(4), other=None, **options):
    """Runs of ``pebble`` (return about 100) and of ``pebble-revkl`` (about ``level``)."""
    runs = [write_run(folder / f"a{s}", {"seed": s}, **options) for s in seeds]
    for s in seeds if other is None else other:
        runs.append(write_run(folder / f"b{s}", REVKL | {"seed": s}, level=level, **options))
    return runs


def test_numbers(tmp_path):
    runs = arms(tmp_path)
    [task] = compare(runs).tasks
    a, b = (np.array([run.series("eval/return")[1][-1] for run in part])
            for part in (runs[:4], runs[4:]))  # fmt: skip
    assert [arm.name for arm in task.arms] == ["pebble", "pebble-revkl"]
    assert task.arms[0].scores.tolist() == a.tolist()
    assert task.arms[0].iqm.value == pytest.approx(np.sort(a)[1:3].mean())
    [pair] = task.pairs
    assert (pair.arm, pair.baseline) == ("pebble-revkl", "pebble")
    assert pair.difference == pytest.approx(b.mean() - a.mean())
    assert pair.paired.value == pytest.approx((b - a).mean() / (b - a).std(ddof=1))
    assert pair.d.value == pytest.approx(
        (b.mean() - a.mean()) / np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    )
    assert pair.tested is pair.paired
    assert pair.improvement.value == (b[:, None] > a).mean()
    assert compare(runs).as_dict() == compare(runs[:]).as_dict()  # the bootstrap is seeded


def renamed(record, old, new):
    rows = [(step, new if name == old else name, value) for step, name, value in record.rows]
    return dataclasses.replace(record, rows=rows)


def test_the_metric_is_one_that_all_runs_have(tmp_path):
    runs = arms(tmp_path, seeds=[0, 1])
    assert compare(runs).metric == "eval/return"
    others = [renamed(run, "eval/return", "rewards/mean") for run in runs]
    assert compare(others).metric == "rewards/mean"
    assert compare(others).tasks[0].pairs == compare(runs).tasks[0].pairs
    with pytest.raises(InputError, match="eval/return"):
        compare([*runs[:3], others[3]])


def test_seeds_that_change_nothing_are_told(tmp_path):
    runs = arms(tmp_path, seeds=[0, 1])
    assert not any("seeds change nothing" in each for each in caveats(compare(runs)))
    same = [runs[0], dataclasses.replace(runs[1], rows=runs[0].rows), *runs[2:]]
    (told,) = [each for each in caveats(compare(same)) if "seeds change nothing" in each]
    assert "pebble: its 2 runs" in told


def test_the_last_evaluation_counts_and_not_the_best(tmp_path):
    runs = arms(tmp_path, seeds=[0, 1])
    rows = [(s, n, "1e6" if (s, n) == (300, "eval/return") else v) for s, n, v in runs[0].rows]
    peaked = [dataclasses.replace(runs[0], rows=rows), *runs[1:]]
    assert compare(peaked).tasks[0].pairs == compare(runs).tasks[0].pairs


def test_order_on_the_command_line_does_not_pair_other_seeds(tmp_path):
    runs = arms(tmp_path)
    mixed = [*runs[:4], *runs[:3:-1]]
    assert compare(mixed).tasks[0].pairs == compare(runs).tasks[0].pairs


def test_unpaired_when_seeds_differ(tmp_path):
    [task] = compare(arms(tmp_path, other=[0, 1, 7]), effect=0.872).tasks
    [pair] = task.pairs
    assert pair.paired is None and pair.tested is pair.d
    assert pair.needed == 22  # of each arm, for d = 0.872
    assert "22 runs of each arm are needed" in conclusion(
        dataclasses.replace(pair, d=dataclasses.replace(pair.d, low=-1, high=1))
    )


def test_what_is_concluded(tmp_path):
    clear = compare(arms(tmp_path / "clear", level=130)).tasks[0].pairs[0]
    assert "pebble-revkl scores more than pebble: paired d = " in conclusion(clear)
    worse = compare(arms(tmp_path / "worse", level=70)).tasks[0].pairs[0]
    assert "scores less than" in conclusion(worse)
    nothing = compare(arms(tmp_path / "nothing", level=101), effect=0.872).tasks[0].pairs[0]
    text = conclusion(nothing)
    assert text.startswith("No difference") and "does not show that they are equal" in text
    assert f"below paired d = {nothing.detectable:.3g}" in text
    assert "13 pairs are needed" in text  # to see d = 0.872


def test_arms_that_are_one_algorithm_are_said_to_be(tmp_path):
    runs = [write_run(tmp_path / f"a{s}", {"seed": s}) for s in (0, 1)]
    runs += [write_run(tmp_path / f"b{s}", {"seed": s, "method": "sail"}) for s in (0, 1)]
    found = compare(runs)
    assert np.isnan(found.tasks[0].pairs[0].tested.value)
    text = describe(found)
    assert "measured the same numbers, bit for bit" in text
    assert "nothing to conclude" in text and "nothing to conclude" in page(found)


def test_several_tasks(tmp_path):
    runs = arms(tmp_path / "walker")
    for run in arms(tmp_path / "source", seeds=[4, 5], level=90):
        change = {"task": "cheetah-run", "sac": {"rate": 1e-4}, "seed": run.seed}
        change |= {k: run.config[k] for k in ("method", "kl_coef")}
        runs.append(write_run(tmp_path / f"c{run.folder.name}", change, level=50))
    found = compare(runs)
    assert [task.name for task in found.tasks] == ["walker-walk", "cheetah-run"]
    assert list(found.overall) == ["pebble", "pebble-revkl"]
    assert found.overall["pebble"][1] is None
    walker, cheetah = (task.pairs[0].improvement.value for task in found.tasks)
    assert found.overall["pebble-revkl"][1].value == pytest.approx((walker + cheetah) / 2)
    assert "over all tasks" in describe(found) and "Over all tasks" in page(found)
    assert "2 comparisons are made without correction" in describe(found)


@pytest.mark.parametrize("other", ["door-open", "cheetah-run", "HalfCheetah-v5"])
def test_scores_are_pooled_on_the_scales_of_their_tasks(tmp_path, other):
    """As rliable does: normalised by task, then one IQM over runs and tasks."""
    runs = arms(tmp_path, level=700)
    for s in range(4):
        for method, level in (({}, 3000), (REVKL, 4000)):
            change = method | {"task": other, "seed": s}
            runs.append(write_run(tmp_path / f"{other}{level}-{s}", change, level=level))
    found = compare(runs)
    for arm, name in enumerate(("pebble", "pebble-revkl")):
        a, b = (
            np.array([r.series(metric)[1][-1] for r in runs if (r.method, r.config["task"]) == key])
            for metric, key in (
                ("eval/return", (name, "walker-walk")),
                ("eval/success" if other == "door-open" else "eval/return", (name, other)),
            )
        )
        if other == "HalfCheetah-v5":
            pooled = np.concatenate([a, b])
        else:
            pooled = np.concatenate([a / 1000, b / (1 if other == "door-open" else 1000)])
        iqm = found.overall[name][0]
        assert iqm.value == pytest.approx(stats.trim_mean(pooled, 0.25), rel=1e-14)
        assert iqm.low <= iqm.value <= iqm.high
        assert found.tasks[1].arms[arm].scores.tolist() != b.tolist() or other != "door-open"
    known = other != "HalfCheetah-v5"
    assert found.as_dict()["normalised"] is known
    assert ("divided by 1,000" in describe(found)) is known
    assert ("not all have a known scale" in page(found)) is not known
    logged = compare(runs, "spent/feedback")  # another metric has no such scale
    assert logged.normalised is False and logged.overall["pebble"][0].value == 250


def last(**change):
    """All runs, the last one changed."""
    return lambda runs, _: [*runs[:-1], dataclasses.replace(runs[-1], **change)]


def more(change, **options):
    """All runs and another of the second arm."""
    return lambda runs, path: [*runs, write_run(path / "more", REVKL | change, **options)]


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda runs, _: runs[:5], "1 of pebble-revkl on walker-walk: at least two seeds"),
        (lambda runs, _: runs[:1], "at least two"),
        (lambda runs, _: [], "at least two"),
        (last(rows=[(7, "eval/return", "nan")]), "eval/return = nan: finite .* step 7"),
        (last(rows=[(7, "eval/return", "-inf")]), "eval/return = -inf: finite .* step 7"),
        (last(rows=[(7, "eval/return", "x")]), "numbers are expected"),
        (last(rows=[(7, "eval/return", "1")] * 2), "each step once"),
        (last(rows=[(7, "loss", "2")]), "metric = eval/return: .* logged loss"),
        (last(rows=[]), "logged none at all"),
        (last(finished=False), "finished runs"),
        (more({"seed": 8}, evaluations=(100, 400)), "eval/return at 2 steps up to 400: 4 up to"),
        (more({"seed": 8}, evaluations=(100, 200, 300, 500)), "at 4 steps up to 500: 4 up to 400"),
        (more({"seed": 8, "steps": 5}), "runs differ in = steps"),
        (more({"seed": 8}, spent=9), "runs differ in = spent/feedback"),
        (more({"seed": 3}), r"runs differ in = seed \(twice in pebble-revkl\)"),
    ],
)
def test_refusals(tmp_path, change, words):
    with pytest.raises(InputError, match=words) as caught:
        compare(change(arms(tmp_path), tmp_path))
    assert "\n" not in str(caught.value)


def test_damaged_metrics_are_refused(tmp_path):
    run = write_run(tmp_path / "a")
    path = run.folder / "metrics.csv"
    good = path.read_bytes()
    for bad, words in (
        (good[:-5], "not the rows with which the run finished"),
        (good[: good[:-1].rindex(b"\n") + 1], "not the rows with which the run finished"),
        (good.replace(b"spent", b"spant"), "not the rows with which the run finished"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=words):
            read_record(run.folder)
    (run.folder / "finished.json").unlink()
    for bad, words in (
        (good[:-5], "truncated"),
        (b"", "a first line"),
        (good + b"x,eval/return,1\n", "damaged"),
        (good + b"1,eval/return\n", "damaged"),
        (good + b'1,"a,2\n', "damaged"),
        (good + b"1,\xff,2\n", "damaged"),
    ):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=words):
            read_record(run.folder)
    (run.folder / "metrics.csv").unlink()
    with pytest.raises(InputError, match="No such file"):
        read_record(run.folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "none"])
def test_a_metric_that_is_not_finite_is_refused_where_it_is_compared(tmp_path, capsys, value):
    folders = []
    for method in ("pebble", "sail"):
        for seed in (0, 1):
            run = Run.create(tmp_path / f"{method}{seed}", {"method": method, "seed": seed})
            for step in (1, 2):
                run.log(step, {"eval/return": 1.0 + seed, "loss": value if step == 2 else 1.0})
            run.finish()
            folders.append(str(run.folder))
    assert main(["compare", *folders]) == 0  # the loss is not what is compared
    page_of = str(tmp_path / "page.html")
    capsys.readouterr()
    assert main(["compare", *folders, "--metric", "loss", "--html", page_of]) == 2
    said = capsys.readouterr().err
    assert said.startswith("sailtheory: loss = ") and said.count("\n") == 1
    assert not os.path.exists(page_of)


@pytest.mark.parametrize("level", [1e300, 1e-300])
def test_returns_of_any_size_are_compared(tmp_path, level):
    """Their squares lie beyond float64, their effect sizes do not."""
    runs = arms(tmp_path / "a", seeds=[0, 1, 2])
    rows = [
        [(s, n, str(level * float(v)) if n == "eval/return" else v) for s, n, v in run.rows]
        for run in runs
    ]
    scaled = [dataclasses.replace(run, rows=r) for run, r in zip(runs, rows, strict=True)]
    [one], [other] = ([p.tested for t in compare(r).tasks for p in t.pairs] for r in (runs, scaled))
    assert (other.value, other.low) == pytest.approx((one.value, one.low), rel=1e-9)
    shown = page(compare(scaled))
    assert "nan" not in shown and "inf" not in shown
    scores = np.array([float(run.rows[-2][2]) / level for run in scaled[:3]])
    assert scores.tolist() == [run.series("eval/return")[1][-1] / level for run in scaled[:3]]
    spread = scores.std(ddof=1) * level
    assert f" ± {spread:.3g}</td>" in shown


def test_the_largest_returns(tmp_path):
    """Their sum lies beyond float64, their mean does not."""
    runs = arms(tmp_path, seeds=[0, 1, 2])
    largest = np.finfo(float).max
    last = [run.series("eval/return")[1][-1] for run in runs]
    unit = largest / max(last)
    rows = [
        [(s, n, str(unit * float(v)) if n == "eval/return" else v) for s, n, v in run.rows]
        for run in runs
    ]
    found = compare([dataclasses.replace(r, rows=q) for r, q in zip(runs, rows, strict=True)])
    [task] = found.tasks
    one = np.array(last[:3])
    assert task.arms[0].iqm.value == pytest.approx(unit * one.mean(), rel=1e-12)
    shown = page(found)
    assert f"{unit * one.mean():.4g} ± {unit * one.std(ddof=1):.3g}" in shown
    assert "inf" not in shown and "nan" not in shown


@pytest.mark.parametrize("seed", [-1, 0.5, "x"])
def test_a_seed_that_is_none(tmp_path, seed):
    with pytest.raises(InputError, match=r"seed = .*an integer ≥ 0"):
        compare(arms(tmp_path, seeds=[0, 1]), seed=seed)


def test_any_damage_to_a_record_is_one_line(tmp_path):
    """A record is read as it was, or refused; nothing else happens."""
    from sailtheory.compare.arms import diff

    runs = arms(tmp_path, seeds=[0, 1])
    rng, refused = np.random.default_rng(0), 0
    for name in ("run.json", "finished.json", "metrics.csv"):
        path = tmp_path / "a0" / name
        good = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(good)
            damaged[rng.integers(len(good))] = rng.integers(256)
            path.write_bytes(damaged if rng.random() < 0.7 else good[: rng.integers(len(good))])
            try:
                diff([read_record(tmp_path / "a0"), *runs[1:]])
            except InputError as error:
                refused += 1
                assert "\n" not in str(error)
        for content in ("[]", "{}", "null", "1", '{"unread": 3}', "[" * 9999, '"\\ud800"'):
            path.write_text(content)
            with pytest.raises(InputError):
                read_record(tmp_path / "a0")
        path.write_bytes(good)
    assert refused > 100


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.found += [v for k, v in attributes if k in ("src", "href", "xlink:href", "srcset")]
        self.found += [tag] if tag in ("script", "link", "iframe", "img") else []
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_stands_alone(tmp_path):
    evil = {"method": "<script>alert(1)</script>&", "kl_coef": "<b>"}
    runs = arms(tmp_path, seeds=[0, 1])
    runs += [write_run(tmp_path / f"e{s}", evil | {"seed": s}, level=50) for s in (0, 1)]
    html = page(compare(runs))
    links = Links()
    links.feed(html)
    assert links.found == [] and links.open == []
    assert "url(" not in html and "@import" not in html and "http" not in html
    assert "prefers-color-scheme: dark" in html
    text = " ".join(links.text)
    assert evil["method"] in text and "pebble-revkl" in text
    assert html.count("<polyline") == 3 and html.count("<polygon") == 3
    svg = html[html.index('<svg viewBox="0 0 720') :]
    drawn = ET.fromstring(svg[: svg.index("</svg>") + 6])
    lines = [node for node in drawn if node.tag == "polyline"]
    for line in lines:
        points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
        assert len(points) == 4 and all(0 <= x <= 720 and 0 <= y <= 340 for x, y in points)


def test_command(tmp_path, capsys):
    folders = [str(run.folder) for run in arms(tmp_path)]
    html, data = tmp_path / "out.html", tmp_path / "out.json"
    assert main(["compare", *folders, "--html", str(html), "--json", str(data)]) == 0
    output = capsys.readouterr().out
    assert "pebble-revkl scores more than pebble" in output and "bootstrap intervals" in output
    assert html.read_text().startswith("<!doctype html>")
    found = json.loads(data.read_text())
    assert found["schema"] == "sailtheory.compare/1"
    assert found["tasks"][0]["pairs"][0]["needed"] == 15  # for d = 0.8
    assert main(["compare", *folders, "--json", "-", "--effect", "0.5"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"][0]["pairs"][0]["needed"] == 34
    for bad in (
        [*folders, "--metric", "success"],
        [*folders, "--effect", "0"],
        [*folders, "--effect", "much"],
        [*folders, "--seed", "-1"],
        [folders[0], folders[0]],
        [folders[0], str(tmp_path)],
        [*folders, "--html", str(tmp_path / "absent/x.html")],
    ):
        assert main(["compare", *bad]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1 and captured.err.startswith("sailtheory: ")
    os.truncate(tmp_path / "a0/metrics.csv", 40)
    assert main(["compare", *folders]) == 2
