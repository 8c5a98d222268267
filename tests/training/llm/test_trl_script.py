"""A script written for TRL's OnlineDPOTrainer trains by SAIL by two lines in the place of one."""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
pytest.importorskip("datasets", reason="the extra llm is not installed")

from sailtheory import InputError
from sailtheory.runs.read import read_record
from tests.support.llm_models import new_model, tokenizer

SCRIPT = (
    Path(__file__).parents[2].joinpath("support", "trl_online_dpo.py").read_text(encoding="utf-8")
)
TRL = "from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer\n"
SAIL = (
    "from sailtheory.training.llm import SAILConfig as OnlineDPOConfig\n"
    "from sailtheory.training.llm import SAILTrainer as OnlineDPOTrainer\n"
)


def run(text, tmp_path, monkeypatch, *typed):
    """What the script leaves behind: its trainer, and how far its model moved."""
    model = new_model(2)
    model.save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    arguments = list(typed) or [str(tmp_path / "model"), str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["script", *arguments])
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
    assert record.finished and record.method == "online-dpo"


NEUTRAL = """    top_p=1.0, top_k=0, min_p=None, repetition_penalty=1.0, use_vllm=False,
    loss_type="sigmoid", trust_remote_code=False, generation_kwargs=None,
    cache_implementation=None, reward_model_path=None, vllm_mode="colocate",
    vllm_server_port=8000,
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


PARSED = (
    Path(__file__)
    .parents[2]
    .joinpath("support", "trl_online_dpo_parsed.py")
    .read_text(encoding="utf-8")
)


def typed(tmp_path):
    """A command line for it, and what that needs."""
    from transformers import LlamaForSequenceClassification

    judge = new_model(1).config
    judge.num_labels = 1
    LlamaForSequenceClassification(judge).save_pretrained(tmp_path / "judge")
    tokenizer().save_pretrained(tmp_path / "judge")
    rows = [{"prompt": [{"role": "user", "content": f"Say {k}."}], "id": k} for k in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {
        "model_name_or_path": tmp_path / "model", "reward_model_path": tmp_path / "judge",
        "dataset_name": tmp_path / "rows.jsonl", "output_dir": tmp_path / "out",
        "learning_rate": "5.0e-3", "per_device_train_batch_size": 2, "warmup_steps": 0.1,
        "gradient_accumulation_steps": 2, "missing_eos_penalty": 1.0, "max_steps": 2,
        "max_new_tokens": 8, "max_length": 64, "beta": 0.2, "temperature": 0.8,
        "eval_strategy": "steps", "eval_steps": 2,
        "report_to": "none", "use_cpu": True, "activation_checkpointing": False,
    }  # fmt: skip
    return [text for key, value in given.items() for text in (f"--{key}", str(value))]


def test_two_lines_of_a_script_that_reads_its_command_line(tmp_path, monkeypatch):
    """The reward model by its flag, held-out data, TRL's own callback that reads them."""
    pytest.importorskip("trl")
    assert PARSED.count(TRL) == 1
    line = typed(tmp_path)
    trainer, moved = run(PARSED.replace(TRL, SAIL), tmp_path, monkeypatch, *line)
    assert type(trainer).__module__.startswith("sailtheory.") and moved > 0
    args = trainer.args
    assert (args.reward_model_path, args.beta) == (str(tmp_path / "judge"), 0.2)
    assert (args.warmup_steps, args.temperature, args.max_length) == (0.1, 0.8, 64)
    assert any("eval_loss" in row for row in trainer.state.log_history)
    [logged] = [c for c in trainer.callback_handler.callbacks if hasattr(c, "table")]
    assert [row[1].count("Say ") for row in logged.table] == [1, 1]
    record = read_record(tmp_path / "out" / "record")
    assert record.finished and record.config["rewards"] == [str(tmp_path / "judge")]
    trainer.create_model_card(model_name="a", dataset_name="my data")  # as when pushed to a hub
    assert "my data" in (tmp_path / "out" / "README.md").read_text()


def test_that_script_as_it_was(tmp_path, monkeypatch):
    """TRL's trainer runs it, but for the evaluation, of which it is not able."""
    pytest.importorskip("trl")
    line = [*typed(tmp_path), "--eval_strategy", "no"]
    trainer, moved = run(PARSED, tmp_path, monkeypatch, *line)
    assert type(trainer).__module__.startswith("trl.") and moved > 0


def test_a_reward_model_by_its_path_alone(tmp_path):
    """Where the trainer is given no reward, that of the settings judges."""
    from sailtheory.training.llm import SAILTrainer
    from tests.support.llm_models import PAIRS, config

    typed(tmp_path)
    folder = str(tmp_path / "judge")
    trainer = SAILTrainer(
        new_model(1), args=config(tmp_path / "out", reward_model_path=folder, max_steps=1),
        train_dataset=PAIRS, processing_class=tokenizer(),
    )  # fmt: skip
    trainer.train()
    assert read_record(tmp_path / "out").config["rewards"] == [folder]


def test_every_field_and_flag_of_trl():
    """Read at its neutral value, and parsed from the same command lines."""
    pytest.importorskip("trl")
    from trl import ModelConfig, ScriptArguments, TrlParser
    from trl.experimental.online_dpo import OnlineDPOConfig

    from sailtheory.training.llm import SAILConfig
    from sailtheory.training.llm.trl_settings import TRLSettings

    mine = {f.name: f for f in dataclasses.fields(SAILConfig)}
    theirs = {f.name: f for f in dataclasses.fields(OnlineDPOConfig)}
    assert set(theirs) <= set(mine)
    inherited = {f.name for f in dataclasses.fields(TRLSettings.__base__)}
    for field in dataclasses.fields(TRLSettings):
        if field.name not in inherited | {"no_gradient_checkpointing"}:
            assert theirs[field.name].default == field.default, field.name
            assert getattr(SAILConfig(), field.name) == field.default

    def parser(config):
        return TrlParser((ScriptArguments, config, ModelConfig))

    flags = [{o for a in parser(c)._actions for o in a.option_strings}
             for c in (OnlineDPOConfig, SAILConfig)]  # fmt: skip
    assert flags[0] <= flags[1]
    lines = [
        "--beta 0.3 --reward_weights 1 2 --min_p none --top_k 0 --no_gradient_checkpointing",
        "--ds3_gather_for_generation --trust_remote_code False --loss_type sigmoid --use_vllm no",
        "--reward_model_path a --vllm_mode server --vllm_server_port 1 --use_peft --lora_r 4",
        "--dataset_name d --dtype bfloat16 --max-length 99 --warmup_steps 0.1 --bf16 False",
        '--model_init_kwargs {"dtype":"bfloat16"} --report_to none --logging_steps 3',
    ]
    for line in lines:
        words = [*line.split(), "--output_dir", "o", "--use_cpu"]
        (script, args, model), (script2, args2, model2) = (
            parser(c).parse_args_into_dataclasses(words, look_for_args_file=False)
            for c in (SAILConfig, OnlineDPOConfig)
        )
        assert (script, model) == (script2, model2)
        for word in words:
            name = word.removeprefix("--").replace("-", "_")
            if word.startswith("--") and name in theirs:
                assert getattr(args, name) == getattr(args2, name), name
    with pytest.raises(InputError, match="ds3_gather_for_generation = False: not offered"):
        parser(SAILConfig).parse_args_into_dataclasses(["--no_ds3_gather_for_generation"])
    with pytest.raises(InputError, match=r"beta = .*: a finite number"):
        parser(SAILConfig).parse_args_into_dataclasses(["--beta", "0.2", "0.1"])


def test_the_script_as_it_was(tmp_path, monkeypatch):
    """The unchanged script is one that TRL runs."""
    pytest.importorskip("trl")
    trainer, moved = run(SCRIPT, tmp_path, monkeypatch)
    assert type(trainer).__module__.startswith("trl.")
    assert trainer.state.global_step == 2 and moved > 0
