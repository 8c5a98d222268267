"""Held-out data and collators, as TRL's users pass them."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

import torch

from sailtheory import InputError
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILTrainer
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer

CHATS = [{"prompt": [{"role": "user", "content": row["prompt"]}]} for row in PAIRS]


def trained(folder, method="sail-dpr", **given):
    options = {"eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": 2}
    options |= given.pop("options", {})
    trainer = SAILTrainer(
        new_model(2), reward_funcs=few_letters if method == "sail-dpr" else None,
        args=config(folder, method, kl_coef=0.1, **options), processing_class=tokenizer(),
        train_dataset=given.pop("train_dataset", PAIRS[:5]), **given,
    )  # fmt: skip
    trainer.train()
    return trainer


def test_held_out_data_change_nothing_in_training(tmp_path):
    watched = trained(tmp_path / "a", eval_dataset=PAIRS[5:])
    alone = trained(tmp_path / "b", options={"eval_strategy": "no"})
    for a, b in zip(watched.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(a, b)
    files = [tmp_path / name / "record" / "metrics.csv" for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    found = [row for row in watched.state.log_history if "eval_loss" in row]
    names = {"eval_loss/dpr", "eval_kl_ref_policy", "eval_kl_policy_ref", "eval_rewards/mean"}
    assert len(found) == 3 and all(names <= set(row) for row in found)


def test_the_mean_is_over_prompts_whatever_the_batches(tmp_path):
    """Three rows in batches of two: the last one holds one."""
    found = []
    for size in (2, 3):
        trainer = trained(
            tmp_path / str(size), "dpo", eval_dataset=PAIRS[5:],
            options={"max_steps": 1, "per_device_eval_batch_size": size},
        )  # fmt: skip
        found.append(trainer.evaluate())
    rows = [
        float(trainer.loss_terms(trainer.model.eval(), trainer.draw(trainer.model, [row]))["dpo"])
        for row in trainer.eval_dataset
    ]
    assert max(rows) - min(rows) > 1e-4  # so that weights matter
    for metrics in found:
        assert metrics["eval_loss/dpo"] == pytest.approx(sum(rows) / 3, abs=1e-6)
        assert metrics["eval_loss"] == pytest.approx(
            metrics["eval_loss/dpo"] + metrics["eval_loss/kl"], abs=1e-6
        )


def test_several_held_out_sets_by_name(tmp_path):
    trainer = trained(tmp_path, "dpo", eval_dataset={"near": PAIRS[:2], "far": PAIRS[5:]})
    last = trainer.evaluate()
    assert {"eval_near_loss", "eval_far_loss", "eval_far_kl_ref_policy"} <= set(last)
    assert trainer.eval_dataset["far"][1]["index"] == "far/1"


def test_bad_held_out_rows(tmp_path):
    with pytest.raises(InputError, match=r"prompt\[eval/1\] = empty"):
        trained(tmp_path, eval_dataset=[PAIRS[0], PAIRS[1] | {"prompt": ""}])
    with pytest.raises(InputError, match=r"rejected\[eval/0\] = missing"):
        trained(tmp_path, "dpo", eval_dataset=[{"prompt": "a", "chosen": "b"}])
    with pytest.raises(InputError, match="eval_dataset = no rows"):
        trained(tmp_path, eval_dataset=[])


def test_a_collator(tmp_path):
    """It sees prepared rows, and what it returns is what is trained on."""
    seen = []

    def first_only(rows):
        seen.append([row["text"] for row in rows])
        return {"items": rows[:1]}

    trained(tmp_path, data_collator=first_only, options={"eval_strategy": "no"})
    assert len(seen[0]) == 4 and set(map(len, seen)) == {4, 1}
    spent = read_record(tmp_path / "record").series("spent/tokens")[1]
    assert spent[0] == 3 * 8  # two draws from the policy and one from the reference, of one prompt


@pytest.mark.parametrize("result", [None, [], {"input_ids": 1}, [{"prompt": "a"}]])
def test_a_collator_that_returns_something_else(tmp_path, result):
    with pytest.raises(InputError, match=r"data_collator = a .*prepared rows"):
        trained(tmp_path, data_collator=lambda rows: result,
                options={"eval_strategy": "no"})  # fmt: skip


def timeless(metrics):
    return {name: value for name, value in metrics.items() if not name.endswith(("time", "second"))}


def test_raw_rows(tmp_path):
    """Rows as ``train_dataset`` has them, as a list, a ``Dataset`` or several by name."""
    datasets = pytest.importorskip("datasets", reason="the extra llm is not installed")
    trainer = trained(tmp_path, eval_dataset=PAIRS[5:])
    expected = timeless(trainer.evaluate())
    assert len(expected) > 8
    for raw in (PAIRS[5:], datasets.Dataset.from_list(PAIRS[5:])):
        assert timeless(trainer.evaluate(raw)) == expected
    named = trainer.evaluate({"a": PAIRS[5:], "b": PAIRS[:2]}, metric_key_prefix="late")
    renamed = {name.replace("eval_", "late_a_"): value for name, value in expected.items()}
    assert renamed.items() <= named.items() and named["late_b_loss"] != named["late_a_loss"]
    with pytest.raises(InputError, match=r"prompt\[eval/0\] = empty"):
        trainer.evaluate([{"prompt": ""}])


def test_predict(tmp_path):
    """Its loss is that of evaluation; there are no logits to predict with."""
    trainer = trained(tmp_path, "dpo", eval_dataset=PAIRS[5:])
    found = trainer.predict(PAIRS[5:])
    assert found.predictions is None and found.label_ids is None
    assert found.metrics["test_loss/dpo"] == trainer.evaluate()["eval_loss/dpo"]
    assert {"test_loss", "test_loss/kl", "test_kl_policy_ref"} <= found.metrics.keys()
    with pytest.raises(InputError, match=r"rejected\[test/0\] = missing"):
        trainer.predict([{"prompt": "a", "chosen": "b"}])


def test_a_log_of_training_holds_the_means_of_its_updates(tmp_path):
    """Evaluation between two logs neither takes them nor shows them as its own."""
    trainer = trained(
        tmp_path, eval_dataset=PAIRS[5:],
        options={"max_steps": 4, "logging_steps": 4, "eval_steps": 1},
    )  # fmt: skip
    [log] = [row for row in trainer.state.log_history if "loss" in row]
    record = read_record(tmp_path / "record")
    for name in ("loss/dpr", "loss/kl", "rewards/mean"):
        assert log[name] == pytest.approx(record.series(name)[1].mean(), abs=1e-12)
    assert log["loss"] == pytest.approx(sum(log[f"loss/{n}"] for n in ("dpr", "kl")), abs=1e-6)
    others = [row for row in trainer.state.log_history if "loss" not in row]
    assert len(others) == 5 and not any("loss/dpr" in row for row in others)


def test_the_callback_of_trl_that_logs_completions(tmp_path):
    callbacks = pytest.importorskip(
        "trl.trainer.callbacks", reason="the extra llm is not installed"
    )
    for name, data in (("text", PAIRS), ("chat", CHATS)):
        alone = trained(tmp_path / name, train_dataset=data[:5], options={"eval_strategy": "no"})
        trainer = SAILTrainer(
            new_model(2), reward_funcs=few_letters, args=config(tmp_path / f"{name}-logged",
            kl_coef=0.1), processing_class=tokenizer(), train_dataset=data[:5],
            eval_dataset=data[5:],
        )  # fmt: skip
        callback = callbacks.LogCompletionsCallback(trainer, num_prompts=2, freq=1)
        trainer.add_callback(callback)
        trainer.train()
        assert [step for step, _, _ in callback.table] == [s for s in "123" for _ in range(2)]
        for _, prompt, completion in callback.table:
            assert "Say something about the" in prompt and isinstance(completion, str)
        for a, b in zip(trainer.model.parameters(), alone.model.parameters(), strict=True):
            assert torch.equal(a, b)
