"""Soft actor-critic for K runs at once (Haarnoja et al., arXiv 1812.05905).

Every tensor has a leading axis of runs, every loss is (K,), and entry k depends on run k
alone, so one backward pass serves all. Noise comes from each run's own generator.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor

from sailtheory.policies.gaussian import TanhGaussianPolicy
from sailtheory.policies.protocol import finite
from sailtheory.training.control.clipped_double_q import clipped_double_q
from sailtheory.training.control.networks import StackedAdam, StackedMLP
from sailtheory.training.control.settings import SACSettings, Settings

if TYPE_CHECKING:
    from sailtheory.training.control.learner import Learner

__all__ = ["SAC", "Batch", "Tree"]

Tree = dict[str, Any]


class Batch(NamedTuple):
    """K minibatches: states (K, B, o), actions (K, B, a), (K, B) rewards and 1 − terminated.

    ``compared`` is what a method's ``prepare`` has added.
    """

    observations: Tensor
    actions: Tensor
    following: Tensor
    rewards: Tensor
    goes_on: Tensor
    compared: Any = None

    @classmethod
    def of_rows(cls, rows: Tensor, observations: int, actions: int) -> Batch:
        """From rows (K, B, 2o + a + 2) as the replay buffer gives them."""
        pairs = observations + actions
        return cls(
            rows[..., :observations], rows[..., observations:pairs], rows[..., pairs:-2],
            rows[..., -2], rows[..., -1],
        )  # fmt: skip


class SAC:
    """Actor, double critic, target and temperature of K runs.

    Args:
        observations: Width o.
        actions: Width a.
        settings: Sizes and rates.
        generators: One a run: of its initial parameters and its noise.
        device: Where the networks live; the generators live there too.
        dtype: Of everything.
    """

    def __init__(
        self,
        observations: int,
        actions: int,
        settings: SACSettings,
        generators: Sequence[torch.Generator],
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.runs, self.settings, self.generators = len(generators), settings, list(generators)
        self.widths = (observations, actions)
        hidden = [settings.width] * settings.depth
        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        actor = StackedMLP([observations, *hidden, 2 * actions], generators, **kind)
        self.actor = TanhGaussianPolicy(actor, actions)
        twice = [g for g in generators for _ in range(2)]  # networks 2k and 2k + 1 are run k's
        shape = [observations + actions, *hidden, 1]
        self.critic = StackedMLP(shape, twice, **kind)
        self.target = StackedMLP(shape, [torch.Generator() for _ in twice], **kind)
        self.target.flat.copy_(self.critic.flat)
        start = torch.tensor(settings.temperature, dtype=dtype, device=device).log()
        self.log_temperature = torch.nn.Parameter(start.repeat(self.runs, 1))
        self.actor_adam = StackedAdam(
            actor.flat, list(actor.layers), settings.actor_rate, self.runs
        )
        self.critic_adam = StackedAdam(
            self.critic.flat, list(self.critic.layers), settings.critic_rate, self.runs
        )
        self.temperature_adam = StackedAdam(
            self.log_temperature.detach(), [self.log_temperature], settings.temperature_rate,
            self.runs,
        )  # fmt: skip

    @classmethod
    def of(
        cls, settings: Settings, sizes: tuple[int, int], generators: Sequence[torch.Generator]
    ) -> Self:
        """For runs of these settings, observations and actions being of these widths."""
        return cls(*sizes, settings.sac, generators, device=settings.device)

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Refuse settings with which the method would fail, or be another one, after hours.

        Raises:
            InputError: The setting.
        """

    def begin(self, step: int) -> None:
        """Told the step in the environments before the updates that follow it."""

    def prepare(self, batch: Batch, learners: Sequence[Learner]) -> Batch:
        """Add to a minibatch what the method's terms need besides."""
        return batch

    def observed(self) -> dict[str, Tensor]:
        """What to log besides the loss terms, (K,) each."""
        return {"temperature": self.temperature}

    @property
    def temperature(self) -> Tensor:
        """α of each run, (K,), without gradient."""
        return self.log_temperature.detach()[:, 0].exp()

    @torch.no_grad()
    def act(self, observations: Tensor, *, deterministic: bool = False) -> Tensor:
        """Actions (K, n, a) in states (K, n, o): drawn, or the squashed means."""
        if deterministic:
            mean, _ = self.actor(observations)
            return torch.tanh(mean)
        return self.actor.draw(observations, self.noise(observations.shape[1]))[0]

    def noise(self, count: int) -> Tensor:
        """Standard normal noise (K, count, a), each run's from its own generator."""
        out = self.actor_network.flat.new_empty(self.runs, count, self.widths[1])
        for row, generator in zip(out, self.generators, strict=True):
            row.normal_(generator=generator)
        return out

    def values(self, critic: StackedMLP, observations: Tensor, actions: Tensor) -> Tensor:
        """Q₁ and Q₂ of each pair: (K, 2, B)."""
        pairs = torch.cat([observations, actions], -1)
        values: Tensor = critic(pairs.repeat_interleave(2, 0))
        return values.view(self.runs, 2, -1)

    @torch.no_grad()
    def critic_target(self, batch: Batch, noise: Tensor) -> Tensor:
        """y = r + γ (1 − terminated)(min Q'(s', a') − α log π(a'|s')), a' ~ π(·|s'): (K, B)."""
        actions, log_prob = self.actor.draw(batch.following, noise)
        smaller = self.values(self.target, batch.following, actions).amin(1)
        future = smaller - self.temperature[:, None] * log_prob
        return batch.rewards + self.settings.discount * batch.goes_on * future

    def critic_loss(self, batch: Batch, noise: Tensor) -> Tensor:
        """½ E[(Q₁ − y)² + (Q₂ − y)²]: (K,)."""
        target = self.critic_target(batch, noise)
        gaps = self.values(self.critic, batch.observations, batch.actions) - target[:, None]
        return 0.5 * (gaps * gaps).mean(-1).sum(-1)

    def actor_terms(self, batch: Batch, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Terms of the actor's loss by name, (K,) each, and log π of the actions, (K, B).

        The loss is their sum: α E log π(a|s) and −E min Q(s, a), a ~ π(·|s). A method
        that adds to the actor's loss extends this.
        """
        actions, log_prob = self.actor.draw(batch.observations, noise)
        value = clipped_double_q(self.critic, batch.observations, actions)
        terms = {
            "actor/entropy": self.temperature * log_prob.mean(-1),
            "actor/value": -value.mean(-1),
        }
        return terms, log_prob

    def temperature_loss(self, log_prob: Tensor) -> Tensor:
        """log α · (−E log π − target), the target entropy being −a: (K,)."""
        surplus = -log_prob.detach().mean(-1) + self.widths[1]
        return self.log_temperature[:, 0] * surplus

    def losses(self, batch: Batch, noise: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Every term of every loss by name, (K,) each, at the parameters as they are.

        Args:
            batch: K minibatches.
            noise: (K, B, a) for the critic's target, and for the actor.
        """
        terms, log_prob = self.actor_terms(batch, noise[1])
        return {
            "critic": self.critic_loss(batch, noise[0]),
            **terms,
            "temperature": self.temperature_loss(log_prob),
        }

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One step of critic, actor, temperature and target; the terms, without graph.

        Raises:
            InputError: A reward or a loss is not finite.
        """
        finite("reward", batch.rewards)
        size = batch.rewards.shape[1]
        critic = self.critic_loss(batch, self.noise(size))
        self.critic_adam.step(critic)
        terms, log_prob = self.actor_terms(batch, self.noise(size))
        self.actor_adam.step(torch.stack(list(terms.values())).sum(0))
        self.constrain()
        temperature = self.temperature_loss(log_prob)
        self.temperature_adam.step(temperature)
        self.target.flat.lerp_(self.critic.flat, self.settings.polyak)
        found = {"critic": critic, **terms, "temperature": temperature}
        return {name: finite(name, term.detach()) for name, term in found.items()}

    def constrain(self) -> None:
        """Called after each step of the actor; a method with a bounded domain projects."""

    def updates(self, run: int) -> int:
        """Updates of a run's actor so far; resuming goes on counting."""
        return int(self.actor_adam.steps[run])

    def reset_critic(self, run: int) -> None:
        """Draw the critic of a run anew, its target and its moments with it."""
        for index in (2 * run, 2 * run + 1):
            self.critic.draw(index, self.generators[run])
            self.target.flat[index].copy_(self.critic.flat[index])
        self.critic_adam.reset(run)

    def policy(self, run: int) -> TanhGaussianPolicy:
        """A copy of a run's actor as a policy over states (n, o), for KL and curvature."""
        return self.copy_of(self.actor_network, run)

    def copy_of(self, network: StackedMLP, run: int) -> TanhGaussianPolicy:
        """A copy of one network of a stack of actors."""
        modules: list[torch.nn.Module] = []
        for place, (n, m) in enumerate(itertools.pairwise(network.widths)):
            linear = torch.nn.Linear(n, m, dtype=network.flat.dtype, device=network.flat.device)
            with torch.no_grad():
                linear.weight.copy_(network.layers[2 * place][run].T)
                linear.bias.copy_(network.layers[2 * place + 1][run, 0])
            modules += [linear, torch.nn.ReLU()]
        return TanhGaussianPolicy(torch.nn.Sequential(*modules[:-1]), self.widths[1])

    def state(self, run: int) -> Tree:
        """Everything of one run: parameters, moments, generator."""
        pair = slice(2 * run, 2 * run + 2)
        return {
            "actor": self.actor_network.flat[run].clone(),
            "critic": self.critic.flat[pair].clone(),
            "target": self.target.flat[pair].clone(),
            "temperature": self.log_temperature.detach()[run].clone(),
            "adam": {name: adam.state(run) for name, adam in self._adams().items()},
            "generator": self.generators[run].get_state(),
        }

    def restore(self, run: int, tree: Tree) -> None:
        """Go back to a state."""
        pair = slice(2 * run, 2 * run + 2)
        self.actor_network.flat[run].copy_(tree["actor"])
        self.critic.flat[pair].copy_(tree["critic"])
        self.target.flat[pair].copy_(tree["target"])
        self.log_temperature.detach()[run].copy_(tree["temperature"])
        for name, adam in self._adams().items():
            adam.restore(run, tree["adam"][name])
        self.generators[run].set_state(tree["generator"])

    @property
    def actor_network(self) -> StackedMLP:
        """The stack behind the actor."""
        network = self.actor.network
        assert isinstance(network, StackedMLP)
        return network

    def _adams(self) -> dict[str, StackedAdam]:
        return {
            "actor": self.actor_adam, "critic": self.critic_adam,
            "temperature": self.temperature_adam,
        }  # fmt: skip
