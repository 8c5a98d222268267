"""What ``sailtheory train llm`` tells, and that it asks no hub without need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("safetensors", reason="the extra llm is not installed")

import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("peft", reason="the extra llm is not installed")
pytest.importorskip("vaderSentiment", reason="the extra llm is not installed")

from sailtheory.cli import main
from sailtheory.runs.read import read_record
from sailtheory.training.llm import models
from tests.support.llm_folder import save_model

NAME = "smollm2-135m"
SHORT = ["--set", "batch=2", "--set", "max_new_tokens=4", "--set", "device=cpu"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAILTHEORY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def run(capsys, *arguments):
    code = main(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err.strip()


def test_what_a_run_tells_reads_well(model, tmp_path, capsys):
    """A warning without its line of source; a stop that says where the batch is."""
    typed = ["train", "llm", "--data", "prompts", "--tune", "full", "--reward", "format:no",
             "--steps", "1", *SHORT]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # once for each place, as outside of tests
        shown = warnings.showwarning
        code, _, err = run(capsys, *typed, "--model", model, "--out", str(tmp_path / "q"),
                           "--method", "sail-dpr")  # fmt: skip
        assert warnings.showwarning is shown
    assert code == 0
    told = [line for line in err.splitlines() if "tied" in line or "warn" in line]
    assert told == ["sailtheory: warning: all pairs of a batch are tied: p = 1/2 throughout"]
    [note] = [line for line in err.splitlines() if "note:" in line]
    assert note.startswith("sailtheory: note: score_weight = 1: the score term favours pairs")
    assert read_record(tmp_path / "q").config["score_term"] in note
    code, _, err = run(capsys, *typed, "--model", model, "--out", str(tmp_path / "online"),
                       "--policy-kl-coef", "0.1")  # fmt: skip
    assert code == 0 and "note:" not in err
    record = read_record(tmp_path / "online")
    assert record.config["score_term"] is None and record.config["policy_kl_coef"] == 0.1
    assert "loss/policy_kl" in record.names()
    from transformers import AutoModelForCausalLM

    broken = models.load(AutoModelForCausalLM, "model", model)
    with torch.no_grad():
        broken.model.norm.weight[3] = torch.nan
    broken.save_pretrained(tmp_path / "broken")
    models.load_tokenizer(model).save_pretrained(tmp_path / "broken")
    out = tmp_path / "p"
    code, _, err = run(capsys, *typed, "--model", str(tmp_path / "broken"), "--out", str(out))
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("sailtheory: logits = nan: ")
    path = last.partition("; the batch is in ")[2]
    assert json.loads(Path(path).read_text())["step"] == 0


def test_without_a_network_no_hub_is_asked_twice(model, tmp_path):
    """A fresh process, whose hub has a name that does not resolve."""
    code = (
        "import os, sys; from sailtheory.cli import main; code = main(sys.argv[1:]); "
        "print(os.environ.get('HF_HUB_OFFLINE')); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "llm", "--model", "nobody/nothing", "--data",
         "prompts", "--out", str(tmp_path / "q")],
        env={**os.environ, "HF_ENDPOINT": "http://nowhere.invalid"}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (2, "1")  # it was told not to ask
    assert len(done.stderr.strip().splitlines()) == 1 and "hf download" in done.stderr
