"""The results of the control arms: what is trained, what is said of pairs, and when."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

pytest.importorskip("dm_control", reason="the extra rl is not installed")

from figures import control_arms as control_figure
from sailtheory import InputError
from sailtheory.runs.read import Record
from sailtheory.storage.config import flatten, plain
from sailtheory.training.control.methods import method_named
from studies.control_arms import __main__ as control_arms
from studies.control_arms.evidence import check, merge, summary
from studies.control_arms.page import KEYS, comparisons, far, page, terms, unread, values
from studies.control_arms.pairs import between_arms, both, concluded, of_scores, score
from studies.control_arms.pairs import worse_than_pebble as worse
from studies.control_arms.segments import SegmentSettings
from studies.control_arms.theory import HEAVY, noise, segment_gamma
from studies.render import read


def runs(values, first=0, method="pebble"):
    """Runs of six evaluations, the last three of them at a value."""
    return [made(value, seed, method) for seed, value in enumerate(values, first)]


def made(value, seed, method):
    """A run's summary, from a record made up for it."""
    curve = zip(range(10, 70, 10), [0, 0, 0, value - 1, value, value + 1], strict=True)
    rows = [(step, "eval/return", str(float(found))) for step, found in curve]
    rows += [(60, "sail/margin", str(float(value)))] if method.startswith("sail") else []
    rows += [(step, "spent/queries", str(float(step))) for step in (30, 40)]
    chosen = control_arms.settings(control_arms.PLANS["published"], "cheetah-run", method, seed)
    config = flatten(plain(chosen))
    own = [key for key in config if key.startswith(("kl_coef", "reference.", "sail."))]
    declared = method_named(method).declared
    unread = tuple(key for key in own if key not in declared)
    return summary(Record(Path("x"), config, declared, unread, True, {"torch": "2"}, rows))


def published(pairs, effect):
    noise = np.random.default_rng(0).standard_normal(pairs)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    base = runs(100 + 10 * np.arange(pairs))
    return {
        "pebble": base,
        "pebble-revkl": runs(100 + 10 * np.arange(pairs) + effect + noise, 0, "pebble-revkl"),
    }


def test_the_quantity_is_the_mean_of_the_second_half():
    assert [score(run) for run in runs([5.0, 7.0])] == [5.0, 7.0]


def test_pairs_are_of_equal_seeds():
    found = both(runs([1, 2, 3], first=1), runs([10, 20], first=2))
    assert [(seed, score(one), score(other)) for seed, one, other in found] == [
        (2, 2, 10), (3, 3, 20),
    ]  # fmt: skip


@pytest.mark.parametrize("pairs, effect, outcome", [
    (12, 5.0, "early"), (13, 5.0, "better"), (13, -5.0, "worse"), (13, 0.1, "open"),
])  # fmt: skip
def test_conclusions_come_at_thirteen_pairs(pairs, effect, outcome):
    (found,) = comparisons(published(pairs, effect), "published")
    assert (found.arm, found.base) == ("pebble-revkl", "pebble")
    assert (found.outcome, found.pairs) == (outcome, pairs)
    assert found.difference == pytest.approx(effect)
    assert found.excludes_zero == (effect != 0.1)


@pytest.mark.parametrize("pairs, effect", [
    (0, 0.0), (1, 0.0), (12, 5.0), (13, 5.0), (13, -5.0), (13, 0.1), (60, 0.0),
])  # fmt: skip
def test_the_template_has_words_for_every_outcome(pairs, effect):
    """A value that it lacks would be an error."""
    arms = published(max(pairs, 2), effect)
    arms["pebble-revkl"] = arms["pebble-revkl"][:pairs]
    if not pairs:
        del arms["pebble-revkl"]
    base = arms["pebble"]
    own = {arm: runs([score(r) + 1 for r in base], 0, arm) for arm in ("sail", "sail-revkl")}
    assert page({"published": {"task": arms}, "sail": {"task": own}}).count("## ") > 5


def test_the_paper_s_effect_is_excluded_where_the_interval_lies_below():
    (found,) = comparisons(published(60, 0.0), "published")
    assert found.outcome == "open" and found.excluded and found.d[2] < found.effect


def test_arms_are_compared_with_the_first_and_with_and_without_kl():
    arms = {
        **published(3, 1.0), "sail": runs([1, 2, 4], 0, "sail"),
        "sail-revkl": runs([3, 5, 8], 0, "sail-revkl"),
    }  # fmt: skip
    found = {(x.arm, x.base): x for x in comparisons(arms, "heavy")}
    assert set(found) == {("sail", "pebble"), ("sail-revkl", "pebble"), ("sail-revkl", "sail")}
    last = found["sail-revkl", "sail"]
    assert last.difference == 3 and (last.won, last.pairs) == (3, 3)
    assert last.share == pytest.approx((0.2924, 1.0), abs=1e-4)  # (α/2)^(1/3)
    assert {x.outcome for x in found.values()} == {"described"}
    assert {x.outcome for x in comparisons(arms, "sail")} == {"described", "early"}
    (single,) = comparisons({arm: own[:1] for arm, own in published(3, 1.0).items()}, "short")
    assert (single.outcome, single.pairs) == ("unknown", 1) and np.isfinite(single.difference)


def test_terms_are_told_as_they_were_logged():
    own = runs([1, 2, 4], 0, "sail")
    assert terms(own) == {"sail/margin": pytest.approx([1.2, 2, 3.6])}
    for run, size in zip(own, (0.05, 0.2, 0.01), strict=True):
        run["curves"]["sail/score_coefficient"] = [[60], [size]]
    assert terms(own)["sail/score_coefficient"] == pytest.approx([0.018, 0.05, 0.17])
    assert far(own) == {"share": 0, "of": 3, "runs": 0, "ends": 0}
    for run, sizes in zip(own, ([1, 101, 2], [1, 2, 1e9], [1, 2, 3]), strict=True):
        run["curves"]["sail/margin"] = [[20, 40, 60], sizes]
    assert far(own) == {"share": pytest.approx(2 / 9), "of": 3, "runs": 2, "ends": 1}
    assert far(runs([1, 2])) is None


def sail(pairs, difference):
    """Comparisons of sail and sail-revkl; sail's less pebble's are ``difference``, (pairs,)."""
    base = 100 + 10 * np.arange(pairs)
    arms = {"pebble": runs(base), "pebble-revkl": runs(base, 0, "pebble-revkl")}
    arms |= {arm: runs(base + difference, 0, arm) for arm in ("sail", "sail-revkl")}
    return {(x.arm, x.base): x for x in comparisons(arms, "sail")}


def differences(pairs, p, seed=0):
    """Differences whose two-sided paired t test has a p value."""
    noise = np.random.default_rng(seed).standard_normal(pairs)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return noise + t.isf(p / 2, pairs - 1) / np.sqrt(pairs)


@pytest.mark.parametrize("pairs, p, outcome", [
    (13, 0.024, "better"), (13, 0.026, "open"), (12, 0.001, "early"),
])  # fmt: skip
def test_each_of_two_tests_has_half_the_level(pairs, p, outcome):
    found = sail(pairs, differences(pairs, p))
    assert found["sail", "pebble"].outcome == outcome and found["sail", "pebble"].level == 0.975
    assert found["sail-revkl", "sail"].outcome == "same"
    assert found["sail-revkl", "pebble"].outcome == "described"


def test_what_follows_is_told_of_whole_designs_alone():
    def told(arms):
        return [(task, x.outcome) for task, x in concluded({"published": {"task": arms}})]

    assert told(published(60, 0.0)) == [("task", "open")]
    assert told(published(13, -5.0)) == [("task", "worse")]
    same = {arm: runs(range(13), 0, arm) for arm in ("pebble", "pebble-revkl")}
    assert told(same) == [("task", "same")]
    assert told(published(12, 5.0)) == told({"pebble": runs([1])}) == []


def test_runs_worse_than_pebble_are_counted():
    def counted(data):
        return [(x["plan"], x["task"], x["arm"], x["worse"], x["of"]) for x in worse(data)]

    arms = {"sail": runs([99, 300, 1], 0, "sail")}
    beside = {"published": {"run": published(3, 0.0)}, "heavy": {"run": arms}}
    assert counted(beside) == [("heavy", "run", "sail", 2, 3)]
    own = {"stand": {"stand": {"pebble": runs([5, 5]), **arms}}}
    assert counted(own) == [("stand", "stand", "sail", 0, 2)]
    assert counted({"published": {"run": published(3, 0.0)}}) == []


def test_pairs_known_beforehand_are_left_out_beside_the_test():
    difference = differences(13, 0.01)
    found = sail(13, difference)
    fresh = found["sail", "pebble"].fresh
    assert fresh.pairs == 8 and fresh.difference == pytest.approx(difference[5:].mean())
    assert found["sail-revkl", "sail"].fresh.pairs == 8
    assert found["sail-revkl", "pebble"].fresh is None


@pytest.mark.parametrize("p, excluded", [(0.3, False), (0.9, True)])
def test_an_effect_is_excluded_by_what_it_is_of_the_differences(p, excluded):
    """Scores of a pair that do not correlate: 0.872 between the arms is 0.617 of differences,
    and the intervals of d at 13 pairs end at 0.85 and 0.58."""
    difference, total = differences(13, p), differences(13, 0.5, seed=1)
    total -= total.mean() + (difference - difference.mean()) * np.cov(difference, total)[0, 1]
    total *= np.std(difference) / np.std(total)
    found = of_scores("a", "b", (total + difference) / 2, (total - difference) / 2, 0.05)
    assert found.outcome == "open" and found.correlation == pytest.approx(0, abs=1e-9)
    assert found.effect == pytest.approx(0.872 / np.sqrt(2)) and found.excluded == excluded


def test_the_effect_between_arms_is_turned_into_one_of_differences():
    rng = np.random.default_rng(0)
    base = rng.normal(size=200_000)
    x, y = base + rng.normal(size=200_000) + 0.872 * np.sqrt(2), base + rng.normal(size=200_000)
    r, effect = between_arms(x, y)
    assert r == pytest.approx(0.5, abs=0.01)
    assert effect == pytest.approx(np.mean(x - y) / np.std(x - y), abs=0.01)


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


@pytest.mark.parametrize("words", [
    ["--seeds", "-1"], ["--together", "0"], ["--until", "9pm"], ["--plan", "none"],
])  # fmt: skip
def test_bad_options_are_one_message(words, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.argv", ["control_arms", "--runs", str(tmp_path), *words])
    with pytest.raises(SystemExit) as caught:
        control_arms.main()
    assert caught.value.code == 2
    assert f"error: argument {words[0]}: invalid" in capsys.readouterr().err


def test_an_hour_that_has_passed_is_tomorrows():
    now = time.time()
    for minutes in (-30, 30):
        moment = control_arms.hour(time.strftime("%H:%M", time.localtime(now + 60 * minutes)))
        assert 0 < moment - now <= 24 * 3600
        assert abs((moment - now) % (24 * 3600) - 60 * minutes % (24 * 3600)) <= 60


# --- what is committed may be compared --------------------------------------------------------


def four():
    """Two seeds of each arm on one task."""
    published = {arm: runs([1, 2], 0, arm) for arm in ("pebble", "pebble-revkl")}
    others = {arm: runs([1, 2], 0, arm) for arm in ("sail", "sail-revkl")}
    return {"published": {"cheetah-run": published}, "sail": {"cheetah-run": others}}


def test_the_committed_runs_may_be_compared():
    data = control_arms.committed()
    check(data, control_arms.TOGETHER)
    assert set(sum(control_arms.TOGETHER, ())) == set(control_arms.PLANS)


def test_the_figure_is_that_of_the_committed_runs():
    drawn = json.loads(Path("figures/control_arms.json").read_text(encoding="utf-8"))
    assert drawn["series"] == control_figure.summarise(control_arms.committed())["series"]


def test_a_summary_keeps_settings_and_what_was_spent():
    run = made(5.0, 3, "sail")
    assert run["spent"] == {"spent/queries": 40.0} and run["seed"] == 3
    assert run["settings"]["sail.weight"] == 0.002 and "seed" not in run["settings"]
    assert "kl_coef" not in run["settings"]
    assert set(run["unread"]) == {"kl_coef"} and run["declared"][0] == "sail.beta"


@pytest.mark.parametrize("plan, arm, part, change, key", [
    ("published", "pebble", "settings", {"sac.batch": 65}, "sac.batch"),
    ("published", "pebble-revkl", "settings", {"kl_coef": 1.0}, "kl_coef"),  # declared
    ("sail", "sail-revkl", "settings", {"sail.beta": 1000}, "sail.beta"),
    ("published", "pebble", "spent", {"spent/queries": 50.0}, "spent/queries"),
    ("sail", "sail", "settings", {"task": "walker-stand"}, "task"),
    ("sail", "sail", "settings", {"method": "pebble"}, "method"),
])  # fmt: skip
def test_a_run_with_other_settings_or_budget_is_refused(plan, arm, part, change, key):
    data = four()
    check(data, control_arms.TOGETHER)
    data[plan]["cheetah-run"][arm][1][part] |= change
    with pytest.raises(InputError, match=key):
        check(data, control_arms.TOGETHER)


@pytest.mark.parametrize("part, change, key", [
    ("settings", {"feedback.maximum": 260}, "feedback.maximum"),
    ("spent", {"spent/queries": 50.0}, "spent/queries"),
])  # fmt: skip
def test_arms_that_differ_as_a_whole_are_refused(part, change, key):
    """Each arm agrees with itself; the two plans stand in one table."""
    data = four()
    for run in data["sail"]["cheetah-run"]["sail"]:
        run[part] |= change
    with pytest.raises(InputError, match=key):
        check(data, control_arms.TOGETHER)


def test_what_a_run_has_not_read_is_not_compared_but_said():
    data = four()
    data["published"]["cheetah-run"]["pebble"][1]["unread"]["sail.beta"] = 1000
    check(data, control_arms.TOGETHER)
    assert unread(data) == [{"key": "sail.beta", "arm": "pebble", "values": ["0.1", "1000"]}]
    assert unread(four()) == []


def test_merging_refuses_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(control_arms, "EVIDENCE", tmp_path / "evidence.json")
    held = json.dumps(four())
    control_arms.EVIDENCE.write_text(held, encoding="utf-8")
    other = {"published": {"cheetah-run": {"pebble": runs([3], first=2)}}}
    merged = four()
    merge(merged, deepcopy(other))
    check(merged, control_arms.TOGETHER)
    assert [r["seed"] for r in merged["published"]["cheetah-run"]["pebble"]] == [0, 1, 2]
    other["published"]["cheetah-run"]["pebble"][0]["settings"]["sac.width"] = 1024
    monkeypatch.setattr(control_arms, "collect", lambda folder: other)
    with pytest.raises(InputError, match=r"sac\.width"):
        control_arms.save(tmp_path)
    assert control_arms.EVIDENCE.read_text(encoding="utf-8") == held
    monkeypatch.setattr("sys.argv", ["control_arms", "--runs", str(tmp_path), "--collect"])
    with pytest.raises(SystemExit) as caught:
        control_arms.main()
    assert caught.value.code == 2


def test_the_table_of_settings_is_that_of_the_runs():
    data = four()
    for run in data["sail"]["cheetah-run"]["sail"]:
        run["settings"] |= {"sail.beta": 0.37}
    found = values(data)
    published, own = found["settings"]
    assert published["queries"] == [40] and published["settings"] == [
        [60_000], [250], [50], [1e-4], [5_000], [50_000], [], [], [], [],
    ]  # fmt: skip
    assert own["settings"][KEYS.index("sail.beta")] == [0.37, 0.1] and own["queries"] == [40]
    assert found["paper"][0]["tasks"] == ["walker-walk", "walker-stand", "cheetah-run"]
    assert found["paper"][0]["settings"][:2] == [[400_000], [250]]


def test_gamma_counts_the_weight_and_the_steps():
    """Two policies of one step each: L states make a segment's KL L times their mean."""
    assert segment_gamma(1e-4, 50, 0.1) == pytest.approx(2e-5)
    step = np.array([[0.3, 0.7], [0.6, 0.4]])  # π_ref, π_θ
    kl = float(np.sum(step[0] * np.log(step[0] / step[1])))
    several = [np.array([np.prod(p[list(i)]) for i in np.ndindex(2, 2, 2)]) for p in step]
    whole = float(np.sum(several[0] * np.log(several[0] / several[1])))
    value, weight, kl_coef = -0.5, 0.1, 0.02
    ascended = weight * value - kl_coef * kl
    assert weight * (value - segment_gamma(kl_coef, 3, weight) * whole) == pytest.approx(ascended)


def test_the_example_of_the_probe_runs(capsys):
    text = Path("studies/control_arms/page.md").read_text(encoding="utf-8")
    block = text.partition("```python\n")[2].partition("```")[0]
    exec(compile(block, "studies/control_arms/page.md", "exec"), {})
    top, dimension = capsys.readouterr().out.split()
    assert np.isfinite(float(top)) and 0 < int(dimension) <= 12


def test_the_default_weight_is_what_the_noise_table_says():
    rows = read("control_arms/segment_noise.json")["rows"]
    ratios = sorted(row["sac_noise"] / row["score_noise"] for row in rows)
    assert len(ratios) % 2 and float(f"{ratios[len(ratios) // 2]:.0e}") == SegmentSettings().weight
    assert control_arms.PLANS["heavy"].changed == {"sail.weight": HEAVY}
    told = noise()
    assert told["heavy_times"] == pytest.approx((HEAVY / ratios[-1], HEAVY / ratios[0]))
    assert told["ratio"] == ratios[len(ratios) // 2] and told["default"] == 0.002
