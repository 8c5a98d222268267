"""What features add to the formulas: logits, gradients and Hessians in pair form (C02).

    ∇² = ½ Σ_kl w_kl Δ_kl Δ_klᵀ = Φᵀ (diag(w 1) − w) Φ,

a weighted Laplacian, for symmetric pair weights w. Functions named ``_all`` add up prompts in one
matrix product.
"""

from __future__ import annotations

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
    n, m, d = features.shape
    return (theta @ features.reshape(n * m, d).T).reshape(*theta.shape[:-1], n, m)


def combine(coefficients: Array, features: Array) -> Array:
    """Σ_k coefficients_k φ_k: (..., n, m), (n, m, d) to (..., n, d)."""
    return (coefficients[..., None, :] @ features)[..., 0, :]


def combine_all(coefficients: Array, features: Array) -> Array:
    """Σ_x Σ_k coefficients_xk φ_xk in one product: (..., n, m), (n, m, d) to (..., d)."""
    rows = coefficients.shape[-2] * coefficients.shape[-1]
    flat = coefficients.reshape(*coefficients.shape[:-2], rows)
    return flat @ features.reshape(rows, features.shape[-1])


def laplacian(weights: Array, features: Array) -> Array:
    """½ Σ_kl w_kl Δ_klΔ_klᵀ for symmetric w: (..., n, m, m), (n, m, d) to (..., n, d, d).

    The diagonal w_kk multiplies 0, and would drown the rest where π_k is almost 1.
    """
    return features.mT @ _spread(weights, features)


def laplacian_all(weights: Array, features: Array) -> Array:
    """Σ_x of :func:`laplacian` in one product: (..., n, m, m), (n, m, d) to (..., d, d)."""
    n, m, d = features.shape
    spread = _spread(weights, features)
    return features.reshape(n * m, d).T @ spread.reshape(*spread.shape[:-3], n * m, d)


def laplacian_product(weights: Array, along: Array) -> Array:
    """The Laplacian of w times vᵀφ, by the logits: (..., n, m, m), (..., n, m) to (..., n, m)."""
    return total(without_diagonal(weights) * pairwise(along))


def laplacian_form(weights: Array, along: Array) -> Array:
    """½ Σ_kl w_kl (vᵀΔ_kl)², along = vᵀφ: (..., n, m, m), (..., n, m) to (..., n)."""
    return total(total(without_diagonal(weights) * squared_gaps(along))) / 2


def _spread(weights: Array, features: Array) -> Array:
    between = without_diagonal(weights)
    return total(between)[..., None] * features - between @ features
