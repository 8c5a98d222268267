"""E Aỹỹᵀ, T₃ and T₄ of C26 in float64, with bounds of what rounding may have changed.

Every sum here is one of w‖·‖² or of outer products, so errors are told by traces. A sum of n
products of d factors, in any order, is off by less than (n + d + 16)u times the sum of the
absolute values; for E wA ỹỹᵀ that is (n + d + 16)u Σ w|A|‖ỹ‖² in the spectral norm. Rows that are
off by e move it by Σ w|A|(2‖ỹ‖e + e²); likewise for T₃ and T₄, whose terms have the norms ‖E‖‖ỹ‖²
and ‖E‖²‖ỹ‖².

**T₃.** With S_d = E ℓ(d·E)ỹỹᵀ, |yᵀS_dy| ≤ |tr S_d|/r + ‖S_d − (tr S_d/r)I‖_F: a vector's length,
and the largest singular value of the traceless flattening.

**T₄.** T = E X Xᵀ, X = E ⊗ ỹ. If T ⪯ τ vec(M)vec(M)ᵀ + μI, then T₄ ≤ τ‖M‖²_op + μ. As ỹ = ω∘E, X
lies in the space with coordinates E_iE_j√(ω_i² + ω_j²), i < j, and E_i²ω_i, of dimension
r(r + 1)/2. Where there are fewer prompts than that, T ⪯ τmmᵀ + μI is K ⪯ μI + bbᵀτ/(μ + τ‖m‖²),
with K the prompts' Gram matrix and b = Xᵀm (Schur complements). Cholesky's method decides either.
Where both are too large, T is a sum over blocks of prompts, and so are τ and μ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sailtheory.certificates.averaged.pairs import Rotated
from sailtheory.numeric.definite import UNIT, fixed_point, is_below, largest_above, top_pairs
from sailtheory.storage.memory import expect_memory

__all__ = ["Cubic", "cubic", "fourth", "norm_above", "quadratic", "third"]

LARGEST = 8_400
"""Size up to which T itself is factorised."""

BLOCK = 8_000
"""How many prompts share a Gram matrix."""

_CHUNK = 1 << 22  # entries of an array of products
_TOLERANCE = 1e-3  # of eigenvalues that a factorisation then bounds
_TRIES, _FINE = 40, 1e-5
_UP = 1 + 1e-12


def quadratic(rotated: Rotated, constant: np.ndarray) -> tuple[np.ndarray, float]:
    """E Aỹỹᵀ, (r, r), and how far it may be off in the spectral norm."""
    white, size, off = rotated.white, rotated.white_length, rotated.white_error
    mass = rotated.weights * constant
    matrix = white.T @ (mass[:, None] * white)
    lost = abs(mass) * (size * (2 * off + _rounding(rotated) * size) + off**2)
    return (matrix + matrix.T) / 2, float(lost.sum()) * _UP


def _rounding(rotated: Rotated) -> float:
    n, d = rotated.rows.shape
    return float((n + d + 32) * UNIT)


# --- T₃ ------------------------------------------------------------------------------------


class Cubic(NamedTuple):
    """Products of the traceless flattenings of several ℓ, and their trace parts.

    Attributes:
        gram: N_aN_bᵀ, (s, s, r, r), of N_a: d ↦ S_d − (tr S_d/r)I with the a-th ℓ.
        trace: E ℓ_a‖ỹ‖²E/r, (s, r).
        square: ‖S_a‖²_F, (s,).
    """

    gram: np.ndarray
    trace: np.ndarray
    square: np.ndarray

    def estimate(self, mix: np.ndarray) -> float:
        """T₃ of Σ mix_a ℓ_a, in float64 without margins."""
        gram = np.einsum("a,b,abij->ij", mix, mix, self.gram)
        top = float(np.linalg.eigvalsh(gram)[-1])
        return float(np.linalg.norm(mix @ self.trace)) + float(np.sqrt(max(top, 0.0)))


def cubic(rotated: Rotated, slopes: list[np.ndarray]) -> Cubic:
    """The tables for T₃ of each ℓ, (n,)."""
    rows, white, r = rotated.rows, rotated.white, rotated.rows.shape[1]
    s = len(slopes)
    along = [(rotated.weights * slope)[:, None] * rows for slope in slopes]
    gram, trace = np.zeros((s, s, r, r)), np.zeros((s, r))
    for j in range(r):
        block = white[:, j:] * white[:, j : j + 1]
        parts = [each.T @ block for each in along]
        for a in range(s):
            trace[a] += parts[a][:, 0] / r
            for b in range(s):
                own = np.outer(parts[a][:, 0], parts[b][:, 0])
                gram[a, b] += own + 2 * parts[a][:, 1:] @ parts[b][:, 1:].T
    square = np.array([np.trace(gram[a, a]) for a in range(s)])
    gram -= r * np.einsum("ai,bj->abij", trace, trace)
    return Cubic(gram, trace, square)


def _third_errors(rotated: Rotated, slope: np.ndarray) -> float:
    """How far, in the Frobenius norm, the flattening of ℓ may be off."""
    e, off = rotated.length, rotated.error
    y, away = rotated.white_length, rotated.white_error
    moved = off * (y + away) ** 2 + e * (2 * y + away) * away
    each = moved + _rounding(rotated) * e * y**2
    return float((rotated.weights * abs(slope) * each).sum()) * _UP


def third(rotated: Rotated, slope: np.ndarray) -> float:
    """A number above T₃."""
    if not slope.any():
        return 0.0
    made, r = cubic(rotated, [slope]), rotated.rows.shape[1]
    rounding = 2 * (r * r + 32) * UNIT * float(made.square[0])
    top = largest_above((made.gram[0, 0] + made.gram[0, 0].T) / 2, rounding)
    trace = float(np.linalg.norm(made.trace[0])) * (1 + (r * r + 32) * UNIT)
    rest = float(np.sqrt(max(top, 0.0))) + 2 * _third_errors(rotated, slope)
    return float((trace + rest) * _UP)


# --- T₄ ------------------------------------------------------------------------------------


def fourth(rotated: Rotated) -> float:
    """A number above T₄ = sup E (d·E)²(y·ỹ)² over unit d and y."""
    n, r = rotated.rows.shape
    products = r * (r + 1) // 2
    by_products = products <= min(max(n, BLOCK), LARGEST)
    size = products if by_products else min(n, BLOCK)
    expect_memory(24.0 * size**2, "problem", f"{n} prompts of dimension {r}: T₄")
    values, vector = _top(rotated)
    matrix, tau = _as_matrix(rotated, vector), max(float(values[0] - values[1]), 0.0)
    if by_products:
        rest = _by_products(rotated, matrix, tau, float(values[1]))
    else:
        rest = _by_prompts(rotated, matrix, tau)
    return (tau * norm_above(matrix) ** 2 + rest + _moved(rotated)) * _UP


def _moved(rotated: Rotated) -> float:
    """How far T may be off because rows are."""
    e, off = rotated.length, rotated.error
    y, away = rotated.white_length, rotated.white_error
    moved = off * (y + away) + e * away
    return float((rotated.weights * moved * (2 * e * y + moved)).sum()) * _UP


def _rounded(rotated: Rotated) -> float:
    """How far T, or K, may be off because sums and products are rounded."""
    mass = rotated.weights * (rotated.length * rotated.white_length) ** 2
    return (2 * _rounding(rotated) + 16 * UNIT) * float(mass.sum()) * _UP


def _top(rotated: Rotated) -> tuple[np.ndarray, np.ndarray]:
    """The two largest eigenvalues of T, and the first eigenmatrix, (r, r), in float64."""
    rows, white, weights = rotated.rows, rotated.white, rotated.weights
    r = rows.shape[1]

    def product(x: np.ndarray) -> np.ndarray:
        along = weights * ((rows @ x.reshape(r, r)) * white).sum(1)
        return np.asarray(rows.T @ (along[:, None] * white)).ravel()

    values, vectors = top_pairs(product, product(np.eye(r).ravel()), _TOLERANCE, 2)
    return np.maximum(values, 0), vectors[:, 0].reshape(r, r)


def _shares(rotated: Rotated, matrix: np.ndarray) -> np.ndarray:
    """x with vec(M)·(E ⊗ ỹ) = Σ_{i≤j} x_ijX_ij, as a symmetric matrix (r, r)."""
    both = matrix * rotated.scale
    shares = (both + both.T) / _product_scale(rotated)
    np.fill_diagonal(shares, np.diagonal(matrix))
    return np.asarray(shares)


def _product_scale(rotated: Rotated) -> np.ndarray:
    """√(ω_i² + ω_j²), and ω_i on the diagonal: (r, r)."""
    scale = np.hypot(rotated.scale[:, None], rotated.scale)
    np.fill_diagonal(scale, rotated.scale)
    return np.asarray(scale)


def _as_matrix(rotated: Rotated, matrix: np.ndarray) -> np.ndarray:
    """The eigenmatrix without what rounding put outside the space of X."""
    shares = _shares(rotated, matrix)
    out = shares * rotated.scale / _product_scale(rotated)
    np.fill_diagonal(out, np.diagonal(shares))
    return np.asarray(out)


def norm_above(matrix: np.ndarray) -> float:
    """A number above ‖M‖_op."""
    r, square = len(matrix), float((matrix**2).sum())
    return float(largest_above(matrix.T @ matrix, (r + 8) * UNIT * square * _UP) ** 0.5) * _UP


def _by_products(rotated: Rotated, matrix: np.ndarray, tau: float, estimate: float) -> float:
    """μ with T ⪯ τ vec(M)vec(M)ᵀ + μI, from T itself."""
    i, j = np.triu_indices(len(matrix))
    scale = _product_scale(rotated)[i, j]
    total = np.zeros((len(i), len(i)))
    step = max(1, _CHUNK // len(i))
    for k in range(0, len(rotated.rows), step):
        rows = rotated.rows[k : k + step]
        products = rows[:, i] * rows[:, j] * scale
        products *= np.sqrt(rotated.weights[k : k + step, None])
        total += products.T @ products
    vector = _shares(rotated, matrix)[i, j]
    total -= tau * np.outer(vector, vector)
    rounding = _rounded(rotated) + 64 * UNIT * tau * float((matrix**2).sum())
    return largest_above(total, rounding, estimate)


def _by_prompts(rotated: Rotated, matrix: np.ndarray, tau: float) -> float:
    """The same from Gram matrices of blocks of prompts, whose bounds add up."""
    n, total = len(rotated.rows), float(rotated.weights.sum())
    rest = 0.0
    for k in range(0, n, BLOCK):
        part = rotated.part(slice(k, k + BLOCK))
        share = tau * float(part.weights.sum()) / total
        rest += _block(part, matrix, share)
    return rest * _UP


def _block(rotated: Rotated, matrix: np.ndarray, tau: float) -> float:
    rows, white, n = rotated.rows, rotated.white, len(rotated.rows)
    root = np.sqrt(rotated.weights)
    gram = np.empty((n, n))
    step = max(1, _CHUNK // n)
    for k in range(0, n, step):
        part = slice(k, k + step)
        gram[part] = (rows[part] @ rows.T) * (white[part] @ white.T)
        gram[part] *= root[part, None] * root
    b = root * ((rows @ matrix) * white).sum(1)
    square = float((matrix**2).sum()) * _UP
    mass = root * rotated.length * rotated.white_length
    off = 2 * _rounding(rotated) * square**0.5 * float(np.linalg.norm(mass))
    change = off * (2 * float(np.linalg.norm(b)) + off) + 8 * UNIT * float(b @ b)
    mu = _estimate(gram, b, tau, square) * (1 + _TOLERANCE)
    for _ in range(_TRIES):
        share = tau / (mu + tau * square)
        work = gram.copy()
        for k in range(0, n, step):
            work[k : k + step] -= np.outer(share * b[k : k + step], b)
        if is_below(work, mu, _rounded(rotated) + share * change, overwrite=True):
            return mu
        mu *= 1.02
    return np.inf


def _estimate(gram: np.ndarray, b: np.ndarray, tau: float, square: float) -> float:
    """λ_max(K − bbᵀτ/(μ + τ‖m‖²)) = μ, in float64."""
    own = float(np.diagonal(gram).mean())

    def left(mu: float) -> float:
        share = tau / (mu + tau * square) if tau else 0.0
        start = np.ones(len(gram))
        return float(top_pairs(lambda x: gram @ x - share * b * (b @ x), start, _FINE, 1)[0][0])

    return max(fixed_point(left, own, _FINE), own * 1e-6)
