"""The seed decides every number of a run, whatever was drawn before it or beside it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("peft", reason="the extra llm is not installed")

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from sailtheory.cli import main
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILConfig, SAILTrainer
from sailtheory.training.llm.models import load_tokenizer
from sailtheory.training.llm.oracles import oracle
from tests.support.llm_folder import save_model
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer

STEPS, BATCH = 3, 2
ROWS = [{"prompt": [{"role": "user", "content": row["prompt"]}]} for row in PAIRS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("runs")
    save_model(found / "model")
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (found / "data.jsonl").write_text(lines)
    return found


def typed(folder, out, seed):
    return [
        "train", "llm", "--model", str(folder / "model"), "--data", str(folder / "data.jsonl"),
        "--out", str(folder / out), "--seed", str(seed), "--reward", "length:5", "--steps",
        str(STEPS), "--set", f"batch={BATCH}", "--set", "max_new_tokens=4", "--set", "device=cpu",
        "--set", "learning_rate=0.01", "--set", "log_kl_steps=1", "--kl-coef", "0.1",
        "--tune", "lora",
    ]  # fmt: skip


def metrics(folder):
    return (folder / "record" / "metrics.csv").read_bytes()


@pytest.fixture(scope="module")
def zero(folder):
    """The metrics of seed 0, by the command in this process."""
    torch.manual_seed(99)
    assert main(typed(folder, "zero", 0)) == 0
    return metrics(folder / "zero")


def test_lora_in_this_process_is_lora_in_a_fresh_one(folder, zero):
    """New adapters are made from the seed, not from what the process drew before."""
    done = subprocess.run(
        [sys.executable, "-m", "sailtheory", *typed(folder, "fresh", 0)],
        env=os.environ | {"PYTHONHASHSEED": "7"}, capture_output=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert metrics(folder / "fresh") == zero
    assert len(set(read_record(folder / "fresh").series("kl_policy_ref")[1])) == STEPS


def test_another_seed_is_another_run(folder, zero):
    assert main(typed(folder, "one", 1)) == 0
    assert metrics(folder / "one") != zero


def test_the_command_is_the_trainer(folder, zero):
    """In Python, with generators that stand elsewhere when it is made and when it trains."""
    torch.manual_seed(1)
    args = SAILConfig(
        str(folder / "python"), seed=0, max_steps=STEPS, per_device_train_batch_size=BATCH,
        max_new_tokens=4, use_cpu=True, learning_rate=0.01, log_kl_steps=1, tune="lora",
        kl_coef=0.1,
        save_strategy="no", report_to=[], disable_tqdm=True,
    )  # fmt: skip
    trainer = SAILTrainer(
        AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32),
        reward_funcs=oracle("length:5"), args=args, train_dataset=ROWS,
        processing_class=load_tokenizer(str(folder / "model")),
    )  # fmt: skip
    torch.manual_seed(2)
    trainer.train()
    assert metrics(folder / "python") == zero


def run(folder, reward=few_letters, between=None, **options):
    """The record of a run in which other numbers are drawn before it trains."""
    options = {"max_steps": 4, "save_strategy": "no"} | options
    trainer = SAILTrainer(
        new_model(2, dropout=0.3), reward_funcs=reward, args=config(folder, **options),
        train_dataset=PAIRS[:6], eval_dataset=PAIRS[6:], processing_class=tokenizer(),
    )  # fmt: skip
    if between is not None:
        between()
    trainer.train()
    return metrics(folder)


def elsewhere():
    """Every global generator stands somewhere else."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(12345)


def by_chance(completions, **_):
    """A reward that draws from all global generators."""
    return [random.random() + np.random.rand() + float(torch.rand(1)) for _ in completions]


def test_the_order_of_the_data_is_of_the_seed(tmp_path):
    """Not of the seed that some other trainer set last."""
    assert run(tmp_path / "a") == run(tmp_path / "b", between=elsewhere)
    assert run(tmp_path / "a1", seed=1) != metrics(tmp_path / "a")


def test_rewards_and_dropout_that_draw_are_of_the_seed(tmp_path):
    options = {"reward": by_chance, "disable_dropout": False}
    first = run(tmp_path / "a", **options)
    assert run(tmp_path / "b", between=elsewhere, **options) == first
    assert run(tmp_path / "c", seed=1, **options) != first


def test_evaluation_draws_nothing_from_training(tmp_path):
    """With dropout and with such a reward, the numbers of training are the same beside it."""
    options = {"reward": by_chance, "disable_dropout": False}
    alone = run(tmp_path / "a", **options)
    watched = run(tmp_path / "b", eval_strategy="steps", eval_steps=1, **options)
    assert watched == alone
