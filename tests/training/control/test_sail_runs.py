"""Whole runs of ``sail`` and ``sail-revkl``, the pairs that they draw, and bad input."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("dm_control", reason="the extra rl is not installed")

import torch

from sailtheory import InputError
from sailtheory.compare.arms import diff
from sailtheory.runs.read import read_record
from sailtheory.storage.config import assignments
from sailtheory.training.control.settings import (
    settings_of,
)
from sailtheory.training.control.train import Trainer, train

F64 = torch.float64
SMALL = assignments(
    "steps=220 random_steps=60 entropy_steps=40 reset_updates=5 evaluate_every=500"
    " evaluation_episodes=1 checkpoint_every=80 log_every=50 sac.width=16 sac.batch=16"
    " reward.width=16 reward.epochs=3 feedback.every=50 feedback.segment=10"
    " feedback.queries=5 feedback.maximum=18 reference.since=120 sail.states=12".split()
)


def small(method, **more):
    changed = {key.replace("__", "."): value for key, value in more.items()}
    return settings_of("cheetah-run", method, 0, SMALL, changed)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("sail")
    return {m: train(small(m), [0, 1], out / m)[0] for m in ("pebble", "sail", "sail-revkl")}


def test_the_arms_train_and_may_be_compared(runs):
    records = [read_record(folder) for folder in runs.values()]
    found = diff(records)
    found.require()
    assert [d.key for d in found.allowed] == ["reference.every"]  # the default of sail's own
    assert found.same == () and found.unread == ()
    pebble, sail, both = records
    for record in (sail, both):
        steps, values = record.series("loss/actor/sail_dpo")
        assert steps.tolist() == [150, 200] and (values > 0).all()
        assert "loss/actor/sail_score" not in record.names()  # it is off by default
        assert (record.series("sail/margin")[1] > 0).all()
        assert record.series("loss/critic")[1][0] == pebble.series("loss/critic")[1][0]
        assert record.series("loss/critic")[1][-1] != pebble.series("loss/critic")[1][-1]
    assert "loss/actor/kl_ref_policy" in both.names()
    assert "loss/actor/kl_ref_policy" not in sail.names()
    assert both.series("c29/gamma")[1].tolist() == pytest.approx([1e-4, 1e-4])
    assert both.series("c29/threshold")[1].tolist() == pytest.approx([0.2, 0.2])
    assert "c29/gamma" not in sail.names()


def test_a_run_is_the_same_alone_and_resumed(runs, tmp_path, monkeypatch):
    advance = Trainer.advance

    def stop(self):
        if self.step == 190:
            raise KeyboardInterrupt
        return advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            train(small("sail-revkl"), [0], tmp_path)
    train(small("sail-revkl"), [0], tmp_path, resume=True)
    mine, theirs = (f / "metrics.csv" for f in (tmp_path / "seed-0", runs["sail-revkl"]))
    assert mine.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("value", ["critic", "reward"])
def test_candidates_are_of_the_present_actor_in_states_of_the_minibatch(value):
    """Followed independently, by copies of each run's actor, critic and reward networks."""
    trainer = Trainer(small("sail", sail__value=value, sail__score=1.0), [0, 1])
    seen = []
    prepare = trainer.agent.prepare

    def watched(batch, learners):
        before = [r.torch_generator.get_state() for r in learners]
        found = prepare(batch, learners)
        again = prepare(batch, learners)
        if found.compared is not None:
            assert torch.equal(found.compared.unsquashed, again.compared.unsquashed)
        after = [r.torch_generator.get_state() for r in learners]
        assert all(torch.equal(x, y) for x, y in zip(before, after, strict=True))
        actors = [trainer.agent.policy(run) for run in range(2)]
        seen.append((batch, found.compared, actors, [r.rng.bit_generator.state for r in learners]))
        return found

    trainer.agent.prepare = watched
    while trainer.step < 124:
        trainer.advance()
    assert [c is None for _, c, *_ in seen][-7:] == [True, True, False, False, False, False, False]
    batch, found, actors, _ = seen[-1]
    assert found.unsquashed.shape == (4, 2, 12, 6) and not found.unsquashed.requires_grad
    assert torch.equal(found.states, batch.observations[:, :12])
    assert not torch.equal(found.unsquashed, seen[-2][1].unsquashed)
    for run, (learner, actor) in enumerate(zip(trainer.learners, actors, strict=True)):
        mean, log_std = actor(found.states[run])
        noise = (found.unsquashed[:, run] - mean.detach()) / log_std.exp().detach()
        wanted = learner.generator(5, trainer.agent.updates(run) - 1)
        assert np.abs(noise.numpy() - wanted.standard_normal((4, 12, 6), np.float32)).max() < 1e-3
        if value == "reward":
            actions = torch.tanh(found.unsquashed[:, run])
            rows = torch.cat([found.states[run].expand(4, -1, -1), actions], -1).numpy()
            rewards = learner.model.rewards(rows.reshape(48, -1)).reshape(4, 12)
            assert np.abs(found.rewards[:, run].numpy() - rewards).max() < 1e-6
    assert (found.rewards is None) == (value == "critic")
    trainer.close()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"sail__states": 17}, "sail.states"),
        ({"sail__score": 1.0, "sail__candidates": 2}, "sail.candidates"),
        ({"sail__value": "return"}, "sail.value"),
        ({"reference__since": 220}, "reference.since"),  # the last step: there is no use of it
        ({"reference__since": 99}, "reference.since"),
        ({"sail__weight": 0.0}, "sail.weight"),
        ({"reference__every": 0}, "reference.every"),
        ({"reference__radius": 0.0}, "reference.radius"),
        ({"kl_coef": -1.0}, "kl_coef"),
    ],
)
def test_bad_settings_leave_no_folder(tmp_path, changed, field):
    with pytest.raises(InputError) as caught:
        train(small("sail-revkl", **changed), [0], tmp_path / "out")
    assert caught.value.field == field and not (tmp_path / "out").exists()
