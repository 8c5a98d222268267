"""What the page of the language-model experiment may say, on runs made up for it."""

from __future__ import annotations

import json
import math

import pytest

from sailtheory.analysis.check import theorem_threshold
from studies.llm_arms import page as arms
from studies.llm_arms import thresholds
from studies.render import fixed, plus_minus, read


def made(arm, seed, reward, ratio, n=6):
    """A run whose rewards and log-ratios are known."""
    return {
        "arm": arm, "tuning": "last-block", "seed": seed, "rewards": [reward] * n, "words": [5] * n,
        "log_ratio_ref": [-ratio] * (n // 3), "log_ratio": [2 * ratio] * (n // 3), "curves": {},
        "largest_grad_norm": 1.0,
    }  # fmt: skip


KL = "sail-dpr kl 0.1"


@pytest.mark.parametrize(
    ("with_kl", "word"),
    [
        ([1.0, 1.1, 0.9], "lowered"),  # by 1 ± .25
        ([3.0, 3.1, 2.9], "raised"),
        ([1.0, 2.6, 2.2], "none"),  # -0.07 ± 2
        ([1.0], "unknown"),
    ],
)
def test_an_effect_is_one_that_its_seeds_show(with_kl, word):
    runs = {
        "sail-dpr": [made("sail-dpr", seed, 0.0, 2.0) for seed in range(3)],
        KL: [made(KL, seed, 0.0, ratio) for seed, ratio in enumerate(with_kl)],
    }
    found = arms.differences(runs, KL, lambda run: arms.kl(run, "ref"))
    assert found == pytest.approx([ratio - 2 for ratio in with_kl])
    assert arms.effect(found) == word


def test_seeds_are_paired_whatever_their_order():
    runs = {
        "sail-dpr": [made("sail-dpr", seed, 0.0, float(seed)) for seed in (2, 0, 1)],
        KL: [made(KL, seed, 0.0, seed + 0.5) for seed in (0, 1, 2)],
    }
    found = arms.differences(runs, KL, lambda run: arms.kl(run, "ref"))
    assert found == pytest.approx([0.5] * 3)


def test_the_interval_is_that_of_student():
    mean, half = arms.interval([1.0, 2.0, 3.0])
    assert (mean, half) == pytest.approx((2.0, 4.302653 / math.sqrt(3)), rel=1e-6)
    assert arms.interval([1.0]) == (1.0, math.inf)


def test_wins_are_counted_over_the_seeds_that_both_have():
    mine = [made("dpo", 0, 1.0, 0.0), made("dpo", 1, 0.0, 0.0), made("dpo", 2, 1.0, 0.0)]
    won, _ = arms.pooled(mine, {seed: made("sft", seed, 0.0, 0.0) for seed in (0, 1)})
    assert (won.value, won.wins, won.ties, won.n) == (0.75, 6, 6, 12)


def test_the_committed_runs_are_those_of_the_design():
    """Every arm of a seed was given the same; no prompt of training is among the evaluated."""
    pytest.importorskip("transformers", reason="the extra llm is not installed")
    from sailtheory.training.llm.prompts import prompts
    from studies.llm_arms import __main__ as llm_arms

    data = read("llm_arms/evidence.json")
    now = json.loads(json.dumps(llm_arms.settings())) | {"version": data["version"]}
    assert {k: v for k, v in data.items() if k != "runs"} == now
    texts = {part: set(prompts(part)) for part in ("train", "held-out")}
    assert not texts["train"] & texts["held-out"]
    assert len(texts["held-out"]) == 72
    budget = data["updates"] * data["batch"]
    assert len(texts["train"]) >= budget
    spent = {}
    for run in data["runs"]:
        assert len(run["rewards"]) == 72 * data["draws"]
        if run["arm"] != "reference":
            assert run["curves"]["spent/updates"][1][-1] == data["updates"]
            tokens = run["curves"]["spent/tokens"][1][-1]
            spent.setdefault((run["tuning"], run["seed"]), {})[run["arm"]] = tokens
    for arms_of_seed in spent.values():
        for arm, tokens in arms_of_seed.items():
            completions = budget * (2 * arm.startswith("sail") + (" kl " in arm))
            assert completions <= tokens <= completions * data["tokens"]


def test_budgets_are_those_spent():
    found = arms.by_arm(read("llm_arms/evidence.json")["runs"], "last-block")
    assert arms.arm("sft", found, found_base())["spent"] == {"updates": 16, "tokens": 0}
    kl_arm = arms.arm(KL, found, found_base())
    assert kl_arm["kl_coef"] == "0.1" and kl_arm["spent"]["tokens"] > 0
    assert set(kl_arm["over"]) == {"sft", "dpo", "sail-dpr"}


def found_base():
    """The committed draws of π_ref, by seed."""
    runs = read("llm_arms/evidence.json")["runs"]
    return {run["seed"]: run for run in runs if run["arm"] == "reference"}


def test_a_zero_has_no_sign():
    assert fixed(-0.001) == "0.00" and plus_minus((-0.001, math.inf)) == "0.00"
    assert plus_minus((-1.0, 0.5)) == "-1.00 ± 0.50"


def test_the_thresholds_are_those_of_the_runs():
    """γ* takes the longest, and is computed anew for one run."""
    data, base = read("llm_arms/evidence.json"), found_base()
    runs = {(r["arm"], r["seed"]): r for r in data["runs"] if r["tuning"] == "last-block"}
    rows = read("llm_arms/thresholds.json")
    assert {(r["arm"], r["seed"]) for r in rows} == {key for key in runs if key[0] != "sft"}
    for row in rows:
        run = runs[row["arm"], row["seed"]]
        assert row.items() >= thresholds.ranges(run).items()
        problem = thresholds.candidates(run, base[row["seed"]], data)
        assert row["K_B"] == pytest.approx(theorem_threshold(problem))
    first = rows[0]
    again = thresholds.thresholds(runs[first["arm"], first["seed"]], base[first["seed"]], data)
    assert again == pytest.approx(first)
