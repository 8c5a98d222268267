"""Every method trains a model of a million parameters, and what it trains is what it says."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
import torch

from sailtheory import InputError
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILTrainer, losses
from tests.support.llm_models import PAIRS, config, new_model, tokenizer, train

METHODS = ("sft", "dpo", "online-dpo", "sail-ddp", "sail-dpp", "sail-dpr")


@pytest.mark.parametrize("tune", ["full", "last-block", "lora"])
@pytest.mark.parametrize("method", METHODS)
def test_methods(tmp_path, method, tune):
    if tune == "lora":
        pytest.importorskip("peft")
    trainer, moved = train(tmp_path, method, tune=tune, kl_coef=0.1, policy_kl_coef=0.1)
    trained = {n for n, p in trainer.model.named_parameters() if p.requires_grad}
    if tune == "full":
        assert moved == trained
    elif tune == "last-block":
        assert moved == trained == {n for n in trained if ".layers.3." in n} != set()
    else:
        assert moved == trained == {n for n in trained if "lora_" in n} != set()
    record = read_record(tmp_path / "record")
    assert record.finished and record.method == method
    names = set(record.names())
    assert {"loss/kl", "kl_ref_policy", "kl_policy_ref", "spent/tokens"} <= names
    own = {
        "sft": {"loss/sft"}, "dpo": {"loss/dpo"}, "sail-ddp": {"loss/dpo", "loss/ddp"},
        "sail-dpp": {"loss/dpo", "loss/dpp", "loss/dpp_score"},
        "sail-dpr": {"loss/dpr", "loss/dpr_score", "rewards/mean", "rewards/ties"},
        "online-dpo": {"loss/dpr", "rewards/mean", "rewards/ties"},
    }[method]  # fmt: skip
    own |= {"loss/kl", "loss/policy_kl"}
    assert own == {n for n in names if n.startswith("loss/")} | own
    for _, name, value in record.rows:
        assert math.isfinite(float(value)), name
    # KL(π_ref‖π_θ) is exactly zero before the first update and is not afterwards.
    steps, kl = record.series("kl_ref_policy")
    assert steps.tolist() == [1, 2, 3] and kl[0] == pytest.approx(0, abs=1e-5) and kl[1] != 0
    assert max(record.series("on_policy/gap")[1]) < 1e-3
    faults = trainer.audit().faults
    assert faults == ()


def test_online_dpo_is_sail_without_its_score_term(tmp_path):
    """To the bit; and the KL of the policy holds it back."""
    plain, _ = train(tmp_path / "a", "online-dpo")
    same, _ = train(tmp_path / "b", "sail-dpr", score_weight=0.0)
    scored, _ = train(tmp_path / "c", "sail-dpr")
    held, _ = train(tmp_path / "d", "online-dpo", policy_kl_coef=10.0)
    a, b, c, d = (t.model.state_dict() for t in (plain, same, scored, held))
    assert all(torch.equal(value, b[name]) for name, value in a.items())
    assert not all(torch.equal(value, c[name]) for name, value in a.items())
    assert not all(torch.equal(value, d[name]) for name, value in a.items())
    assert "kl_policy_ref" in read_record(tmp_path / "d" / "record").names()


def test_online_dpo_takes_no_other_shares(tmp_path):
    assert config(tmp_path, "online-dpo").weights == losses.Weights(g=1.0, score_weight=0.0)
    assert config(tmp_path, "sail-dpr").score_weight == 1
    for name, value, only in (
        ("score_weight", 0.3, 0), ("g", 0.3, 1), ("r", 0.1, 0), ("p", 0.1, 0)
    ):  # fmt: skip
        message = f"{name} = {value}: {only} with method online-dpo; sail-dpr takes others"
        with pytest.raises(InputError, match=message):
            config(tmp_path, "online-dpo", **{name: value})
    for value in (-1.0, math.nan, "a"):
        with pytest.raises(InputError, match="policy_kl_coef"):
            config(tmp_path, "online-dpo", policy_kl_coef=value)


def test_the_audit_sees_a_term_that_moves_nothing(tmp_path):
    trainer, _ = train(tmp_path, "dpo", max_steps=1, log_kl_steps=0)
    trainer.loss_terms = lambda model, drawn: {"dpo": torch.zeros(1, requires_grad=True)}
    [fault] = trainer.audit().faults
    assert fault.startswith("dpo claims to move policy")


def test_dpr_learns_the_reward(tmp_path):
    train(
        tmp_path, max_steps=40, beta=0.1, reward_scale=4.0, log_kl_steps=0,
        per_device_train_batch_size=8, learning_rate=2e-3,
    )  # fmt: skip
    _, found = read_record(tmp_path / "record").series("rewards/mean")
    assert found[-8:].mean() > found[:8].mean() + 0.2


def test_other_estimators_and_labels(tmp_path):
    for i, options in enumerate((
        {"kl_estimator": "importance"}, {"kl_estimator": "token-proxy"},
        {"preference": "sampled", "temperature": 0.7}, {"g": 0.3, "score_weight": 0.3},
        {"g": 0.4, "p": 0.3, "r": 0.2}, {"ref_samples": 3},
    )):  # fmt: skip
        options = {"kl_coef": 0.1, "max_steps": 2} | options
        _, moved = train(tmp_path / str(i), **options)
        assert moved
        assert all(math.isfinite(float(v)) for _, _, v in read_record(
            tmp_path / str(i) / "record").rows)  # fmt: skip


def test_conversations_and_peft(tmp_path):
    peft = pytest.importorskip("peft")
    rows = [
        {"prompt": [{"role": "user", "content": row["prompt"]}],
         "chosen": [{"role": "assistant", "content": row["chosen"]}],
         "rejected": [{"role": "assistant", "content": row["rejected"]}], "id": i}
        for i, row in enumerate(PAIRS)
    ]  # fmt: skip
    seen = []

    def judge(prompts, completions, completion_ids, **columns):
        seen.append((prompts, completions, columns["id"]))
        return [float(len(ids)) for ids in completion_ids]

    trainer = SAILTrainer(
        model=new_model(), reward_funcs=judge, args=config(tmp_path, g=0.5),
        train_dataset=rows, processing_class=tokenizer(),
        peft_config=peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )  # fmt: skip
    chosen = trainer.train_dataset[0]["chosen_ids"]
    assert chosen[-1] == tokenizer().eos_token_id and chosen.count(tokenizer().eos_token_id) == 1
    assert tokenizer().decode(chosen[:-1]) == PAIRS[0]["chosen"]
    assert tokenizer().decode(trainer.train_dataset[0]["prompt_ids"]).endswith("<|assistant|>")
    trainer.train()
    prompts, completions, ids = seen[0]
    assert completions[0][0]["role"] == "assistant"
    assert [rows[i]["prompt"] for i in ids] == prompts  # rewards meet their own prompts
    implicit = [{"chosen": r["prompt"] + r["chosen"], "rejected": r["prompt"] + r["rejected"]}
                for r in rows]  # fmt: skip
    again = SAILTrainer(
        model=new_model(), reward_funcs=judge, args=config(tmp_path / "b", g=0.5),
        train_dataset=implicit, processing_class=tokenizer(),
    )  # fmt: skip
    for a, b in zip(trainer.train_dataset, again.train_dataset, strict=True):
        assert all(a[k] == b[k] for k in ("prompt_ids", "chosen_ids", "rejected_ids"))


def test_the_reference_stays(tmp_path):
    trainer, moved = train(tmp_path)
    fresh = new_model().state_dict()
    assert moved
    assert all(torch.equal(v, fresh[k]) for k, v in trainer.ref_model.state_dict().items())


def test_every_method_has_a_name():
    assert losses.METHODS == METHODS
