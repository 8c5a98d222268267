"""Second-order expansion of the pair coefficients of γF̄ − ∇²J (C02, pair form).

For each prompt x,

    γF_x − ∇²J_x = Σ_{k<l} c_kl D_kl D_klᵀ,   c_kl = π_kπ_l(γ − η_kl),  D_kl = φ_k − φ_l.

D Dᵀ is positive semidefinite, so scalar bounds on c_kl bound the matrix in the Loewner
order. Shapes: ``...`` leading axes (points), n prompts of m responses, p = m(m−1)/2
pairs k < l, r coordinates of S.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sailtheory.numeric.layout import pairs
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.expectation import Point
from sailtheory.theory import formulas, pair_form
from sailtheory.theory.payoff import Payoff

__all__ = [
    "Coefficients",
    "Expansion",
    "both",
    "coefficients",
    "expand",
    "outer",
    "with_zeros",
]


class Expansion(NamedTuple):
    """What an expansion at a point rests on.

    Attributes:
        policy: π, (..., n, m).
        z: z_kl, (..., n, p).
        tilt: p_kl − σ(z_kl), (..., n, p).
        scores: s = φ − E φ, (..., n, m, r).
        fisher: F, (..., n, r, r).
        own: X = g̃ + βG', (..., n, m, m).
        effect: f = Xπ, (..., n, m).
        mean: f̄ = πᵀf, (..., n).
        eta: η_kl, (..., n, p).
        eta_gradient: (..., n, p, r).
        eta_hessian: (..., n, p, r, r).
    """

    policy: Array
    z: Array
    tilt: Array
    scores: Array
    fisher: Array
    own: Array
    effect: Array
    mean: Array
    eta: Array
    eta_gradient: Array
    eta_hessian: Array


class Coefficients(NamedTuple):
    """c_kl, its gradient and its Hessian: (..., n, p), (..., n, p, r), (..., n, p, r, r)."""

    value: Array
    gradient: Array
    hessian: Array


def with_zeros(values: Array, count: int) -> Array:
    """Zeros of the same kind after the entries of the last axis."""
    zero = values[..., :1] * 0
    return np.concatenate([values, np.repeat(zero, count, -1)], -1)


def outer(a: Array, b: Array) -> Array:
    """a bᵀ over the last axis: (..., r), (..., r) to (..., r, r)."""
    return a[..., :, None] * b[..., None, :]


def both(a: Array, b: Array) -> Array:
    """a bᵀ + b aᵀ: (..., r, r)."""
    product = outer(a, b)
    return product + product.mT


def expand(at: Point, features: Array) -> Expansion:
    """η, ∂η, ∂²η of SAIL for each pair at one point, with what they are made of.

    With X' = dX/dζ along ζ = δᵀD, f_k = Σ_j π_j X_kj has
    ∂f_k = Σ_j π_j(X s_j + X'D_kj) and
    ∂²f_k = Σ_j π_j(X(s_js_jᵀ − F) + X'(s_jDᵀ + Ds_jᵀ) + X''DDᵀ);
    D_kj = s_k − s_j turns these into products of matrices.

    Args:
        at: The block at the point.
        features: φ in coordinates of S, (n, m, r).
    """
    beta, policy = at.block.beta, at.policy
    *_, m, r = features.shape
    k, l = pairs(m)  # noqa: E741
    z, preference = at.z[..., k, l], at.block.preference[..., k, l]
    upper = formulas.log_likelihood_payoff(at.xp, preference, z)
    fourth = formulas.log_likelihood_fourth(preference, upper)
    payoff = upper.mirrored(m, at_zero=-0.25)

    scores = features - pair_form.combine(policy, features)[..., None, :]
    squares = outer(scores, scores)
    flat = squares.reshape(*squares.shape[:-2], r * r)
    fisher = pair_form.combine(policy, flat).reshape(*policy.shape[:-1], r, r)

    own, first, second = _own(beta, payoff)
    weight = policy[..., None, :]
    effect = formulas.expectation(weight, own)
    mean = formulas.expectation(policy, effect)
    tilt, bend = weight * first, weight * second

    gradient = (weight * own - tilt) @ scores + tilt.sum(-1)[..., None] * scores
    mean_gradient = 2 * pair_form.combine(policy * effect, scores)

    mixed = (weight * own - 2 * tilt + bend) @ flat
    hessian = mixed.reshape(squares.shape) + both((tilt - bend) @ scores, scores)
    hessian = hessian + bend.sum(-1)[..., None, None] * squares
    hessian = hessian - effect[..., None, None] * fisher[..., None, :, :]

    eta = formulas.relative_pair_curvature(beta, policy, payoff)
    mean_hessian = pair_form.laplacian(formulas.pair_probability(policy) * eta, features)

    direct, curved = _direct(beta, upper, fourth)
    gaps = scores[..., k, :] - scores[..., l, :]
    pair_gradient = 4 * (gradient[..., k, :] + gradient[..., l, :])
    pair_gradient = pair_gradient - 6 * mean_gradient[..., None, :]
    pair_hessian = 4 * (hessian[..., k, :, :] + hessian[..., l, :, :])
    pair_hessian = pair_hessian - 6 * mean_hessian[..., None, :, :]
    return Expansion(
        policy, z, upper.first, scores, fisher, own, effect, mean,
        eta[..., k, l],
        pair_gradient + direct[..., None] * gaps,
        pair_hessian + curved[..., None, None] * outer(gaps, gaps),
    )  # fmt: skip


def coefficients(at: Expansion, gamma: Array, weights: Array) -> Coefficients:
    """w c_kl and its derivatives, from ∂(π_kπ_l) = π_kπ_l y, y = s_k + s_l.

    Args:
        at: The expansion.
        gamma: Scalar.
        weights: Prompt weights w, (n,).
    """
    k, l = pairs(at.policy.shape[-1])  # noqa: E741
    chance = at.policy[..., k] * at.policy[..., l] * weights[:, None]
    excess = gamma - at.eta
    push = at.scores[..., k, :] + at.scores[..., l, :]
    gradient = excess[..., None] * push - at.eta_gradient
    spread = outer(push, push) - 2 * at.fisher[..., None, :, :]
    hessian = excess[..., None, None] * spread - both(push, at.eta_gradient) - at.eta_hessian
    return Coefficients(
        chance * excess, chance[..., None] * gradient, chance[..., None, None] * hessian
    )


def _own(beta: Array, payoff: Payoff) -> tuple[Array, Array, Array]:
    """X = G + βG' and its first two derivatives along ζ = z/β."""
    return (
        payoff.value + payoff.first * beta,
        (payoff.first + payoff.second * beta) * beta,
        (payoff.second + payoff.third * beta) * (beta * beta),
    )


def _direct(beta: Array, payoff: Payoff, fourth: Array) -> tuple[Array, Array]:
    """First and second derivative along ζ of −2G + 2β²G'', the pair's own part of η."""
    square = beta * beta
    return (
        2 * beta * (square * payoff.third - payoff.first),
        2 * square * (square * fourth - payoff.second),
    )
