"""Settings of other trainers, and of models by name: refused by name, or with an effect."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

import torch

from sailtheory import InputError
from sailtheory.training.llm import SAILConfig, SAILTrainer
from sailtheory.training.llm.config import Settings
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer

FIELDS = {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("kind", ["OnlineDPOConfig", "DPOConfig"])
@pytest.mark.filterwarnings("ignore")
def test_settings_of_trl_that_are_no_fields_here(tmp_path, kind):
    """They are refused, by name, at any value but the neutral ones."""
    trl = pytest.importorskip("trl", reason="the extra llm is not installed")
    from trl.experimental.online_dpo import OnlineDPOConfig

    fields = dataclasses.fields(
        {"OnlineDPOConfig": OnlineDPOConfig, "DPOConfig": trl.DPOConfig}[kind]
    )
    for name in {field.name for field in fields} - FIELDS:
        with pytest.raises(InputError, match=f"^{name} = "):
            SAILConfig(str(tmp_path), **{name: "another value"})


def test_settings_that_the_others_leave_without_effect(tmp_path):
    for options, message in (
        ({"optim_args": "momentum=0.9"}, "optim_args = momentum=0.9: None: adamw_torch_fu"),
        ({"optim_args": "x=1", "optim": "adafactor"}, "optim_args = x=1: None: adafactor"),
        ({"optim_target_modules": ["q_proj"]}, "optim_target_modules = .*: None: only GaLore"),
        ({"train_sampling_strategy": "group_by_length"}, "train_sampling_strategy = group_by_len"),
        ({"train_sampling_strategy": "by chance"}, "train_sampling_strategy = by chance: one of"),
        ({"accelerator_config": {"use_seedable_sampler": False}},
         r"accelerator_config\.use_seedable_sampler = False: True"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            SAILConfig(str(tmp_path), **options)

    def trainer(**options):
        return SAILTrainer(
            new_model(1), reward_funcs=few_letters, train_dataset=PAIRS,
            processing_class=tokenizer(), args=config(tmp_path, **options),
        )  # fmt: skip

    with pytest.raises(InputError, match=r"model_init_kwargs = .*: None: the model is given"):
        trainer(model_init_kwargs={"dtype": "bfloat16"})
    with pytest.raises(InputError, match="eval_dataset = None: rows, for eval_strategy"):
        trainer(eval_strategy="steps")


def test_options_of_a_model_by_name(tmp_path, monkeypatch):
    """They reach the model, and where it lies the tokenizer; the default is float32."""
    new_model(1).to(torch.bfloat16).save_pretrained(tmp_path / "model" / "inner")
    tokenizer().save_pretrained(tmp_path / "model" / "inner")

    def trainer(name="model/inner", **options):
        return SAILTrainer(
            str(tmp_path / name), reward_funcs=few_letters, train_dataset=PAIRS,
            args=config(tmp_path / "run", model_init_kwargs=options),
        )  # fmt: skip

    def dtypes(found):
        return {p.dtype for p in found.model.parameters()}

    assert dtypes(trainer()) == {torch.float32}
    with pytest.warns(UserWarning, match=r"trained in bfloat16: a step below 0\.004"):
        assert dtypes(trainer(dtype="bfloat16")) == {torch.bfloat16}
    inner = trainer("model", subfolder="inner", attn_implementation="eager")
    assert inner.model.config._attn_implementation == "eager"
    assert inner.processing_class.eos_token == "<|end|>"
    for options, message in (
        ({"trust_remote_code": True}, r"model_init_kwargs\.trust_remote_code = True: False: no"),
        ({"no_such_option": 1}, "model = .*: options that it takes: .*no_such_option"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            trainer(**options)
        assert "\n" not in str(caught.value)
