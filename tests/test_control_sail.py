"""The arms ``sail`` and ``sail-revkl``: an exact gradient, whole runs, and bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("dm_control", reason="the extra rl is not installed")

import torch

from benchmarks.segment_mdp import MDP, Tabular, shipped_gradient
from sailtheory import InputError
from sailtheory.training import pairs as pair_terms
from sailtheory.training.arms import diff
from sailtheory.training.audit import Term, audit
from sailtheory.training.config import assignments
from sailtheory.training.control import sail as shipped
from sailtheory.training.control.reference import Referenced
from sailtheory.training.control.sac import Batch, SegmentPairs
from sailtheory.training.control.sail import SAIL, SAILRevKL
from sailtheory.training.control.settings import (
    ReferenceSettings,
    SACSettings,
    SAILSettings,
    settings_of,
)
from sailtheory.training.control.train import Trainer, train
from sailtheory.training.record import read_record

F64 = torch.float64
SMALL = assignments(
    "steps=220 random_steps=60 entropy_steps=40 reset_updates=5 evaluate_every=500"
    " evaluation_episodes=1 checkpoint_every=80 log_every=50 sac.width=16 sac.batch=16"
    " reward.width=16 reward.epochs=3 feedback.every=50 feedback.segment=10"
    " feedback.queries=5 feedback.maximum=18 reference.since=120 sail.recent=60".split()
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- the gradient ---------------------------------------------------------------------------


def gap(agent, pairs, chance, exact):
    """Relative error of the shipped loss's expected gradient."""
    return float((shipped_gradient(agent, pairs, chance) - exact).norm() / exact.norm())


@pytest.mark.parametrize(("length", "beta"), [(1, 0.1), (2, 0.1), (2, 2.0), (3, 0.5)])
def test_the_expected_gradient_is_exact(length, beta):
    """Whole episodes have starts that depend on nothing, so there both gradients agree."""
    for seed in range(3 if length < 3 else 1):
        mdp = MDP(seed)
        pairs, chance = mdp.pairs(length)
        assert abs(float(chance.sum()) - 1) < 1e-12
        exact = mdp.gradient(beta, length, moving=False)
        assert gap(mdp.agent(beta, 0.7), pairs, chance, exact) < 1e-10
        full = mdp.gradient(beta, length, moving=True)
        apart = float((full - exact).norm() / full.norm())
        assert apart < 1e-12 if length == 3 else apart > 1e-3


def test_the_enumerated_gradient_is_a_derivative():
    """The reference itself, against differences of an objective summed in NumPy."""
    mdp, beta, step = MDP(4), 0.8, 1e-5

    def objective(theta):
        policy = np.exp(theta) / np.exp(theta).sum(1, keepdims=True)
        ref = mdp.theta_ref.softmax(-1).numpy()
        moves, reward = mdp.moves.numpy(), mdp.reward.numpy()
        found = []
        for start in (0, 1):
            for s in np.ndindex(3, 3, 3):
                for a in np.ndindex(2, 2, 2):
                    chance = mdp.first.numpy()[s[0]] * policy[s[0], a[0]]
                    for t in (1, 2):
                        chance *= moves[s[t - 1], a[t - 1], s[t]] * policy[s[t], a[t]]
                    cut = [(s[t], a[t]) for t in (start, start + 1)]
                    h = sum(np.log(policy[i] / ref[i]) for i in cut)
                    found.append((chance / 2, h, sum(reward[i] for i in cut)))
        chance, h, total = np.array(found).T
        z = beta * (h[:, None] - h)
        p = 1 / (1 + np.exp(total - total[:, None]))
        g = -p * np.log1p(np.exp(-z)) - (1 - p) * np.log1p(np.exp(z))
        return chance @ g @ chance

    wanted = np.zeros((3, 2))
    for place in np.ndindex(3, 2):
        move = np.zeros((3, 2))
        move[place] = step
        theta = mdp.theta.numpy()
        wanted[place] = (objective(theta + move) - objective(theta - move)) / (2 * step)
    found = mdp.gradient(beta, 2, moving=True).numpy()
    # central differences: curvature · step² and rounding 1e-16 / step
    assert np.abs(found - wanted).max() < 1e-9


@pytest.mark.parametrize("limit", [1e9, 1.0])
def test_weights_make_the_gradient_exact_for_pairs_of_another_policy(limit):
    """Actions drawn from π_then, starts as they are; cutting the weights off costs exactness."""
    mdp, other, beta = MDP(1), MDP(2), 1.0
    pairs, _ = mdp.pairs(2)
    chance = mdp.probability(other.theta, mdp.starts(mdp.theta, 2), 2)
    chance = torch.outer(chance, chance).reshape(-1)
    drawn = shipped.segment_log_probs(Tabular(other.theta), pairs).detach()
    exact = mdp.gradient(beta, 2, moving=False)
    agent = mdp.agent(beta, 0.7)
    assert gap(agent, pairs._replace(drawn=drawn), chance, exact) > 0.05
    agent.objective = replace(agent.objective, importance=limit)
    found = gap(agent, pairs._replace(drawn=drawn), chance, exact)
    assert found < 1e-10 if limit > 1 else found > 0.05


def shifted(pairs):
    """Actions that belong to the next step."""
    return pairs._replace(actions=pairs.actions.roll(1, 3))


WRONG = {
    "sign of the score": ("score", lambda *a: -pair_terms.score_loss(*a)),
    "no score": ("score", lambda *a: 0 * pair_terms.score_loss(*a)),
    "preference the wrong way round": (
        "pair", lambda pairs, q, beta: pair_terms.pair_loss(pairs, -q, beta)
    ),
}  # fmt: skip


def test_wrong_versions_are_seen(monkeypatch):
    mdp, beta = MDP(1), 1.0
    pairs, chance = mdp.pairs(2)
    exact = mdp.gradient(beta, 2, moving=False)
    agent = mdp.agent(beta, 0.7)
    assert gap(agent, pairs, chance, exact) < 1e-10
    for which, wrong in WRONG.values():
        with monkeypatch.context() as patch:
            patch.setattr(shipped, f"{which}_loss", wrong)
            assert gap(agent, pairs, chance, exact) > 0.05
    assert gap(agent, shifted(pairs), chance, exact) > 0.05
    first = SegmentPairs(pairs.states[..., :1, :], pairs.actions[..., :1, :], pairs.preference)
    assert gap(agent, first, chance, exact) > 0.05  # a step short
    agent.reference = Tabular(torch.zeros(3, 2, dtype=F64))
    assert gap(agent, pairs, chance, exact) > 0.05  # no reference
    # and a baseline other than −log 2 is right in expectation
    agent = mdp.agent(beta, 0.7)
    with monkeypatch.context() as patch:
        patch.setattr(
            shipped, "score_loss",
            lambda p, q, b: pair_terms.score_loss(p, q, b) + 3 * (p.first + p.second),
        )  # fmt: skip
        assert gap(agent, pairs, chance, exact) < 1e-10


# --- the terms of a Gaussian actor ------------------------------------------------------------


def gaussian(cls=SAIL, **more):
    """Two runs, their actors a step away from the reference, and segments of theirs."""
    torch.manual_seed(0)
    agent = cls(
        3, 2, SACSettings(width=4, batch=5),
        [torch.Generator().manual_seed(s) for s in (0, 1)], rules=ReferenceSettings(since=1),
        objective=SAILSettings(beta=0.3, weight=0.7), dtype=F64, **more,
    )  # fmt: skip
    agent.begin(1)
    with torch.no_grad():
        agent.actor_network.flat.add_(0.2 * torch.randn_like(agent.actor_network.flat))
    states = torch.randn(2, 4, 2, 6, 3, dtype=F64)
    actions = torch.rand(2, 4, 2, 6, 2, dtype=F64) * 1.8 - 0.9
    return agent, SegmentPairs(states, actions, torch.rand(2, 4, dtype=F64) - 0.5)


def test_the_terms_are_those_of_each_runs_own_policy():
    agent, segments = gaussian()
    found = agent.sail_terms(segments)
    for run in range(2):
        policy = agent.policy(run)
        kept = agent.actor_network.flat.clone()
        agent.actor_network.flat.copy_(agent._reference.flat)
        reference = agent.policy(run)
        agent.actor_network.flat.copy_(kept)
        h = torch.zeros(4, 2, dtype=F64)
        for pair in range(4):
            for which in range(2):
                for t in range(6):
                    s, a = (x[run, pair, which, t][None] for x in segments[:2])
                    h[pair, which] += (policy.log_prob(s, a) - reference.log_prob(s, a))[0].detach()
        z = 0.3 * (h[:, 0] - h[:, 1])
        p = segments.preference[run] + 0.5
        wanted = -0.7 * (p * torch.log(torch.sigmoid(z)) + (1 - p) * torch.log(torch.sigmoid(-z)))
        assert abs(float(found["actor/sail_dpo"][run].detach() - wanted.mean())) < 1e-12
        assert float(found["actor/sail_score"][run].detach()) == 0.0
        assert abs(float(agent.observed()["sail/margin"][run] - z.abs().mean())) < 1e-12
        coefficient = p * torch.log(torch.sigmoid(z)) + (1 - p) * torch.log(torch.sigmoid(-z))
        size = (coefficient + np.log(2)).abs().mean()
        assert abs(float(agent.observed()["sail/score_coefficient"][run] - size)) < 1e-12 < size


@pytest.mark.parametrize(("pairs", "length", "actions"), [(1, 7, 3), (2, 10, 6), (3, 5, 1)])
def test_a_runs_terms_do_not_depend_on_who_trains_beside_it(pairs, length, actions):
    def made(seeds):
        agent = SAILRevKL(
            5, actions, SACSettings(width=9, batch=5),
            [torch.Generator().manual_seed(s) for s in seeds], rules=ReferenceSettings(since=1),
            objective=SAILSettings(), kl_coef=0.1,
        )  # fmt: skip
        agent.begin(1)
        parts = []
        for run, seed in enumerate(seeds):
            rng = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                flat = agent.actor_network.flat[run]
                flat.add_(0.2 * torch.randn(flat.shape, generator=rng))
            shape = (pairs, 2, length)
            parts.append((
                torch.randn(*shape, 5, generator=rng), torch.randn(5, 12 + actions, generator=rng),
                torch.rand(*shape, actions, generator=rng) * 2 - 1,
                torch.rand(pairs, generator=rng) - 0.5,
            ))  # fmt: skip
        states, rows, chosen, preference = (torch.stack(part) for part in zip(*parts, strict=True))
        rows[..., 5 : 5 + actions].tanh_()
        batch = Batch.of_rows(rows, 5, actions)
        agent.update(batch._replace(segments=SegmentPairs(states, chosen, preference)))
        # Adam's first moment is the gradient; its first step shows little but the sign.
        return agent.state(seeds.index(3))["adam"]["actor"]["first"]

    assert torch.equal(made([3]), made([0, 1, 3, 4, 5]))
    assert torch.equal(made([3]), made([3, 1]))


def test_every_term_passes_the_audit():
    """The score term is a surrogate: its gradient is audited, its value is 0 on purpose."""
    agent, segments = gaussian(SAILRevKL, kl_coef=0.1)
    rows = torch.randn(2, 5, 10, dtype=F64)
    rows[..., 3:5].tanh_()
    batch = Batch.of_rows(rows, 3, 2)._replace(segments=segments)
    noise = (agent.noise(5), agent.noise(5))
    names = agent.losses(batch, noise)
    assert set(names) == {
        "critic", "temperature", "actor/entropy", "actor/value", "actor/kl_ref_policy",
        "actor/sail_dpo", "actor/sail_score",
    }  # fmt: skip
    claims = {"critic": "critic", "temperature": "temperature"}
    score = Term("score", names.pop("actor/sail_score").sum(), ("actor",))
    terms = [
        Term(name, lambda name=name: agent.losses(batch, noise)[name].sum(),
             (claims.get(name, "actor"),))
        for name in names
    ]  # fmt: skip
    groups = {
        "actor": agent.actor_network, "critic": agent.critic,
        "temperature": {"log": agent.log_temperature},
    }  # fmt: skip
    for found in (audit([score], groups), audit(terms, groups)):
        assert found.faults == () and found.unclaimed == ()
    at_reference, segments = gaussian()
    at_reference.begin(1)  # there g = −log 2 = b: the score term is zero, not cut off
    term = at_reference.sail_terms(segments)["actor/sail_score"].sum()
    faults = audit([Term("score", term, ("actor",))], {"actor": at_reference.actor_network}).faults
    assert len(faults) == 1 and "zero" in faults[0]


# --- whole runs -------------------------------------------------------------------------------


def small(method, **more):
    changed = {key.replace("__", "."): value for key, value in more.items()}
    return settings_of("cheetah-run", method, 0, SMALL, changed)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    torch.set_num_threads(1)
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


def test_weights_are_of_the_actors_that_drew_the_segments():
    trainer, actors = Trainer(small("sail", sail__importance=1.0), [0, 1]), {}
    while trainer.step < 125:
        actors[trainer.step + 1] = trainer.agent.policy(1)
        trainer.advance()
    found, states = trainer._segments(), trainer.lanes[1].buffer.states()
    for place in np.ndindex(2, 2):
        x, y = found.states[1][place], found.actions[1][place]
        steps = [1 + int(np.flatnonzero((states == s).all(1))[0]) for s in x.numpy()]
        each = [actors[t].log_prob(x[[i]], y[[i]]).item() for i, t in enumerate(steps)]
        assert abs(sum(each) - float(found.drawn[1][place])) < 1e-4
    trainer.agent.sail_terms(found)
    own = shipped.segment_log_probs(trainer.agent.actor, found).detach()
    ratio = (own - found.drawn).sum(-1).exp().clamp(max=1)
    mean = trainer.agent.observed()["sail/importance"]
    assert torch.allclose(mean, ratio.mean(-1), rtol=1e-5) and bool((ratio < 1).any())


def test_a_weighed_run_resumes_with_the_same_numbers(tmp_path, monkeypatch):
    settings = small("sail-revkl", sail__importance=1.0)
    whole = train(settings, [0, 1], tmp_path / "whole")[0]
    advance = Trainer.advance

    def stop(self):
        if self.step == 190:
            raise KeyboardInterrupt
        return advance(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            train(settings, [0], tmp_path)
    train(settings, [0], tmp_path, resume=True)
    mine, theirs = (f / "metrics.csv" for f in (tmp_path / "seed-0", whole))
    assert mine.read_bytes() == theirs.read_bytes() and b"sail/importance" in mine.read_bytes()


def test_segments_are_the_last_ones_and_preferences_those_of_the_learned_reward():
    trainer = Trainer(small("sail"), [0])
    for _ in range(130):
        trainer.advance()
    one = trainer.lanes[0]
    update = trainer.agent.updates(0)
    found, q, drawn = one.own_pairs(update)
    again = one.own_pairs(update)[0]
    assert drawn.shape == (2, 2)
    assert np.array_equal(found, again)
    assert not np.array_equal(found, one.own_pairs(update + 1)[0])
    assert found.shape == (2, 2, 10, one.buffer.pairs)
    states = one.buffer.states()
    place = [int(np.flatnonzero((states == s).all(1))[0]) for s in found[0, 1, :, :17]]
    assert place == list(range(place[0], place[0] + 10)) and place[0] >= 70
    totals = [sum(one.model.rewards(segment)) for segment in found.reshape(-1, 10, 23)]
    for pair in range(2):
        first, second = (float(totals[2 * pair + i]) for i in (0, 1))
        assert abs(q[pair] + 0.5 - 1 / (1 + np.exp(second - first))) < 1e-6
    shipped_pairs = trainer._segments()
    assert torch.equal(shipped_pairs.states[0], torch.tensor(found[..., :17]))
    assert torch.equal(shipped_pairs.actions[0], torch.tensor(found[..., 17:]))
    assert isinstance(trainer.agent, Referenced)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"sail__recent": 29}, "sail.recent"),
        ({"reference__since": 220}, "reference.since"),  # the last step: there is no use of it
        ({"reference__since": 119}, "reference.since"),
        ({"sail__weight": 0.0}, "sail.weight"),
        ({"sail__importance": 0.0}, "sail.importance"),
        ({"reference__every": 0}, "reference.every"),
        ({"reference__radius": 0.0}, "reference.radius"),
        ({"kl_coef": -1.0}, "kl_coef"),
    ],
)
def test_bad_settings_leave_no_folder(tmp_path, changed, field):
    with pytest.raises(InputError) as caught:
        train(small("sail-revkl", **changed), [0], tmp_path / "out")
    assert caught.value.field == field and not (tmp_path / "out").exists()
