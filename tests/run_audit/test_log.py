"""The log of a plain loop: what is written, that the run stays as it is, and what it costs."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")

import torch

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.problem.problem_file import load
from sailtheory.run_audit import AuditLog
from sailtheory.run_audit.budget import Budget
from sailtheory.run_audit.log_file import LOG, LogWriter, read_log
from sailtheory.run_audit.trace import Facts
from tests.project.test_extras import command
from tests.support.plain_loop import BETA, Head, loss_of, rewards, run


def state():
    return (torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist())


def test_nothing_in_the_run_changes(tmp_path):
    """Weights, generators of random numbers, gradients and modes: to the last bit."""
    ends = []
    for audit in (True, False):
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)
        policy = run(tmp_path / str(audit), audit=audit, hidden=8, noise=0.01, steps=20)
        weights = [w.detach().numpy().tobytes() for w in policy.parameters()]
        ends.append((weights, [w.grad.numpy().tobytes() for w in policy.parameters()], state()))
        assert policy.training
    assert ends[0] == ends[1]


def test_dropout_neither_draws_nor_is_left_off(tmp_path):
    policy = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Dropout(0.5))
    policy[1].eval()
    policy.add_module("more", torch.nn.Dropout(0.5))
    inputs = torch.ones(3, 2)
    before = state()
    log = AuditLog(
        tmp_path / "a", policy, lambda: torch.log_softmax(policy(inputs), -1), beta=1.0,
        rewards=torch.zeros(3, 4), share=1.0,
    )  # fmt: skip
    log(0)
    log.finish()
    assert state() == before
    assert [part.training for part in policy.modules()] == [True, True, False, True]
    assert np.array_equal(read_log(tmp_path / "a").points[0].log_ratios, np.zeros((3, 4)))


def test_random_numbers_that_the_candidates_draw_are_given_back(tmp_path):
    policy = Head()
    before = state()

    def noisy():
        np.random.rand(), random.random(), torch.rand(1)
        return policy()

    log = AuditLog(tmp_path / "a", policy, noisy, beta=BETA, rewards=rewards(), share=1.0)
    log(0)
    assert state() == before


def test_weights_come_back_when_measuring_fails(tmp_path):
    policy, calls = Head(), []

    def failing():
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError("no memory")
        return policy()

    log = AuditLog(tmp_path / "a", policy, failing, beta=BETA, share=1.0)
    with torch.no_grad():
        next(policy.parameters()).add_(1.0)
    kept = next(policy.parameters()).detach().clone()
    with pytest.raises(RuntimeError):
        log(0)
    assert torch.equal(next(policy.parameters()), kept)


def test_the_log_holds_what_was_measured(tmp_path):
    policy = run(tmp_path / "a", steps=5, batch=16)
    trace = read_log(tmp_path / "a")
    assert [point.step for point in trace.points] == [0, 1, 2, 3, 4]
    assert trace.spent == {"updates": 5.0, "prompts": 80.0}
    assert [s for s, _ in trace.series["loss"]] == [0, 1, 2, 3, 4]
    start = Head()
    moved = (policy.network[0].weight - start.network[0].weight).detach()
    last = trace.points[-1]
    assert float(moved.norm()) > last.distance > 0
    assert last.step_size == pytest.approx(0.5) and last.along == pytest.approx(1.0)
    # The candidate problem is the loop's own, up to a rotation of its features.
    phi = start.inputs.numpy()
    gram = np.einsum("nid,njd->nij", phi - phi[:, :1], phi - phi[:, :1])
    found = np.stack(trace.problem.features)
    assert np.allclose(np.einsum("nid,njd->nij", found, found), gram, atol=1e-12)
    assert np.allclose(trace.problem.base, start().exp().detach().numpy())
    assert trace.end == (5, pytest.approx(float(moved.norm())))
    assert float(load(tmp_path / "a" / "problem.npz").radius) == trace.end[1]


def test_the_loop_of_the_docs(tmp_path, monkeypatch):
    """The page's code, with names for what it takes as given."""
    page = (Path(__file__).parents[2] / "docs/audit-a-run.md").read_text("utf-8")
    (code,) = [b for b in re.findall(r"```python\n(.*?)```", page, re.S) if "AuditLog(" in b]
    monkeypatch.chdir(tmp_path)
    policy, r = Head(), rewards()
    p, log_ref = torch.sigmoid(r[:, :, None] - r[:, None, :]), policy().detach()
    exec(
        code.replace("range(1000)", "range(20)").replace("beta=0.1", "beta=0.1, share=1"),
        {"policy": policy, "log_probs": policy.forward, "r": r, "log_ref": log_ref,
         "optimizer": torch.optim.SGD(policy.parameters(), lr=0.5),
         "loss": lambda: loss_of(policy(), log_ref, p, 0.1, 0.25)},
    )  # fmt: skip
    assert main(["audit", "runs/a"]) == 0


def test_a_log_cut_by_a_kill_is_read_and_that_is_said(tmp_path):
    run(tmp_path / "a", steps=4)
    path = tmp_path / "a" / LOG
    path.write_bytes(path.read_bytes()[:-40].rsplit(b"\n", 1)[0] + b'\n{"step": 3, "dist')
    trace = read_log(tmp_path / "a")
    assert len(trace.points) == 4
    assert any("is cut and left out" in note for note in trace.notes)
    assert any("no end" in note for note in trace.notes)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (0, '{"schema": "other"}'), (0, "[]"), (1, "{"), (1, '{"step": "a"}'),
        (0, '{"schema": "sailtheory.audit-log/1", "facts": {"x": 1}}'),
        (1, '{"step": 1, "theta": [[1], [1, 2]]}'), (1, '{"step": 1, "theta": [1, 2, 3]}'),
        (2, '{"step": 1, "log_ratios": [[1, 2]]}'), (1, '{"step": 1, "numbers": 3}'),
        (-1, '{"spent": {"x": "y"}}'),
    ],
)  # fmt: skip
def test_a_damaged_log_is_one_line(line, text, tmp_path, capsys):
    run(tmp_path / "a", steps=3)
    path = tmp_path / "a" / LOG
    rows = path.read_text("utf-8").splitlines()
    rows[line] = text
    path.write_text("\n".join(rows) + "\n", "utf-8")
    assert main(["audit", str(tmp_path / "a")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_log_is_read_without_torch(tmp_path):
    run(tmp_path / "a", steps=12)
    done = command({"torch"}, "audit", str(tmp_path / "a"), "--html", str(tmp_path / "p"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Along the run" in (tmp_path / "p").read_text("utf-8")


WRONG = {
    "beta": {"beta": 0.0}, "gamma": {"gamma": -1.0}, "share": {"share": 0.0},
    "radius": {"radius": 0.0}, "steps": {"steps": 0},
    "rewards": {"rewards": torch.zeros(3)}, "reference": {"reference": torch.zeros(2, 2)},
    "log_probs": {"log_probs": lambda: torch.zeros(3)},
    "policy": {"policy": [torch.zeros(2)]},
    "policy = numpy.ndarray": {"policy": np.zeros(2)},
    "policy = builtins.list": {"policy": [np.zeros(2)]},
    "log_probs = ndarray": {"log_probs": lambda: np.zeros((3, 4)), "rewards": np.zeros((3, 4))},
    "log_probs = a tensor without": {"log_probs": lambda: torch.zeros(3, 4)},
    "log_probs = Tensor": {"log_probs": torch.zeros(3, 4)},
    "rewards = shape": {"rewards": torch.zeros(3, 3)},
    "preferences = shape": {"preferences": torch.zeros(3, 3, 4)},
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_bad_values_are_refused_before_training(name, tmp_path):
    policy = Head()
    given = {"policy": policy, "log_probs": policy.forward, "beta": BETA} | WRONG[name]
    with pytest.raises(InputError, match=f"^{name}"):
        AuditLog(tmp_path / "a", given.pop("policy"), given.pop("log_probs"), **given)


def test_a_folder_with_a_log_is_refused(tmp_path):
    run(tmp_path / "a", steps=2)
    before = (tmp_path / "a" / LOG).read_bytes()
    with pytest.raises(InputError, match="it holds a log"):
        run(tmp_path / "a", steps=2)
    assert (tmp_path / "a" / LOG).read_bytes() == before


def test_too_many_weights_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr("sailtheory.run_audit.recorder.MOST_NUMBERS", 5)
    run(tmp_path / "a", steps=2)
    trace = read_log(tmp_path / "a")
    assert trace.problem is None and any("train fewer" in note for note in trace.notes)
    assert trace.points[1].distance > 0


class Clock:
    """An update takes 1 s, a measurement ``cost`` s."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("steps", [None, 1000])
@pytest.mark.parametrize("cost", [0.1, 2.0, 7.0])
def test_measuring_stays_within_its_share(steps, cost):
    clock = Clock()
    budget = Budget(0.05, steps, clock)
    with budget.paying(once=True):
        clock.now += 3.0
    measured = []
    for step in range(1000):
        clock.now += 1.0
        budget.step()
        if budget.affords():
            with budget.paying(measured=True):
                clock.now += cost
            measured.append(step)
    assert budget.spent <= 0.05 * budget.trained + 1e-9 or len(measured) <= 1
    assert budget.spent >= 0.02 * 1000 or cost == 0.1
    assert measured[-1] > 700
    if steps:  # the length is foreseen: measured from the beginning on
        assert measured[0] < 200


def test_a_full_share_measures_every_time():
    budget = Budget(1.0, None, Clock())
    assert budget.affords() and budget.affords(10.0)


def test_the_json_is_plain(tmp_path):
    run(tmp_path / "a", steps=12)
    out = tmp_path / "a.json"
    assert main(["audit", str(tmp_path / "a"), "--json", str(out)]) == 0
    data = json.loads(out.read_text("utf-8"))
    assert data["schema"] == "sailtheory.audit/2" and data["kind"] == "a log of AuditLog"
    names = [each["name"] for each in data["trajectories"]]
    assert {"‖θ − θ_start‖", "gap of log-linearity", "step size", "loss"} <= {*names}
    assert all(len(each["steps"]) == len(each["values"]) for each in data["trajectories"])


def test_a_quick_run_is_measured_at_its_default_share(tmp_path):
    run(tmp_path / "a", steps=40, share=0.05)
    steps = [point.step for point in read_log(tmp_path / "a").points]
    assert {0, 1, 3, 7} <= set(steps) and len(steps) < 40


@pytest.mark.parametrize(("share", "said"), [(1.0, False), (0.05, False), (1e-9, True)])
def test_a_share_above_its_own_says_why(share, said, tmp_path):
    writer = LogWriter(tmp_path / "a")
    writer.begin(Facts(), stated={}, preferences=None, problem=None)
    writer.end({}, 10.0, 0.04 if share == 0.05 else 2.0, share)
    (note,) = [n for n in read_log(tmp_path / "a").notes if n.startswith("measuring took")]
    assert note.startswith(f"measuring took {'4.00% of' if share == 0.05 else '2 times'} the train")
    assert ("one second of measuring" in note) is said


@pytest.mark.parametrize(("cost", "expected"), [(0.1, [1, 2, 4, 8, 16]), (2.0, [1])])
def test_a_second_is_free_and_no_more(cost, expected):
    now = [0.0]
    budget, measured = Budget(0.05, None, clock=lambda: now[0]), []
    for update in range(1, 20):
        now[0] += 0.001
        budget.step()
        if budget.affords():
            measured.append(update)
            with budget.paying(measured=True):
                now[0] += cost
    assert measured == expected


def test_a_log_without_measurements_says_so_first(tmp_path):
    run(tmp_path / "a", steps=4)
    (log,) = tmp_path.rglob("*.jsonl")
    first, *_, last = log.read_text().splitlines(keepends=True)
    log.write_text(first + last)
    assert read_log(log.parent).notes[0].startswith("no update was measured")
