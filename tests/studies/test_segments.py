"""Pairs of segments in different states, the earlier form of `sail`: its gradient is exact."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("dm_control", reason="the extra rl is not installed")

import torch

from sailtheory.training import pairs as pair_terms
from studies.control_arms import segments as shipped
from studies.control_arms.segment_mdp import MDP, Tabular, shipped_gradient
from studies.control_arms.segments import SegmentPairs

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
