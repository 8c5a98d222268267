"""The audit of a run with groups of rewards: which KL it has, and what its rewards would need."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.log_file import LogWriter
from sailtheory.run_audit.read import read_run
from sailtheory.run_audit.standing import Standing
from sailtheory.run_audit.trace import Facts
from sailtheory.run_audit.trainer_facts import told_by

G = 4


def trainer(name="GRPOTrainer", **settings):
    made = type(name, (), {})()
    made.args = SimpleNamespace(num_generations=G, beta=0.04, **settings)
    return made


def run(tmp_path, told, *, completions=True, gamma=None):
    """A folder as TRL with AuditCallback leaves it; prompts with pass rates ¼ and ¾."""
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 1}]}))
    if told is not None:
        facts = told.facts if gamma is None else Facts(gamma=gamma, group=G, scaled=True)
        log = LogWriter(tmp_path / "audit")
        log.begin(facts, stated=told.stated, preferences=None, problem=None)
    if completions:
        pandas = pytest.importorskip("pandas")
        rows = [{"step": 1, "prompt": p, "completion": str(k), "verifier": float(k < right)}
                for p, right in (("a", 1), ("b", 3)) for k in range(G)]  # fmt: skip
        (tmp_path / "completions").mkdir()
        pandas.DataFrame(rows).to_parquet(tmp_path / "completions" / "completions_00001.parquet")
    return audit(read_run(tmp_path))


def _path(p, d):
    """(1 − p)f'(p) by the binomial sum, d_k the deviation of k correct ones."""
    slope = sum(
        math.comb(G, k) * k * (G - k) / G**2 / d(k) * p ** (k - 1) * (1 - p) ** (G - k - 1)
        for k in range(1, G)
    )
    return (1 - p) * slope


def test_k_and_the_prompts_of_a_grpo_run(tmp_path):
    told = told_by(trainer(scale_rewards="group", use_bias_correction_kl=True))
    line = run(tmp_path, told)["threshold"]
    assert line.standing is Standing.VIOLATED
    assert "ratio" in line.why and "C34" in line.why
    deviation = lambda k: math.sqrt(k * (G - k) / (G * (G - 1))) + 1e-4  # noqa: E731
    k = (1 - 1 / G) / deviation(1)
    low, high = (_path(p, deviation) for p in (0.75, 0.25))
    assert f"K = {k:.4g}" in line.why
    assert f"prompts need {low:.3g} to {high:.3g} alone" in line.why


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (trainer(scale_rewards="none", use_bias_correction_kl=False), "K = 0.75 for Dr. GRPO"),
        (trainer(scale_rewards="batch", use_bias_correction_kl=True), "deviation over the batch"),
        (trainer("RLOOTrainer", normalize_advantages=False), "K = 1 for reward"),
    ],
)
def test_other_advantages(made, says, tmp_path):
    assert says in run(tmp_path, told_by(made), completions=False)["threshold"].why


def test_which_kl_is_told_by_the_settings():
    k3 = told_by(trainer(scale_rewards="group", use_bias_correction_kl=False)).stated["divergence"]
    ratio = told_by(trainer(scale_rewards="group", use_bias_correction_kl=True)).stated
    rloo = told_by(trainer("RLOOTrainer", normalize_advantages=False)).stated["divergence"]
    assert "KL(π_ref‖π_θ) token by token" in k3.why
    assert "KL(π_θ‖π_ref) token by token" in ratio["divergence"].why
    assert "in the reward" in rloo.why


def test_a_gamma_of_the_sequence_kl_is_no_proof_over_tokens(tmp_path):
    told = told_by(trainer(scale_rewards="group", use_bias_correction_kl=True))
    line = run(tmp_path, told, gamma=5.0)["threshold"]
    assert line.standing is Standing.UNKNOWN
    assert "γ = 5 > K = 1.5" in line.why and "prefix ratio" in line.why
    assert "0 of 2 more than γ = 5" in line.why


def test_without_settings_the_group_is_asked_for(tmp_path):
    line = run(tmp_path, None)["threshold"]
    assert line.standing is Standing.UNKNOWN and "--group G" in line.why
    assert "2 prompts earned 0.5" in line.why
