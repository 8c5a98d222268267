"""Whole runs of ``sail`` and ``sail-revkl``, the pairs that they draw, and bad input."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("dm_control", reason="the extra rl is not installed")

import torch
from scipy.stats import kstest

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
    " feedback.queries=5 feedback.maximum=18 reference.since=120 sail.recent=60".split()
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
    assert found.allowed == () and found.same == () and found.unread == ()
    pebble, sail, both = records
    for record in (sail, both):
        steps, values = record.series("loss/actor/sail_dpo")
        assert steps.tolist() == [150, 200] and (values > 0).all()
        assert record.series("loss/actor/sail_score")[1].tolist() == [0, 0]
        assert (record.series("sail/margin")[1] > 0).all()
        assert (record.series("sail/score_coefficient")[1] > 0).all()
        assert record.series("loss/critic")[1][0] == pebble.series("loss/critic")[1][0]
        assert record.series("loss/critic")[1][-1] != pebble.series("loss/critic")[1][-1]
    assert "loss/actor/kl_ref_policy" in both.names()
    assert "loss/actor/kl_ref_policy" not in sail.names()


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


def test_segments_are_states_of_the_last_steps_and_actions_of_the_present_actor():
    """Followed independently, by copies of each run's actor and its reward networks."""
    trainer = Trainer(small("sail"), [0, 1])
    for _ in range(130):
        trainer.advance()
    updates = [trainer.agent.updates(run) for run in range(2)]
    found, again = trainer.segments(updates), trainer.segments(updates)
    assert all(torch.equal(x, y) for x, y in zip(found, again, strict=True))
    for run, learner in enumerate(trainer.learners):
        update, actor = updates[run], trainer.agent.policy(run)
        states, noise = learner.own_states(update)
        assert states.shape == (2, 2, 10, 17) and noise.shape == (2, 2, 10, 6)
        later = learner.own_states(update + 1)
        assert not np.array_equal(states, later[0]) and not np.array_equal(noise, later[1])
        assert torch.equal(found.states[run], torch.tensor(states))
        held = learner.buffer.states()
        for segment in states.reshape(-1, 10, 17):
            place = [int(np.flatnonzero((held == s).all(1))[0]) for s in segment]
            assert place == list(range(place[0], place[0] + 10)) and place[0] >= 70
        mean, log_std = actor(torch.tensor(states.reshape(-1, 17)))
        drawn = mean + log_std.exp() * torch.tensor(noise.reshape(-1, 6))
        assert torch.allclose(found.unsquashed[run].reshape(-1, 6), drawn, rtol=1e-5, atol=1e-6)
        rows = np.concatenate([states.reshape(-1, 17), drawn.detach().tanh()], 1)
        total = learner.model.rewards(rows.astype(np.float32)).reshape(2, 2, 10).sum(2)
        wanted = 1 / (1 + np.exp(total[:, 1] - total[:, 0])) - 0.5
        assert np.abs(found.preference[run].numpy() - wanted).max() < 1e-5
    assert not torch.equal(found.unsquashed[0], found.unsquashed[1])
    assert not any(part.requires_grad for part in found)  # the score holds all of the gradient
    trainer.close()


def test_segments_of_a_pair_are_uniform_and_independent_and_so_is_their_noise():
    trainer = Trainer(small("sail"), [0])
    while trainer.step < 130:
        trainer.advance()
    learner, count = trainer.learners[0], 4000
    drawn = [learner.own_states(update) for update in range(count)]
    noise = np.stack([noise for _, noise in drawn]).astype(float)
    assert kstest(noise.ravel()[::7], "norm").pvalue > 1e-4
    first, second = noise[:, :, 0].ravel(), noise[:, :, 1].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / first.size**0.5
    place = {s.tobytes(): t for t, s in enumerate(learner.buffer.states())}
    pairs = [[place[s.tobytes()] for s in pair[:, 0]] for x, _ in drawn for pair in x]
    places = np.arange(70, 121)  # starts of ten steps among the last sixty
    rows, columns = (np.searchsorted(places, x) for x in np.array(pairs).T)
    table = np.zeros((len(places), len(places)))
    np.add.at(table, (rows, columns), 1)
    assert set(np.ravel(pairs)) == set(places)
    expected = 2 * count / table.size  # 3.1 each: chi-square by its normal approximation
    chi = ((table - expected) ** 2 / expected).sum()
    assert abs(chi - (table.size - 1)) < 5 * (2 * table.size) ** 0.5
    trainer.close()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"sail__recent": 19}, "sail.recent"),
        ({"capacity": 19}, "capacity"),
        ({"reference__since": 220}, "reference.since"),  # the last step: there is no use of it
        ({"reference__since": 119}, "reference.since"),
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
