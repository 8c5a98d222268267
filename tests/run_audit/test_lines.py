"""Every line of the audit on real loops: planted violations are found, none is invented."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")

import torch

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.log_file import read_log
from sailtheory.run_audit.standing import Standing
from tests.support.plain_loop import rewards, run

HOLDS, VIOLATED, UNKNOWN = Standing
BATCH = {"batch": 8, "steps": 30}


def audited(folder, **options):
    run(folder, **options)
    return audit(read_log(folder))


def certain(p):
    """Labels without doubt: p = 0 or 1."""
    return (p > 0.5).double() + 0.5 * (p == 0.5)


def preferences():
    r = rewards()
    return torch.sigmoid(r[:, :, None] - r[:, None, :])


def unequal():
    p = preferences()
    p[1, 0, 2] += 0.1
    return p


def around():
    """0 beats 1 beats 2 beats 0, each by 3 to 1."""
    p = preferences()
    for i, j in ((0, 1), (1, 2), (2, 0)):
        p[0, i, j], p[0, j, i] = 0.75, 0.25
    return p


class Moving:
    """π_ref that follows the policy from step 5 on, as a reference that is synchronised."""

    def __init__(self, log_ref):
        self.log_ref = log_ref

    def __call__(self):
        return self.log_ref


def moving(policy_of):
    kept = {}

    def reference(log_ref):
        kept["it"] = Moving(log_ref)
        return kept["it"]

    def before(step, policy):
        if step == 5:
            with torch.no_grad():
                kept["it"].log_ref = policy()

    return {"reference": reference, "before": before}


def infinite(step, policy):
    if step == 7:
        with torch.no_grad():
            next(policy.parameters())[0, 0] = math.inf


PLANTED = {
    "reference that moves": ("reference", "at step 5", moving(None)),
    "θ outside the ball": ("ball", "> B = 0.01 at step", {
        "radius": None, "stated": {"radius": 0.01}}),
    "a network": ("linear", "half-way is off its half", {
        "hidden": 8, "rate": 20.0, "gamma": 0.001, "steps": 40}),
    "p₁₂ + p₂₁ ≠ 1": ("preferences", "p₁₂ + p₂₁ = 1.1 for candidates 0, 2 of prompt 1", {
        "preferences": unequal}),
    "preferences that go round": ("preferences", "candidates 0, 1, 2 of prompt 0 add up to 3.3", {
        "preferences": around}),
    "certain labels": ("preferences", "labels are certain", {
        "preferences": lambda: certain(preferences())}),
    "the other KL": ("divergence", "0.25·∇KL(π_θ‖π_ref) beside", {"gamma": 0.0, "other": 0.25}),
    "no KL": ("divergence", "no penalty", {"gamma": 0.0}),
    "another γ than is said": ("divergence", "γ = 0.5 is stated, the gradients hold 0.25", {
        "stated": {"gamma": 0.5}}),
    "the wrong sign of the score term": ("score", "the wrong sign: -1 times", {"score": -1.0}),
    "a fifth of the score term": ("score", "0.2 times", {"score": 0.2}),
    "γ below the threshold": ("threshold", "γ = 0.01 is below γ*", {"gamma": 0.01}),
    "γ below that of SAIL": ("threshold", "γ = 0.01 is below γ*", {"gamma": 0.01, "score": 1.0}),
    "a step too long": ("step", "and a longer step may still converge", {"rate": 1.2}),
    "Adam": ("step", "cosine", {"optimizer": lambda p: torch.optim.Adam(p, lr=0.05)}),
    "a number that is none": ("finite", "loss = nan at step 7", {
        "before": infinite, "steps": 9}),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name, tmp_path):
    key, why, options = PLANTED[name]
    options = dict(options)
    if callable(options.get("preferences")):
        options["preferences"] = options["preferences"]()
    line = audited(tmp_path / "a", **options)[key]
    assert line.standing is VIOLATED and why in line.why, line.why


GOOD = {
    "online DPO with KL": {},
    "SAIL with its score term": {"score": 1.0, "gamma": 1.0, "rate": 0.2},
    "within a ball that binds": {"radius": 0.02},
    "what is said, measured too": {"stated": {"score": 0.0, "gamma": 0.25}},
    "what is not said, measured": {"stated": {"gamma": None}},
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_invented_on_a_run_that_satisfies_all(name, tmp_path):
    for place in ("a", "b"):
        run(tmp_path / place, **BATCH, **GOOD[name])
    found = audit(read_log(tmp_path / "a"), [("b", read_log(tmp_path / "b"))])
    assert {line.key: line.standing for line in found.lines} == {
        line.key: HOLDS for line in found.lines
    }, [line.why for line in found.lines if line.standing is not HOLDS]
    assert len(found.lines) == 12


@pytest.mark.parametrize("seed", range(3))
def test_noise_invents_nothing(seed, tmp_path):
    """What cannot be told from noise is not measurable; the rest holds."""
    options = {"noise": 0.001, "batch": 64, "steps": 150, "stated": {"score": 0.0}, "rate": 0.3}
    found = audited(tmp_path / "a", noise_seed=seed, **options)
    assert found.violated == ()
    assert found["noise"].standing is HOLDS and "σ² = " in found["noise"].why


def test_a_batch_too_small_is_found(tmp_path):
    run(tmp_path / "a", noise=1e-5, batch=2)
    line = audit(read_log(tmp_path / "a"), accuracy=1e-7)["noise"]
    assert line.standing is VIOLATED and "N = 2: noise leaves" in line.why


def test_the_measured_factors_of_a_scaled_loss(tmp_path):
    """Twice the loss at half the rate is the same run: η and γ are of J, not of the loss."""
    found = audited(tmp_path / "a", rate=0.25, sized=2.0)
    assert found.violated == ()
    assert "hold 0.25·∇KL(π_ref‖π_θ)" in found["divergence"].why
    assert "η ≤ 0.5 " in found["step"].why


def test_a_reward_is_named_and_has_thresholds_of_its_own(tmp_path, capsys):
    def reward_less_kl(log_policy, log_ref, p, beta, gamma, score, other):
        kl = (log_ref.exp() * (log_ref - log_policy)).sum(1).mean()
        return -(log_policy.exp() * rewards()).sum(1).mean() + gamma * kl

    found = audited(tmp_path / "a", loss_of=reward_less_kl, stated={"score": 0.0})
    assert found["divergence"].standing is HOLDS and found["score"].standing is HOLDS
    assert found["divergence"].why.endswith("beside ∇E[r]")
    for key in ("threshold", "step", "pl"):
        assert found[key].standing is UNKNOWN and "--objective reward" in found[key].why
    problem = str(tmp_path / "a" / "problem.npz")
    assert main(["check", problem, "--objective", "reward", "--gamma", "9"]) == 0
    assert "certain to suffice" in " ".join(capsys.readouterr().out.split())


def test_thresholds_are_of_the_loss_that_is_seen(tmp_path):
    """What is stated does not make another loss DPO's."""
    still = torch.tensor([[1.0, 0.0]])  # half of the weights
    found = audited(tmp_path / "a", mask=still, stated={"score": 0.0})
    for key in ("divergence", "score", "threshold"):
        assert found[key].standing is UNKNOWN and "are no combination" in found[key].why


def test_what_a_short_log_cannot_show(tmp_path):
    found = audited(tmp_path / "a", steps=2)
    assert found.violated == ()
    unknown = {line.key for line in found.lines if line.standing is UNKNOWN}
    assert {"divergence", "score", "budgets"} <= unknown
    assert found["threshold"].why.startswith("log 34 updates or more")
    found = audited(tmp_path / "b", preferences=None, rewards_given=False)
    assert found["preferences"].standing is UNKNOWN and "rewards" in found["preferences"].why


def test_budgets(tmp_path):
    run(tmp_path / "a", steps=5, batch=4)
    run(tmp_path / "b", steps=6, batch=4)
    mine, other = read_log(tmp_path / "a"), read_log(tmp_path / "b")
    line = audit(mine, [("b", other)])["budgets"]
    assert line.standing is VIOLATED and line.why == "updates: 5 here, 6 in b"
    assert audit(mine, [("a", mine)])["budgets"].standing is HOLDS


@pytest.mark.parametrize("accuracy", [0, 1, -0.1])
def test_an_accuracy_outside_is_refused(accuracy, tmp_path):
    run(tmp_path / "a", steps=2)
    with pytest.raises(InputError, match="a share in"):
        audit(read_log(tmp_path / "a"), accuracy=accuracy)


def test_the_gap_is_that_of_the_definition(tmp_path):
    """Of a network, against log-probabilities computed apart."""
    from sailtheory.run_audit.policy_lines import gap_series
    from tests.support.plain_loop import Head

    policy = run(tmp_path / "a", hidden=8, rate=5.0, steps=3)
    trace = read_log(tmp_path / "a")
    start, middle = Head(8), Head(8)
    assert trace.points[-1].step == 2 and len(trace.points) == 3
    last = trace.points[1]
    twin = run(tmp_path / "b", hidden=8, rate=5.0, steps=1)
    with torch.no_grad():
        for m, a, b in zip(middle.parameters(), start.parameters(), twin.parameters(), strict=True):
            m.copy_((a + b) / 2)
        log = [(each() - start()).numpy() for each in (twin, middle)]
    assert np.allclose(last.log_ratios, log[0], atol=1e-12)
    bend = np.ptp(2 * log[1] - log[0], axis=-1).max() / np.ptp(log[0], axis=-1).max()
    assert gap_series(trace)[0][:2] == pytest.approx((1, bend), rel=1e-9)
    assert policy is not twin
