"""What features add to the formulas: logits, gradients and Hessians in pair form (C02).

    ∇² = ½ Σ_kl w_kl Δ_kl Δ_klᵀ = Φᵀ (diag(w 1) − w) Φ,

a weighted Laplacian, for symmetric pair weights w. Functions named ``_all`` add up prompts in one
matrix product.
"""

from __future__ import annotations

import numpy as np

from sailtheory.numeric import layout
from sailtheory.numeric.numbers import Array, total, without_diagonal

__all__ = [
    "combine",
    "combine_all",
    "laplacian",
    "laplacian_all",
    "laplacian_form",
    "laplacian_product",
    "logits",
    "pairwise",
    "squared_gaps",
]


def pairwise(a: Array) -> Array:
    """a_k − a_l: (..., m) to (..., m, m)."""
    return a[..., :, None] - a[..., None, :]


def squared_gaps(a: Array) -> Array:
    """(a_k − a_l)², as a product: a power of a ball around 0 is undefined. (..., m, m)."""
    gaps = pairwise(a)
    return gaps * gaps


def logits(theta: Array, features: Array) -> Array:
    """θᵀφ(x, y): θ (..., d), features (n, m, d) to (..., n, m)."""
    return layout.from_rows(theta @ layout.rows(features).mT, features)


def combine(coefficients: Array, features: Array) -> Array:
    """Σ_k coefficients_k φ_k: (..., n, m), (n, m, d) to (..., n, d)."""
    return (coefficients[..., None, :] @ features)[..., 0, :]


def combine_all(coefficients: Array, features: Array) -> Array:
    """Σ_x Σ_k coefficients_xk φ_xk in one product: (..., n, m), (n, m, d) to (..., d)."""
    return layout.in_rows(coefficients, features) @ layout.rows(features)


def laplacian(weights: Array, features: Array) -> Array:
    """½ Σ_kl w_kl Δ_klΔ_klᵀ for symmetric w: (..., n, m, m), (n, m, d) to (..., n, d, d).

    The diagonal w_kk multiplies 0, and would drown the rest where π_k is almost 1.
    """
    return features.mT @ _spread(weights, features)


def laplacian_all(weights: Array, features: Array) -> Array:
    """Σ_x of :func:`laplacian` in one product: (..., n, m, m), (n, m, d) to (..., d, d)."""
    if layout.thin(features):
        return _by_squares(weights, features)
    spread = _spread(weights, features)
    return layout.rows(features).mT @ layout.vectors_in_rows(spread, features)


def _by_squares(weights: np.ndarray, features: np.ndarray) -> np.ndarray:
    """:func:`laplacian_all` of few dimensions: the entries of Δ_klΔ_klᵀ are the columns."""
    d = features.shape[-1]
    i, j = np.triu_indices(d)
    total = np.zeros((*weights.shape[:-3], len(i)))
    for k, l in zip(*layout.pairs(features.shape[1]), strict=True):  # noqa: E741
        gap = features[:, k] - features[:, l]
        total += weights[..., k, l] @ (gap[:, i] * gap[:, j])
    matrix = np.empty((*total.shape[:-1], d, d))
    matrix[..., i, j] = matrix[..., j, i] = total
    return matrix


def laplacian_product(weights: Array, along: Array) -> Array:
    """The Laplacian of w times vᵀφ, by the logits: (..., n, m, m), (..., n, m) to (..., n, m)."""
    return total(without_diagonal(weights) * pairwise(along))


def laplacian_form(weights: Array, along: Array) -> Array:
    """½ Σ_kl w_kl (vᵀΔ_kl)², along = vᵀφ: (..., n, m, m), (..., n, m) to (..., n)."""
    return total(total(without_diagonal(weights) * squared_gaps(along))) / 2


def _spread(weights: Array, features: Array) -> Array:
    """(diag(w 1) − w) Φ: (..., n, m, m), (n, m, d) to (..., n, m, d)."""
    between = layout.by_prompt(without_diagonal(weights))
    return total(between)[..., None] * features - between @ features
