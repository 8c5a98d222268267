"""How far the pair coefficients fall below their linear part on a box.

:func:`slack` bounds the second- and third-order terms of Taylor's formula at the centre:
the Hessian there, by its entries, and the third derivative over the box. Everything but
the Hessian is a sum, product or minimum of bounds on absolute values, so nothing
cancels. ``up`` turns a ball into its upper end point, which makes each named bound an
exact number; in float64, where this only steers a search, it is the identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sailtheory.certificates.expansion import Coefficients, Expansion, with_zeros
from sailtheory.numeric import layout
from sailtheory.numeric.layout import pairs
from sailtheory.numeric.numbers import Array, NumberSystem
from sailtheory.objectives.expectation import Point

__all__ = [
    "FIFTH_SIGMOID",
    "FOURTH_SIGMOID",
    "THIRD_SIGMOID",
    "Moments",
    "over_all",
    "slack",
    "third_derivative",
]

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
        reach: |D_kl| entrywise, (n, p, r).
        half: h ≥ 0, (..., r).

    Returns:
        (..., n, p).
    """
    second = _second_order(up, near.hessian, half)
    return second + third_derivative(up, point, at, gamma, reach, half) / 6


def third_derivative(
    up: Round, point: Point, at: Expansion, gamma: Any, reach: Array, half: Array
) -> Array:
    """Bounds w|d³c_kl/dt³| on a box, along θ + tδ with |δ_i| ≤ h_i: (..., n, p)."""
    beta, weights = point.block.beta, point.block.weights
    m = at.policy.shape[-1]
    k, l = pairs(m)  # noqa: E741
    p = len(k)
    gap = up((reach * half[..., None, None, :]).sum(-1))  # ≥ |δᵀD_kl|
    rho = layout.mirrored(gap, m)
    policy = up(_policy_bound(point, rho))
    score, variance, skew = _central(up, at, policy, rho, half)
    sigma = _sigmoid_bounds(up, point.xp, beta, at.z, gap)
    steep = up(abs(at.tilt)) + beta * gap * sigma[0]  # ≥ |p − σ(z)|

    gaps = (gap, gap**2, gap**3)
    moved = [x * g for x, g in zip(_own(beta, steep, sigma), gaps, strict=True)]
    everywhere = [layout.mirrored(x, m) for x in moved]
    single = _moments(up, score[..., None, :], variance[..., None, None], skew[..., None, None])
    far = up(abs(at.own - at.effect[..., :, None])) + everywhere[0]
    effect = [(policy[..., None, :] * term).sum(-1) for term in _leibniz(far, everywhere, single)]

    # f̄ sums over all (k, l): the pairs k < l with the mean of X_kl and X_lk, then the
    # diagonal, where X does not move.
    rows, columns = np.append(k, np.arange(m)), np.append(l, np.arange(m))
    double = _moments(
        up, score[..., rows] + score[..., columns], 2 * variance[..., None], 2 * skew[..., None]
    )
    chance = policy[..., rows] * policy[..., columns]
    away = up(abs(at.own - at.mean[..., None, None]))
    padded = [with_zeros(x, m) for x in moved]
    far = (away[..., rows, columns] + away[..., columns, rows]) / 2 + padded[0]
    mean = [over_all(chance * term, p)[..., None] for term in _leibniz(far, padded, double)]

    eta1, eta2, eta3 = (
        4 * (e[..., k] + e[..., l]) + 6 * f + d * g
        for e, f, d, g in zip(effect, mean, _direct(beta, steep, sigma), gaps, strict=True)
    )
    straight = (abs(at.eta_gradient) * half[..., None, None, :]).sum(-1)
    eta1 = np.minimum(up(eta1), up(straight + eta2))
    excess = abs(gamma - at.eta) + eta1
    y1, y2, y3 = (y[..., :p] for y in double)
    change = excess * y3 + 3 * (eta1 * y2 + eta2 * y1) + eta3
    return weights[:, None] * chance[..., :p] * change


def _second_order(up: Round, hessian: Array, half: Array) -> Array:
    """Bounds −½δᵀHδ on |δ_i| ≤ h_i, from 2|δ_iδ_j| ≤ h_ih_j(δ_i²/h_i² + δ_j²/h_j²)."""
    sides = half[..., :, None] * half[..., None, :]
    grown = hessian * sides[..., None, None, :, :]
    diagonal = np.arange(half.shape[-1])
    size = abs(grown)
    dominated = size.sum(-1) - size[..., diagonal, diagonal] - grown[..., diagonal, diagonal]
    return np.maximum(up(dominated), 0).sum(-1) / 2


def _own(beta: Array, steep: Array, sigma: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Bounds on three derivatives of X = G + βG' along ζ = z/β; G' = p − σ, G'' = −σ'."""
    return (
        beta * (steep + beta * sigma[0]),
        beta**2 * (sigma[0] + beta * sigma[1]),
        beta**3 * (sigma[1] + beta * sigma[2]),
    )


def _direct(beta: Array, steep: Array, sigma: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Bounds on three derivatives along ζ of −2G + 2β²G'', the pair's own part of η."""
    return (
        2 * beta * (steep + beta**2 * sigma[1]),
        2 * beta**2 * (sigma[0] + beta**2 * sigma[2]),
        2 * beta**3 * (sigma[1] + beta**2 * sigma[3]),
    )


def over_all(values: Array, p: int) -> Array:
    """The sum over all (k, l) from p pairs k < l, which count twice, and the diagonal."""
    return 2 * values[..., :p].sum(-1) + values[..., p:].sum(-1)


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
    """From π' = πs, π'' = π(s² − V), π''' = π(s³ − 3sV − κ).

    V ≥ 0 gives s² and V, and s³ and 3sV, one sign: what they differ by is below the larger.
    """
    return Moments(
        score,
        np.maximum(up(score**2), up(variance)),
        np.maximum(up(score**3), up(3 * score * variance)) + skew,
    )


def _sigmoid_bounds(
    up: Round, xp: NumberSystem, beta: Array, z: Array, gap: Array
) -> tuple[Array, Array, Array, Array]:
    """Bounds on |σ'|, |σ''|, |σ'''|, |σ''''| at no more than β · gap from z, each (..., n, p).

    With t = tanh(z/2)/2 and σ' = ¼ − t²: σ'' = −2tσ', σ''' = σ'(4t² − 2σ'),
    σ'''' = 8tσ'(2σ' − t²), each factor a difference of positive numbers.
    """
    moved, size = beta * gap, abs(z)
    nearest = np.maximum(-up(moved - size), xp.asarray(0))
    least = xp.tanh(nearest / 2) / 2
    most = up(xp.tanh(up(size + moved) / 2) / 2)
    slope = up(0.25 - least**2)
    twice, again = up(2 * slope), up(most**2)
    return (
        slope,
        np.minimum(up(2 * most * slope), THIRD_SIGMOID),
        np.minimum(up(np.maximum(up(4 * again), twice) * slope), FOURTH_SIGMOID),
        np.minimum(up(8 * most * slope * np.maximum(twice, again)), FIFTH_SIGMOID),
    )


def _leibniz(far: Array, moved: Sequence[Array], moments: Moments) -> tuple[Array, Array, Array]:
    """The terms of three derivatives of Σ_j π_jX_kj, without the weights π_j.

    Σ_j π_j is constant. ``far`` bounds |X − b| for a b that does not depend on j, ``moved``
    the derivatives of X along the box.
    """
    x1, x2, x3 = moved
    s1, s2, s3 = moments
    return (
        far * s1 + x1,
        far * s2 + 2 * x1 * s1 + x2,
        far * s3 + 3 * (x1 * s2 + x2 * s1) + x3,
    )
