"""Closed forms of one prompt for f(V), V the pass rate, and for the field of a group (C30–C32).

With hits r_k ∈ {0, 1} of the responses, by the logits as in :mod:`sailtheory.theory.formulas`:

    ∇f(V) = f'π(r − V),  η_kl = f'·(r_k + r_l − 2V) − f''·(r_k − V)(r_l − V),

the last because Σ_k π_k(r_k − V) = 0 makes ∇V∇Vᵀ a Laplacian as well.

The field of an advantage A of a group of G samples, h = E[(1/G) Σ_i A_i s_i], ΣA_i = 0, is told
by the counts n of the responses in the group: Dh is, by the logits,

    M_kl = E[n_k A_k (n_l − Gπ_l)]/G,

whose rows and columns sum to 0, so its symmetric part is a Laplacian with weights −(M + Mᵀ)/2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sailtheory.numeric.numbers import Array, NumberSystem, total
from sailtheory.theory.fields import (
    score_mean_curvature,
    score_mean_curvature_gradient,
    score_mean_gradient,
)
from sailtheory.theory.formulas import centred, expectation
from sailtheory.theory.reward_slopes import Slopes

__all__ = [
    "Groups",
    "group_advantages",
    "group_counts",
    "group_curvature_gradient",
    "group_gradient",
    "group_jacobian",
    "group_ways",
    "group_weights",
    "pass_rate_curvature",
    "pass_rate_curvature_gradient",
    "pass_rate_gradient",
]


def pass_rate_gradient(slope: Array, policy: Array, hits: Array) -> Array:
    """∂f(V) by the logits: (..., n), (..., n, m) to (..., n, m)."""
    return score_mean_gradient(policy, hits) * slope[..., None]


def pass_rate_curvature(slope: Array, bend: Array, policy: Array, hits: Array) -> Array:
    """η of ∇²f(V) (C31): (..., n), (..., n), (..., n, m) to (..., n, m, m)."""
    lead = centred(policy, hits)
    outer = lead[..., :, None] * lead[..., None, :]
    main = score_mean_curvature(policy, hits) * slope[..., None, None]
    return main - outer * bend[..., None, None]


def pass_rate_curvature_gradient(at: Slopes, policy: Array, hits: Array, along: Array) -> Array:
    """∇(vᵀ∇²f(V)v) by the logits, for fixed v, along = vᵀφ: (..., n, m)."""
    lead, score = centred(policy, hits), centred(policy, along)
    square = expectation(policy, lead * score * score)[..., None]
    slant = expectation(policy, lead * score)[..., None]
    first, second, third = (part[..., None] for part in at)
    rise = policy * lead * (second * square + third * slant * slant)
    turned = policy * (lead * score - slant) * (2 * second * slant)
    return rise + turned + first * score_mean_curvature_gradient(policy, hits, along)


# --- groups of samples ---------------------------------------------------------------------


class Groups(NamedTuple):
    """All groups of each of n prompts, told by the counts of its responses.

    Attributes:
        chance: Of each, (..., n, c).
        counts: (c, m).
        advantages: A of each response in each group, (n, c, m).
        size: G.
    """

    chance: Array
    counts: Array
    advantages: Array
    size: int


def group_counts(group: int, responses: int) -> np.ndarray:
    """How often each response stands in a group, all possibilities: (c, m) integers."""
    return np.array(list(_compositions(group, responses)), dtype=int)


def _compositions(whole: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (whole,)
        return
    for first in range(whole + 1):
        for rest in _compositions(whole - first, parts - 1):
            yield (first, *rest)


def group_ways(counts: np.ndarray) -> np.ndarray:
    """In how many orders each row of counts can be drawn: (c, m) to (c,) integers of any size."""
    factorials = [math.factorial(k) for k in range(int(counts[0].sum()) + 1)]
    ways = [factorials[-1] // math.prod(factorials[k] for k in row) for row in counts.tolist()]
    return np.array(ways, dtype=object)


def group_weights(xp: NumberSystem, log_policy: Array, counts: Array, ways: Array) -> Array:
    """The chance of each row of counts: (..., m), (c, m), (c,) to (..., c)."""
    return xp.exp(log_policy @ counts.mT) * ways


def group_advantages(
    xp: NumberSystem, counts: Array, rewards: Array, mixed: Array, std: str, epsilon: Array
) -> Array:
    """A = (r − mean)/(std + ε) of each response in each group (C32): (..., c, m).

    Args:
        xp: Number system.
        counts: (c, m).
        rewards: (..., m).
        mixed: 1 where a group has more than one level of reward, else 0, (..., c).
        std: ``population`` or ``sample``.
        epsilon: ε ≥ 0.
    """
    size = counts[0].sum(-1)
    gaps = rewards[..., None, :] - (rewards @ counts.mT)[..., None] / size
    variance = total(counts * gaps * gaps) / (size - 1 if std == "sample" else size)
    spread = xp.exp(xp.log(variance * mixed + (1 - mixed)) / 2) + epsilon
    return gaps * (mixed / spread)[..., None]


def group_gradient(groups: Groups) -> Array:
    """h by the logits, E[n_kA_k]/G: (..., n, m)."""
    return _pushed(groups).sum(-2) / groups.size


def _pushed(groups: Groups) -> Array:
    """n_kA_k times the chance of the group: (..., n, c, m)."""
    return groups.chance[..., None] * (groups.counts * groups.advantages)


def group_jacobian(groups: Groups, policy: Array) -> Array:
    """M of Dh = ΦᵀMΦ: (..., n, m, m)."""
    pushed = _pushed(groups)
    mean = pushed.sum(-2)[..., None] * policy[..., None, :]
    return pushed.mT @ groups.counts / groups.size - mean


def group_curvature_gradient(groups: Groups, policy: Array, along: Array) -> Array:
    """∇(vᵀDh v) by the logits, for fixed v, along = vᵀφ (..., n, m): (..., n, m)."""
    score = centred(policy, along)
    pushed = groups.chance * total(groups.counts * groups.advantages * along[..., None, :])
    both = pushed * (score @ groups.counts.mT)
    whole = both @ groups.counts / groups.size - total(both[..., None, :]) * policy
    return whole - total(pushed[..., None, :]) * policy * score
