"""Closed forms without the score term: the field that online DPO follows, and expected scores.

V = βE_{π⊗π}[uΔ] is ∇J less its sampling-shift term (C01). It is no gradient for m ≥ 3, so its
Jacobian has an antisymmetric part:

    DV = βE[uΔ(s₁ + s₂)ᵀ] + β²E[G''ΔΔᵀ]
       = ½ Σ_kl π_kπ_l η_kl Δ_klΔ_klᵀ + 2βE[u s₁s₂ᵀ],  η_kl = 2β(a_k + a_l) + 2β²G''_kl,

a_k = E_l u_kl: half the cross term of C02, and its DPO term (C29). V itself is
:func:`sailtheory.theory.formulas.off_policy_gradient` at μ = π_θ. Shapes as there.
"""

from __future__ import annotations

from sailtheory.numeric.numbers import Array, total
from sailtheory.theory import pair_form
from sailtheory.theory.formulas import (
    centred,
    cross_curvature,
    dpo_curvature,
    expectation,
    pair_probability,
    pair_sum,
)
from sailtheory.theory.pair_form import squared_gaps
from sailtheory.theory.payoff import Payoff

__all__ = [
    "field_curvature",
    "field_curvature_gradient",
    "field_turning",
    "score_mean_curvature",
    "score_mean_curvature_gradient",
    "score_mean_gradient",
]


def field_curvature(beta: Array, policy: Array, payoff: Payoff) -> Array:
    """η of sym DV = ½ Σ π_kπ_l η_kl Δ_klΔ_klᵀ (C29): (..., m, m)."""
    return cross_curvature(beta, policy, payoff) / 2 + dpo_curvature(beta, payoff)


def field_turning(
    beta: Array, policy: Array, features: Array, payoff: Payoff, weights: Array
) -> Array:
    """E_x 2βE[u s₁s₂ᵀ], the antisymmetric part of DV (C29): (..., n, m), (n,) to (..., d, d)."""
    n, m, d = features.shape
    chance = pair_probability(policy) * weights[:, None, None]
    score = features - pair_form.combine(policy, features)[..., None, :]
    turned = (2 * chance * payoff.first * beta) @ score
    flat = (*score.shape[:-3], n * m, d)
    return score.reshape(flat).mT @ turned.reshape(flat)


def field_curvature_gradient(beta: Array, policy: Array, payoff: Payoff, along: Array) -> Array:
    """∇(vᵀDVv) by the logits, for fixed v, along = vᵀφ: (..., n, m)."""
    mass = pair_probability(policy) * squared_gaps(along)
    touched = total(mass)
    bend = expectation(policy[..., None, :], payoff.second)
    pull = touched[..., :, None] * (payoff.first - payoff.second * beta)
    curvature = field_curvature(beta, policy, payoff)
    rest = total(mass * (curvature + 2 * payoff.third * beta**3))
    rest = rest + 2 * touched * bend * (beta * beta) + 2 * policy * pull.sum(-2) * beta
    return rest - policy * total(rest)[..., None]


# --- expected scores ---------------------------------------------------------------------


def score_mean_gradient(policy: Array, scores: Array) -> Array:
    """∂E_π r by the logits, π_k(r_k − E_π r): (..., n, m). Rewards and win rates (section 1)."""
    return policy * centred(policy, scores)


def score_mean_curvature(policy: Array, scores: Array) -> Array:
    """Pair form of E_π[(r − E_π r)ssᵀ] = ∇²E_π r: r_k + r_l − 2E_π r, (..., m, m)."""
    return pair_sum(centred(policy, scores))


def score_mean_curvature_gradient(policy: Array, scores: Array, along: Array) -> Array:
    """∇E_π[(r − E_π r)(vᵀs)²] by the logits, for fixed v: (..., n, m)."""
    reward, score = centred(policy, scores), centred(policy, along)
    both = expectation(policy, reward * score)[..., None]
    variance = expectation(policy, score * score)[..., None]
    rest = policy * (reward * (score * score - variance) - 2 * both * score)
    return rest - policy * total(rest)[..., None]
