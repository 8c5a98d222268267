"""Settings, data, rewards and models that cannot be used: one line, and never a silent zero."""

from __future__ import annotations

import copy
import json
import math
import os
import sys
import warnings

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

import torch
from transformers import LlamaForCausalLM

from sailtheory import InputError
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILConfig, SAILTrainer, losses
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer, train


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kl_coef": -0.1}, "kl_coef = -0.1: a finite number >= 0"),
        ({"method": "ppo"}, "method = ppo: one of sft, dpo"),
        ({"bta": 0.1}, "bta = unknown field: did you mean beta"),
        ({"top_p": 0.9}, "top_p = 0.9: not offered: its draws are not from"),
        ({"top_p": True}, "top_p = True: not offered"),
        ({"top_k": 50}, "top_k = 50: not offered: its draws"),
        ({"min_p": 0.1}, "min_p = 0.1: not offered: its draws"),
        ({"repetition_penalty": 1.1}, "repetition_penalty = 1.1: not offered: its draws"),
        ({"generation_kwargs": {"num_beams": 2}}, "generation_kwargs = .*: not offered: its draws"),
        ({"cache_implementation": "static"}, "cache_implementation = static: not offered: draws"),
        ({"use_vllm": True}, "use_vllm = True: not offered: another program's draws"),
        ({"ds3_gather_for_generation": False}, "ds3_gather_for_generation = False: not offered"),
        ({"loss_type": "ipo"}, "loss_type = ipo: not offered: all losses here are of the sigmoid"),
        ({"trust_remote_code": True}, "trust_remote_code = True: not offered: no code"),
        ({"model_init_kwargs": "a"}, "model_init_kwargs = a: a mapping"),
        ({"max_steps": 0}, "max_steps = 0: updates, or -1"),
        ({"per_device_train_batch_size": 0}, "per_device_train_batch_size = 0: an integer ≥ 1"),
        ({"seed": -1}, "seed = -1: an integer ≥ 0"),
        ({"num_train_epochs": 0}, "num_train_epochs = 0: a finite number > 0"),
        ({"learning_rate": math.nan}, "learning_rate = nan: a finite number ≥ 0"),
        ({"lr_scheduler_type": "cosin"}, "lr_scheduler_type = cosin: one of linear, cosine"),
        ({"beta": [0.1, 0.2]}, r"beta = \[0.1, 0.2\]: a finite number"),
        ({"temperature": 0.0}, "temperature = 0.0"),
        ({"beta": "0.1"}, "beta = 0.1: a finite number"),
        ({"method": "dpo", "g": 0.3}, "g = 0.3: 0 is expected with method dpo"),
        ({"method": "sail-ddp", "rho": 0.0}, "rho = 0: a weight > 0"),
        ({"method": "sail-dpr", "r": 0.6, "g": 0.6}, r"r \+ p \+ g"),
        ({"g": 0.3}, "g = 0.3: 1 with method online-dpo"),
        ({"kl_estimator": "k3"}, "kl_estimator = k3: one of ref-samples"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0"),
        ({"tune": "head"}, "tune = head: one of full"),
    ],
)
def test_bad_settings(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        SAILConfig(str(tmp_path), **options)


def test_bad_data(tmp_path):
    def refused(message, data=PAIRS, method="sail-dpr", **options):
        with pytest.raises(InputError, match=message):
            train(tmp_path / "x", method, data=data, **options)

    refused(r"chosen\[0\] = empty", [PAIRS[0] | {"chosen": ""}], "dpo")
    refused(r"prompt\[1\] = empty", [PAIRS[0], PAIRS[1] | {"prompt": ""}])
    refused(r"prompt\[0\] = None", [{"text": "a"}])
    refused(r"rejected\[0\] = missing", [{"prompt": "a", "chosen": "b"}], "dpo")
    refused("train_dataset = no rows", [])
    long = [PAIRS[0], {"prompt": "road " * 200}]
    refused(r"prompt\[1\] = \d+ tokens: at most 120", long)
    refused("long_prompts = cut", long, long_prompts="cut")
    trainer, _ = train(tmp_path / "y", data=long, long_prompts="drop", max_steps=1)
    assert [row["index"] for row in trainer.train_dataset] == [0]
    with pytest.raises(InputError, match="reward_funcs = none"):
        SAILTrainer(new_model(), args=config(tmp_path / "z"), train_dataset=PAIRS,
                    processing_class=tokenizer())  # fmt: skip
    bare = copy.deepcopy(tokenizer())
    bare.eos_token = bare.pad_token = None
    model = new_model()
    model.generation_config.eos_token_id = None
    with pytest.raises(InputError, match="no end token"):
        SAILTrainer(model, reward_funcs=few_letters, args=config(tmp_path / "z"),
                    train_dataset=PAIRS, processing_class=bare)  # fmt: skip


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_bad_rewards_stop_the_run(tmp_path, bad):
    def broken(completions, **_):
        return [*few_letters(completions)[:-1], bad]

    trainer = SAILTrainer(
        new_model(),
        None,
        broken,
        config(tmp_path),
        train_dataset=PAIRS,
        processing_class=tokenizer(),
    )
    expected = r"broken\[7\] = (nan|inf|None): a finite reward"
    with pytest.raises(InputError, match=expected) as caught:
        trainer.train()
    saved = json.loads((tmp_path / "failed-batch-0.json").read_text())
    assert len(saved["items"]) == 4 and saved["error"].startswith("broken[7]")
    assert f"; the batch is in {tmp_path / 'failed-batch-0.json'}" in str(caught.value)
    assert not (tmp_path / "record" / "finished.json").exists()


def test_ties_are_half_and_reported(tmp_path):
    def constant(completions, **_):
        return [1.0] * len(completions)

    trainer = SAILTrainer(
        new_model(), None, constant, config(tmp_path), train_dataset=PAIRS,
        processing_class=tokenizer(),
    )  # fmt: skip
    with pytest.warns(UserWarning, match="all pairs of a batch are tied"):
        trainer.train()
    assert set(read_record(tmp_path / "record").series("rewards/ties")[1]) == {1.0}


def test_metrics_of_logits(tmp_path):
    for name in ("compute_metrics", "preprocess_logits_for_metrics"):
        with pytest.raises(InputError, match=f"{name} = .*: not offered: no logits are kept"):
            SAILTrainer(new_model(), None, few_letters, config(tmp_path), train_dataset=PAIRS,
                        processing_class=tokenizer(), **{name: few_letters})  # fmt: skip


def test_a_model_that_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/no-such-model", str(tmp_path / "nowhere")):
        with pytest.raises(InputError, match="not found here") as caught:
            SAILTrainer(name, args=config(tmp_path), train_dataset=PAIRS,
                        processing_class=tokenizer())  # fmt: skip
        assert "\n" not in str(caught.value)


def test_empty_completions_are_judged_and_counted(tmp_path):
    """A model that ends at once: every completion is its end token, and nothing is divided by 0."""
    model = new_model()
    with torch.no_grad():
        model.lm_head.weight[tokenizer().eos_token_id] = 0
    head = model.lm_head.forward
    push = torch.zeros(400).index_fill(0, torch.tensor(tokenizer().eos_token_id), 1e4)
    model.lm_head.forward = lambda hidden: head(hidden) + push
    seen = []

    def judge(completions, **_):
        seen.extend(completions)
        return [float(i % 3) for i in range(len(completions))]

    trainer = SAILTrainer(
        model, reward_funcs=judge, args=config(tmp_path, kl_coef=0.1), train_dataset=PAIRS,
        processing_class=tokenizer(),
    )  # fmt: skip
    trainer.train()
    record = read_record(tmp_path / "record")
    assert set(seen) == {""}
    assert set(record.series("completions/empty")[1]) == {1.0}
    assert set(record.series("completions/length")[1]) == {1.0}
    assert all(math.isfinite(float(value)) for _, _, value in record.rows)


@pytest.mark.parametrize("what", ["policy", "reference", "loss"])
def test_numbers_that_are_not_finite_stop_the_run(tmp_path, what, monkeypatch):
    """No zero loss, no update, no finished record; the batch is on disk."""
    model, ref = new_model(2), new_model(2)
    if what == "loss":
        monkeypatch.setattr(losses, "score_loss", lambda pairs, q, beta: pairs.first * math.nan)
    trainer = SAILTrainer(
        model, ref, few_letters, config(tmp_path, kl_coef=0.1), train_dataset=PAIRS,
        processing_class=tokenizer(),
    )  # fmt: skip
    if what != "loss":
        with torch.no_grad():
            (model if what == "policy" else ref).model.norm.weight[3] = math.nan
    before = [p.detach().clone() for p in model.parameters()]
    expected = {"policy": "logits = nan", "reference": "logits = nan", "loss": "loss = "}[what]
    with pytest.raises(InputError, match=expected):
        trainer.train()
    assert all(torch.equal(a.nan_to_num(), b.nan_to_num())
               for a, b in zip(before, model.parameters(), strict=True))  # fmt: skip
    saved = json.loads((tmp_path / "failed-batch-0.json").read_text())
    assert [item["text"] for item in saved["items"]] != [] and saved["error"].startswith(
        expected.split(" =")[0]
    )
    assert not (tmp_path / "record" / "finished.json").exists()


class Odd(LlamaForCausalLM):
    """A model that draws otherwise than it is trained."""

    shift = 0.0  # of half of the logits, where a completion is drawn
    cached = True

    def forward(self, *args, use_cache=None, **kwargs):
        out = super().forward(*args, use_cache=use_cache, **kwargs)
        if use_cache:
            out.logits[..., ::2] += self.shift
            out.past_key_values = out.past_key_values if self.cached else None
        return out


def odd(**fields):
    model = Odd(new_model(2).config)
    for name, value in fields.items():
        setattr(model, name, value)
    return model


@pytest.mark.parametrize(("shift", "told"), [(0.0, False), (0.05, False), (4.0, True)])
def test_draws_that_are_not_of_the_policy_are_told(tmp_path, shift, told):
    """Eight tokens, each of which a shift of .05 makes 5 % more or less likely at most."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(tmp_path, model=odd(shift=shift), max_steps=1)
    said = [str(w.message) for w in caught if "nats more or less likely" in str(w.message)]
    gap = read_record(tmp_path / "record").series("on_policy/gap")[1][0]
    assert bool(said) == told == (gap > 1) and (gap > 1e-3) == (shift > 0)
    if told:
        assert said[0] == (
            f"a draw is {gap:.2g} nats more or less likely under the policy than when it was "
            "drawn: it is not of the policy that is trained"
        )


def test_a_model_without_a_cache(tmp_path):
    with pytest.raises(InputError, match="model = Odd: a model that keeps past_key_v") as caught:
        train(tmp_path, model=odd(cached=False))
    assert "\n" not in str(caught.value) and "failed-batch-0.json" in str(caught.value)


def test_a_model_with_torn_weights(tmp_path):
    folder = tmp_path / "model"
    new_model(1).save_pretrained(folder)
    [path] = folder.glob("*.safetensors")
    os.truncate(path, 1000)
    with pytest.raises(InputError, match="whole weights: fetch them again"):
        SAILTrainer(str(folder), args=config(tmp_path), train_dataset=PAIRS,
                    processing_class=tokenizer())  # fmt: skip


def test_lora_without_peft(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r"peft = not installed: pip install 'sailtheory\[llm\]'"):
        train(tmp_path, tune="lora", max_steps=1)
