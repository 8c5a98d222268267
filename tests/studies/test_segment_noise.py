"""Sizes of gradients and their noise: against draws whose sizes are known, and on a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("dm_control", reason="the extra rl is not installed")

from sailtheory.storage.config import assignments
from sailtheory.training import pairs as pair_terms
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.train import Trainer
from studies.control_arms import segment_noise
from studies.control_arms import segments as shipped
from studies.control_arms.segment_noise import best_baseline, gradients, measure, size

SMALL = assignments(
    "steps=400 random_steps=40 entropy_steps=20 reset_updates=2 sac.width=8 sac.batch=16"
    " reward.width=16 reward.epochs=3 feedback.every=500 feedback.segment=10 evaluate_every=500"
    " feedback.queries=5 feedback.maximum=18 log_every=10 reference.since=100"
    " sac.actor_rate=0.003".split()
)


@pytest.fixture(scope="module")
def trainer():
    trainer = Trainer(
        settings_of("cheetah-run", "sail", 0, SMALL), [0],
        method=shipped.weighing(shipped.METHODS["sail"], shipped.SegmentSettings(recent=40)),
    )  # fmt: skip
    while trainer.step < 130:
        trainer.advance()
    yield trainer
    trainer.close()


def test_sizes_are_those_of_the_distribution():
    rng, centre = np.random.default_rng(0), np.zeros(50)
    centre[0] = 3.0
    draws = torch.tensor(centre + 0.5 * rng.normal(size=(4000, 50)))
    mean, noise = size(draws)
    assert mean == pytest.approx(3, rel=0.02) and noise == pytest.approx(0.5 * 50**0.5, rel=0.02)
    few = [size(torch.tensor(0.5 * rng.normal(size=(64, 50))))[0] ** 2 for _ in range(200)]
    assert np.median(few) < 0.1 < 0.25 * 50 / 64  # what the noise of a mean of 64 would be


def test_the_best_baseline_is_a_minimum():
    rng = np.random.default_rng(0)
    drift = torch.tensor(rng.normal(size=(64, 7)))
    score = torch.tensor(rng.normal(size=(64, 7))) - 2 * drift
    shift, noise = best_baseline(score, drift)
    assert shift == pytest.approx(2, abs=0.2)
    for other in (0.0, shift - 0.1, shift + 0.1):
        assert size(score + other * drift)[1] > noise


def test_a_shift_of_the_baseline_is_that_of_the_shipped_term(trainer, monkeypatch):
    plain = gradients(trainer, 3)
    assert all(torch.equal(g, plain[name]) for name, g in gradients(trainer, 3).items())
    assert not torch.equal(plain["score"], gradients(trainer, 4)["score"])
    monkeypatch.setattr(
        shipped, "score_loss",
        lambda p, q, b: pair_terms.score_loss(p, q, b) + 0.7 * (p.first + p.second),
    )  # fmt: skip
    moved = gradients(trainer, 3)["score"]
    wanted = plain["score"] + 0.7 * plain["drift"]
    assert float((moved - wanted).norm()) < 1e-4 * float(wanted.norm())


def test_measuring_changes_no_number_of_the_run(trainer, monkeypatch):
    monkeypatch.setattr(segment_noise, "DRAWS", 8)
    before = trainer.state(0)
    row = measure(trainer)
    after = trainer.state(0)
    assert torch.equal(before["agent"]["generator"], after["agent"]["generator"])
    assert before["lane"]["rng"] == after["lane"]["rng"]
    assert torch.equal(before["agent"]["actor"], after["agent"]["actor"])
    assert row["best_noise"] <= row["score_noise"] and row["sac_noise"] > 0 and row["step"] == 130


def test_in_the_same_states_only_actions_differ(trainer):
    segments = trainer.agent.segments(trainer.learners, [segment_noise.APART])
    same = segment_noise.in_same_states(trainer, segments, np.random.default_rng(0))
    assert torch.equal(same.states[:, :, 0], segments.states[:, :, 0])
    assert torch.equal(same.states[:, :, 0], same.states[:, :, 1])
    assert not torch.equal(same.unsquashed[:, :, 0], same.unsquashed[:, :, 1])
    rows = torch.cat([same.states[0], torch.tanh(same.unsquashed[0])], -1).numpy()
    wanted = shipped.preference(trainer.learners[0], rows)
    assert np.abs(same.preference[0].numpy() - wanted).max() < 1e-6
    assert 0 < np.abs(wanted).max() < np.abs(segments.preference.numpy()).max()
