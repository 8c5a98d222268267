"""Two lines for a user of TRL, on real runs: what is found, and that the run stays as it is."""

from __future__ import annotations

import copy
import random
import warnings

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("trl", reason="the extra trl is not installed")
pytest.importorskip("datasets", reason="the extra llm is not installed")
pytest.importorskip("peft", reason="the extra llm is not installed")

import datasets
import peft
import torch
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.problem.problem_file import load
from sailtheory.run_audit import AuditCallback
from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.read import read_run
from sailtheory.run_audit.standing import Standing
from sailtheory.training.llm import SAILTrainer
from tests.support.llm_models import config, few_letters, new_model, tokenizer

HOLDS, VIOLATED, UNKNOWN = Standing
PROMPTS = [{"prompt": f"Say something about the {thing}."} for thing in ("river", "sea") * 20]


def reward(completions, **_):
    return [-len(text) / 10 for text in completions]


def online_dpo(folder, callback=None, *, steps=4, reference=None, **options):
    """A run of TRL; what it ends with."""
    torch.manual_seed(0)
    model = new_model(1)
    settings = {
        "per_device_train_batch_size": 2, "max_new_tokens": 6, "max_length": 64, "beta": 0.1,
        "learning_rate": 1e-3, "max_steps": steps, "logging_steps": 1, "report_to": "none",
        "activation_checkpointing": False, "use_cpu": True, "save_strategy": "no",
        "disable_tqdm": True,
    } | options  # fmt: skip
    peft_config = settings.pop("peft_config", None)
    trainer = OnlineDPOTrainer(
        model=model, ref_model=None if peft_config else reference or copy.deepcopy(model),
        reward_funcs=reward, args=OnlineDPOConfig(str(folder), **settings),
        train_dataset=datasets.Dataset.from_list(PROMPTS), processing_class=tokenizer(),
        peft_config=peft_config,
    )  # fmt: skip
    if callback is not None:
        trainer.add_callback(callback(trainer))
    trainer.train()
    trainer.save_state()
    return trainer


def ending(trainer):
    """Weights, optimiser, and every generator of random numbers."""
    held = trainer.optimizer.state_dict()["state"]
    moments = [v.numpy().tobytes() for row in held.values() for v in row.values()]
    weights = [p.detach().numpy().tobytes() for p in trainer.model.parameters()]
    python, numpy = random.getstate(), np.random.get_state()[1].tolist()
    return weights, moments, torch.get_rng_state().tolist(), python, numpy


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run with and without the callback."""
    folder = tmp_path_factory.mktemp("trl")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        watched = online_dpo(folder / "watched", lambda t: AuditCallback(t, share=1.0))
        alone = online_dpo(folder / "alone")
    return folder, watched, alone


def test_nothing_in_the_run_changes(runs):
    _, watched, alone = runs
    assert ending(watched) == ending(alone)
    assert [row.get("loss") for row in watched.state.log_history] == [
        row.get("loss") for row in alone.state.log_history
    ]


def test_what_is_found_on_a_run_of_trl(runs):
    found = audit(read_run(runs[0] / "watched"))
    standing = {line.key: line.standing for line in found.lines}
    assert standing == {
        "reference": HOLDS, "ball": HOLDS, "linear": VIOLATED, "preferences": VIOLATED,
        "divergence": VIOLATED, "score": HOLDS, "threshold": VIOLATED, "step": VIOLATED,
        "noise": UNKNOWN, "pl": UNKNOWN, "budgets": UNKNOWN, "finite": HOLDS,
    }  # fmt: skip
    assert "γ = 0" in found["divergence"].why and "2β = 0.2" in found["threshold"].why
    assert "cosine" in found["step"].why  # AdamW
    assert found.view.trace.kind == ("a log of AuditCallback, with a folder of TRL or transformers")
    assert found.view.trace.spent["updates"] == 4.0
    assert "loss" in found.view.trace.series


def test_log_ratios_are_those_of_the_models(runs):
    """The last measurement is before the last update: with an end of its own, of TRL's forward."""
    folder, watched, _ = runs
    trace = read_run(folder / "watched")
    assert np.abs(trace.points[0].log_ratios).max() == 0 and trace.points[0].distance == 0
    assert np.abs(trace.points[-1].log_ratios).max() > 0
    assert all(np.ptp(point.reference) == 0 for point in trace.points)
    moved = [
        (a - b).detach()
        for a, b in zip(watched.model.parameters(), new_model(1).parameters(), strict=True)
    ]
    far = float(torch.stack([each.square().sum() for each in moved]).sum().sqrt())
    assert trace.points[-1].distance == pytest.approx(far, rel=0.3)


def test_the_command_and_its_page(runs, tmp_path, capsys):
    folder = runs[0]
    page = tmp_path / "page.html"
    arm = ["--arm", str(folder / "alone")]
    assert main(["audit", str(folder / "watched"), *arm, "--html", str(page)]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "Violated: linear, preferences, divergence, threshold, step." in shown
    assert "Of 12 assumptions 5 hold" in shown  # budgets too
    assert "gap of log-linearity" in page.read_text("utf-8")
    problem = load(folder / "watched" / "audit" / "problem.npz")  # every command takes it
    assert problem.prompts == 4 and problem.responses == (4, 4, 4, 4)


def test_a_reference_that_follows_is_found(tmp_path):
    """As TR-DPO, and sync_ref_model, do."""
    from transformers import TrainerCallback

    class Sync(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **_):
            if state.global_step == 2:
                trainer.ref_model.load_state_dict(model.state_dict())

    trainer = None

    def callback(made):
        nonlocal trainer
        trainer = made
        made.add_callback(Sync())
        return AuditCallback(made, share=1.0, prompts=1, candidates=2)

    online_dpo(tmp_path, callback)
    line = audit(read_run(tmp_path))["reference"]
    assert line.standing is VIOLATED and "at step 2" in line.why


def test_the_reference_of_an_adapter_is_the_model_without_it(tmp_path):
    lora = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], r=4)
    trainer = online_dpo(
        tmp_path, lambda t: AuditCallback(t, share=1.0, prompts=1), peft_config=lora
    )
    found = audit(read_run(tmp_path))
    assert found["reference"].standing is HOLDS
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    assert trained < 5000 and found["ball"].standing is HOLDS
    assert found.view.trace.problem is not None


def test_our_own_trainer(tmp_path):
    trainer = SAILTrainer(
        model=new_model(1), reward_funcs=few_letters,
        args=config(tmp_path, "online-dpo", kl_coef=0.25, max_new_tokens=6, max_steps=3),
        train_dataset=PROMPTS, processing_class=tokenizer(),
    )  # fmt: skip
    trainer.add_callback(AuditCallback(trainer, share=1.0, prompts=2))
    trainer.train()
    found = audit(read_run(tmp_path))
    assert "a record of SAILTrainer" in found.view.trace.kind
    for key in ("reference", "preferences", "divergence", "score", "threshold"):
        assert found[key].standing is HOLDS, found[key].why
    assert found["linear"].standing is VIOLATED


def test_an_error_while_measuring_does_not_end_the_run(tmp_path, monkeypatch):
    def failing(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr("sailtheory.run_audit.callback.draw", failing)
    with pytest.warns(UserWarning, match="RuntimeError: no memory"):
        trainer = online_dpo(tmp_path, lambda t: AuditCallback(t, share=1.0), steps=2)
    assert trainer.state.global_step == 2
    assert any("no memory" in note for note in read_run(tmp_path).notes)


def test_a_run_too_short_for_its_share_says_so(tmp_path):
    with pytest.warns(UserWarning, match=r"more than share = 0\.05"):
        online_dpo(tmp_path, AuditCallback, steps=2)
    trace = read_run(tmp_path)
    assert trace.points == () and any("share = 0.05" in note for note in trace.notes)
    assert audit(trace)["divergence"].standing is VIOLATED  # its settings are known all the same


def test_bad_values_are_refused(tmp_path):
    for wrong in ({"prompts": 0}, {"candidates": 1}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            AuditCallback(None, **wrong)
    with pytest.raises(InputError, match="share"):
        online_dpo(tmp_path, lambda t: AuditCallback(t, share=0.0), steps=1)
