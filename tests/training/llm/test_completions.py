"""What a run keeps of what its policy said; rewards by name; what DPO logs of its pairs."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
import torch

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.runs.completions import CompletionTable, read_completions
from sailtheory.runs.read import read_record
from sailtheory.storage import lock
from sailtheory.training.llm import SAILTrainer
from sailtheory.training.llm.preferences import labelled
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer, train

CHATS = [{"prompt": [{"role": "user", "content": row["prompt"]}]} for row in PAIRS]


@labelled("words")
def words(completions, **_):
    return [float(len((c if isinstance(c, str) else c[0]["content"]).split())) for c in completions]


def two_rewards(folder, data=PAIRS, **options):
    trainer = SAILTrainer(
        new_model(1), reward_funcs=[few_letters, words], train_dataset=data,
        processing_class=tokenizer(),
        args=config(folder, max_steps=5, reward_weights=[2.0, 0.5], **options),
    )  # fmt: skip
    trainer.train()
    return trainer


@pytest.mark.parametrize("data", [PAIRS, CHATS])
def test_completions_of_every_nth_update_are_kept(tmp_path, data):
    two_rewards(tmp_path, data, log_completions_steps=2)
    kept = read_completions(tmp_path)
    assert [row.step for row in kept] == [0] * 8 + [2] * 8 + [4] * 8
    prompts = [row["prompt"] for row in data]
    names = {"tests.support.llm_models.few_letters", "words"}
    for row in kept:
        assert row.prompt in prompts and row.rewards.keys() == names
        assert row.rewards["words"] == len(row.completion.split())
    # They are those of the record: the mean reward of the same update.
    record = read_record(tmp_path)
    for name, mean in (("words", "rewards/words/mean"),
                       ("tests.support.llm_models.few_letters",
                        "rewards/tests.support.llm_models.few_letters/mean")):  # fmt: skip
        steps, values = record.series(mean)
        for step, value in zip(steps.tolist(), values, strict=True):
            if step in (1, 3, 5):
                own = [row.rewards[name] for row in kept if row.step == step - 1]
                assert value == pytest.approx(sum(own) / len(own), abs=1e-12)
    each = [record.series(f"rewards/{n}/mean")[1] for n in sorted(names)]
    total = 2 * each[0] + 0.5 * each[1]
    assert record.series("rewards/mean")[1] == pytest.approx(total, abs=1e-12)


def test_keeping_changes_no_number(tmp_path):
    a = two_rewards(tmp_path / "a", log_completions_steps=1)
    b = two_rewards(tmp_path / "b", log_completions_steps=0)
    assert all(
        torch.equal(p, q) for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True)
    )
    assert read_record(tmp_path / "a").rows == read_record(tmp_path / "b").rows
    with pytest.raises(InputError, match=r"completions\.jsonl: see log_completions_steps"):
        read_completions(tmp_path / "b")


def test_going_on_cuts_what_came_after_the_checkpoint(tmp_path):
    whole = dict(log_completions_steps=1, save_strategy="steps", save_steps=2)
    two_rewards(tmp_path / "whole", **whole)
    expected = read_completions(tmp_path / "whole")
    trainer = SAILTrainer(
        new_model(1), reward_funcs=[few_letters, words], train_dataset=PAIRS,
        processing_class=tokenizer(),
        args=config(tmp_path / "killed", max_steps=5, reward_weights=[2.0, 0.5], **whole),
    )  # fmt: skip
    step = trainer.training_step

    def killed(*args, **kwargs):
        found = step(*args, **kwargs)
        if trainer.state.global_step == 3:
            raise KeyboardInterrupt
        return found

    trainer.training_step = killed
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert {row.step for row in read_completions(tmp_path / "killed")} == {0, 1, 2, 3}
    lock.release(tmp_path / "killed" / "record")
    again = SAILTrainer(
        new_model(1), reward_funcs=[few_letters, words], train_dataset=PAIRS,
        processing_class=tokenizer(), args=trainer.args,
    )  # fmt: skip
    again.train(resume_from_checkpoint=True)
    assert read_completions(tmp_path / "killed") == expected


def test_they_are_shown(tmp_path, capsys):
    two_rewards(tmp_path, log_completions_steps=2)
    capsys.readouterr()
    assert main(["train", "completions", str(tmp_path), "--updates", "2", "--most", "3"]) == 0
    shown = capsys.readouterr().out
    assert "18 more of 24 are kept" in shown and "words" in shown
    assert main(["train", "completions", str(tmp_path / "nowhere")]) == 2
    assert "log_completions_steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    ["{", '{"step": 1}', '{"step": "1", "prompt": "a", "completion": "b", "rewards": {}}',
     '{"step": 1, "prompt": "a", "completion": "b", "rewards": {"a": "high"}}',
     '{"step": 1, "prompt": 5, "completion": "b", "rewards": {}}'],
)  # fmt: skip
def test_a_damaged_file_is_refused(tmp_path, line):
    table = CompletionTable()
    table.add(0, ["lost"], ["as nothing was begun"], {})
    table.begin(tmp_path, None)
    table.add(0, ["p"], ["c"], {"r": [0.5]})
    [row] = read_completions(tmp_path)
    assert (row.step, row.prompt, row.completion, row.rewards) == (0, "p", "c", {"r": 0.5})
    path = tmp_path / "completions.jsonl"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match="completions, line 2"):
        read_completions(tmp_path)
    with pytest.raises(InputError, match="not what the checkpoint knows"):
        CompletionTable().begin(tmp_path, [5, 12345])


def test_dpo_logs_what_its_pairs_are_worth(tmp_path):
    trainer, _ = train(tmp_path, "dpo", max_steps=4, per_device_train_batch_size=8)
    record = read_record(tmp_path)
    found = {
        name: record.series(f"rewards/{name}")[1]
        for name in ("chosen", "rejected", "margins", "accuracies")
    }
    assert [found[name][0] for name in found] == pytest.approx([0] * 4, abs=1e-5)
    assert found["margins"] == pytest.approx(found["chosen"] - found["rejected"], abs=1e-6)
    assert found["margins"][-1] > 0.01 and found["accuracies"][-1] > 0.5
    assert "rewards/margins" not in read_record(train_sft(tmp_path / "sft")).names()
    assert trainer.state.log_history[-2]["rewards/accuracies"] == found["accuracies"][-1]


def train_sft(folder):
    train(folder, "sft", max_steps=1)
    return folder


def test_rewards_of_one_name_are_numbered(tmp_path):
    trainer = SAILTrainer(
        new_model(1), reward_funcs=[words, words], train_dataset=PAIRS,
        processing_class=tokenizer(), args=config(tmp_path, max_steps=1),
    )  # fmt: skip
    trainer.train()
    assert {"rewards/words (1)/mean", "rewards/words (2)/mean"} <= set(
        read_record(tmp_path).names()
    )
