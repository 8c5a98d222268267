"""Which loss the lines take: what is measured counts, what is only stated is no evidence."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")

import torch

from sailtheory.report.run_audit import described, trajectories
from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.decided import decided
from sailtheory.run_audit.gradients import Followed
from sailtheory.run_audit.log_file import LOG, read_log
from sailtheory.run_audit.standing import Standing
from sailtheory.run_audit.step_lines import _by_noise
from sailtheory.run_audit.trace import Facts, Point, Trace
from tests.support.plain_loop import BETA, Head, loss_of, rewards, run

HOLDS, VIOLATED, UNKNOWN = Standing
OF_LOSS = ("threshold", "step", "noise", "pl")


def audited(folder, **options):
    run(folder, **options)
    return audit(read_log(folder))


def sampled(kind, batch, seed=0):
    """The loss of a batch of prompts and pairs drawn from the policy, as its paper defines it."""
    draw = torch.Generator().manual_seed(seed)

    def loss(log, ref, p, beta, gamma, score, other):
        x = torch.randint(len(log), (batch,), generator=draw)
        first, second = torch.multinomial(log[x].exp().detach(), 2, True, generator=draw).T
        won = torch.rand(batch, generator=draw, dtype=log.dtype) < p[x, first, second]
        up, down = torch.where(won, first, second), torch.where(won, second, first)
        h = log - ref
        z = h[x, up] - h[x, down]
        kl = (ref.exp() * -h).sum(-1)[x].mean()
        if kind == "reinforce":
            earned = rewards()[x, first]
            return -((earned - earned.mean()) * log[x, first]).mean() + gamma * kl
        if kind == "ipo":
            return (z - 1 / (2 * beta)).square().mean() + gamma * kl
        return -torch.nn.functional.logsigmoid(beta * z).mean() + gamma * kl

    return loss


CONTRADICTED = {
    "a penalty that is not there": (
        {"gamma": 0.0}, {"gamma": 0.25, "score": 0.0}, "divergence", "γ = 0.25 is stated",
        VIOLATED, "γ = 0 is below γ*"),
    "twice the penalty": (
        {}, {"gamma": 0.5}, "divergence", "γ = 0.5 is stated", HOLDS, "γ = 0.25 >"),
    "a fifth of it": (
        {}, {"gamma": 0.05}, "divergence", "γ = 0.05 is stated", HOLDS, "γ = 0.25 >"),
    "a score term that is not there": (
        {}, {"score": 1.0}, "score", "score = 1 is stated, the gradients hold 0", HOLDS, "2β"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTED)
def test_a_measurement_counts_before_what_is_stated(name, tmp_path):
    options, stated, key, said, standing, why = CONTRADICTED[name]
    found = audited(tmp_path / "a", stated=stated, **options)
    assert found[key].standing is VIOLATED and said in found[key].why
    assert found["threshold"].standing is standing and why in found["threshold"].why


SAMPLED = {
    "online DPO": ("dpo", {}, 0.25, 150, HOLDS),
    "online DPO, four times its γ stated": ("dpo", {}, 1.0, 150, UNKNOWN),
    "REINFORCE": ("reinforce", {"gamma": 0.0}, 0.3, 150, UNKNOWN),
    "IPO": ("ipo", {"gamma": 0.0, "rate": 0.001}, 0.3, 150, UNKNOWN),
    "online DPO, too few updates": ("dpo", {}, 0.25, 20, UNKNOWN),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLED)
def test_what_is_stated_counts_where_noisy_gradients_allow_it(name, tmp_path):
    kind, options, gamma, steps, standing = SAMPLED[name]
    found = audited(
        tmp_path / "a", loss_of=sampled(kind, 64), batch=64, steps=steps,
        stated={"gamma": gamma, "score": 0.0}, **options,
    )  # fmt: skip
    assert found["divergence"].standing is UNKNOWN and found["threshold"].standing is standing
    if standing is HOLDS:
        assert f"γ = {gamma:g} and score = 0 as stated, which" in found["threshold"].why
    else:
        assert [found[key].standing for key in OF_LOSS] == [UNKNOWN] * 4
        for key in ("threshold", "step", "pl"):
            assert found[key].why.startswith(f"if γ = {gamma:g} and score = 0 as stated: ")


def test_a_violation_that_rests_on_a_stated_score_term_is_none(tmp_path):
    found = audited(tmp_path / "a", noise=0.01, batch=2, steps=100, stated={"score": 0.0})
    assert found.violated == ()
    assert found["noise"].why.startswith("if γ = 0.25 and score = 0 as stated: σ² = ")
    assert "with the score term and without it" in found["noise"].why


def test_a_violation_stays_where_the_gradients_allow_no_other_score_term(tmp_path):
    found = audited(tmp_path / "a", noise=1e-4, rate=1.2, score=1.0, stated={"score": 1.0})
    assert found["step"].standing is VIOLATED and "η = 1.2 > 1/Λ" in found["step"].why
    assert found["step"].why.endswith("and score = 1 as stated, which the gradients allow")
    assert "of such updates no contraction is predicted" in found["pl"].why


def test_the_other_kl_is_named_only_where_its_factor_is_identified(tmp_path):
    found = audited(tmp_path / "a", noise=3e-5, rate=1.2, stated={"score": 0.0})
    assert found["divergence"].why.startswith("log more updates: the penalty's factor is")
    assert not any("KL(π_θ‖π_ref)" in line.why for line in found.lines)


def test_what_helps_between_the_thresholds_and_on_what_it_rests(tmp_path):
    found = audited(
        tmp_path / "a", loss_of=sampled("dpo", 64), steps=100, gamma=0.06, stated={"score": 0.0}
    )
    assert "certify" not in found["threshold"].why and "is enough" in found["threshold"].why
    for key in ("noise", "pl"):
        assert "γ is not shown to be above the threshold: raise γ" in found[key].why
        assert "log" not in found[key].why
    assert all("score = 0 as stated" in found[key].why for key in OF_LOSS)
    charts = {each.name: described(each) for each in trajectories(found)}
    for name in ("step size", "monotonicity ratio"):
        assert "if γ = 0.06 and score = 0 as stated" in charts[name]


def test_nothing_is_asked_for_that_would_not_help(tmp_path):
    for steps in (60, 12):  # how many updates would do is not known, and they alone would not
        found = audited(
            tmp_path / str(steps), loss_of=sampled("dpo", 64), steps=steps, stated={"gamma": None}
        )
        assert "larger batches, or more prompts and responses" in found["divergence"].why
        assert not found["divergence"].why.startswith("log")
    assert not any("state " in line.why or "float64" in line.why for line in found.lines)
    few = audited(tmp_path / "b", steps=3)
    assert few["divergence"].why.startswith("log 34 updates or more")


@pytest.mark.parametrize(("sized", "maximize"), [(-1.0, False), (1.0, True)])
def test_a_loss_that_is_climbed_is_a_violation_and_no_more_is_said_of_it(sized, maximize, tmp_path):
    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.5, maximize=maximize)

    found = audited(tmp_path / "a", sized=sized, optimizer=sgd)
    assert [line.key for line in found.violated] == ["step"]
    assert "goes up the loss" in found["step"].why
    for key in ("divergence", "score", "threshold", "noise", "pl"):
        assert found[key].standing is UNKNOWN and "away from the maximum" in found[key].why
    assert "monotonicity ratio" not in [each.name for each in trajectories(found)]


def test_noise_does_not_hide_that_a_loss_is_climbed(tmp_path):
    found = audited(tmp_path / "a", noise=0.001, sized=-1.0, rate=0.1, stated={"score": 0.0})
    assert found["divergence"].standing is UNKNOWN
    assert [line.key for line in found.violated] == ["step"]
    assert all(found[key].standing is UNKNOWN for key in ("threshold", "noise", "pl"))


def test_an_objective_that_is_maximised_is_no_violation(tmp_path):
    found = audited(
        tmp_path / "a", sized=-2.0,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.25, maximize=True),
    )  # fmt: skip
    assert all(found[key].standing is HOLDS for key in ("divergence", "score", *OF_LOSS))
    assert "η ≤ 0.5 " in found["step"].why


@pytest.mark.parametrize("batch", [16, 64])
@pytest.mark.parametrize("seed", range(4))
def test_short_runs_of_small_batches_violate_nothing(batch, seed, tmp_path):
    found = audited(
        tmp_path / "a", loss_of=sampled("dpo", batch, seed), batch=batch, steps=30, rate=0.2,
        stated={"score": 0.0},
    )  # fmt: skip
    assert found.violated == () and found["pl"].standing is UNKNOWN


@pytest.mark.parametrize(("first", "variance"), [(1.0, 2e-4), (0.01, 0.02)])
def test_noise_explains_what_it_does_to_gaps_and_little_more(first, variance):
    """SGD on μ‖θ‖²/2 in two dimensions: without noise ‖θ‖² has the factor (1 − μη)² a step."""
    mu, eta, steps = 0.5, 0.1, np.arange(60)
    draws = np.random.default_rng(0).normal(size=(2000, 60, 2)) * (variance / 2) ** 0.5
    theta, gaps = np.tile([first**0.5, 0.0], (2000, 1)), []
    for t in steps:
        gaps.append(np.square(theta).sum(-1))
        theta = theta - eta * (mu * theta + draws[:, t])
    view = SimpleNamespace(
        followed=SimpleNamespace(noise=variance), loss=SimpleNamespace(scale=1.0),
        trace=Trace("", points=(Point(0, step_size=eta),)), guarantee=SimpleNamespace(score=False),
    )  # fmt: skip
    room = _by_noise(view, view.guarantee, mu * (2 - mu * eta), first, steps)
    excess = np.array(gaps).T - (1 - mu * eta) ** (2 * steps) * first
    assert ((excess > room)[:, 1:].any(-1)).mean() < 0.01
    assert (excess > 0).any() and room.max() < 40 * max(excess.std(0).max(), excess.mean(0).max())


def test_an_update_that_no_log_saw_is_seen_in_the_contraction(tmp_path):
    def away(step, policy):
        if step == 20:
            with torch.no_grad():
                policy.network[0].weight.mul_(3)

    run(tmp_path / "a", before=away, steps=40)
    trace = read_log(tmp_path / "a")
    seen = replace(trace, points=tuple(p for p in trace.points if p.step != 19))
    line = audit(seen)["pl"]
    assert line.standing is VIOLATED and "at step 20 the gap is" in line.why
    assert line.why.endswith(" too much")


def made_of(score, gamma=(0.25, 0.01)):
    return Followed(
        1.0, score, gamma, (0.0, 0.01), rewarded=False, doubt="", foreign=False,
        updates=40, measured=(6, 10.0), noise=1.0, steps=(0, 39), blind=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("interval", "weight"),
    [((1.6, 2.5), None), ((0.4, 0.3), None), ((0.02, 0.02), 0.0), ((0.99, 0.1), 1.0),
     ((0.5, 0.1), 0.5), ((5.0, 0.5), 5.0)],
)  # fmt: skip
def test_an_interval_with_0_or_1_and_room_decides_nothing(interval, weight):
    found = made_of(interval)
    assert found.weight == weight
    loss = decided(Facts(BETA, all_responses=True), found, lambda gamma, score: None)
    assert loss.score is {0.0: False, 1.0: True}.get(weight)
    assert loss.sure is (weight is not None)


def test_values_after_the_first_that_is_none_are_not_read(tmp_path):
    def broken(log, ref, p, beta, gamma, score, other):
        calls.append(1)
        return loss_of(log, ref, p, beta, gamma) * (np.nan if len(calls) == 11 else 1.0)

    calls = []
    found = audited(tmp_path / "a", loss_of=broken)
    assert found["finite"].why == "loss = nan at step 10"
    assert found["ball"].standing is VIOLATED and found["ball"].why == "θ is not finite at step 11"
    lines = [line for line in found.lines if line.standing is HOLDS]
    assert len(lines) == 9
    assert all(line.why.endswith("steps before 10, where the gradient is not finite")
               for line in lines)  # fmt: skip
    assert "the same at 10 steps" in found["reference"].why


def test_a_first_gradient_that_is_none_is_the_cause_of_all_that_is_not_known(tmp_path):
    found = audited(tmp_path / "a", loss_of=lambda *given: loss_of(*given[:5]) * np.nan)
    assert [line.key for line in found.violated] == ["ball", "finite"]
    cause = "the gradient is not finite at step 0, and nothing was measured before it"
    rest = {line.why for line in found.lines if line.standing is not VIOLATED}
    assert rest == {cause, "name the runs it is compared with: --arm RUN"}


def test_a_fault_may_be_older_than_the_update_where_it_was_seen(tmp_path):
    def broken(log, *given):
        calls.append(1)
        return loss_of(log, *given[:4]) * (np.nan if len(calls) == 3 else 1.0)

    calls = []
    run(tmp_path / "a", loss_of=broken, steps=5)
    rows = (tmp_path / "a" / LOG).read_text("utf-8").splitlines(keepends=True)
    assert read_log(tmp_path / "a").broken.why == "the gradient is not finite at step 2"
    (tmp_path / "a" / LOG).write_text("".join(rows[:2] + rows[4:]), "utf-8")
    found = audit(read_log(tmp_path / "a"))
    assert found["divergence"].why.startswith("θ is not finite at or before step 3; ")


def test_exact_gradients_have_no_noise_and_no_variance(tmp_path):
    found = audited(tmp_path / "a", gamma=0.06)  # below K_V: there is no μ
    assert found["noise"].standing is HOLDS and "there is no noise" in found["noise"].why
    found = audited(tmp_path / "b", sized=-1.0)
    assert found["noise"].standing is UNKNOWN and "σ²" not in found["noise"].why


def test_clipping_is_named_where_a_gradient_is_as_long_as_it_leaves(tmp_path):
    run(tmp_path / "a", loss_of=sampled("dpo", 64), steps=20)
    trace = read_log(tmp_path / "a")
    longest = max(norm for _, norm in trace.series["gradient norm"])
    for clip, said in ((None, False), (2 * longest, False), (longest, True)):
        line = audit(replace(trace, facts=replace(trace.facts, clip=clip)))["noise"]
        assert "σ² = " in line.why and ("(after clipping)" in line.why) is said


def test_what_was_not_looked_at_is_said(tmp_path):
    run(tmp_path / "a", steps=40, share=0.05, stated={"gamma": None})
    trace = read_log(tmp_path / "a")
    kept = replace(trace, points=tuple(p for p in trace.points if p.step in (0, 1, 3, 7)))
    found = audit(kept)
    assert "at 4 updates from step 0 to 7" in found["divergence"].why
    assert "seen is" in found["ball"].why and "at step 40" in found["ball"].why
    assert found["ball"].why.endswith("looked at 4 of 40 updates and at the end")


def test_the_last_update_may_leave_the_ball(tmp_path):
    found = audited(tmp_path / "a", steps=1, stated={"radius": 0.001})
    assert found["ball"].standing is VIOLATED and found["ball"].why.endswith("at step 1")


def test_what_rounding_hides_is_said_in_float32(tmp_path):
    assert "looks the same" not in audited(tmp_path / "a")["divergence"].why
    trace = read_log(tmp_path / "a")
    coarse = replace(trace, facts=replace(trace.facts, rounding=64 * 1.2e-7))
    for key in ("divergence", "score"):
        assert "looks the same" in audit(coarse)[key].why


def test_rounding_is_printed_as_0(tmp_path):
    found = audited(tmp_path / "a", gamma=0.0, stated={"gamma": None})
    assert found["divergence"].why.startswith("the gradients hold 0·∇KL")
    assert "absent (0 times" in found["score"].why
    assert found["threshold"].why.startswith("γ = 0 is below")


def test_a_log_after_the_update_is_noticed(tmp_path):
    from sailtheory.run_audit import AuditLog

    policy, r = Head(), rewards()
    log_ref = policy().detach()
    p = torch.sigmoid(r[:, :, None] - r[:, None, :])
    log = AuditLog(tmp_path / "a", policy, policy.forward, beta=BETA, rewards=r, share=1.0)
    made = torch.optim.SGD(policy.parameters(), lr=0.5)
    for step in range(40):
        made.zero_grad()
        loss_of(policy(), log_ref, p, BETA, 0.25).backward()
        made.step()
        log(step)
    log.finish()
    found = audit(read_log(tmp_path / "a"))
    assert found.violated == ()
    assert all("before the optimiser's step" in found[key].why for key in ("score", *OF_LOSS))
