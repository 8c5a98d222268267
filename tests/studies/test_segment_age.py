"""The measure of how far an actor goes: what it measures, and that it only looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("dm_control", reason="the extra rl is not installed")

from sailtheory.storage.config import assignments
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.train import Trainer
from studies.control_arms import segment_age
from studies.control_arms.segment_age import Followed, measure

SMALL = assignments(
    "steps=400 random_steps=40 entropy_steps=20 reset_updates=2 sac.width=8 sac.batch=16"
    " reward.width=16 reward.epochs=3 feedback.every=500 feedback.segment=10 evaluate_every=500"
    " feedback.queries=5 feedback.maximum=18 log_every=10".split()
)


def small(**changed):
    named = {key.replace("__", "."): value for key, value in changed.items()}
    return settings_of("cheetah-run", "pebble", 0, SMALL, named)


def test_looking_changes_no_number():
    mine, theirs = Followed(small(), 0), Trainer(small(), [0])
    for _ in range(120):
        assert mine.advance() == theirs.advance()
        if mine.step > 60:
            mine.apart()
    assert torch.equal(mine.agent.actor_network.flat, theirs.agent.actor_network.flat)
    mine.close()
    theirs.close()


def test_the_difference_is_that_of_the_actors_of_then_and_now():
    """Followed independently: a copy of the actor before each step, and squashed actions."""
    trainer, actors = Followed(small(sac__actor_rate=3e-3), 0), []
    while trainer.step < 110:
        actors.append(trainer.agent.policy(0).double())
        trainer.advance()
    now, buffer = trainer.agent.policy(0).double(), trainer.learners[0].buffer
    x = torch.tensor(buffer.states()[40:]).double()
    a = torch.tensor(buffer._rows[40:110, 17:23]).double()
    each = [
        float((now.log_prob(x[[t]], a[[t]]) - actors[40 + t].log_prob(x[[t]], a[[t]])).detach())
        for t in range(70)
    ]
    wanted = [sum(each[t : t + 10]) for t in range(61)]
    found = trainer.apart()
    assert np.abs(found - wanted).max() < 1e-3 < np.abs(found).max()
    trainer.close()


def test_rows_hold_every_segment_once(monkeypatch):
    monkeypatch.setattr(segment_age, "BIN", 100)
    rows = measure(small(), 380)
    assert [r["steps"] for r in rows] == [[201, 300], [301, 400]]
    assert [r["segments"] for r in rows] == [6 * 191, 8 * 191]  # from step 250 on
    still = measure(small(sac__actor_rate=1e-30), 260)
    assert 0 <= still[0]["ninetieth"] < 1e-3 < rows[0]["tenth"]
