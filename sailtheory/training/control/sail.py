"""SAIL in an actor's loss: a state is the prompt, actions of the present actor its responses.

In state s the objective, to be maximised, is::

    J_s(θ) = E g,   g = p log σ(z) + (1 − p) log σ(−z),   a, a' ~ π_θ(·|s) independent,
    z = β(log π_θ/π_ref(a|s) − log π_θ/π_ref(a'|s)),   p = σ(κ(v(s, a) − v(s, a')))

J is its mean over the states of minibatches. v is min(Q₁, Q₂) of the critic, or the learned
reward; either is held fixed, as preferences are in the theory. Both actions answer one state, so
log Z(s) cancels in z and J is the reduction of a bilevel problem (C21).

In each of n states m actions are drawn. All their pairs are compared. The terms' expected
gradient is −weight (V + score · S), exactly: V is ∇J without its score term (C29), V + S is ∇J
(C18). The coefficient of an action's score leaves out the mean over the pairs without it, which
changes no expectation.

With KL(π_ref‖π_θ) over the same states and ``score`` 0, what is ascended besides SAC's objective
is weight (V − γ∇KL), γ = kl_coef / weight. For log-linear policies it has one solution if
γ > 2β (C29), and K_V(Z) < 2β suffices where |z| ≤ Z. An actor is a network, SAC's objective lies
beside it, and the largest |z| seen is no bound: so the thresholds are logged, and guarantee
nothing.

Log-densities are those of actions before squashing: from a tanh that rounds to ±1 none can be
had, and the slope of tanh cancels in π_θ/π_ref and does not depend on θ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import numbers_of
from sailtheory.theory.field_bound import field_bound, field_limit
from sailtheory.training.control.reference import Referenced, RevKLAgent
from sailtheory.training.control.sac import Batch
from sailtheory.training.control.settings import SAILSettings, Settings
from sailtheory.training.pairs import (
    Pairs,
    leave_one_out,
    pair_loss,
    score_coefficient,
    weighted_scores,
)

if TYPE_CHECKING:
    from sailtheory.training.control.learner import Learner

__all__ = ["Candidates", "SAILAgent", "SAILRevKLAgent"]


class Candidates(NamedTuple):
    """m actions of each run's actor in each of n states.

    Attributes:
        states: (K, n, o).
        unsquashed: Actions before squashing, (m, K, n, a).
        rewards: Their learned rewards, (m, K, n); None where the critic judges.
    """

    states: Tensor
    unsquashed: Tensor
    rewards: Tensor | None = None


class SAILAgent(Referenced):
    """``actor/sail_dpo`` and, where asked for, ``actor/sail_score`` of value 0.

    Absent until there is a reference.

    Args:
        objective: β, κ, the weights and the numbers of states and candidates.
    """

    def __init__(self, *args: Any, objective: SAILSettings, **kind: Any) -> None:
        super().__init__(*args, **kind)
        self.objective = objective
        self._seen: dict[str, Tensor] = {}

    @classmethod
    def extras(cls, settings: Settings) -> dict[str, Any]:
        """What the constructor takes besides SAC's settings."""
        return super().extras(settings) | {"objective": settings.sail}

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Refuse settings that would fail, or mean nothing, only after hours."""
        super().check(settings)
        asked = settings.sail
        if asked.states > settings.sac.batch:
            accepted = f"at most sac.batch = {settings.sac.batch}, from which they are taken"
            raise InputError("sail.states", asked.states, accepted)
        if asked.score and asked.candidates < 3:
            accepted = "at least 3, so that a pair is left out of another action's baseline"
            raise InputError("sail.candidates", asked.candidates, accepted)
        earliest = settings.random_steps + settings.entropy_steps
        if settings.reference.since < earliest:
            accepted = f"at least {earliest}, when the reward is learned and the critic its own"
            raise InputError("reference.since", settings.reference.since, accepted)

    def prepare(self, batch: Batch, learners: Sequence[Learner]) -> Batch:
        """Draw the candidates of an update, once there is a reference.

        Their noise comes from generators of their own, so minibatches and SAC's noise are
        those of a run without.
        """
        if self.taken is None:
            return batch
        asked = self.objective
        shape = (asked.candidates, asked.states, self.widths[1])
        drawn = [
            learner.generator(5, self.updates(k)).standard_normal(shape, np.float32)
            for k, learner in enumerate(learners)
        ]
        states = batch.observations[:, : asked.states]
        with torch.no_grad():
            noise = torch.tensor(np.stack(drawn, 1), device=states.device)
            unsquashed = self.actor.draw_unsquashed(states, noise)
        candidates = Candidates(states, unsquashed)
        if asked.value == "reward":
            candidates = candidates._replace(rewards=_learned(candidates, learners))
        return batch._replace(compared=candidates)

    def actor_terms(self, batch: Batch, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """As of SAC, and the objective's where the minibatch has candidates."""
        terms, log_prob = super().actor_terms(batch, noise)
        if batch.compared is not None:
            terms |= self.sail_terms(batch.compared)
        return terms, log_prob

    def sail_terms(self, candidates: Candidates) -> dict[str, Tensor]:
        """Both terms, (K,) each, means over the n states of a run and the pairs in each."""
        asked, (states, unsquashed, _) = self.objective, candidates
        own = self.actor.log_prob_unsquashed(states, unsquashed)
        with torch.no_grad():
            ref = self.reference.log_prob_unsquashed(states, unsquashed)
            value = self.judged(candidates)
        one, other = torch.triu_indices(len(own), len(own), 1, device=own.device)
        pairs = Pairs(own[one], own[other], ref[one], ref[other])
        preference = torch.tanh(asked.kappa * (value[one] - value[other]) / 2) / 2
        terms = {"actor/sail_dpo": asked.weight * _by_run(pair_loss(pairs, preference, asked.beta))}
        coefficient = score_coefficient(pairs, preference, asked.beta)
        self._seen = self._observed(pairs, preference, coefficient)
        if asked.score:
            surrogate = weighted_scores(own, leave_one_out(coefficient, one, other))
            terms["actor/sail_score"] = asked.weight * asked.score * _by_run(surrogate)
        return terms

    @torch.no_grad()
    def judged(self, candidates: Candidates) -> Tensor:
        """v of each candidate, (m, K, n)."""
        if candidates.rewards is not None:
            return candidates.rewards
        states, unsquashed = candidates.states, candidates.unsquashed
        count, runs, size, _ = unsquashed.shape
        actions = torch.tanh(unsquashed).transpose(0, 1).reshape(runs, count * size, -1)
        smaller = self.values(self.critic, states.repeat(1, count, 1), actions).amin(1)
        return smaller.view(runs, count, size).transpose(0, 1)

    def _observed(self, pairs: Pairs, preference: Tensor, coefficient: Tensor) -> dict[str, Tensor]:
        margin = pairs.margin(self.objective.beta).detach().abs()
        return {
            "sail/margin": _by_run(margin),
            "sail/largest_margin": margin.amax((0, 2)),
            "sail/preference": _by_run(preference.abs()),
            "sail/payoff": _by_run(coefficient),
        }

    def observed(self) -> dict[str, Tensor]:
        """As before, and of the last candidates the mean and largest |z|, |p − ½|, J + log 2."""
        return super().observed() | self._seen


class SAILRevKLAgent(SAILAgent, RevKLAgent):
    """The terms of both; without the score term γ and C29's thresholds are logged."""

    def _observed(self, pairs: Pairs, preference: Tensor, coefficient: Tensor) -> dict[str, Tensor]:
        found = super()._observed(pairs, preference, coefficient)
        if self.objective.score:  # C29 is about V alone
            return found
        beta, margin = self.objective.beta, found["sail/largest_margin"]
        gamma = self.kl_coef / self.objective.weight
        return found | {
            "c29/gamma": torch.full_like(margin, gamma),
            "c29/threshold": torch.full_like(margin, field_limit(beta)),
            "c29/threshold_at_margin": field_bound(numbers_of(margin), beta, margin),
        }


def _learned(candidates: Candidates, learners: Sequence[Learner]) -> Tensor:
    """The learned reward of each candidate, (m, K, n)."""
    actions = torch.tanh(candidates.unsquashed)
    states = candidates.states.expand(*actions.shape[:-1], -1)
    rows = torch.cat([states, actions], -1).cpu().numpy()
    found = [learner.learned_rewards(rows[:, k]) for k, learner in enumerate(learners)]
    return torch.tensor(np.stack(found, 1), device=actions.device)


def _by_run(values: Tensor) -> Tensor:
    """Means over pairs, or candidates, and states: (p, K, n) to (K,)."""
    return values.transpose(0, 1).flatten(1).mean(-1)
