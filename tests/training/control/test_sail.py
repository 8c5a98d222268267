"""The arms ``sail`` and ``sail-revkl``: the expected gradient of their terms is exact."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("gymnasium", reason="the extra rl is not installed")

import torch

from sailtheory import SAIL, KLRefPolicy, OnlineDPO, PreferenceProblem
from sailtheory.auditing import Term, audit_terms
from sailtheory.training import pairs as pair_terms
from sailtheory.training.control import sail as shipped
from sailtheory.training.control.sac import Batch
from sailtheory.training.control.sail import Candidates, SAILAgent, SAILRevKLAgent
from sailtheory.training.control.settings import ReferenceSettings, SACSettings, SAILSettings

F64 = torch.float64
STATES, ACTIONS = 2, 3
BETA, KAPPA, WEIGHT = 0.6, 1.7, 0.3


class Tabular(torch.nn.Module):
    """π(a|s) = softmax of a table, for states and actions given as indicators."""

    def __init__(self, table):
        super().__init__()
        self.table = torch.nn.Parameter(torch.tensor(table))

    def log_prob_unsquashed(self, states, actions):
        return ((states @ self.table).log_softmax(-1) * actions).sum(-1)

    def exact_kl(self, other, states):
        own, theirs = ((states @ p.table).log_softmax(-1) for p in (self, other))
        return (own.exp() * (own - theirs)).sum(-1)


class Enumerated:
    """All candidates in all states, each tuple a run of its own; and the problem they are of."""

    def __init__(self, candidates, score, seed=0, kl_coef=None):
        rng = np.random.default_rng(seed)
        self.theta, self.ref, self.value = rng.normal(size=(3, STATES, ACTIONS))
        objective = SAILSettings(
            beta=BETA, weight=WEIGHT, kappa=KAPPA, score=score, value="reward",
            candidates=candidates, states=1,
        )  # fmt: skip
        kind, more = (SAILAgent, {}) if kl_coef is None else (SAILRevKLAgent, {"kl_coef": kl_coef})
        self.agent = kind(
            STATES, ACTIONS, SACSettings(width=1), [torch.Generator()], rules=ReferenceSettings(),
            objective=objective, dtype=F64, **more,
        )  # fmt: skip
        self.agent.actor, self.agent.reference = Tabular(self.theta), Tabular(self.ref)
        runs = list(itertools.product(range(STATES), *[range(ACTIONS)] * candidates))
        every = torch.tensor(runs)
        state, chosen = every[:, 0], every[:, 1:]
        policy = torch.tensor(self.theta).softmax(-1)
        self.chance = policy[state[:, None], chosen].prod(1) / STATES
        self.drawn = Candidates(
            torch.eye(STATES, dtype=F64)[state][:, None],
            torch.eye(ACTIONS, dtype=F64)[chosen].transpose(0, 1)[:, :, None],
            torch.tensor(self.value)[state[:, None], chosen].T[:, :, None],
        )

    def gap(self, exact, drawn=None):
        """Relative error of the expected gradient of what the loss ascends."""
        terms = torch.stack(list(self.agent.sail_terms(drawn or self.drawn).values())).sum(0)
        table = self.agent.actor.table
        found = -torch.autograd.grad((self.chance * terms).sum(), table)[0].numpy().ravel() / WEIGHT
        return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))

    @property
    def problem(self):
        """Its features are indicators; its preferences Bradley–Terry by logistic of κΔv."""
        gaps = KAPPA * (self.value[:, :, None] - self.value[:, None])
        return PreferenceProblem(
            features=np.eye(STATES * ACTIONS).reshape(STATES, ACTIONS, -1),
            preferences=1 / (1 + np.exp(-gaps)), beta=BETA, radius=50, ref_params=self.ref.ravel(),
        )  # fmt: skip

    def exact(self, score):
        """V + score times the score term of ∇J."""
        field, whole = (kind(self.problem).gradient(self.theta.ravel())
                        for kind in (OnlineDPO, SAIL))  # fmt: skip
        return field + score * (whole - field)


@pytest.mark.parametrize(
    ("candidates", "score"), [(2, 0.0), (3, 0.0), (3, 1.0), (4, 1.0), (5, 0.3)]
)
def test_the_expected_gradient_is_exact(candidates, score):
    found = Enumerated(candidates, score)
    assert abs(float(found.chance.sum()) - 1) < 1e-12
    assert found.gap(found.exact(score)) < 1e-12


def test_with_the_penalty_it_is_the_field_of_C29():
    """As the whole loss has it: −weight (V − γ∇KL), γ = kl_coef / weight."""
    found, kl_coef = Enumerated(3, 0.0, kl_coef=0.12), 0.12
    problem, theta = found.problem, found.theta.ravel()
    gamma = kl_coef / WEIGHT
    exact = (OnlineDPO(problem) - gamma * KLRefPolicy(problem)).gradient(theta)
    agent, table = found.agent, found.agent.actor.table
    terms = found.agent.sail_terms(found.drawn)["actor/sail_dpo"]
    divergence = agent.reference.exact_kl(agent.actor, torch.eye(STATES, dtype=F64)).mean()
    loss = (found.chance * terms).sum() + agent.kl_coef * divergence
    seen = -torch.autograd.grad(loss, table)[0].reshape(-1).numpy() / WEIGHT
    assert np.linalg.norm(seen - exact) < 1e-12 * np.linalg.norm(exact)
    logged = agent._seen
    assert logged["c29/gamma"][0] == pytest.approx(gamma)
    assert logged["c29/threshold"][0] == pytest.approx(2 * BETA)
    largest = logged["sail/largest_margin"]
    up = torch.sigmoid(largest)
    wanted = 2 * BETA * up - 2 * BETA**2 * up * (1 - up)
    assert torch.allclose(logged["c29/threshold_at_margin"], wanted, rtol=1e-12)
    assert float(logged["c29/threshold_at_margin"].max()) < 2 * BETA


def _no_baseline_but_other(coefficients, one, other):
    """The mean over all pairs, the own ones among them, is left out."""
    own = pair_terms.leave_one_out(coefficients, one, other)
    return own - coefficients.mean(0)


def _other_state(drawn):
    """The second half of the candidates answers another state: pairs in different states."""
    states = drawn.states.expand(*drawn.unsquashed.shape[:-1], -1).clone()
    states[1::2] = states[1::2].roll(1, -1)
    return drawn._replace(states=states)


WRONG_TERMS = {
    "the sign of the score": (
        "weighted_scores", lambda own, w: -pair_terms.weighted_scores(own, w)
    ),
    "the score left out": ("weighted_scores", lambda own, w: 0 * own),
    "the score twice": ("weighted_scores", lambda own, w: 2 * pair_terms.weighted_scores(own, w)),
    "a baseline that holds the own pairs": ("leave_one_out", _no_baseline_but_other),
    "the preference the wrong way round": (
        "pair_loss", lambda pairs, q, beta: pair_terms.pair_loss(pairs, -q, beta)
    ),
    "labels for probabilities": (
        "pair_loss", lambda pairs, q, beta: pair_terms.pair_loss(pairs, q.sign() / 2, beta)
    ),
    "twice the temperature": (
        "pair_loss", lambda pairs, q, beta: pair_terms.pair_loss(pairs, q, 2 * beta)
    ),
}  # fmt: skip
WRONG_DRAWS = {
    "pairs in different states": _other_state,
    "values of other candidates": lambda drawn: drawn._replace(rewards=drawn.rewards.roll(1, 0)),
    "actions of another draw": lambda drawn: drawn._replace(unsquashed=drawn.unsquashed.roll(1, 1)),
}


def test_ten_wrong_versions_are_seen(monkeypatch):
    found = Enumerated(3, 1.0)
    exact = found.exact(1.0)
    assert found.gap(exact) < 1e-12
    errors = {}
    for name, (function, wrong) in WRONG_TERMS.items():
        with monkeypatch.context() as patch:
            patch.setattr(shipped, function, wrong)
            errors[name] = found.gap(exact)
    for name, wrong in WRONG_DRAWS.items():
        errors[name] = found.gap(exact, wrong(found.drawn))
    found.agent.reference = Tabular(np.zeros((STATES, ACTIONS)))
    errors["no reference"] = found.gap(exact)
    assert len(errors) > 10 and min(errors.values()) > 0.02, errors


# --- the terms of a Gaussian actor ------------------------------------------------------------


def gaussian(seeds=(0, 1), kl_coef=0.1, dtype=F64, width=4, **asked):
    """Runs whose actors are a step away from the reference, and a minibatch of each."""
    agent = SAILRevKLAgent(
        3, 2, SACSettings(width=width, batch=5),
        [torch.Generator().manual_seed(s) for s in seeds], rules=ReferenceSettings(since=1),
        objective=SAILSettings(states=4, **asked), kl_coef=kl_coef, dtype=dtype,
    )  # fmt: skip
    agent.begin(1)
    parts = []
    for run, seed in enumerate(seeds):
        rng = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            flat = agent.actor_network.flat[run]
            flat.add_(0.2 * torch.randn(flat.shape, generator=rng, dtype=dtype))
        parts.append(torch.randn(5, 10, generator=rng, dtype=dtype))
    rows = torch.stack(parts)
    rows[..., 3:5].tanh_()
    batch = Batch.of_rows(rows, 3, 2)
    return agent, agent.prepare(batch, [Drawing(seed, dtype) for seed in seeds])


class Drawing:
    """Of a learner what the arm asks for."""

    def __init__(self, seed, dtype):
        self.seed, self.dtype = seed, dtype

    def generator(self, use, *more):
        return self

    def standard_normal(self, shape, dtype):
        rng = np.random.default_rng(self.seed)
        return rng.standard_normal(shape).astype(torch.zeros(0, dtype=self.dtype).numpy().dtype)


def test_drawn_actions_have_the_gradient_of_the_integral_over_them(monkeypatch):
    """J as a Gauss–Hermite sum over noise, differentiated through actions, values and densities;
    the terms see actions and values as given, and hold the rest in the score. Values are entire
    in u, so the sum converges fast."""
    agent, batch = gaussian((5,), score=1.0, beta=0.8, candidates=3)
    states = batch.observations[:, :1]
    nodes, chances = np.polynomial.hermite_e.hermegauss(12)
    noise = torch.tensor(list(itertools.product(nodes, repeat=3))).T[:, None, :, None]
    chance = torch.tensor(list(itertools.product(chances / chances.sum(), repeat=3))).prod(1)
    # One action of width 1 varies; the other stays at its mean and is independent of the first.
    noise = torch.cat([noise, torch.zeros_like(noise)], -1)
    every = states.expand(1, noise.shape[2], 3)
    u = agent.actor.draw_unsquashed(every, noise)

    def value(u):
        return torch.sin(u[..., 0])

    def log_density(policy, u):  # of the coordinate that varies
        mean, log_std = policy(every)
        return -0.5 * ((u - mean) / log_std.exp()) ** 2 - log_std

    h = 0.8 * (log_density(agent.actor, u) - log_density(agent.reference, u))[..., 0]
    one, other = h[0] - h[1], value(u)[0] - value(u)[1]
    p = torch.sigmoid(other)
    g = p * torch.log(torch.sigmoid(one)) + (1 - p) * torch.log(torch.sigmoid(-one))
    parameters = list(agent.actor_network.layers)
    wanted = torch.autograd.grad((chance * g[0]).sum(), parameters, retain_graph=True)

    class Narrow(torch.nn.Module):
        def __init__(self, policy):
            super().__init__()
            self.policy = policy

        def log_prob_unsquashed(self, states, u):
            return log_density(self.policy, u)[..., 0]

    agent.actor, agent.reference = Narrow(agent.actor), Narrow(agent.reference)
    monkeypatch.setattr(shipped, "_by_run", lambda v: (chance * v).mean(0).sum(-1))
    terms = agent.sail_terms(Candidates(every, u.detach(), value(u.detach())))
    seen = torch.autograd.grad(sum(terms.values()).sum(), parameters)
    wanted, seen = (torch.cat([g.reshape(-1) for g in both]) for both in (wanted, seen))
    assert float((seen + wanted).norm()) < 1e-5 * float(wanted.norm())  # 12 nodes


def test_the_critic_judges_and_its_gradient_is_not_followed():
    agent, batch = gaussian()
    states, unsquashed, rewards = batch.compared
    assert rewards is None and unsquashed.shape == (4, 2, 4, 2)
    assert torch.equal(states, batch.observations[:, :4])
    judged = agent.judged(batch.compared).detach()
    for k, run, n in np.ndindex(4, 2, 4):
        pair = (states[run : run + 1, n : n + 1], torch.tanh(unsquashed[k, run, n])[None, None])
        both = agent.values(agent.critic, pair[0].repeat(2, 1, 1), pair[1].repeat(2, 1, 1))
        assert float(judged[k, run, n]) == pytest.approx(float(both[run].detach().min()), rel=1e-9)
    terms = agent.sail_terms(batch.compared)
    assert set(terms) == {"actor/sail_dpo"}
    loss = sum(t.sum() for t in terms.values())
    found = torch.autograd.grad(loss, list(agent.critic.layers), allow_unused=True)
    assert all(g is None for g in found)


def test_a_runs_terms_do_not_depend_on_who_trains_beside_it():
    def made(seeds):
        agent, batch = gaussian(seeds, dtype=torch.float32, width=9, score=1.0)
        agent.update(batch)
        # Adam's first moment is the gradient; its first step shows little but the sign.
        return agent.state(seeds.index(3))["adam"]["actor"]["first"]

    assert torch.equal(made([3]), made([0, 1, 3, 4, 5]))
    assert torch.equal(made([3]), made([3, 1]))


def test_every_term_passes_the_audit():
    """The score term is a surrogate: its gradient is audited, its value is 0 on purpose."""
    agent, batch = gaussian(score=1.0)
    noise = (agent.noise(5), agent.noise(5))
    names = agent.losses(batch, noise)
    assert set(names) == {
        "critic", "temperature", "actor/entropy", "actor/value", "actor/kl_ref_policy",
        "actor/sail_dpo", "actor/sail_score",
    }  # fmt: skip
    score = Term("score", names.pop("actor/sail_score").sum(), ("actor",))
    terms = [
        Term(name, lambda name=name: agent.losses(batch, noise)[name].sum(),
             (name if name in ("critic", "temperature") else "actor",))
        for name in names
    ]  # fmt: skip
    groups = {
        "actor": agent.actor_network, "critic": agent.critic,
        "temperature": {"log": agent.log_temperature},
    }  # fmt: skip
    for found in (audit_terms([score], groups), audit_terms(terms, groups)):
        assert found.faults == () and found.unclaimed == ()
