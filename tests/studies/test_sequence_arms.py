"""Design A1: its rule of tuning, its tests and sentences, its world, and the runs committed."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from studies.render import ROOT, read
from studies.sequence_arms import page
from studies.sequence_arms.tuned import HOOK, HOOK_MEAN, KL, MENDED, PLAIN, SAIL, curves, tuned


def made(stage, arm, rate, seed, gain, sail=-0.69):
    """A run whose gain is known."""
    final = dict.fromkeys(page.COLUMNS, 0.5) | {"gain": gain, "sail": sail}
    return {
        "stage": stage, "arm": arm, "rate": rate, "seed": seed, "final": final, "stopped": None,
        "cpu_seconds": [1.0, 0.0], "commit": "abc", "curve": [],
    }  # fmt: skip


def test_the_rate_with_the_largest_mean_is_taken_and_of_equal_ones_the_smallest():
    runs = [
        made("tuning", arm, rate, seed, gain)
        for arm, gains in {
            "a": {0.1: (0.0, 1.0), 0.01: (0.4, 0.5), 0.001: (0.2, 0.8)},
            "b": {0.1: (0.1, 0.1), 0.01: (0.0, 0.9), 0.001: (0.4, 0.4)},
        }.items()
        for rate, both in gains.items()
        for seed, gain in enumerate(both)
    ]
    assert tuned(runs) == {"a": 0.001, "b": 0.01}
    assert tuned([*runs, made("fresh", "b", 0.1, 9, 5.0)]) == {"a": 0.001, "b": 0.01}
    assert list(curves(runs)["a"]) == [0.001, 0.01, 0.1]


@pytest.fixture
def complete():
    """Runs of ten worlds: the score term costs .3 of the gain and raises J."""
    noise = np.random.default_rng(0).normal(0, 0.05, (10, 6))
    levels = {PLAIN: 0.7, SAIL: 0.4, KL: 0.72, MENDED: 0.5, HOOK: 0.1, HOOK_MEAN: 0.2}
    runs = [
        made("fresh", arm, 0.01, seed, level + noise[seed, k], -0.6 if arm == SAIL else -0.68)
        for seed in range(10)
        for k, (arm, level) in enumerate(levels.items())
    ]
    for run in runs:
        run["final"]["sail"] += 1e-3 * math.sin(run["seed"] * len(run["arm"]))
    tenfold = [
        made("tenfold", arm, 0.1, seed, level + noise[seed, k])
        for seed in range(10)
        for k, (arm, level) in enumerate({PLAIN: 0.2, KL: 0.6}.items())
    ]
    return runs + tenfold


def test_differences_are_those_of_worlds(complete):
    found = page.compared(complete[::-1], "fresh", SAIL, PLAIN, level=0.975)
    mine, theirs = (
        np.array([page.of(complete, "fresh", arm)[k]["final"]["gain"] for k in range(10)])
        for arm in (SAIL, PLAIN)
    )
    apart = mine - theirs
    half = stats.t.ppf(0.9875, 9) * apart.std(ddof=1) / math.sqrt(10)
    assert found["interval"] == pytest.approx((apart.mean(), apart.mean() - half,
                                               apart.mean() + half))  # fmt: skip
    assert found["p"] == pytest.approx(stats.ttest_rel(mine, theirs).pvalue)
    assert found["d"][0] == pytest.approx(apart.mean() / apart.std(ddof=1))
    assert found["verdict"] == "less" and found["n"] == 10 and found["above"] == 0
    assert page.compared(complete, "fresh", SAIL, "not run") is None


@pytest.mark.parametrize(("shift", "said"), [
    (0.0, "less gain"), (0.3, "no shown difference"), (0.6, "more gain")
])  # fmt: skip
def test_the_sentences_say_what_the_runs_show(complete, shift, said):
    for run in complete:
        if run["arm"] == SAIL:
            run["final"]["gain"] += shift
    primaries = [page.compared(complete, *each, level=0.975) for each in page.PRIMARIES]
    first, second, third, fourth = page.sentences(complete, primaries)
    assert said in first and "97.5 %" in first and "10 new worlds" in first
    assert "more gain than without it" in second and "exploratory" in second
    assert "higher than" in third
    assert ("J is not the reward" in third) == (shift == 0)
    assert fourth.startswith("Mending the published hook") and fourth.count("+0.") >= 2


def test_nothing_is_concluded_before_all_worlds_are_done(complete):
    data = read("sequence_arms/evidence.json")
    for runs, done in ((complete, True), (complete[:-1], False), ([], False)):
        tuning = [r for r in data["runs"] if r["stage"] == "tuning"]
        text = page.page(data | {"runs": tuning + runs, "fresh_seeds": list(range(10))})
        assert ("Nothing yet" in text) != done
        assert ("1. With the score term" in text) == done
        if done:
            assert re.search(r"\| 10 \| -0\.\d{3} \(97\.5 %: ", text)


# --- what was committed ----------------------------------------------------------------


def test_every_arm_had_the_same_budget():
    """The same rates in the same worlds, each once, and the tuned rate by the rule."""
    data = read("sequence_arms/evidence.json")
    plan = {(rate, seed) for rate in data["rates"] for seed in data["tuning_seeds"]}
    tuning = [run for run in data["runs"] if run["stage"] == "tuning"]
    for arm in data["arms"]:
        own = [(run["rate"], run["seed"]) for run in tuning if run["arm"] == arm]
        assert len(own) == len(set(own)) and set(own) == plan
    assert data["tuned"] == tuned(data["runs"])
    assert len({run["commit"] for run in data["runs"]}) == 1
    assert not any("+" in run["commit"] for run in data["runs"])


def test_the_runs_are_those_of_the_design():
    data = read("sequence_arms/evidence.json")
    fresh = [run for run in data["runs"] if run["stage"] != "tuning"]
    for run in fresh:
        assert run["seed"] in data["fresh_seeds"]
        factor = data["factor"] if run["stage"] == "tenfold" else 1
        base = PLAIN if run["stage"] == "tenfold" else run["arm"]
        assert run["rate"] == pytest.approx(factor * data["tuned"][base])
    done = {(run["stage"], run["arm"], run["seed"]) for run in fresh}
    assert len(done) == len(fresh)
    design = (ROOT / "sequence_arms" / "design.md").read_text(encoding="utf-8")
    assert f"{data['updates']} updates of {data['batch']} prompts" in design
    assert "{:,}".format(data["responses"]) in design
    for seed in data["tuning_seeds"]:
        assert str(seed) in design
    assert re.search(r"Tests\n\nTwo primary contrasts", design)


# --- the world ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    pytest.importorskip("transformers", reason="the extra llm is not installed")
    pytest.importorskip("accelerate", reason="the extra llm is not installed")
    from studies.sequence_arms import world as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FITTED", 20)
        return module.World(7)


def test_the_world_is_scaled_and_its_rewards_are_looked_up(world):
    from studies.sequence_arms.world import END, responses

    chance = world.log_ref.exp()
    mean = (chance * world.reward).sum(-1)
    assert mean.abs().max() < 1e-6  # log π_ref is in float32
    assert float((chance * world.reward**2).sum(-1).mean()) == pytest.approx(4, abs=1e-5)
    assert world.measured(world.ref)["gain"] == pytest.approx(0, abs=1e-12)
    for place in (0, 5, 700, 37448):
        ids = [t for t in responses().tokens[place].tolist() if t != END] or [END]
        ids += [END] if 0 < len(ids) < 5 and ids != [END] else []
        assert world.rewards(["c"], [ids]) == [float(world.reward[2, place])]


def test_pairs_are_drawn_from_the_reference_and_judged_by_the_reward(world):
    import torch

    from studies.sequence_arms.world import END, LETTERS, given_by_ids, responses

    n = 4000
    rows = world.rows(n, True)
    assert [row["prompt"] for row in rows[:9]] == [*LETTERS, "a"]
    padded = torch.tensor([[[*ids, *[END] * (5 - len(ids))] for ids in row["pair"]]
                           for row in rows])  # fmt: skip
    prompts = torch.arange(n) % 8
    better, worse = (world.reward[prompts, responses().places(padded[:, k])] for k in (0, 1))
    agreed = ((better > worse).double() + 0.5 * (better == worse)).mean()
    expected = torch.sigmoid((better - worse).abs()).mean()
    assert float(agreed) == pytest.approx(float(expected), abs=4 * 0.5 / math.sqrt(n))
    assert float((better + worse).mean() / 2) == pytest.approx(0, abs=4 * 2 / math.sqrt(2 * n))
    items = [{"columns": {"pair": [[1], [2, 8]]}, "chosen_ids": [0]}, {"columns": {}}]
    found = given_by_ids(items)
    assert (found[0]["chosen_ids"], found[0]["rejected_ids"], found[1]) == ([1], [2, 8], items[1])


def test_a_run_that_was_killed_begins_anew_and_a_whole_one_is_kept(tmp_path, monkeypatch):
    pytest.importorskip("transformers", reason="the extra llm is not installed")
    from studies.sequence_arms import __main__ as module

    calls = []

    def run(world, arm, rate, folder, steps, drawn):
        calls.append((arm, world.seed))
        if calls.count((arm, world.seed)) == 1 and arm == SAIL:
            raise KeyboardInterrupt
        return {"arm": arm, "final": {"gain": 0.5}, "seed": world.seed, "cpu_seconds": [0, 0]}

    monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(module.worlds, "World", lambda seed: type("W", (), {"seed": seed})())
    tasks = [{"stage": "tuning", "arm": arm, "rate": 0.1, "seed": s}
             for s in (1, 2) for arm in (PLAIN, SAIL)]  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        module.Runner(tmp_path, math.inf).do(tasks)
    assert len(module.done(tasks, tmp_path)) == 1
    with pytest.raises(KeyboardInterrupt):
        module.Runner(tmp_path, math.inf).do(tasks)
    assert len(module.Runner(tmp_path, math.inf).do(tasks)) == 4
    assert calls.count((PLAIN, 1)) == 1 and calls.count((SAIL, 1)) == 2
    assert {p.suffix for p in Path(tmp_path).iterdir()} == {".json"}
    assert json.loads(module.path_of(tasks[0], tmp_path).read_text())["stage"] == "tuning"
    assert module.Runner(tmp_path / "late", -math.inf).do(tasks) == []


@pytest.mark.parametrize("arm", [HOOK, HOOK_MEAN])
def test_the_hook_is_the_published_one(world, tmp_path, monkeypatch, arm):
    """What it adds to the gradient at log π is −γ log σ/log π, with 1/n or without."""
    import torch

    from sailtheory.training.llm import SAILConfig
    from studies.sequence_arms import arms
    from studies.sequence_arms.world import given_by_ids, words

    trainer = arms.Hooked(
        type(world.ref)(world.ref.config), ref_model=world.ref, reward_funcs=world.rewards,
        args=SAILConfig(str(tmp_path), method=PLAIN, max_new_tokens=5, max_length=6, use_cpu=True,
                        preference="sampled", log_kl_steps=0),
        data_collator=given_by_ids, train_dataset=world.rows(4, False), processing_class=words(),
    )  # fmt: skip
    trainer.batch_mean = arm == HOOK_MEAN
    drawn = trainer.draw(trainer.model, trainer.train_dataset)
    seen = {}
    original = arms.log_probs_of

    def noted(model, *given):
        found = original(model, *given)
        seen.setdefault("policy", found)
        seen["ref"] = found
        return found

    monkeypatch.setattr(arms, "log_probs_of", noted)
    hook = trainer.loss_terms(trainer.model, drawn)["hook"].mean()
    policy, ref = seen["policy"], seen["ref"]
    first, second = torch.autograd.grad(hook, [policy.first, policy.second])
    z = 0.1 * ((policy.first - ref.first) - (policy.second - ref.second)).detach()
    won = drawn.preference > 0
    log_sigma = torch.where(won, z, -z).sigmoid().log()
    n = 4 if arm == HOOK_MEAN else 1
    for found, log in ((first, policy.first), (second, policy.second)):
        assert torch.allclose(found, -0.3 * log_sigma / log.detach() / n, rtol=1e-4)
        assert bool((found < 0).all())  # it makes whatever was drawn likelier: the wrong sign
