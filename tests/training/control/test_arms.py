"""Arms against one another: what each adds to the actor's loss, and what the published ones add."""

from __future__ import annotations

import zipfile

import pytest

pytest.importorskip("dm_control", reason="the extra rl is not installed")

import torch
from torch.distributions import Independent, Normal, TransformedDistribution, kl_divergence
from torch.distributions.transforms import TanhTransform

from sailtheory.auditing import Term, audit_terms
from sailtheory.compare.arms import diff
from sailtheory.runs.read import read_record
from sailtheory.storage.config import assignments
from sailtheory.training.control import learner
from sailtheory.training.control.reference import RevKLAgent
from sailtheory.training.control.reward import RewardModel
from sailtheory.training.control.sac import SAC, Batch
from sailtheory.training.control.settings import ReferenceSettings, SACSettings, settings_of
from sailtheory.training.control.train import Trainer, train

F64 = torch.float64
S, A, B = 3, 2, 5
SMALL = assignments(
    "steps=220 random_steps=60 entropy_steps=40 reset_updates=5 evaluate_every=500"
    " evaluation_episodes=1 checkpoint_every=80 log_every=50 sac.width=16 sac.batch=16"
    " reward.width=16 reward.epochs=3 feedback.every=50 feedback.segment=10"
    " feedback.queries=5 feedback.maximum=18 reference.since=120 reference.every=60".split()
)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def batch_of(seeds=(0, 1)):
    rows = [torch.randn(B, 2 * S + A + 2, generator=generator(seed), dtype=F64) for seed in seeds]
    stacked = torch.stack(rows)
    stacked[..., S : S + A].tanh_()
    stacked[..., -1] = 1
    return Batch.of_rows(stacked, S, A)


def moved(agent, seed=7):
    """The actor of every run, a step away from where it was."""
    flat = agent.actor_network.flat
    with torch.no_grad():
        flat.add_(0.2 * torch.randn(flat.shape, generator=generator(seed), dtype=flat.dtype))
    return agent


def tiny(cls=RevKLAgent, seeds=(0, 1), since=1, every=None, radius=None, **more):
    settings = SACSettings(width=4, batch=B)
    rules = ReferenceSettings(since=since, every=every, radius=radius)
    return cls(S, A, settings, [generator(s) for s in seeds], rules=rules, dtype=F64, **more)


def distribution(network, run, states):
    """The policy of a run from torch's own parts."""
    x = states
    layers = [p[run].detach() for p in network.layers]
    for weight, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        x = torch.relu(x @ weight + bias)
    mean, raw = (x @ layers[-2] + layers[-1]).chunk(2, -1)
    std = torch.exp(-3.5 + 6.5 * torch.tanh((raw + 3.5) / 6.5))
    return mean, std


def test_the_divergence_is_that_of_the_squashed_policies_from_the_reference_to_the_actor():
    agent = tiny(kl_coef=0.3)
    agent.begin(1)
    before = agent.actor_network.flat.clone()
    moved(agent)
    batch = batch_of()
    term = agent.actor_terms(batch, agent.noise(B))[0]["actor/kl_ref_policy"]
    for run in range(2):
        now = distribution(agent.actor_network, run, batch.observations[run])
        saved = agent.actor_network.flat.clone()
        agent.actor_network.flat.copy_(before)
        then = distribution(agent.actor_network, run, batch.observations[run])
        agent.actor_network.flat.copy_(saved)
        p, q = (Independent(Normal(*pair), 1) for pair in (then, now))
        exact = kl_divergence(p, q).mean()
        assert abs(float(term[run].detach() - 0.3 * exact)) < 1e-12
        # and it is the divergence of the actions themselves, by drawing them from π_ref
        squashed = [TransformedDistribution(d, TanhTransform(cache_size=1)) for d in (p, q)]
        torch.manual_seed(run)
        drawn = squashed[0].sample((20_000,)).clamp(-1 + 1e-12, 1 - 1e-12)
        ratio = squashed[0].log_prob(drawn) - squashed[1].log_prob(drawn)
        error = ratio.mean(1).std() / 20_000**0.5
        assert abs(ratio.mean() - exact) < 5 * error < 0.2 * exact


def test_the_reference_is_taken_when_it_is_said_to_be():
    fixed, renewed = (tiny(since=5, every=every, kl_coef=1.0) for every in (None, 4))
    for step in range(1, 15):
        for agent in (fixed, renewed):
            agent.begin(step)
            term = agent.actor_terms(batch_of(), agent.noise(B))[0].get("actor/kl_ref_policy")
            assert (term is None) == (step < 5)
            fresh = step == 5 or (agent is renewed and step in (9, 13))
            assert term is None or bool((term == 0).all()) == fresh
            moved(agent, step)
        taken = [float(agent.observed()["reference/step"][1]) for agent in (fixed, renewed)]
        assert taken == ([0, 0] if step < 5 else [5, 5 + (step - 5) // 4 * 4])


def test_the_ball_around_the_first_reference():
    agent = tiny(radius=0.5, every=2, kl_coef=0.0)
    agent.constrain()  # without a reference there is no ball
    agent.begin(1)
    centre = agent.actor_network.flat.clone()
    with torch.no_grad():
        agent.actor_network.flat[0].add_(0.1 / agent.actor_network.flat[0].numel() ** 0.5)
        agent.actor_network.flat[1].add_(2.0)
    outside = agent.actor_network.flat.clone()
    agent.constrain()
    assert torch.equal(agent.actor_network.flat[0], outside[0])
    step, wanted = (flat[1] - centre[1] for flat in (agent.actor_network.flat, outside))
    assert abs(float(step.norm()) - 0.5) < 1e-12
    assert (step / step.norm() - wanted / wanted.norm()).abs().max() < 1e-12
    agent.begin(3)  # a new reference leaves the centre where it is
    assert (agent.distance() - torch.tensor([0.1, 0.5], dtype=F64)).abs().max() < 1e-12
    agent.update(batch_of())
    assert float(agent.distance().max()) <= 0.5 + 1e-12


def terms_of(agent, batch, noise):
    """SAC's loss terms for the audit; each is repeatable and its gradient its own."""
    names = agent.losses(batch, noise)
    claims = {"critic": "critic", "temperature": "temperature"}
    return [
        Term(name, lambda name=name: agent.losses(batch, noise)[name].sum(),
             (claims.get(name, "actor"),))
        for name in names
    ]  # fmt: skip


def groups_of(agent):
    return {
        "actor": agent.actor_network, "critic": agent.critic,
        "temperature": {"log": agent.log_temperature},
    }  # fmt: skip


def test_every_term_of_sac_and_of_the_divergence_passes_the_audit():
    plain = SAC(S, A, SACSettings(width=4, batch=B), [generator(0), generator(1)], dtype=F64)
    for agent in (plain, tiny(kl_coef=1e-4)):
        agent.begin(1)
        moved(agent)
        batch, noise = batch_of(), (agent.noise(B), agent.noise(B))
        terms = terms_of(agent, batch, noise)
        assert len(terms) == (4 if agent is plain else 5)
        found = audit_terms(terms, groups_of(agent))
        assert found.faults == () and found.unclaimed == ()


def test_a_divergence_from_the_reference_to_itself_is_caught():
    """A reference that is the actor itself: the KL term is zero and moves nothing."""
    agent = tiny(kl_coef=1.0)
    agent.begin(1)
    agent.reference = agent.actor
    batch, noise = batch_of(), (agent.noise(B), agent.noise(B))
    faults = audit_terms(terms_of(agent, batch, noise), groups_of(agent)).faults
    assert len(faults) == 1 and "actor/kl_ref_policy claims to move actor" in faults[0]


# --- the published "SAIL" ------------------------------------------------------------------


class WithValue(RewardModel):
    """The published "SAIL" arm: λ₁·Q₁(s, a) in the loss of the reward networks."""

    weight = 10.0
    agent = None
    seen = 0

    def terms(self, first_second, logits, targets):
        found = super().terms(first_second, logits, targets)
        pairs = first_second.reshape(1, -1, first_second.shape[-1]).expand(2, -1, -1)
        value = self.agent.critic(pairs)[0].mean()
        WithValue.seen += 1
        return found | {"reward/value": self.weight * value.expand(len(logits))}


def files(folder):
    """Metrics and members of the last checkpoint, as bytes."""
    with zipfile.ZipFile(max(folder.glob("checkpoint-*.npz"))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return {"metrics": (folder / "metrics.csv").read_bytes()} | members


def small(method, **more):
    changed = {key.replace("__", "."): value for key, value in more.items()}
    return settings_of("cheetah-run", method, 0, SMALL, changed)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of pebble and one of pebble-revkl."""
    out = tmp_path_factory.mktemp("arms")
    return {
        method: train(small(method, **more), [0], out / method)[0]
        for method, more in [("pebble", {}), ("pebble-revkl", {"kl_coef": 0.1})]
    }


def test_the_published_sail_arm_is_pebble_bit_for_bit(runs, tmp_path, monkeypatch):
    made = Trainer.__init__

    def with_agent(self, *args, **kwargs):
        made(self, *args, **kwargs)
        for each in self.learners:
            each.model.agent = self.agent

    monkeypatch.setattr(learner, "RewardModel", WithValue)
    monkeypatch.setattr(Trainer, "__init__", with_agent)
    folder = train(small("pebble"), [0], tmp_path)[0]
    assert WithValue.seen > 0
    mine, theirs = files(folder), files(runs["pebble"])
    assert [name for name in mine | theirs if mine.get(name) != theirs.get(name)] == []


def test_the_published_sail_term_is_caught_by_the_audit(monkeypatch):
    monkeypatch.setattr(learner, "RewardModel", WithValue)
    trainer = Trainer(small("pebble"), [0])
    model = trainer.learners[0].model
    model.agent = trainer.agent
    pairs = torch.randn(3, 4, 2, 10, trainer.learners[0].buffer.pairs, generator=generator(0))
    targets = torch.tensor([0.0, 1.0, 1.0, 0.0]).expand(3, -1)
    names = ("reward", "reward/value")
    terms = [
        Term(n, lambda n=n: model.terms(pairs, model.logits(pairs), targets)[n].sum(), ("reward",))
        for n in names
    ]
    faults = audit_terms(terms, {"reward": model.network}).faults
    assert len(faults) == 1 and "reward/value claims to move reward" in faults[0]


def test_arms_differ_in_their_method_alone_and_are_not_one_algorithm(runs, tmp_path):
    mine, theirs = (read_record(folder) for folder in runs.values())
    found = diff([mine, theirs])
    found.require()
    assert [d.key for d in found.allowed] == ["kl_coef"] and found.same == ()
    assert found.unread == ()
    steps, taken = theirs.series("reference/step")
    assert steps.tolist() == [50, 100, 150, 200] and taken.tolist() == [0, 0, 120, 180]
    steps, divergence = theirs.series("loss/actor/kl_ref_policy")
    assert steps.tolist() == [150, 200] and (divergence > 0).all()
    assert "reference/step" not in mine.names()
    both = [dict(zip(*record.series("loss/critic"), strict=True)) for record in (mine, theirs)]
    assert both[0][100] == both[1][100] and both[0][150] != both[1][150]
    other = read_record(train(small("pebble-revkl", steps=221), [0], tmp_path)[0])
    assert "steps" in [difference.key for difference in diff([mine, other]).refused]


def test_a_reference_survives_a_resume(runs, tmp_path, monkeypatch):
    advance = Trainer.advance

    def stop(self):
        if self.step == 170:
            raise KeyboardInterrupt
        return advance(self)

    settings = small("pebble-revkl", kl_coef=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            train(settings, [0, 1], tmp_path)
    train(settings, [0, 1], tmp_path, resume=True)
    mine, theirs = files(tmp_path / "seed-0"), files(runs["pebble-revkl"])
    assert [name for name in mine | theirs if mine.get(name) != theirs.get(name)] == []
