"""benchmarks.gpu, in small on a CPU: what it writes, and what it does with checks that fail."""

from __future__ import annotations

import json
import time

import pytest

pytest.importorskip("stable_baselines3", reason="the extra peers is not installed")

from benchmarks import gpu


def test_each_check_is_written_when_it_is_done(tmp_path, monkeypatch):
    """All but the language model, whose step is the benchmark's own (tests of its trainers)."""
    out = tmp_path / "gpu.json"

    def broken(device, small):
        raise ValueError("no such kernel")

    def slow(device, small):
        written = json.loads(out.read_text(encoding="utf-8"))["checks"]
        assert list(written) == ["hessians", "broken"]  # whatever comes later
        time.sleep(60)

    more = {"broken": (broken, 5), "slow": (slow, 0.05)}
    monkeypatch.setattr(gpu, "CHECKS", gpu.CHECKS | more)
    gpu.run("cpu", str(out), small=True, only=["hessians", "broken", "slow", "curvature", "sac"])
    found = json.loads(out.read_text(encoding="utf-8"))["checks"]
    assert {name: check["passed"] for name, check in found.items()} == {
        "hessians": True, "broken": False, "slow": False, "curvature": True, "sac": True,
    }  # fmt: skip
    assert found["broken"]["error"] == "ValueError: no such kernel"
    assert found["slow"]["error"].startswith("TimeoutError") and found["slow"]["wall_seconds"] < 30
    assert found["sac"]["ratio"] > 0 and found["sac"]["seeds"] == 2
    assert gpu.run("cpu", None, limit=0, only=["sac"])["checks"]["sac"]["passed"] is False


def test_the_checks_fit_into_eight_minutes():
    assert sum(most for _, most in gpu.CHECKS.values()) <= 480
