"""The segment-level SAIL objective in an actor's loss.

A segment σ = (s₁, a₁, …, s_L, a_L) has the implicit reward
h(σ) = β Σ_t log π_θ/π_ref(a_t|s_t), and the objective, to be maximised, is::

    J(θ) = E g,   g = p₁₂ log σ(z) + p₂₁ log σ(−z),   z = h(σ₁) − h(σ₂)

over pairs of segments whose states are drawn from a fixed distribution d, the last steps of
the run, and whose actions π_θ draws in them. Given the states of both, the actions are
independent, and the score of a segment's is Σ_t ∇log π_θ(a_t|s_t), exactly: with these
scores the expectation of (C18)'s estimate is the exact gradient of J.

Unlike the two responses to a prompt, the two segments have states of their own, as preferences
over segments have them. So log Z of the one does not cancel that of the other in z, and J is
not the reduction of a bilevel problem (C21).

Left out, against the J of the segments that π_θ would walk itself: that states depend on the
actions before them, and so on θ. studies/control_arms/segment_mdp.py measures what that costs
where it can be enumerated. Actions as they were recorded would keep that dependence, but
they are those of earlier actors, one update a step (studies/control_arms/segment_age.py).

Log-densities are those of actions before squashing: from a tanh that rounds to ±1 none can be
had, and the slope of tanh cancels in π_θ/π_ref and does not depend on θ.

p₁₂ is Bradley–Terry's with the learned reward of the states and drawn actions; no query is
spent on it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sailtheory.policies.gaussian import TanhGaussianPolicy
from sailtheory.training.control.reference import Referenced, RevKLAgent
from sailtheory.training.control.sac import Batch, SegmentPairs
from sailtheory.training.control.settings import SAILSettings, Settings
from sailtheory.training.pairs import Pairs, pair_loss, score_coefficient, score_loss

__all__ = ["SAILAgent", "SAILRevKLAgent", "draw_segments", "segment_log_probs"]


class SAILAgent(Referenced):
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
        """As before, and of the last pairs the mean |z| and the mean |g + log 2|.

        The score term's own value is 0 whatever its gradient; this is its size.
        """
        return super().observed() | self._seen


class SAILRevKLAgent(SAILAgent, RevKLAgent):
    """The terms of both."""


@torch.no_grad()
def draw_segments(policy: TanhGaussianPolicy, states: Tensor, noise: Tensor) -> Tensor:
    """Actions before squashing at each state of segments, μ + σ noise: (K, n, 2, L, a).

    Args:
        policy: Of K runs.
        states: (K, n, 2, L, o).
        noise: Standard normal, (K, n, 2, L, a).
    """
    return policy.draw_unsquashed(_by_run(states), _by_run(noise)).view(noise.shape)


def segment_log_probs(policy: TanhGaussianPolicy, segments: SegmentPairs) -> Tensor:
    """Σ_t log π(u_t|s_t) of each segment, u_t before squashing: (K, n, 2)."""
    states = segments.states
    each = policy.log_prob_unsquashed(_by_run(states), _by_run(segments.unsquashed))
    return each.view(states.shape[:-1]).sum(-1)


def _by_run(values: Tensor) -> Tensor:
    """(K, n, 2, L, k) to (K, 2nL, k)."""
    return values.reshape(len(values), -1, values.shape[-1])
