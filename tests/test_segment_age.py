"""The measure of how old the segments of ``sail`` are: what it measures, and that it only looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("dm_control", reason="the extra rl is not installed")

from benchmarks.segment_age import Observed, groups
from sailtheory.training.config import assignments
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.train import Trainer

SMALL = assignments(
    "steps=220 random_steps=40 entropy_steps=20 reset_updates=2 sac.width=8 sac.batch=16"
    " reward.width=16 reward.epochs=3 feedback.every=500 feedback.segment=10 evaluate_every=500"
    " feedback.queries=5 feedback.maximum=18 reference.since=100 sail.recent=40"
    " log_every=10".split()
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def advanced(kind, steps, *more, **changed):
    named = {key.replace("__", "."): value for key, value in changed.items()}
    trainer = kind(settings_of("cheetah-run", "sail-revkl", 0, SMALL, named), *more)
    found = [trainer.advance()[0] for _ in range(steps)]
    trainer.close()
    return trainer, found


def test_looking_changes_no_number():
    mine, seen = advanced(Observed, 120, 0)
    theirs, told = advanced(Trainer, 120, [0])
    assert seen == told and "sail/margin" in seen[109]
    assert torch.equal(mine.agent.actor_network.flat, theirs.agent.actor_network.flat)
    assert len(mine.found) == 4 * 21  # two pairs in each update from step 100 on


def test_an_actor_that_stands_still_has_no_old_segments():
    still, _ = advanced(Observed, 110, 0, sac__actor_rate=1e-30)
    differences = np.abs([difference for *_, difference in still.found])
    assert differences.max() < 1e-3  # rounding of sums of ten log-densities in float32
    moving, _ = advanced(Observed, 110, 0, sac__actor_rate=1e-2)
    assert np.median(np.abs([difference for *_, difference in moving.found])) > 0.1


def test_the_difference_is_that_of_the_actors_of_then_and_now():
    """Followed independently: a copy of the actor before each step."""
    trainer = Observed(settings_of("cheetah-run", "sail-revkl", 0, SMALL), 0)
    actors = {}
    while trainer.step < 105:
        actors[trainer.step + 1] = trainer.agent.policy(0)
        trainer.advance()
    last = [row for row in trainer.found if row[0] == 105]
    rows, _, _ = trainer.lanes[0].own_pairs(trainer.agent.updates(0) - 1)
    states = trainer.lanes[0].buffer.states()
    now = actors[105]
    for segment, (_, age, difference) in zip(rows.reshape(-1, 10, 23), last, strict=True):
        x, y = (torch.tensor(part) for part in (segment[:, :17], segment[:, 17:]))
        steps = [1 + int(np.flatnonzero((states == s).all(1))[0]) for s in segment[:, :17]]
        then = [actors[step].log_prob(x[[t]], y[[t]]).item() for t, step in enumerate(steps)]
        assert age == 105 - steps[-1] and steps == list(range(steps[0], steps[0] + 10))
        assert abs(now.log_prob(x, y).sum().item() - sum(then) - difference) < 1e-4
    trainer.close()


def test_groups_hold_every_update_and_segment_once():
    trainer, _ = advanced(Observed, 140, 0)
    found = groups(trainer, 100)
    assert [r["updates"] for r in found["by_update"]] == [[0, 25], [25, 50]]
    assert [r["segments"] for r in found["by_update"]] == [4 * 25, 4 * 16]
    assert sum(r["segments"] for r in found["by_age"]) == 4 * 25
    assert found["by_update"][0]["largest"] >= found["by_update"][0]["median"] > 0
