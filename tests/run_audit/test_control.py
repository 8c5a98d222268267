"""A real run of ``train control`` under the audit: what its record shows."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")
pytest.importorskip("gymnasium", reason="the extra rl is not installed")

from sailtheory.cli import main
from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.read import read_run
from sailtheory.run_audit.standing import Standing

SMALL = (
    "steps=420", "random_steps=50", "entropy_steps=50", "sac.width=8", "sac.batch=8",
    "reward.width=8", "reward.epochs=1", "feedback.segment=5", "feedback.every=100",
    "feedback.queries=4", "feedback.maximum=12", "reference.since=250", "reference.every=100",
    "reference.radius=0.5", "kl_coef=0.25", "sail.states=8", "sail.value=reward",
    "log_every=20", "evaluate_every=420", "evaluation_episodes=1", "checkpoint_every=420",
)  # fmt: skip


def test_a_control_run(tmp_path, capsys):
    given = [word for pair in SMALL for word in ("--set", pair)]
    start = ["train", "control", "--task", "Pendulum-v1", "--method", "sail-revkl"]
    assert main([*start, "--seeds", "0:1", "--out", str(tmp_path), *given]) == 0
    found = audit(read_run(tmp_path / "seed-0"))
    assert {line.key for line in found.violated} == {"reference", "preferences", "step"}
    assert "taken at step 250 and anew at step 350" in found["reference"].why
    assert "fitted anew at step 300" in found["preferences"].why
    for key in ("ball", "divergence", "score", "finite"):
        assert found[key].standing is Standing.HOLDS
    capsys.readouterr()
    assert main(["audit", str(tmp_path / "seed-0")]) == 1
    assert "a record of train control" in capsys.readouterr().out
