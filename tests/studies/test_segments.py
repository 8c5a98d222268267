"""The arms ``sail`` and ``sail-revkl``: an exact gradient."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("dm_control", reason="the extra rl is not installed")

import torch

from sailtheory.auditing import Term, audit_terms
from sailtheory.training import pairs as pair_terms
from sailtheory.training.control import sail as shipped
from sailtheory.training.control.sac import Batch, SegmentPairs
from sailtheory.training.control.sail import SAILAgent, SAILRevKLAgent
from sailtheory.training.control.settings import (
    ReferenceSettings,
    SACSettings,
    SAILSettings,
)
from studies.control_arms.segment_mdp import MDP, Tabular, shipped_gradient

F64 = torch.float64


# --- the gradient ---------------------------------------------------------------------------


def gap(agent, pairs, chance, exact):
    """Relative error of the shipped loss's expected gradient."""
    return float((shipped_gradient(agent, pairs, chance) - exact).norm() / exact.norm())


@pytest.mark.parametrize(("length", "beta"), [(1, 0.1), (2, 0.1), (2, 2.0), (3, 0.5)])
def test_the_expected_gradient_is_exact(length, beta):
    """Of J over states as another actor left them, and actions drawn anew."""
    for seed in range(3 if length < 3 else 1):
        mdp, then = MDP(seed), MDP(seed + 100).theta
        pairs, chance = mdp.pairs(length, then)
        assert abs(float(chance.sum()) - 1) < 1e-12
        exact = mdp.gradient(beta, length, "states", then)
        assert gap(mdp.agent(beta, 0.7), pairs, chance, exact) < 1e-10


def test_what_is_left_out_is_what_the_dynamics_carry():
    """Nothing where the next state is the same whatever the action; else something."""
    mdp = MDP(0)
    for left_out in ("start", "states"):
        full = mdp.gradient(0.5, 2)
        assert float((mdp.gradient(0.5, 2, left_out) - full).norm() / full.norm()) > 1e-3
    mdp.moves[:] = mdp.moves[:, :1]
    for length in (1, 2, 3):
        for left_out in ("start", "states"):
            full = mdp.gradient(0.5, length)
            assert float((mdp.gradient(0.5, length, left_out) - full).norm()) < 1e-12


def test_weights_without_a_limit_make_recorded_actions_exact():
    """The enumeration of what is compared with; whole episodes, whose starts do not move."""
    mdp, then = MDP(1), MDP(2).theta
    exact = mdp.gradient(0.5, 3, "start")
    assert float((mdp.recorded(0.5, 3, mdp.theta, None) - exact).norm()) < 1e-12
    assert float((mdp.recorded(0.5, 3, then, np.inf) - exact).norm()) < 1e-12
    for limit in (1.0, None):
        assert float((mdp.recorded(0.5, 3, then, limit) - exact).norm()) > 0.05 * exact.norm()


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
    found = mdp.gradient(beta, 2).numpy()
    # central differences: curvature · step² and rounding 1e-16 / step
    assert np.abs(found - wanted).max() < 1e-9


def shifted(pairs):
    """Actions that belong to the next step."""
    return pairs._replace(unsquashed=pairs.unsquashed.roll(1, 3))


WRONG = {
    "sign of the score": ("score", lambda *a: -pair_terms.score_loss(*a)),
    "no score": ("score", lambda *a: 0 * pair_terms.score_loss(*a)),
    "preference the wrong way round": (
        "pair", lambda pairs, q, beta: pair_terms.pair_loss(pairs, -q, beta)
    ),
}  # fmt: skip


def test_wrong_versions_are_seen(monkeypatch):
    mdp, beta = MDP(1), 1.0
    pairs, chance = mdp.pairs(2, mdp.theta)
    exact = mdp.gradient(beta, 2, "states")
    agent = mdp.agent(beta, 0.7)
    assert gap(agent, pairs, chance, exact) < 1e-10
    for which, wrong in WRONG.values():
        with monkeypatch.context() as patch:
            patch.setattr(shipped, f"{which}_loss", wrong)
            assert gap(agent, pairs, chance, exact) > 0.05
    assert gap(agent, shifted(pairs), chance, exact) > 0.05
    first = SegmentPairs(pairs.states[..., :1, :], pairs.unsquashed[..., :1, :], pairs.preference)
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


def gaussian(cls=SAILAgent, dtype=F64, **more):
    """Two runs, their actors a step away from the reference, and segments of theirs."""
    torch.manual_seed(0)
    agent = cls(
        3, 2, SACSettings(width=4, batch=5),
        [torch.Generator().manual_seed(s) for s in (0, 1)], rules=ReferenceSettings(since=1),
        objective=SAILSettings(beta=0.3, weight=0.7), dtype=dtype, **more,
    )  # fmt: skip
    agent.begin(1)
    with torch.no_grad():
        agent.actor_network.flat.add_(0.2 * torch.randn_like(agent.actor_network.flat))
    states = torch.randn(2, 4, 2, 6, 3, dtype=F64)
    unsquashed = torch.randn(2, 4, 2, 6, 2, dtype=F64)
    return agent, SegmentPairs(states, unsquashed, torch.rand(2, 4, dtype=F64) - 0.5)


def test_the_terms_are_those_of_each_runs_own_policy():
    agent, segments = gaussian()
    found = agent.sail_terms(segments)
    for run in range(2):
        policy = agent.policy(run)
        saved = agent.actor_network.flat.clone()
        agent.actor_network.flat.copy_(agent._reference.flat)
        reference = agent.policy(run)
        agent.actor_network.flat.copy_(saved)
        h = torch.zeros(4, 2, dtype=F64)
        for pair in range(4):
            for which in range(2):
                for t in range(6):
                    s, u = (x[run, pair, which, t][None] for x in segments[:2])
                    a = torch.tanh(u)  # squashed: the slope of tanh cancels
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


def test_drawn_actions_have_the_gradient_of_the_integral_over_them():
    """J as a Gauss–Hermite sum over noise, differentiated through actions, rewards and densities;
    the terms see actions as given, and hold the rest in the score. Rewards are entire in u, so
    the sum converges fast."""
    agent = SAILAgent(
        3, 1, SACSettings(width=4, batch=5), [torch.Generator().manual_seed(5)],
        rules=ReferenceSettings(since=1), objective=SAILSettings(beta=0.8, weight=0.7), dtype=F64,
    )  # fmt: skip
    agent.begin(1)
    torch.manual_seed(0)
    with torch.no_grad():
        agent.actor_network.flat.add_(0.1 * torch.randn_like(agent.actor_network.flat))
    states = torch.randn(1, 1, 2, 1, 3, dtype=F64)
    nodes, chances = np.polynomial.hermite_e.hermegauss(24)
    chances = chances / chances.sum()

    def preference(u):
        first, second = (torch.sin(u) + 0.3 * states.sum(-1, keepdim=True))[0, 0, :, 0, 0]
        return torch.sigmoid(first - second) - 0.5

    value = terms = 0.0
    for i, j in np.ndindex(24, 24):
        noise = torch.tensor([nodes[i], nodes[j]]).view(1, 1, 2, 1, 1)
        chance = chances[i] * chances[j]
        u = agent.actor.draw_unsquashed(states.view(1, 2, 3), noise.view(1, 2, 1)).view(noise.shape)
        h = [
            policy.log_prob_unsquashed(states.view(1, 2, 3), u.view(1, 2, 1))[0]
            for policy in (agent.actor, agent.reference)
        ]
        z, q = 0.8 * ((h[0] - h[1])[0] - (h[0] - h[1])[1]), preference(u)
        value = value + chance * (
            (0.5 + q) * torch.log(torch.sigmoid(z)) + (0.5 - q) * torch.log(torch.sigmoid(-z))
        )
        drawn = shipped.draw_segments(agent.actor, states, noise)
        found = agent.sail_terms(SegmentPairs(states, drawn, preference(drawn).view(1, 1)))
        terms = terms + chance * sum(found.values())
    wanted, seen = (
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(x.sum(), agent.actor_network.layers)])
        for x in (-0.7 * value, terms)
    )
    assert float((seen - wanted).norm()) < 1e-6 * float(wanted.norm())  # 24 nodes


@pytest.mark.parametrize(("pairs", "length", "actions"), [(1, 7, 3), (2, 10, 6), (3, 5, 1)])
def test_a_runs_terms_do_not_depend_on_who_trains_beside_it(pairs, length, actions):
    def made(seeds):
        agent = SAILRevKLAgent(
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
                torch.randn(*shape, actions, generator=rng),
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
    agent, segments = gaussian(SAILRevKLAgent, kl_coef=0.1)
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
    for found in (audit_terms([score], groups), audit_terms(terms, groups)):
        assert found.faults == () and found.unclaimed == ()
    at_reference, segments = gaussian()
    at_reference.begin(1)  # there g = −log 2 = b: the score term is zero, not cut off
    term = at_reference.sail_terms(segments)["actor/sail_score"].sum()
    faults = audit_terms(
        [Term("score", term, ("actor",))], {"actor": at_reference.actor_network}
    ).faults
    assert len(faults) == 1 and "zero" in faults[0]


def test_saturated_actions_keep_their_density():
    """Where tanh rounds to ±1 in float32: the ratio is that of the Gaussians of u."""
    agent, segments = gaussian(dtype=torch.float32)
    with torch.no_grad():
        agent.actor_network.layers[-1][..., :2] += 30.0  # biases of the means
        agent._reference.layers[-1][..., :2] += 31.0
    noise = torch.randn(segments.unsquashed.shape)
    drawn = shipped.draw_segments(agent.actor, segments.states.float(), noise)
    assert bool((torch.tanh(drawn) == 1).all())
    segments = SegmentPairs(segments.states.float(), drawn, segments.preference.float())
    agent.sail_terms(segments)
    seen = agent.observed()["sail/margin"].detach()
    for run in range(2):
        flat = segments.states[run].reshape(-1, 3)
        parts = [policy(flat) for policy in (agent.policy(run), agent.reference_policy(run))]
        own, ref = (
            torch.distributions.Normal(mean, log_std.exp())
            .log_prob(drawn[run].reshape(-1, 2)).sum(-1).view(4, 2, 6).sum(-1)
            for mean, log_std in parts
        )  # fmt: skip
        wanted = 0.3 * ((own - ref)[:, 0] - (own - ref)[:, 1]).abs().mean().detach()
        assert float(seen[run]) == pytest.approx(float(wanted), rel=1e-4)
        squashed = torch.tanh(drawn[run].reshape(-1, 2))
        lost = agent.policy(run).log_prob(flat, squashed) - agent.reference_policy(run).log_prob(
            flat, squashed
        )
        assert float((lost.view(4, 2, 6).sum(-1) - (own - ref)).detach().abs().max()) > 100
