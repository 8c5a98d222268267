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
from sailtheory.training.control.settings import SAILSettings
from studies.control_arms import __main__ as control_arms
from studies.control_arms.evidence import check, merge, summary
from studies.control_arms.page import page
from studies.control_arms.pairs import _conclusion, between_arms, both, in_short, score
from studies.control_arms.theory_page import HEAVY, NOISE, PROBE, noise, segment_gamma


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


@pytest.mark.parametrize("pairs, effect, said", [
    (12, 5.0, "nothing is concluded yet"), (13, 5.0, "pebble-revkl is better than pebble here"),
    (13, -5.0, "pebble-revkl is worse than pebble here"), (13, 0.1, "no effect is shown"),
])  # fmt: skip
def test_conclusions_come_at_thirteen_pairs(pairs, effect, said):
    text = " ".join(page({"published": {"cheetah-run": published(pairs, effect)}}).split())
    assert said in text
    assert f"pebble-revkl − pebble, {pairs} pairs: mean difference {effect:+.1f}" in text
    others = {"concluded yet", "is better", "is worse", "no effect"} - {said}
    assert sum(other in text for other in others if other not in said) == 0


def test_the_paper_s_effect_is_excluded_where_the_interval_lies_below():
    text = " ".join(page({"published": {"cheetah-run": published(60, 0.0)}}).split())
    assert "of the differences (0.62 if they did not): excluded" in text


def test_sail_is_compared_with_and_without_its_kl():
    data = {
        "published": {"cheetah-run": published(3, 1.0)},
        "sail": {
            "cheetah-run": {
                "sail": runs([1, 2, 4], 0, "sail"),
                "sail-revkl": runs([3, 5, 8], 0, "sail-revkl"),
            }
        },
    }
    text = page(data)
    assert "sail-revkl − sail, 3 pairs: mean difference +3.0" in text
    said = "|z| of an update's pairs"
    sizes = f"sail, {said}: 2 (1.2 to 3.6); sail-revkl, {said}: 5 (3.4 to 7.4)."
    assert f"As logged along the runs, median (10 % to 90 %): {sizes}" in " ".join(text.split())
    for run, size in zip(data["sail"]["cheetah-run"]["sail"], (0.05, 0.2, 0.01), strict=True):
        run["curves"]["sail/score_coefficient"] = [[60], [size]]
    told = " ".join(page(data).split())
    assert "sail, their |g + log 2|: 0.05 (0.018 to 0.17)" in told
    none = "of 0 of 3 runs, and in the last of 0"
    said = f"|z| is above 100 in 0% of sail's logged updates, {none}; in 0% of sail-revkl's"
    assert said in told
    for run, sizes in zip(
        data["sail"]["cheetah-run"]["sail"], ([1, 101, 2], [1, 2, 1e9], [1, 2, 3]), strict=True
    ):
        run["curves"]["sail/margin"] = [[20, 40, 60], sizes]
    told = " ".join(page(data).split())
    assert "in 22% of sail's logged updates, of 2 of 3 runs, and in the last of 1;" in told
    assert "better in 3 of 3 (0.29 to 1.00)" in text
    assert "sail − pebble, 3 pairs" in text and "Described, not tested" in text


def sail(pairs, difference):
    """Runs of pebble, sail and sail-revkl; sail's less pebble's are ``difference``, (pairs,)."""
    base = 100 + 10 * np.arange(pairs)
    arms = {"pebble": runs(base), "pebble-revkl": runs(base, 0, "pebble-revkl")}
    own = {arm: runs(base + difference, 0, arm) for arm in ("sail", "sail-revkl")}
    return " ".join(page({"published": {"task": arms}, "sail": {"task": own}}).split())


def differences(pairs, p, seed=0):
    """Differences whose two-sided paired t test has a p value."""
    noise = np.random.default_rng(seed).standard_normal(pairs)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return noise + t.isf(p / 2, pairs - 1) / np.sqrt(pairs)


@pytest.mark.parametrize("pairs, p, said", [
    (13, 0.024, "sail is better than pebble here"),
    (13, 0.026, "no effect is shown"),
    (12, 0.001, "nothing is concluded yet"),
])  # fmt: skip
def test_each_of_two_tests_has_half_the_level(pairs, p, said):
    text = sail(pairs, differences(pairs, p))
    part = text[text.index("sail − pebble, ") :]
    assert said in part[: part.index("sail-revkl − pebble, ")]
    assert "(97.5 %: " in part and "The runs do not differ" in part  # sail-revkl − sail


def test_what_follows_is_said_in_short():
    def told(data):
        return " ".join(in_short(data).split())

    assert "No effect is shown, and the paper's largest, d = 0.872, is excluded" in told(
        {"published": {"cheetah-run": published(60, 0.0)}}
    )
    assert "pebble-revkl is worse than pebble here" in told(
        {"published": {"cheetah-run": published(13, -5.0)}}
    )
    same = {arm: runs(range(13), 0, arm) for arm in ("pebble", "pebble-revkl")}
    assert "The runs do not differ" in told({"published": {"cheetah-run": same}})
    few = told({"published": {"cheetah-run": published(12, 5.0)}})
    assert "d of" not in few and "SAIL objective" not in few
    arms = {"sail": runs([99, 300, 1], 0, "sail")}
    beside = {"published": {"cheetah-run": published(3, 0.0)}, "heavy": {"cheetah-run": arms}}
    assert "2 of 3 pairs of sail (cheetah-run, heavy)" in told(beside)
    own = {"stand": {"walker-stand": {"pebble": runs([5, 5]), **arms}}}
    assert "0 of 2 pairs of sail (walker-stand, stand)" in told(own)


def test_pairs_known_beforehand_are_left_out_beside_the_test():
    difference = differences(13, 0.01)
    text = sail(13, difference)
    mean = difference[5:].mean()
    said = "The 8 pairs of other seeds than 0, 1, 2, 3, 4 alone: mean difference"
    assert f"{said} {mean:+.1f}, d " in text and text.count(said) == 2
    assert "when runs of seeds 0, 1, 2 of an earlier version of these arms were known" in text


@pytest.mark.parametrize("p, said", [(0.3, "neither shown nor excluded"), (0.9, "excluded")])
def test_an_effect_is_excluded_by_what_it_is_of_the_differences(p, said):
    """Scores of a pair that do not correlate: 0.872 between the arms is 0.617 of differences,
    and the intervals of d at 13 pairs end at 0.85 and 0.58."""
    difference, total = differences(13, p), differences(13, 0.5, seed=1)
    total -= total.mean() + (difference - difference.mean()) * np.cov(difference, total)[0, 1]
    total *= np.std(difference) / np.std(total)
    text = _conclusion("a", "b", (total + difference) / 2, (total - difference) / 2, 0.05)
    assert "which makes it 0.62 of the differences" in text
    assert text.endswith(f"(0.62 if they did not): {said}.")


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
    text = " ".join(page(data).split())
    assert text == " ".join(
        Path("studies/control_arms/page.md").read_text(encoding="utf-8").split()
    )


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
    ("sail", "sail-revkl", "settings", {"sail.recent": 1000}, "sail.recent"),
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
    data["published"]["cheetah-run"]["pebble"][1]["unread"]["sail.recent"] = 1000
    check(data, control_arms.TOGETHER)
    assert "sail.recent of pebble (200, 1000)" in " ".join(page(data).split())
    assert "sail.recent of" not in page(four())


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
    text = page(data)
    rows = [row for row in text.splitlines() if row.startswith("| cheetah-run, sail |")]
    assert "| cheetah-run, published | 40 | 60,000 | 250 | 50 | 0.0001 | 5,000 |" in text
    assert len(rows) == 1 and "| 0.37; 0.1 |" in rows[0] and "| 40 |" in rows[0]
    assert "| the paper's walker-walk, walker-stand, cheetah-run |  | 400,000 | 250 |" in text


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
    block = PROBE.partition("```python\n")[2].partition("```")[0]
    assert block in Path("studies/control_arms/page.md").read_text(encoding="utf-8")
    exec(compile(block, "studies/control_arms/page.md", "exec"), {})
    top, dimension = capsys.readouterr().out.split()
    assert np.isfinite(float(top)) and 0 < int(dimension) <= 12


def test_the_default_weight_is_what_the_noise_table_says():
    found = json.loads(NOISE.read_text(encoding="utf-8"))
    ratios = sorted(row["sac_noise"] / row["score_noise"] for row in found["rows"])
    assert len(ratios) % 2 and float(f"{ratios[len(ratios) // 2]:.0e}") == SAILSettings().weight
    assert control_arms.PLANS["heavy"].changed == {"sail.weight": HEAVY}
    told = " ".join(noise().split())
    assert f"makes it {HEAVY / ratios[-1]:.4g} to {HEAVY / ratios[0]:.4g} times SAC's own" in told
