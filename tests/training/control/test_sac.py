"""SAC's losses and updates against plain torch modules; a run alone against one beside others."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal
from torch.distributions.transforms import TanhTransform

from sailtheory import InputError
from sailtheory.training.control.clipped_double_q import clipped_double_q
from sailtheory.training.control.networks import network_products
from sailtheory.training.control.sac import SAC, Batch
from sailtheory.training.control.settings import SACSettings

F64 = torch.float64
S, A, B = 3, 2, 5


def generator(seed):
    return torch.Generator().manual_seed(seed)


def batch_of(seeds, time, o=S, a=A, size=B, dtype=torch.float32):
    rows = []
    for seed in seeds:
        row = torch.randn(size, 2 * o + a + 2, generator=generator(1000 * seed + time), dtype=dtype)
        row[:, o : o + a].tanh_()
        row[:, -1] = (row[:, -1] > -1).to(dtype)  # some transitions end
        rows.append(row)
    return Batch.of_rows(torch.stack(rows), o, a)


def tiny(seeds=(0, 1), dtype=F64, o=S, a=A, **settings):
    chosen = SACSettings(**{"width": 4, "batch": B} | settings)
    return SAC(o, a, chosen, [generator(seed) for seed in seeds], dtype=dtype)


class Plain:
    """One run of SAC from torch's own modules, distributions and optimisers."""

    def __init__(self, agent, run):
        self.settings = agent.settings
        self.actor = self.modules(agent.actor_network, run)
        self.critics = [self.modules(agent.critic, 2 * run + i) for i in (0, 1)]
        self.targets = [self.modules(agent.critic, 2 * run + i) for i in (0, 1)]
        self.log_alpha = torch.tensor(math.log(0.1), dtype=F64, requires_grad=True)
        chosen = self.settings
        critics = [p for critic in self.critics for p in critic.parameters()]
        self.optimisers = [
            torch.optim.Adam(critics, chosen.critic_rate, foreach=False),
            torch.optim.Adam(self.actor.parameters(), chosen.actor_rate, foreach=False),
            torch.optim.Adam([self.log_alpha], chosen.temperature_rate, foreach=False),
        ]

    @staticmethod
    def modules(network, index):
        parts = []
        for w, b in zip(network.layers[::2], network.layers[1::2], strict=True):
            linear = torch.nn.Linear(*w.shape[1:], dtype=F64)
            linear.weight.data, linear.bias.data = w[index].detach().T.clone(), b[index, 0].detach()
            linear.bias.data = linear.bias.data.clone()
            parts += [linear, torch.nn.ReLU()]
        return torch.nn.Sequential(*parts[:-1])

    def draw(self, states, noise):
        mean, raw = self.actor(states).chunk(2, -1)
        std = torch.exp(-3.5 + 6.5 * torch.tanh((raw + 3.5) / 6.5))  # log σ within [−10, 3]
        base = Independent(Normal(mean, std), 1)
        u = mean + std * noise
        action = torch.tanh(u)
        slope = TanhTransform().log_abs_det_jacobian(u, action).sum(-1)
        return action, base.log_prob(u) - slope

    @staticmethod
    def smaller(critics, states, actions):
        return torch.minimum(*(c(torch.cat([states, actions], 1))[:, 0] for c in critics))

    def losses(self, batch, noise):
        """Critic, actor and temperature loss, each after the step on the one before it."""
        s, a, following, r, goes_on = batch
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            action, log_prob = self.draw(following, noise[0])
            future = self.smaller(self.targets, following, action) - alpha * log_prob
            y = r + self.settings.discount * goes_on * future
        pairs = torch.cat([s, a], 1)
        yield sum(0.5 * torch.nn.functional.mse_loss(c(pairs)[:, 0], y) for c in self.critics)
        action, log_prob = self.draw(s, noise[1])
        yield (alpha * log_prob - self.smaller(self.critics, s, action)).mean()
        yield -(self.log_alpha * (log_prob.detach() - A)).mean()  # the target entropy is −a

    def update(self, batch, noise):
        found = []
        for loss, optimiser in zip(self.losses(batch, noise), self.optimisers, strict=True):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            found.append(loss.item())
        for target, critic in zip(self.targets, self.critics, strict=True):
            for old, new in zip(target.parameters(), critic.parameters(), strict=True):
                old.data = (1 - self.settings.polyak) * old.data + self.settings.polyak * new.data
        return found


def same(network, index, modules):
    """Largest difference between one network of a stack and plain modules."""
    stacked = [p[index].detach().mT.reshape(-1) for p in network.layers]
    plain = [p.detach().reshape(-1) for p in modules.parameters()]
    return max(float((x - y).abs().max()) for x, y in zip(stacked, plain, strict=True))


def test_updates_are_those_of_plain_modules():
    agent = tiny(actor_rate=1e-2, critic_rate=2e-2, temperature_rate=3e-2, polyak=0.3, discount=0.9)
    plain = [Plain(agent, run) for run in range(2)]
    for time in range(4):
        batch = batch_of((0, 1), time, dtype=F64)
        before = [g.get_state() for g in agent.generators]
        found = agent.update(batch)
        for run, peer in enumerate(plain):
            agent_noise = generator(0)
            agent_noise.set_state(before[run])
            noise = [torch.empty(B, A, dtype=F64).normal_(generator=agent_noise) for _ in range(2)]
            critic, actor, temperature = peer.update([part[run] for part in batch[:5]], noise)
            assert abs(float(found["critic"][run]) - critic) < 1e-12
            total = found["actor/entropy"][run] + found["actor/value"][run]
            assert abs(float(total) - actor) < 1e-12
            assert abs(float(found["temperature"][run]) - temperature) < 1e-12
    for run, peer in enumerate(plain):
        # 4 steps of size ≤ 0.02, each relative to √v + 1e-8: rounding is not enlarged much.
        assert same(agent.actor_network, run, peer.actor) < 1e-9
        for i in (0, 1):
            assert same(agent.critic, 2 * run + i, peer.critics[i]) < 1e-9
            assert same(agent.target, 2 * run + i, peer.targets[i]) < 1e-9
        assert abs(float(agent.log_temperature.detach()[run]) - peer.log_alpha.item()) < 1e-12


def test_losses_by_hand_for_constant_networks():
    """Networks whose weights are zero return their last bias: every loss has a closed form."""
    agent = tiny(seeds=(0,), discount=0.5)
    mean, raw = torch.tensor([0.3, -0.2], dtype=F64), torch.tensor([-1.0, 0.4], dtype=F64)
    with torch.no_grad():
        for network in (agent.actor_network, agent.critic, agent.target):
            network.flat.zero_()
        agent.actor_network.layers[-1][0, 0] = torch.cat([mean, raw])
        agent.critic.layers[-1][:, 0, 0] = torch.tensor([1.0, 3.0], dtype=F64)
        agent.target.layers[-1][:, 0, 0] = torch.tensor([5.0, 2.0], dtype=F64)
    batch = batch_of((0,), 0, dtype=F64)
    noise = torch.randn(2, 1, B, A, generator=generator(5), dtype=F64)
    found = agent.losses(batch, (noise[0], noise[1]))
    std = np.exp(-3.5 + 6.5 * np.tanh((raw.numpy() + 3.5) / 6.5))

    def log_prob(z):
        u = mean.numpy() + std * z
        normal = -0.5 * z**2 - np.log(std) - 0.5 * np.log(2 * np.pi)
        return (normal - np.log(1 - np.tanh(u) ** 2)).sum(-1)

    alpha, going = 0.1, batch.goes_on[0].numpy()
    y = batch.rewards[0].numpy() + 0.5 * going * (2.0 - alpha * log_prob(noise[0, 0].numpy()))
    assert np.allclose(agent.critic_target(batch, noise[0])[0], y, rtol=1e-12, atol=0)
    wanted = 0.5 * ((1 - y) ** 2 + (3 - y) ** 2).mean()
    assert abs(found["critic"].item() - wanted) < 1e-12 * wanted
    entropy = -log_prob(noise[1, 0].numpy()).mean()
    assert abs(float(found["actor/entropy"]) + alpha * entropy) < 1e-13
    assert abs(float(found["actor/value"]) + 1.0) < 1e-15  # the smaller of 1 and 3
    assert abs(float(found["temperature"]) - math.log(alpha) * (entropy + A)) < 1e-12


def test_each_loss_moves_what_it_should_and_nothing_else():
    agent = tiny()
    noise = (agent.noise(B), agent.noise(B))
    found = agent.losses(batch_of((0, 1), 0, dtype=F64), noise)
    groups = {
        "actor": list(agent.actor_network.layers), "critic": list(agent.critic.layers),
        "target": list(agent.target.layers), "temperature": [agent.log_temperature],
    }  # fmt: skip
    moved = {
        name: {
            group
            for group, parameters in groups.items()
            for g in torch.autograd.grad(
                loss.sum(), parameters, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            if bool((g != 0).any())
        }
        for name, loss in found.items()
    }
    assert moved == {
        "critic": {"critic"}, "actor/entropy": {"actor"}, "actor/value": {"actor"},
        "temperature": {"temperature"},
    }  # fmt: skip


@pytest.mark.parametrize(
    "shape", [(24, 6, 64, 128), (17, 6, 256, 32), (39, 4, 32, 33), (3, 1, 17, 10), (14, 2, 20, 7)]
)
def test_a_run_does_not_depend_on_who_trains_beside_it(shape):
    o, a, width, size = shape
    seeds = (0, 1, 2, 3, 4)
    sizes = {"o": o, "a": a, "width": width, "batch": size, "dtype": torch.float32}
    together = tiny(seeds, **sizes)
    alone = {seed: tiny((seed,), **sizes) for seed in (0, 3)}
    for time in range(4):
        together.update(batch_of(seeds, time, o, a, size))
        states = torch.randn(len(seeds), 1, o, generator=generator(time))
        actions = together.act(states)
        if time == 2:
            for run in range(len(seeds)):
                together.reset_critic(run)
        for seed, one in alone.items():
            one.update(batch_of((seed,), time, o, a, size))
            assert torch.equal(one.act(states[seed][None])[0], actions[seed])
            if time == 2:
                one.reset_critic(0)
    for seed, one in alone.items():
        mine, theirs = one.state(0), together.state(seed)
        for name in ("actor", "critic", "target", "temperature", "generator"):
            assert torch.equal(mine[name], theirs[name]), name
        for name, adam in mine["adam"].items():
            assert adam["steps"] == theirs["adam"][name]["steps"]
            assert torch.equal(adam["second"], theirs["adam"][name]["second"])


def test_a_state_restores_everything():
    one, other = tiny((0, 1)), tiny((7, 8))
    for time in range(3):
        one.update(batch_of((0, 1), time, dtype=F64))
    for run in range(2):
        other.restore(run, one.state(run))
    for time in range(3, 6):
        batch = batch_of((0, 1), time, dtype=F64)
        mine, theirs = one.update(batch), other.update(batch)
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(one.critic.flat, other.critic.flat)


def test_a_drawn_critic_is_new_and_forgets_its_moments():
    agent = tiny()
    agent.update(batch_of((0, 1), 0, dtype=F64))
    old = agent.critic.flat.clone()
    agent.reset_critic(1)
    assert torch.equal(agent.critic.flat[:2], old[:2])
    assert not torch.equal(agent.critic.flat[2:], old[2:])
    assert torch.equal(agent.critic.flat[2:], agent.target.flat[2:])
    assert agent.critic_adam.state(1)["steps"] == 0 and agent.critic_adam.state(0)["steps"] == 1
    assert not agent.critic_adam.state(1)["first"].any()


def test_each_product_is_bitwise_as_if_alone():
    """Sizes of which matrices do not begin on cache lines; torch.mm differs there by itself."""
    for n, k, m in [(10, 17, 1), (7, 30, 1), (2, 43, 1), (1, 17, 5), (7, 17, 23), (256, 30, 1)]:
        a = torch.randn(5, n, k, generator=generator(n))
        b = torch.randn(5, k, m, generator=generator(m))
        turned = torch.randn(5, m, k, generator=generator(k)).mT
        wide = torch.randn(5, n, k + 3, generator=generator(9))[..., 1 : k + 1]
        for x, y in [(a, b), (a, turned), (wide, b), (turned.mT, a.mT)]:
            together = network_products(x, y)
            for index in range(5):
                alone = network_products(x[index : index + 1].clone(), y[index : index + 1].clone())
                assert torch.equal(together[index], alone[0]), (n, k, m, index)


def test_lane_products_differentiate_twice():
    a = torch.randn(2, 3, 4, generator=generator(0), dtype=F64, requires_grad=True)
    b = torch.randn(2, 4, 2, generator=generator(1), dtype=F64, requires_grad=True)
    assert torch.equal(network_products(a, b).round(decimals=10), (a @ b).round(decimals=10))
    assert torch.autograd.gradcheck(network_products, (a, b))
    assert torch.autograd.gradgradcheck(network_products, (a, b))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_smaller_critic_has_the_value_and_gradient_of_autograd(depth):
    agent = tiny(depth=depth)
    states = torch.randn(2, 40, S, generator=generator(2), dtype=F64)
    actions = torch.rand(2, 40, A, generator=generator(3), dtype=F64, requires_grad=True)
    weights = torch.randn(2, 40, generator=generator(4), dtype=F64)
    with torch.no_grad():  # so that each critic is the smaller one somewhere
        apart = (lambda q: q[:, 1] - q[:, 0])(agent.values(agent.critic, states, actions))
        agent.critic.layers[-1][::2, 0, 0] += apart.mean(1)
    both = agent.values(agent.critic, states, actions)
    chosen = both.argmin(1)
    assert 0.3 < chosen.double().mean() < 0.7
    found = clipped_double_q(agent.critic, states, actions)
    assert torch.equal(found, both.amin(1))
    wanted, mine = (
        torch.autograd.grad((weights * y).sum(), actions)[0] for y in (both.amin(1), found)
    )
    assert (wanted - mine).abs().max() < 1e-15 and wanted.abs().max() > 1e-3
    with torch.no_grad():  # one critic is the smaller everywhere
        agent.critic.layers[-1][0] += 100
    found = clipped_double_q(agent.critic, states, actions)
    wanted = agent.values(agent.critic, states, actions)[0, 1]
    assert torch.equal(found[0], wanted)


def test_the_exported_policy_is_the_actor():
    agent = tiny((0, 1, 2))
    states = torch.randn(3, 6, S, generator=generator(3), dtype=F64)
    noise = torch.randn(3, 6, A, generator=generator(4), dtype=F64)
    actions, log_prob = agent.actor.draw(states, noise)
    policy = agent.policy(1)
    assert (policy.draw(states[1], noise[1])[0] - actions[1]).abs().max() < 1e-14
    # log_prob goes back through atanh, whose condition is 1/(1 − a²).
    condition = 1 / (1 - actions[1].detach().abs().max() ** 2)
    gap = (policy.log_prob(states[1], actions[1]) - log_prob[1]).abs().max()
    assert gap < 1e-14 * condition * 100


def test_a_reward_that_is_not_finite_is_refused():
    agent = tiny()
    batch = batch_of((0, 1), 0, dtype=F64)
    batch.rewards[1, 2] = float("nan")
    with pytest.raises(InputError, match=r"reward\[1, 2\] = nan"):
        agent.update(batch)
