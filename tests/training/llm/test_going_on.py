"""A run that goes on from a checkpoint has the numbers of one that was never stopped."""

from __future__ import annotations

import random
import shutil

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("peft", reason="the extra llm is not installed")

import numpy as np
import peft
import torch

from sailtheory import InputError
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILTrainer
from tests.support.llm_adapters import lora, model, moved
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer

SAVED = {"save_strategy": "steps", "save_steps": 1, "kl_coef": 0.1, "lr_scheduler_type": "constant"}


def trainer(folder, make=lambda: new_model(1), reward=few_letters, **options):
    options = SAVED | {"max_steps": 4, "per_device_train_batch_size": 3} | options
    return SAILTrainer(
        make(), reward_funcs=reward, args=config(folder, **options), train_dataset=PAIRS,
        processing_class=tokenizer(),
    )  # fmt: skip


def goes_on(folder, last, **given):
    """Whether a run stopped after its update ``last`` ends as one that was not."""
    whole = trainer(folder / "whole", **given)
    whole.train()
    shutil.copytree(folder / "whole", folder / "part")
    for path in (folder / "part").glob("checkpoint-*"):
        if int(path.name.partition("-")[2]) > last:
            shutil.rmtree(path)
    (folder / "part" / "record" / "finished.json").unlink()
    part = trainer(folder / "part", **given)
    part.train(resume_from_checkpoint=True)
    metrics = [folder / name / "record" / "metrics.csv" for name in ("whole", "part")]
    pairs = zip(whole.model.parameters(), part.model.parameters(), strict=True)
    assert read_record(folder / "part").finished
    return (
        whole.state.global_step == part.state.global_step
        and metrics[0].read_bytes() == metrics[1].read_bytes()
        and all(torch.equal(p, q) for p, q in pairs)
    )


def several():
    found = moved(peft.get_peft_model(model(), lora()))
    found.add_adapter("other", lora(target_modules=["q_proj"]))
    found.set_adapter("other")
    return moved(found)


ADAPTED = {
    "moved": lambda: moved(peft.get_peft_model(model(), lora())),
    "another name": lambda: peft.get_peft_model(model(), lora(), adapter_name="mine"),
    "several": several,
    "modules_to_save": lambda: peft.get_peft_model(model(), lora(modules_to_save=["lm_head"])),
    "biases": lambda: peft.get_peft_model(model(), lora(bias="lora_only")),
    "tokens": lambda: peft.get_peft_model(
        model(), lora(trainable_token_indices=list(range(4, 60)))
    ),
    "DoRA": lambda: moved(peft.get_peft_model(model(), lora(use_dora=True))),
    "PiSSA": lambda: peft.get_peft_model(model(), lora(init_lora_weights="pissa")),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ADAPTED)
def test_with_an_adapter(tmp_path, case):
    assert goes_on(tmp_path, 3, make=ADAPTED[case])


def test_with_rewards_and_dropout_that_draw(tmp_path):
    def by_chance(completions, **_):
        return [random.random() + np.random.rand() + float(torch.rand(1)) for _ in completions]

    assert goes_on(
        tmp_path, 3, make=lambda: new_model(1, dropout=0.3), reward=by_chance,
        disable_dropout=False,
    )  # fmt: skip


@pytest.mark.parametrize("epochs", [1, 1.5])
def test_stopped_after_its_last_update(tmp_path, epochs):
    """Three updates a pass; transformers alone would make one more in a pass begun."""
    last = 3 if epochs == 1 else 5
    assert goes_on(tmp_path, last, max_steps=-1, num_train_epochs=epochs)
    assert read_record(tmp_path / "part").rows[-1][0] == last


def test_the_best_model_is_loaded_at_the_end(tmp_path):
    """Also where the run was stopped after its last update."""

    def with_evaluation(folder):
        found = trainer(
            folder, eval_strategy="no", load_best_model_at_end=False, **{"max_steps": 3}
        )
        found.eval_dataset = found.prepared(PAIRS[:2], "eval/")
        for name, value in (("eval_strategy", "steps"), ("eval_steps", 1),
                            ("load_best_model_at_end", True), ("greater_is_better", False),
                            ("metric_for_best_model", "loss/kl")):  # fmt: skip
            setattr(found.args, name, value)
        return found

    whole = with_evaluation(tmp_path)
    whole.train()
    assert whole.state.best_global_step == 1  # its KL grows
    (tmp_path / "record" / "finished.json").unlink()
    part = with_evaluation(tmp_path)
    part.train(resume_from_checkpoint=True)
    pairs = zip(whole.model.parameters(), part.model.parameters(), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)


def test_checkpoints_without_an_optimiser(tmp_path):
    """They hold a model and are no place to go on from."""
    trainer(tmp_path, save_only_model=True, max_steps=2).train()
    assert not (tmp_path / "checkpoint-2" / "complete.json").exists()
    again = trainer(tmp_path, max_steps=2)
    with pytest.raises(InputError, match=r"checkpoint-1: a checkpoint with complete\.json"):
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    again.args.save_only_model = True
    with pytest.raises(InputError, match="save_only_model = True: False, where a run is to go on"):
        again.train(resume_from_checkpoint=True)


POLYNOMIAL = {"max_steps": 2, "lr_scheduler_type": "polynomial"}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that has not been marked as finished."""
    folder = tmp_path_factory.mktemp("stopped")
    trainer(folder, **POLYNOMIAL).train()
    (folder / "record" / "finished.json").unlink()
    return folder


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr_scheduler_kwargs", {"power": 3.0}),
        ("train_sampling_strategy", "sequential"),
        ("dataloader_drop_last", True),
        ("router_aux_loss_coef", 0.0),
    ],
)
def test_another_setting_that_decides_the_numbers(stopped, tmp_path, name, value):
    """The record knows it, so that no run goes on with another."""
    shutil.copytree(stopped, tmp_path / "copy")
    with pytest.raises(InputError, match=f"{name} = "):
        trainer(tmp_path / "copy", **POLYNOMIAL, **{name: value}).train(resume_from_checkpoint=True)


def test_another_optimiser_or_other_weights(tmp_path):
    """Those that are given, not made from settings, are of the record too."""

    def run(folder, rate=0.1, frozen=()):
        policy = new_model(1)
        for name in frozen:
            policy.get_submodule(name).requires_grad_(False)
        optimizer = torch.optim.SGD([p for p in policy.parameters() if p.requires_grad], rate)
        SAILTrainer(
            policy, reward_funcs=few_letters, args=config(folder, **SAVED, max_steps=1),
            train_dataset=PAIRS, processing_class=tokenizer(), optimizers=(optimizer, None),
        ).train(resume_from_checkpoint=True)  # fmt: skip

    run(tmp_path)
    (tmp_path / "record" / "finished.json").unlink()
    run(tmp_path)
    for given, key in (({"rate": 0.2}, "optimizer"), ({"frozen": ["lm_head"]}, "trained")):
        (tmp_path / "record" / "finished.json").unlink()
        with pytest.raises(InputError, match=f"{key} = "):
            run(tmp_path, **given)
        (tmp_path / "record" / "finished.json").write_text("{}")
