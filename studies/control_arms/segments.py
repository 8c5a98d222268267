"""The arms `sail` and `sail-revkl` of this study: pairs of segments in different states.

No part of the library, whose arm of that name compares actions in one state. A segment
σ = (s₁, a₁, …, s_L, a_L) has the implicit reward h(σ) = β Σ_t log π_θ/π_ref(a_t|s_t), and the
objective is J(θ) = E g, g = p₁₂ log σ(z) + p₂₁ log σ(−z), z = h(σ₁) − h(σ₂), over pairs of
segments whose states are those of the run's last steps and whose actions π_θ draws in them.
Given the states the score of a segment's actions is Σ_t ∇log π_θ(a_t|s_t), so the expectation
of (C18)'s estimate is the exact gradient of J. But the two segments have states of their own:
log Z of the one does not cancel that of the other in z, J is not the reduction of a bilevel
problem (C21), and most of its noise is that of the states.

p₁₂ is Bradley–Terry's with the learned reward of the states and drawn actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sailtheory.policies.gaussian import TanhGaussianPolicy
from sailtheory.training.control.learner import Learner
from sailtheory.training.control.methods import Method
from sailtheory.training.control.reference import Referenced, RevKLAgent
from sailtheory.training.control.sac import Batch
from sailtheory.training.control.settings import Settings
from sailtheory.training.pairs import Pairs, pair_loss, score_coefficient, score_loss


@dataclass(frozen=True)
class SegmentSettings:
    """β, the weight of J, pairs in an update, and from how many last steps they come."""

    beta: float = 0.1
    weight: float = 0.002
    pairs: int = 2
    recent: int = 200


class SegmentPairs(NamedTuple):
    """Pairs of segments: (K, n, 2, L, o) states, (K, n, 2, L, a) actions before squashing.

    ``preference`` is q = p₁₂ − ½ of each pair, (K, n).
    """

    states: Tensor
    unsquashed: Tensor
    preference: Tensor


class SegmentAgent(Referenced):
    """``actor/sail_dpo`` and ``actor/sail_score``: −weight · J, and its score term of value 0."""

    asked = SegmentSettings()

    def __init__(
        self, *args: Any, length: int = 0, objective: SegmentSettings | None = None, **kind: Any
    ) -> None:
        super().__init__(*args, **kind)
        self.length, self.objective = length, objective or self.asked
        self._seen: dict[str, Tensor] = {}

    @classmethod
    def extras(cls, settings: Settings) -> dict[str, Any]:
        """What the constructor takes besides SAC's settings."""
        return super().extras(settings) | {"length": settings.feedback.segment}

    def prepare(self, batch: Batch, learners: Sequence[Learner]) -> Batch:
        """Segments of the last states, once there is a reference."""
        if self.taken is None:
            return batch
        updates = [self.updates(k) for k in range(len(learners))]
        return batch._replace(compared=self.segments(learners, updates))

    def segments(self, learners: Sequence[Learner], updates: Sequence[int]) -> SegmentPairs:
        """Last states of each run, with actions that its present actor draws in them."""
        drawn = [self.own_states(x, k) for x, k in zip(learners, updates, strict=True)]
        states, noise = (torch.tensor(np.stack(part)) for part in zip(*drawn, strict=True))
        return self.answered(learners, states, noise)

    def answered(self, learners: Sequence[Learner], states: Tensor, noise: Tensor) -> SegmentPairs:
        """The pairs of these states (K, n, 2, L, o), actions drawn with this noise."""
        unsquashed = draw_segments(self.actor, states, noise)
        rows = torch.cat([states, torch.tanh(unsquashed)], -1).numpy()
        found = [preference(x, own) for x, own in zip(learners, rows, strict=True)]
        return SegmentPairs(states, unsquashed, torch.tensor(np.stack(found).astype(np.float32)))

    def own_states(self, learner: Learner, update: int) -> tuple[np.ndarray, np.ndarray]:
        """States (n, 2, L, o) of independent uniform segments, and noise for actions in them."""
        rng, rules = learner.generator(5, update), self.objective
        found = learner.buffer.segments(rng, 2 * rules.pairs, self.length, rules.recent)
        observations, actions = self.widths
        states = found.pairs[..., :observations]
        states = states.reshape(rules.pairs, 2, self.length, observations)
        return states, rng.standard_normal((*states.shape[:-1], actions), np.float32)

    def actor_terms(self, batch: Batch, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """As of SAC, and the objective's where the minibatch has segments."""
        terms, log_prob = super().actor_terms(batch, noise)
        if batch.compared is not None:
            terms |= self.sail_terms(batch.compared)
        return terms, log_prob

    def sail_terms(self, segments: SegmentPairs) -> dict[str, Tensor]:
        """Both terms, (K,) each, means over the n pairs of a run."""
        beta, weight = self.objective.beta, self.objective.weight
        own = segment_log_probs(self.actor, segments)
        with torch.no_grad():
            ref = segment_log_probs(self.reference, segments)
        pairs = Pairs(own[..., 0], own[..., 1], ref[..., 0], ref[..., 1])
        coefficient = score_coefficient(pairs, segments.preference, beta)
        self._seen = {
            "sail/margin": pairs.margin(beta).detach().abs().mean(-1),
            "sail/score_coefficient": coefficient.abs().mean(-1),
        }
        losses = {"sail_dpo": pair_loss, "sail_score": score_loss}
        return {
            f"actor/{name}": weight * loss(pairs, segments.preference, beta).mean(-1)
            for name, loss in losses.items()
        }

    def observed(self) -> dict[str, Tensor]:
        """As before, and of the last pairs the mean |z| and the mean |g + log 2|."""
        return super().observed() | self._seen


class SegmentRevKLAgent(SegmentAgent, RevKLAgent):
    """The terms of both."""


METHODS = {
    "sail": Method("sail", True, SegmentAgent),
    "sail-revkl": Method("sail-revkl", True, SegmentRevKLAgent, ("kl_coef",)),
}
"""By the names that the arms of this study have in its evidence."""


def weighing(method: Method, objective: SegmentSettings) -> Method:
    """The method with other settings of its objective."""
    agent = type(method.agent.__name__, (method.agent,), {"asked": objective})
    return Method(method.name, method.learns_reward, agent, method.declared)


@torch.no_grad()
def draw_segments(policy: TanhGaussianPolicy, states: Tensor, noise: Tensor) -> Tensor:
    """Actions before squashing at each state of segments, μ + σ noise: (K, n, 2, L, a)."""
    return policy.draw_unsquashed(_by_run(states), _by_run(noise)).view(noise.shape)


def segment_log_probs(policy: TanhGaussianPolicy, segments: SegmentPairs) -> Tensor:
    """Σ_t log π(u_t|s_t) of each segment, u_t before squashing: (K, n, 2)."""
    states = segments.states
    each = policy.log_prob_unsquashed(_by_run(states), _by_run(segments.unsquashed))
    return each.view(states.shape[:-1]).sum(-1)


def preference(learner: Learner, rows: np.ndarray) -> np.ndarray:
    """q = p₁₂ − ½ of pairs of segments (n, 2, L, o + a), p₁₂ = σ(Σ r̂₁ − Σ r̂₂): (n,)."""
    first, second = learner.learned_rewards(rows).astype(np.float64).sum(-1).T
    found: np.ndarray = np.tanh((first - second) / 2) / 2
    return found


def _by_run(values: Tensor) -> Tensor:
    """(K, n, 2, L, k) to (K, 2nL, k)."""
    return values.reshape(len(values), -1, values.shape[-1])
