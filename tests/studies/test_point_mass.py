"""The studies on the point mass: what their pages say of which results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("gymnasium", reason="the extra rl is not installed")

from studies.cheetah_sail import __main__ as cheetah_runs
from studies.cheetah_sail import page as cheetah
from studies.kl_dose import page as dose
from studies.kl_dose.__main__ import DOSES, arm_of
from studies.kl_dose.__main__ import seeds_of as dose_seeds
from studies.point_mass import page as point
from studies.point_mass.__main__ import ARMS, MARGIN, SEEDS, TUNING, best_of, seeds_of
from studies.point_mass.pairs import paired
from studies.point_mass.runs import SHARED, score

LAST = {
    "reward/accuracy": [1400, [0.9]], "sail/largest_margin": [1400, [0.5]],
    "c29/gamma": [1400, [0.3]], "c29/threshold": [1400, [0.2]],
    "c29/threshold_at_margin": [1400, [0.12]], "loss/actor/kl_ref_policy": [1400, [0.4]],
}  # fmt: skip
NOISE = np.random.default_rng(0).normal(size=(2, 40))


def runs(seeds, scores):
    return [
        {"seed": seed, "score": float(x), "last": LAST}
        for seed, x in zip(seeds, scores, strict=False)
    ]


def point_data(shift, deviation=7.0, done=40):
    """Evidence in which `sail` less `pebble` is about a shift, and nothing else is run."""
    gaps = shift + deviation * (NOISE[1] - NOISE[1].mean()) / NOISE[1].std(ddof=1)
    base = 25 + NOISE[0]
    own = {"pebble": runs(SEEDS, base), "sail": runs(SEEDS, base + gaps)[:done]}
    return {
        "margin": MARGIN, "shared": SHARED, "late": 2,
        "arms": {
            arm: {
                "settings": [x.changed or {"segments.weight": x.weight} for x in settings],
                "tuning": [[1.0], [2.0, 3.0], []], "chosen": 1 if arm in own else None,
                "planned": len(seeds_of(arm)), "runs": own.get(arm, []),
            }
            for arm, settings in ARMS.items()
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shift", "deviation", "done", "outcome", "words"),
    [
        (0.0, 7.0, 40, "not worse", "is not worse than `pebble` by 5"),
        (-4.5, 7.0, 40, "worse", "`sail` is worse than `pebble`"),
        (4.5, 7.0, 40, "better", "`sail` is better than"),
        (-1.0, 20.0, 40, "open", "stays open"),
        (0.0, 7.0, 39, "unfinished", "39 of 40 planned pairs"),
        (0.0, 7.0, 0, "unfinished", "0 of 40 planned pairs"),
    ],
)
def test_the_page_says_what_the_design_lets_it(shift, deviation, done, outcome, words):
    data = point_data(shift, deviation, done)
    assert point.values(data)["outcome"] == outcome
    text = " ".join(point.page(data).split())
    assert words in text and ("not answered" in text) == (outcome == "unfinished")


def test_a_difference_is_that_of_equal_seeds():
    found = paired(runs([3, 1, 9, 2], [5, 2, 100, 7]), runs([1, 2, 3], [1, 4, 3]))
    wanted = stats.ttest_1samp([2, 1, 3], 0)
    low, high = wanted.confidence_interval()
    assert found["pairs"] == 3 and found["p"] == pytest.approx(wanted.pvalue)
    assert found["interval"] == pytest.approx([2, low, high])
    assert paired(runs([1], [5]), runs([1], [4]))["interval"] is None


def test_the_best_setting_is_taken_when_all_are_known():
    full = [runs(TUNING, scores) for scores in ([1, 2, 3], [4, 4, 4], [4, 5, 3])]
    assert best_of(full) == 1
    assert best_of([*full[:2], full[2][:2]]) is None
    assert score({"eval/return": [0, [1.0, 2.0, 4.0]]}) == 3.0


def test_every_arm_has_the_same_budget_and_only_what_it_tunes_differs():
    assert {len(settings) for settings in ARMS.values()} == {3}
    assert not set(TUNING) & set(SEEDS)
    for settings in ARMS.values():
        for arm in settings:
            chosen = arm.settings(0)
            assert chosen.steps == 1400 and chosen.reference.every == 400
            if arm.method == "sail-revkl":
                assert chosen.kl_coef / chosen.sail.weight > 2 * chosen.sail.beta  # C29
    assert arm_of(0.0).method == "pebble" and arm_of(1.0).settings(3).kl_coef == 1.0


@pytest.mark.parametrize(
    ("shift", "done", "outcome"),
    [(0.0, 24, "not shown"), (9.0, 24, "more"), (-9.0, 24, "less"), (9.0, 23, "unfinished")],
)
def test_the_page_of_the_doses(shift, done, outcome):
    arms = {arm_of(d).name: runs(dose_seeds(d), 20 + NOISE[0] + d * shift) for d in DOSES}
    arms["1"] = runs(dose_seeds(1.0), 20 + NOISE[0] + shift + 7 * NOISE[1])[:done]
    planned = {arm_of(d).name: len(dose_seeds(d)) for d in DOSES}
    data = {"arms": arms, "planned": planned, "late": 2}
    assert dose.values(data)["outcome"] == outcome
    text = dose.page(data)
    assert ("not answered" in text) == (outcome == "unfinished")
    assert "| 0.0001 | 12 (12) |" in text and "| 1 |" in text


@pytest.mark.parametrize(
    ("shift", "deviation", "done", "outcome", "words"),
    [
        (0.0, 40.0, 13, "not worse", "is not worse than `pebble` by 50"),
        (-90.0, 40.0, 13, "worse", "`sail` is worse than `pebble`"),
        (-30.0, 70.0, 13, "open", "stays open"),
        (0.0, 40.0, 12, "unfinished", "12 of 13 planned pairs"),
    ],
)
def test_the_page_of_cheetah_run(shift, deviation, done, outcome, words):
    seeds = cheetah_runs.SEEDS
    arms = {arm.name: [] for arm in cheetah_runs.ARMS}
    arms["pebble"] = runs(seeds, 300 + NOISE[0])
    gaps = shift + deviation * (NOISE[1] - NOISE[1][:13].mean())
    arms["sail"] = runs(seeds, 300 + NOISE[0] + gaps)[:done]
    data = {"arms": arms, "planned": len(seeds), "margin": cheetah_runs.MARGIN, "shared": {}}
    assert cheetah.values(data)["outcome"] == outcome
    text = " ".join(cheetah.page(data).split())
    assert words in text and "| `sail-score` | 0 (13) |" in text
