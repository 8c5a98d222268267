"""The segment-level SAIL objective in an actor's loss.

A segment σ = (s₁, a₁, …, s_L, a_L) of the policy has the implicit reward
h(σ) = β Σ_t log π_θ(a_t|s_t)/π_ref(a_t|s_t), and the objective, to be maximised, is::

    J(θ) = E g,   g = p₁₂ log σ(z) + p₂₁ log σ(−z),   z = h(σ₁) − h(σ₂)

over pairs of segments whose starts have a fixed distribution d and whose actions are
π_θ's. Given its start, a segment's density is a product of policy and dynamics, and the
dynamics do not depend on θ: its score is Σ_t ∇log π_θ(a_t|s_t), exactly. So (C18) with
these scores is the exact gradient of J. Two things are dropped, and said:

- d is that of starts cut from episodes, so it depends on earlier actions and on θ; its
  gradient is left out. benchmarks/segment_mdp.py measures its share where it can be
  enumerated.
- Segments come from the last ``sail.recent`` steps, whose actors are as many updates old at
  most. So a pair weighs min(π_now/π_then, ``sail.importance``): exact without the limit, and
  with it what the actor would no longer draw counts little, at the price of a bias that
  benchmarks/segment_mdp.py measures. Without the weights runs diverge: the score's
  coefficient grows as |z|, and segments that the actor has left are pushed away without bound
  (benchmarks/segment_age.py); with them one run of five did (docs/control.md).

The two segments of a pair share no step, so that given their starts their actions are
independent, as in J.

p₁₂ is Bradley–Terry's with the learned reward; no query is spent on it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from sailtheory.policies.protocol import Policy
from sailtheory.training.control.reference import Referenced, RevKL
from sailtheory.training.control.sac import Batch, SegmentPairs
from sailtheory.training.control.settings import SAILSettings, Settings
from sailtheory.training.pairs import Pairs, pair_loss, score_coefficient, score_loss


class SAIL(Referenced):
    """``actor/sail_dpo`` and ``actor/sail_score``: −weight · J, and its score term of value 0.

    Absent until there is a reference.

    Args:
        objective: β and the weight.
    """

    def __init__(self, *args: Any, objective: SAILSettings, **kind: Any) -> None:
        super().__init__(*args, **kind)
        self.objective = objective
        self._seen: dict[str, Tensor] = {}

    @classmethod
    def extras(cls, settings: Settings) -> dict[str, Any]:
        """What the constructor takes besides SAC's settings."""
        return super().extras(settings) | {"objective": settings.sail}

    @property
    def wants_segments(self) -> bool:
        """Once there is a reference."""
        return self.taken is not None

    @property
    def wants_densities(self) -> bool:
        """Where pairs are weighed by how likely they still are."""
        return self.objective.importance is not None

    def importance(self, own: Tensor, segments: SegmentPairs) -> Tensor | None:
        """min(π_now/π_then, ``sail.importance``) of each pair, (K, n), without gradient.

        Args:
            own: log π_now of its segments, (K, n, 2).
            segments: The pairs.
        """
        limit = self.objective.importance
        if limit is None or segments.drawn is None:
            return None
        apart: Tensor = (own.detach() - segments.drawn).sum(-1)
        return apart.clamp(max=math.log(limit)).exp()

    def actor_terms(self, batch: Batch, noise: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """As of SAC, and the objective's where the minibatch has segments."""
        terms, log_prob = super().actor_terms(batch, noise)
        if batch.segments is not None:
            terms |= self.sail_terms(batch.segments)
        return terms, log_prob

    def sail_terms(self, segments: SegmentPairs) -> dict[str, Tensor]:
        """Both terms, (K,) each, means over the n pairs of a run."""
        beta, weight = self.objective.beta, self.objective.weight
        own = segment_log_probs(self.actor, segments)
        with torch.no_grad():
            ref = segment_log_probs(self.reference, segments)
        weights = self.importance(own, segments)
        pairs = Pairs(own[..., 0], own[..., 1], ref[..., 0], ref[..., 1], weights)
        coefficient = score_coefficient(pairs, segments.preference, beta)
        self._seen = {
            "sail/margin": pairs.margin(beta).detach().abs().mean(-1),
            "sail/score_coefficient": coefficient.abs().mean(-1),
        }
        if weights is not None:
            self._seen["sail/importance"] = weights.mean(-1)
        losses = {"sail_dpo": pair_loss, "sail_score": score_loss}
        return {
            f"actor/{name}": weight * loss(pairs, segments.preference, beta).mean(-1)
            for name, loss in losses.items()
        }

    def observed(self) -> dict[str, Tensor]:
        """As before, and of the last pairs the mean |z| and the mean |g + log 2|.

        The score term's own value is 0 whatever its gradient; this is its size.
        """
        return super().observed() | self._seen


class SAILRevKL(SAIL, RevKL):
    """The terms of both."""


def segment_log_probs(policy: Policy, segments: SegmentPairs) -> Tensor:
    """Σ_t log π(a_t|s_t) of each segment: (K, n, 2)."""
    states, actions = segments.states, segments.actions
    runs = len(states)
    each = policy.log_prob(
        states.reshape(runs, -1, states.shape[-1]), actions.reshape(runs, -1, actions.shape[-1])
    )
    return each.view(states.shape[:-1]).sum(-1)
