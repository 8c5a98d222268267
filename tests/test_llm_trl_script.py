"""A script written for TRL's OnlineDPOTrainer trains by SAIL by two lines in the place of one."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
pytest.importorskip("datasets", reason="the extra llm is not installed")

from sailtheory.training.record import read_record
from tests.llm_models import new_model, tokenizer

SCRIPT = Path(__file__).with_name("trl_online_dpo.py").read_text(encoding="utf-8")
TRL = "from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer\n"
SAIL = (
    "from sailtheory.training.llm import SAILConfig as OnlineDPOConfig\n"
    "from sailtheory.training.llm import SAILTrainer as OnlineDPOTrainer\n"
)


def run(text, tmp_path, monkeypatch):
    """What the script leaves behind: its trainer, and how far its model moved."""
    model = new_model(2)
    model.save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    monkeypatch.setattr(sys, "argv", ["script", str(tmp_path / "model"), str(tmp_path / "out")])
    names: dict = {}
    exec(compile(text, "script", "exec"), names)
    pairs = zip(model.parameters(), names["trainer"].model.parameters(), strict=True)
    return names["trainer"], sum(float((a - b).detach().norm()) for a, b in pairs)


def test_two_lines(tmp_path, monkeypatch):
    assert SCRIPT.count(TRL) == 1
    changed = SCRIPT.replace(TRL, SAIL)
    difference = list(difflib.ndiff(SCRIPT.splitlines(), changed.splitlines()))
    assert [sum(line.startswith(sign) for line in difference) for sign in "-+"] == [1, 2]
    torch.manual_seed(0)
    trainer, moved = run(changed, tmp_path, monkeypatch)
    assert type(trainer).__module__.startswith("sailtheory.") and "from trl" not in changed
    assert trainer.state.global_step == 2 and moved > 0
    assert any("loss/dpr" in row for row in trainer.state.log_history)
    record = read_record(tmp_path / "out" / "record")
    assert record.finished and record.method == "sail-dpr"


NEUTRAL = """    top_p=1.0, top_k=0, min_p=None, repetition_penalty=1.0, use_vllm=False,
    loss_type="sigmoid", trust_remote_code=False, generation_kwargs=None,
    cache_implementation=None, reward_model_path=None,
"""
METRICS = "    compute_metrics=None, preprocess_logits_for_metrics=None,\n"


def test_settings_that_change_nothing(tmp_path, monkeypatch):
    """TRL's defaults, spelled out: the same numbers as without them."""
    weights = []
    for name, settings in (("a", ""), ("b", NEUTRAL + "    ds3_gather_for_generation=True,\n"),
                           ("c", NEUTRAL.replace("top_k=0", "top_k=None"))):  # fmt: skip
        text = SCRIPT.replace(TRL, SAIL)
        if settings:
            text = text.replace("    max_steps=2,\n", f"    max_steps=2,\n{settings}")
            text = text.replace("    model=model,\n", f"    model=model,\n{METRICS}")
        (tmp_path / name).mkdir()
        trainer, _ = run(text, tmp_path / name, monkeypatch)
        weights.append([p.detach().clone() for p in trainer.model.parameters()])
    for other in weights[1:]:
        assert all(torch.equal(p, q) for p, q in zip(weights[0], other, strict=True))


def test_trl_takes_these_settings():
    pytest.importorskip("trl")
    from trl.experimental.online_dpo import OnlineDPOConfig

    known = {field.name: field for field in dataclasses.fields(OnlineDPOConfig)}
    given = eval(f"dict({NEUTRAL})")
    assert given.items() == {name: known[name].default for name in given}.items()


def test_the_script_as_it_was(tmp_path, monkeypatch):
    """The unchanged script is one that TRL runs."""
    pytest.importorskip("trl")
    trainer, moved = run(SCRIPT, tmp_path, monkeypatch)
    assert type(trainer).__module__.startswith("trl.")
    assert trainer.state.global_step == 2 and moved > 0
