"""A run killed by SIGKILL, wherever and however often, ends bitwise as one left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)

import torch

from sailtheory import InputError
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILTrainer
from tests.support import killable_llm as killable
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer, train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-m", "tests.support.killable_llm", str(folder)]
    with open(folder / "output", "w") as output:
        done = subprocess.run(command, stdout=output, stderr=output, timeout=900, check=False)
    assert done.returncode == 0, (folder / "output").read_text()[-3000:]
    return folder


@pytest.fixture(scope="module")
def killed(runs):
    return json.loads((runs / "killed.json").read_text())


def left_behind(folder):
    metrics = (folder / "record" / "metrics.csv").read_bytes()
    return metrics, torch.load(folder / "weights.pt", weights_only=True)


def test_left_alone(runs):
    record = read_record(runs / "alone" / "record")
    assert record.finished and record.rows[-1][0] == killable.STEPS
    assert len(record.series("loss/kl")[1]) == killable.STEPS


@pytest.mark.parametrize("where", [*killable.KILLS, "again and again"])
def test_killed(runs, killed, where):
    assert killed[where] == (len(killable.AGAIN) if where == "again and again" else 1)
    metrics, weights = left_behind(runs / where)
    alone = left_behind(runs / "alone")
    assert metrics == alone[0]
    assert list(weights) == list(alone[1])
    assert all(torch.equal(weights[name], alone[1][name]) for name in weights)
    assert read_record(runs / where / "record").finished


def test_a_torn_checkpoint_is_refused_by_name(tmp_path, killed):
    """The kill left checkpoint-4 torn beside a whole checkpoint-2, which one limit kept."""
    assert {"checkpoint-2", "checkpoint-4"} <= set(killed["left by a torn write"])
    trainer, _ = train(tmp_path, max_steps=1)
    torn = tmp_path / "checkpoint-4"
    torn.mkdir()
    with pytest.raises(InputError, match=r"checkpoint-4: a checkpoint with complete\.json"):
        trainer.train(resume_from_checkpoint=torn)


def test_another_run_is_not_continued(tmp_path):
    train(tmp_path, max_steps=1)
    trainer, _ = train(tmp_path / "b", max_steps=1)
    trainer.args.output_dir, trainer.args.beta = str(tmp_path), 0.5
    with pytest.raises(InputError, match=r"beta = 0\.5"):
        trainer.train(resume_from_checkpoint=True)


def test_killed_after_its_last_checkpoint_a_run_makes_no_update_more(tmp_path):
    """Three updates are no whole number of passes; transformers alone would make a fourth."""
    settings = {"max_steps": 3, "save_strategy": "steps", "save_steps": 1,
                "lr_scheduler_type": "constant"}  # fmt: skip
    trainer, _ = train(tmp_path, **settings)
    metrics = (tmp_path / "record" / "metrics.csv").read_bytes()
    weights = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    (tmp_path / "record" / "finished.json").unlink()
    again = SAILTrainer(
        new_model(), reward_funcs=few_letters, args=config(tmp_path, **settings),
        train_dataset=PAIRS, processing_class=tokenizer(),
    )  # fmt: skip
    found = again.train(resume_from_checkpoint=True)
    assert found.global_step == 3 and not (tmp_path / "checkpoint-4").exists()
    assert (tmp_path / "record" / "metrics.csv").read_bytes() == metrics
    assert read_record(tmp_path / "record").finished
    assert all(torch.equal(weights[n], p) for n, p in again.model.named_parameters())
