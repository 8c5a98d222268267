"""How far the pair coefficients fall below their linear part on a box.

:func:`slack` bounds the second- and third-order terms of Taylor's formula at the centre:
the Hessian there, by its entries, and the third derivative over the box. Everything but
the Hessian is a sum, product or minimum of bounds on absolute values, so nothing
cancels. ``up`` turns a ball into its upper end point, which makes each named bound an
exact number; in float64, where this only steers a search, it is the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sailtheory.certify.expansion import Coefficients, Expansion, pairs
from sailtheory.numbers import Array
from sailtheory.objectives import Point

THIRD_SIGMOID = 0.0963  # above max |σ''| = 1/(6√3)
FOURTH_SIGMOID = 0.125  # max |σ'''|, at 0
FIFTH_SIGMOID = 0.128  # above max |σ''''|

Round = Callable[[Array], Array]


class Moments(NamedTuple):
    """Bounds on |π'|/π, |π''|/π and |π'''|/π along δ, or on those of π_kπ_l."""

    first: Array
    second: Array
    third: Array


def slack(
    up: Round,
    point: Point,
    at: Expansion,
    near: Coefficients,
    gamma: Any,
    reach: Array,
    half: Array,
) -> Array:
    """Σ ≥ 0 with w c_kl(θ + δ) ≥ w c_kl(θ) + ∂(w c_kl)·δ − Σ_kl on the box |δ_i| ≤ h_i.

    Args:
        up: Rounds bounds up to exact numbers.
        point: The block at the centre θ.
        at: Its expansion.
        near: Its coefficients.
        gamma: γ.
        reach: |D_kl| entrywise, (n, m, m, r).
        half: h ≥ 0, (..., r).

    Returns:
        (..., n, p).
    """
    sides = half[..., None, None, :]
    grown = near.hessian * sides[..., :, None] * sides[..., None, :]
    diagonal = np.arange(half.shape[-1])
    own = grown[..., diagonal, diagonal]
    size = abs(grown)
    # Row sums of the off-diagonal entries against the diagonal one (Gershgorin).
    dominated = size.sum(-1) - size[..., diagonal, diagonal] - own
    second = np.maximum(up(dominated), 0).sum(-1) / 2
    return second + third_derivative(up, point, at, gamma, reach, half) / 6


def third_derivative(
    up: Round, point: Point, at: Expansion, gamma: Any, reach: Array, half: Array
) -> Array:
    """Bounds w|d³c_kl/dt³| on a box, along θ + tδ with |δ_i| ≤ h_i: (..., n, p)."""
    beta, weights = point.block.beta, point.block.weights
    k, l = pairs(at.policy.shape[-1])  # noqa: E741
    rho = up((reach * half[..., None, None, None, :]).sum(-1))  # ≥ |δᵀD_kl|
    policy = up(_policy_bound(point, rho))
    score, variance, skew = _central(up, at, policy, rho, half)
    sigma = _sigmoid_bounds(up, point, rho)
    steep = up(abs(at.payoff.first)) + beta * rho * sigma[0]  # ≥ |p − σ(z)|

    second = beta**2 * (sigma[0] + beta * sigma[1])
    own = (beta * (steep + beta * sigma[0]), second, beta**3 * (sigma[1] + beta * sigma[2]))
    v, c = variance[..., None, None], skew[..., None, None]
    single = _moments(up, score[..., None, :], v, c)
    double = _moments(up, score[..., :, None] + score[..., None, :], 2 * v, 2 * c)
    chance = policy[..., :, None] * policy[..., None, :]

    far = up(abs(at.own - at.effect[..., :, None])) + own[0] * rho
    effect = _mean_derivatives(policy[..., None, :], far, own, single, rho)
    far = up(abs(at.own - at.mean[..., None, None])) + own[0] * rho
    mean = [d.sum(-1)[..., None] for d in _mean_derivatives(chance, far, own, double, rho)]

    direct = (
        2 * beta * (steep + beta**2 * sigma[1]),
        2 * beta**2 * (sigma[0] + beta**2 * sigma[2]),
        2 * beta**3 * (sigma[1] + beta**2 * sigma[3]),
    )
    gap = rho[..., k, l]
    eta1, eta2, eta3 = (
        4 * (e[..., k] + e[..., l]) + 6 * f + d[..., k, l] * gap**order
        for order, (e, f, d) in enumerate(zip(effect, mean, direct, strict=True), start=1)
    )
    straight = (abs(at.eta_gradient) * half[..., None, None, :]).sum(-1)
    eta1 = np.minimum(up(eta1), up(straight + eta2))
    excess = abs(gamma - at.eta) + eta1
    y1, y2, y3 = (y[..., k, l] for y in double)
    change = excess * y3 + 3 * eta1 * y2 + 3 * eta2 * y1 + eta3
    return weights[:, None] * chance[..., k, l] * change


def _policy_bound(point: Point, rho: Array) -> Array:
    """π_k on the box is at most 1/Σ_j exp(log π_j − log π_k − ρ_kj): (..., n, m)."""
    logs = point.log_policy
    return 1 / point.xp.exp(logs[..., None, :] - logs[..., :, None] - rho).sum(-1)


def _central(
    up: Round, at: Expansion, policy: Array, rho: Array, half: Array
) -> tuple[Array, Array, Array]:
    """Bounds on |δᵀs_k| (..., n, m), the variance and |third central moment| (..., n).

    δᵀs_k changes by at most the variance along the segment, which gives the second bound.
    """
    weighted = (policy[..., None, :] * rho**2).sum(-1)
    widest = rho.max(-1)
    variance = np.minimum(up((policy * weighted).sum(-1) / 2), widest.max(-1) ** 2 / 4)
    straight = (abs(at.scores) * half[..., None, None, :]).sum(-1) + variance[..., None]
    mixed = (policy[..., None, :] * rho).sum(-1)
    score = np.minimum(np.minimum(up(mixed), up(straight)), widest)
    skew = np.minimum(up((policy * score**3).sum(-1)), up(variance * score.max(-1)))
    return score, variance, skew


def _moments(up: Round, score: Array, variance: Array, skew: Array) -> Moments:
    """From π' = πs, π'' = π(s² − V), π''' = π(s³ − 3sV − κ)."""
    return Moments(
        score, np.maximum(up(score**2), up(variance)), score**3 + 3 * score * variance + skew
    )


def _sigmoid_bounds(up: Round, point: Point, rho: Array) -> tuple[Array, Array, Array, Array]:
    """Bounds on |σ'|, |σ''|, |σ'''|, |σ''''| over the box, each (..., n, m, m).

    With t = tanh(z/2)/2 and σ' = ¼ − t²: σ'' = −2tσ', σ''' = σ'(4t² − 2σ'),
    σ'''' = 8tσ'(2σ' − t²), each factor a difference of positive numbers.
    """
    xp, moved, size = point.xp, point.block.beta * rho, abs(point.z)
    nearest = up(np.maximum(-up(moved - size), 0))
    least = xp.tanh(nearest / 2) / 2
    most = up(xp.tanh(up(size + moved) / 2) / 2)
    slope = up(0.25 - least**2)
    return (
        slope,
        np.minimum(up(2 * most * slope), THIRD_SIGMOID),
        np.minimum(up(np.maximum(up(4 * most**2), up(2 * slope)) * slope), FOURTH_SIGMOID),
        np.minimum(up(8 * most * slope * np.maximum(up(2 * slope), up(most**2))), FIFTH_SIGMOID),
    )


def _mean_derivatives(
    weight: Array, far: Array, own: tuple[Array, Array, Array], moments: Moments, rho: Array
) -> tuple[Array, Array, Array]:
    """Bounds on three derivatives of Σ_j π_jX_kj, by Leibniz; Σ_j π_j is constant.

    ``far`` bounds |X − b| for a b that does not depend on j, ``own`` the derivatives of X.
    """
    x1, x2, x3 = own[0] * rho, own[1] * rho**2, own[2] * rho**3
    s1, s2, s3 = moments
    return (
        (weight * (far * s1 + x1)).sum(-1),
        (weight * (far * s2 + 2 * x1 * s1 + x2)).sum(-1),
        (weight * (far * s3 + 3 * x1 * s2 + 3 * x2 * s1 + x3)).sum(-1),
    )
