"""Several processes, bfloat16, and the settings that are shipped for both."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

import torch

from sailtheory.runs.read import read_record
from sailtheory.training.llm import scale
from sailtheory.training.llm.generate import sample
from tests.support import llm_enumeration as tiny
from tests.support import two_processes
from tests.support.llm_models import new_model, train

ROOT = Path(__file__).parents[3]


def test_two_processes_take_the_step_of_one(tmp_path):
    """torchrun, gloo, CPU: 2 × 4 prompts are 1 × 8, and the record holds means over all 8."""
    two_processes.main(tmp_path / "one", 8)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        str(Path(two_processes.__file__)), str(tmp_path / "two"), "8",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = (torch.load(tmp_path / name / "weights.pt") for name in ("one", "two"))
    start = torch.cat([p.detach().reshape(-1) for p in new_model(2).double().parameters()])
    assert (one - start).norm() > 1e-3
    assert (one - two).norm() < 1e-5 * (one - start).norm()  # Llama's norms are in float32
    rows = [json.loads((tmp_path / name / "rows.json").read_text()) for name in ("one", "two")]
    assert [row.pop("processes") for row in rows] == [1, 2]
    assert set(rows[0]) == set(rows[1])
    for name in ("loss/dpr", "loss/kl", "rewards/mean", "rewards/ties", "completions/length"):
        assert rows[1][name] == pytest.approx(rows[0][name], abs=1e-6)


def test_bfloat16(tmp_path):
    """Both models in the same arithmetic: no KL before the first update; samples fit the loss."""
    trainer, moved = train(tmp_path, kl_coef=0.1, bf16=True, log_kl_steps=1)
    record = read_record(tmp_path / "record")
    assert moved and all(math.isfinite(float(value)) for _, _, value in record.rows)
    assert record.series("kl_ref_policy")[1][0] == pytest.approx(0, abs=1e-5)
    assert record.series("kl_policy_ref")[1][0] == pytest.approx(0, abs=1e-5)
    assert next(trainer.model.parameters()).dtype == torch.float32


def test_shards_draw_until_all_have_ended():
    """A process whose rows have ended goes on as long as others draw; its rows stay the same."""
    model = tiny.tiny(3, 0)
    prompts, keys = [(1,), (2, 1)], [("a", 0), ("a", 1)]
    asked, calls = [], []
    model.register_forward_pre_hook(lambda *_: calls.append(0))
    alone = sample(model, prompts, keys, max_new_tokens=12, end=[0])
    assert len(calls) < 12
    calls.clear()

    def never(ended):
        asked.append(ended)
        return False

    together = sample(model, prompts, keys, max_new_tokens=12, end=[0], everywhere=never)
    assert len(calls) == 12 and asked[-1] and not asked[0]
    assert together.tokens == alone.tokens and torch.equal(together.log_probs, alone.log_probs)


@pytest.mark.parametrize("name", scale.config_files())
def test_shipped_files_are_accelerate_s(name, capsys):
    from accelerate.commands.config.config_args import load_config_from_file

    found = load_config_from_file(str(scale.config_file(name)))
    assert found.mixed_precision == "bf16" and found.num_processes > 1
    assert scale.main([name]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


def test_an_unknown_file(capsys):
    assert scale.main(["zero4"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("name = zero4: one of deepspeed_zero2") and said.count("\n") == 1
