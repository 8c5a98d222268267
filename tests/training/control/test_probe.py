"""The candidate-set problem of an actor's own segments, and the monitor attached to it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("dm_control", reason="the extra rl is not installed")

import torch

from sailtheory import SAIL, InputError
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.storage.config import assignments
from sailtheory.training.control.probe import ActorProbe
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.train import Trainer
from studies.control_arms.segments import SegmentPairs, segment_log_probs

SMALL = assignments(
    "steps=220 random_steps=40 entropy_steps=20 reset_updates=2 sac.width=8 sac.batch=16"
    " sail.states=8 reward.width=16 reward.epochs=3 feedback.every=500 feedback.segment=10"
    " feedback.queries=5 feedback.maximum=18 reference.since=100 sail.beta=0.4"
    " sac.actor_rate=0.001".split()
)


@pytest.fixture(scope="module")
def trainer():
    trainer = Trainer(settings_of("cheetah-run", "sail", 0, SMALL), [0, 1])
    while trainer.step < 100:
        trainer.advance()
    yield trainer
    trainer.close()


@pytest.fixture(scope="module")
def moved(trainer):
    """A probe from when the reference was taken, and the actors some updates later."""
    probe = ActorProbe(trainer, run=1, prompts=3, candidates=4, recent=40)
    probe.follow()
    log_policy = torch.log_softmax(probe.objective.policy(probe.objective.data.all.inputs), -1)
    assert (log_policy + np.log(4)).abs().max() < 1e-9  # uniform on what it has drawn
    problem = probe.linearised(0.5)
    for _ in range(20):
        trainer.advance()
    return probe, problem


def test_the_margins_are_those_of_the_actor(trainer, moved):
    probe = moved[0]
    probe.follow()
    batch = probe.objective.data.all
    pairs = batch.inputs[:, :2, :, :-1]  # the first two candidates of each prompt
    states, unsquashed = pairs[..., :17].float(), torch.atanh(pairs[..., 17:]).float()
    stacked = SegmentPairs(
        torch.stack([states, states]), torch.stack([unsquashed, unsquashed]), torch.zeros(2, 3)
    )
    agent = trainer.agent
    own, ref = (segment_log_probs(p, stacked)[1].detach() for p in (agent.actor, agent.reference))
    wanted = 0.4 * ((own - ref)[:, 0] - (own - ref)[:, 1]).abs().mean()
    ratio = probe.objective.policy(batch.inputs) - batch.log_ref
    z = 0.4 * (ratio[:, 0] - ratio[:, 1])
    assert abs(float(z.abs().mean().detach() - wanted)) < 1e-4 * float(wanted)
    assert float(wanted) > 1e-3


def test_the_linearisation_has_the_gradient_of_the_network(moved):
    probe, problem = moved
    policy = probe.objective.policy
    policy.load_state_dict(probe._reference.state_dict())
    value = probe.objective.value()
    assert abs(float(value.detach()) + np.log(2)) < 1e-12  # π_θ = π_ref
    slopes = torch.autograd.grad(value, list(policy.parameters()))
    found = float(sum((g * g).sum() for g in slopes)) ** 0.5
    exact = SAIL(problem).gradient(np.zeros(problem.dimension))
    size = float(np.linalg.norm(exact))
    assert abs(size - found) < 1e-8 * size and size > 0
    assert problem.dimension == problem.span.dimension <= 9
    assert problem.beta == 0.4 and problem.radius == 0.5
    # Bradley–Terry with the rewards that the learner has learned
    q = probe.objective.data.all.preference.numpy()
    assert np.allclose(problem.blocks(FLOAT64)[0].preference, q, atol=1e-12)


def test_the_monitor_follows_the_actor_and_leaves_it_alone(trainer, moved):
    probe = moved[0]
    before = trainer.agent.actor_network.flat.clone()
    probe.monitor._began -= 1e6  # time enough for a measurement
    found = probe(trainer.step)
    assert found is not None and found["step"] == trainer.step
    assert torch.equal(before, trainer.agent.actor_network.flat)
    distance = float(trainer.agent.distance()[1])
    assert abs(found["distance"] - distance) < 1e-5 * distance and distance > 0
    assert np.isfinite([found["lambda_max"], found["relative_max"], found["kl_ref_policy"]]).all()
    assert found["kl_ref_policy"] > 0 and found["value"] < 0


def test_a_method_without_a_reference_is_refused():
    with pytest.raises(InputError, match="method"):
        ActorProbe(Trainer(settings_of("cheetah-run", "pebble", 0, SMALL), [0]))
    with pytest.raises(InputError, match="method"):
        ActorProbe(Trainer(settings_of("cheetah-run", "sail", 0, SMALL), [0]))
