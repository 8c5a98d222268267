"""The record of a run holds what decides its numbers, and arms are compared by it."""

from __future__ import annotations

import functools
import json

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

import torch

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.compare.arms import diff
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILTrainer
from sailtheory.training.llm.oracles import kind_and_brief, oracle
from sailtheory.training.llm.preferences import length, name_of, vader
from tests.support.llm_folder import save_model
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer


def many_letters(completions, **_):
    return [len(text) / 10 for text in completions]


def run(
    folder, method="sail-dpr", reward=few_letters, data=PAIRS, *, model=None, ref=None, peft=None,
    **options,
):  # fmt: skip
    """The record of one update of an arm, whose divergences are not logged."""
    trainer = SAILTrainer(
        new_model(1) if model is None else model, ref, reward,
        config(folder, method, **{"max_steps": 1, "log_kl_steps": 0} | options),
        train_dataset=data, processing_class=tokenizer(), peft_config=peft,
    )  # fmt: skip
    trainer.train()
    return read_record(folder)


def refused(*records):
    return [difference.key for difference in diff(records).refused]


def test_what_is_recorded(tmp_path):
    judged = run(tmp_path / "a", reward=[few_letters, length(5)], reward_weights=[1, 0.5])
    names = ["tests.support.llm_models.few_letters", "length:5"]
    assert judged.config["rewards"] == names and judged.config["reward_weights"] == [1.0, 0.5]
    assert (judged.config["dtype"], judged.config["adapter"]) == ("float32", None)
    assert judged.config["data.chosen"] is None and len(judged.config["data.prompts"]) == 64
    plain = run(tmp_path / "b", "sft", None)
    assert (plain.config["rewards"], plain.config["reward_weights"]) == (None, None)
    assert plain.config["data.prompts"] == judged.config["data.prompts"]
    assert len(plain.config["data.chosen"]) == 64 and plain.config["data.rejected"] is None


def test_arms_of_other_methods_stay_comparable(tmp_path):
    """A run without a reward, or without dataset completions, differs from none by that."""
    arms = [run(tmp_path / "sft", "sft", None), run(tmp_path / "dpo", "dpo", None)]
    assert refused(*arms) == []
    # A reward that is given and asked nothing is no difference either.
    arms[1] = run(tmp_path / "dpo-again", "dpo", few_letters)
    assert refused(*arms) == []
    arms.append(run(tmp_path / "dpr"))
    # This one draws, which is a difference in what was spent.
    assert refused(*arms) == ["spent/tokens"]
    arms.append(run(tmp_path / "other", reward=many_letters, seed=1))
    assert refused(*arms)[:-1] == ["rewards"]


@pytest.mark.parametrize("what", ["rewards", "reward_weights", "dtype", "ref_model", "adapter"])
def test_what_forbids_a_comparison(tmp_path, what):
    def other(name):
        model = new_model(1)
        model.config._name_or_path = name
        return model

    def adapted(rank):
        peft = pytest.importorskip("peft", reason="the extra llm is not installed")
        return peft.LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM")

    given = {
        "rewards": [{"reward": few_letters}, {"reward": many_letters}],
        "reward_weights": [{}, {"reward_weights": [2.0]}],
        "dtype": [{}, {"model": new_model(1).to(torch.bfloat16)}],
        "ref_model": [{}, {"ref": other("elsewhere")}],
        "adapter": [{"peft": adapted(4)}, {"peft": adapted(8)}] if what == "adapter" else [],
    }[what]
    runs = [run(tmp_path / str(seed), seed=seed, **own) for seed, own in enumerate(given)]
    assert what in refused(*runs)
    # Other draws may have other lengths, and another adapter other weights to train.
    allowed = {what, "spent/tokens"} | ({"trained"} if what == "adapter" else set())
    assert set(refused(*runs)) <= allowed


def test_exchanged_completions_are_other_data(tmp_path):
    exchanged = [
        {"prompt": row["prompt"], "chosen": row["rejected"], "rejected": row["chosen"]}
        for row in PAIRS
    ]
    one = run(tmp_path / "a", "dpo", None)
    other = run(tmp_path / "b", "dpo", None, exchanged, seed=1)
    assert refused(one, other) == ["data.chosen", "data.rejected"]
    # No number of a run that takes its prompts alone depends on them.
    same = run(tmp_path / "c"), run(tmp_path / "d", data=exchanged)
    assert same[0].rows == same[1].rows and refused(*same) == ["seed (twice in sail-dpr)"]


def test_no_run_goes_on_with_another_reward(tmp_path, capsys):
    pytest.importorskip("peft", reason="the extra llm is not installed")
    model = save_model(tmp_path / "model")
    typed = ["train", "llm", "--model", model, "--data", "prompts", "--out", str(tmp_path / "q"),
             "--tune", "full", "--set", "batch=2", "--set", "max_new_tokens=4", "--set",
             "device=cpu", "--set", "checkpoint_every=1"]  # fmt: skip
    assert main([*typed, "--reward", "length:5", "--steps", "1"]) == 0
    (tmp_path / "q/record/finished.json").unlink()  # as if it had been stopped
    assert read_record(tmp_path / "q").config["rewards"] == ["length:5"]
    capsys.readouterr()
    for changed, key in (("length:6", "rewards"), ("format:a", "rewards")):
        assert main([*typed, "--reward", changed, "--steps", "1", "--resume"]) == 2
        assert f"{key} = ['{changed}']" in capsys.readouterr().err
    again = [*typed, "--reward", "length:5", "--steps", "1", "--resume"]
    assert main([*again, "--set", "dtype=bfloat16"]) == 2
    refusal = capsys.readouterr().err.splitlines()[-1]
    assert "'dtype': 'bfloat16'" in refusal and "holds a run with None" in refusal
    assert main(again) == 0


def test_names_of_rewards(tmp_path):
    class Judge:
        def __call__(self, completions, **_):
            return many_letters(completions)

    assert name_of(few_letters) == "tests.support.llm_models.few_letters"
    assert name_of(Judge()).endswith("test_names_of_rewards.<locals>.Judge")
    partly = functools.partial(many_letters, prompts=Judge(), target=5)
    assert name_of(partly) == f"{__name__}.many_letters(prompts={Judge.__qualname__}, target=5)"
    for text in ("length:5", "keywords:a,b c", r"format:\d+"):
        assert name_of(oracle(text)) == text
    assert name_of(length(5)) != name_of(length(5, scale=2.0))
    pytest.importorskip("vaderSentiment")
    assert [name_of(oracle(name)) for name in ("vader", "kind-and-brief")] == [
        "vader", "kind-and-brief",
    ]  # fmt: skip
    assert name_of(vader(2.0)) != "vader" and name_of(kind_and_brief(12)) != "kind-and-brief"


def test_the_folder_of_the_run_will_do(tmp_path, capsys):
    """For diff, compare and export: the run's own or that of its record."""
    for seed in (0, 1):
        run(tmp_path / str(seed), "sft", None, seed=seed)
    folders = [str(tmp_path / "0"), str(tmp_path / "1/record")]
    assert main(["train", "diff", *folders]) == 0
    assert "may be compared" in capsys.readouterr().out
    out = tmp_path / "c.json"
    assert main(["compare", *folders, "--metric", "loss/sft", "--json", str(out)]) == 0
    [task] = json.loads(out.read_text())["tasks"]
    assert task["arms"][0]["seeds"] == [0, 1]
    capsys.readouterr()
    assert main(["train", "diff", folders[1], str(tmp_path / "1")]) == 2
    assert "each run once" in capsys.readouterr().err
    assert main(["train", "diff", folders[0], str(tmp_path)]) == 2
    assert "run.json: No such file" in capsys.readouterr().err
    pytest.importorskip("pyarrow")
    assert main(["train", "export", folders[0]]) == 0
    assert (tmp_path / "0/record/metrics.parquet").exists()


def test_a_first_step_shows_no_two_arms_to_be_one(tmp_path):
    """Before its first update every arm measures the same divergences."""
    arms = [run(tmp_path / m, m, None, log_kl_steps=1, max_steps=2) for m in ("sft", "dpo")]
    assert {name for name in arms[0].names() if name in arms[1].names()} >= {"kl_policy_ref"}
    first = [[row for row in arm.rows if row[0] == 1 and row[1][:2] == "kl"] for arm in arms]
    assert first[0] == first[1] != []
    assert diff(arms).same == ()
    short = [run(tmp_path / f"{m}1", m, None, log_kl_steps=1) for m in ("sft", "dpo")]
    assert diff(short).same == ()


def test_an_output_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"output_dir = .*file: Not a directory"):
        run(tmp_path / "file")
