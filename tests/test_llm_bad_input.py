"""Settings, data, rewards and models that cannot be used: one line, and never a silent zero."""

from __future__ import annotations

import copy
import json

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

from sailtheory import InputError
from sailtheory.training.llm import SAILConfig, SAILTrainer
from sailtheory.training.record import read_record
from tests.llm_models import PAIRS, config, few_letters, new_model, tokenizer, train


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kl_coef": -0.1}, "kl_coef = -0.1: a finite number >= 0"),
        ({"method": "ppo"}, "method = ppo: one of sft, dpo"),
        ({"bta": 0.1}, "bta = unknown field: did you mean beta"),
        ({"top_p": 0.9}, "top_p = 0.9: not offered"),
        ({"temperature": 0.0}, "temperature = 0.0"),
        ({"beta": "0.1"}, "beta = 0.1: a finite number"),
        ({"method": "dpo", "g": 0.3}, "g = 0.3: 0 is expected with method dpo"),
        ({"method": "sail-ddp", "rho": 0.0}, "rho = 0: a weight > 0"),
        ({"r": 0.6, "g": 0.6}, r"r \+ p \+ g"),
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
    with pytest.raises(InputError, match=r"broken\[7\] = (nan|inf|None): a finite reward"):
        trainer.train()
    saved = json.loads((tmp_path / "failed-batch-0.json").read_text())
    assert len(saved["items"]) == 4 and saved["error"].startswith("broken[7]")
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


def test_a_model_that_is_not_here(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/no-such-model", str(tmp_path / "nowhere")):
        with pytest.raises(InputError, match="not found here") as caught:
            SAILTrainer(name, args=config(tmp_path), train_dataset=PAIRS,
                        processing_class=tokenizer())  # fmt: skip
        assert "\n" not in str(caught.value)
