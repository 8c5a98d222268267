"""Bounds of eigenvalues in float64 that are proved: a Cholesky factorisation that succeeds.

If Cholesky's method, in any order of summation, ends for a symmetric matrix A of size N in float64,
then A + E = RᵀR with |E| ≤ g|R|ᵀ|R|, g = (N + 1)u/(1 − (N + 1)u), u = 2⁻⁵³ (Demmel; Higham,
Accuracy and Stability, theorem 10.3; BLAS 3 included). So ‖E‖ ≤ g‖R‖_F² = g tr(RᵀR), hence
‖E‖ ≤ g tr(A)/(1 − g) and λ_min(A) ≥ −g tr(A)/(1 − g) (Rump, BIT 46, 2006). Rounding the diagonal of
A − cI moves it by u(|a_ii| + |c|). Underflow moves an entry by less than 2⁻¹⁰²² N, which is added.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError, cholesky, eigh
from scipy.sparse.linalg import LinearOperator, eigsh

__all__ = ["UNIT", "fixed_point", "is_below", "largest_above", "smallest_below", "top_pairs"]

UNIT: float = 2.0**-53
_TINY = 2.0**-1000
_TRIES = 40
_DENSE = 40  # below which an operator is formed
_SECANTS = 20
_GIVEN = 2e-3  # how far an estimate from elsewhere is trusted


def is_below(matrix: np.ndarray, bound: float, error: float = 0.0, overwrite: bool = False) -> bool:
    """Whether λ_max < bound is proved for every symmetric matrix near one.

    Args:
        matrix: (N, N), symmetric; only its lower triangle is read.
        bound: The bound.
        error: How far, in the spectral norm, the matrices may be from ``matrix``.
        overwrite: Whether ``matrix`` may be lost, for large ones.

    Returns:
        True when it is certain; False when it is not, which refutes nothing.
    """
    size = len(matrix)
    if not size:
        return True
    shifted = np.negative(matrix, out=matrix if overwrite else None, order="C")
    diagonal = np.arange(size)
    own = shifted[diagonal, diagonal]
    share = (size + 8) * UNIT / (1 - (size + 8) * UNIT)
    most = float(abs(own).sum() + size * (abs(bound) + error))
    room = error + (share * most + 4 * UNIT * (float(abs(own).max()) + abs(bound)) + _TINY) * 1.01
    shifted[diagonal, diagonal] = own + (bound - room)
    try:
        cholesky(shifted.T, lower=False, overwrite_a=True, check_finite=True)
    except (LinAlgError, ValueError):
        return False
    return True


def largest_above(matrix: np.ndarray, error: float = 0.0, estimate: float | None = None) -> float:
    """A number above λ_max of every symmetric matrix within ``error`` of one; ∞ if none is shown.

    Args:
        matrix: (N, N), symmetric.
        error: In the spectral norm.
        estimate: Of λ_max, where one is known; else an eigenvalue solver finds it.
    """
    size, given = len(matrix), estimate is not None
    if estimate is None:
        last = (size - 1, size - 1)
        estimate = float(eigh(matrix, eigvals_only=True, subset_by_index=last)[0])
    scale = float(abs(np.diagonal(matrix)).sum()) + size * (abs(estimate) + error)
    step = error + 8 * (size + 8) * UNIT * scale + _TINY
    if given:
        step = max(step, _GIVEN * abs(estimate))
    for _ in range(_TRIES):
        if is_below(matrix, estimate + step, error):
            return estimate + step
        step *= 2
    return np.inf


def smallest_below(matrix: np.ndarray, error: float = 0.0) -> float:
    """A number below λ_min of every symmetric matrix within ``error`` of one."""
    return -largest_above(-matrix, error)


def top_pairs(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, tolerance: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates, in float64 and not proved, of the largest eigenvalues of a symmetric operator.

    Args:
        product: The operator times a vector, (N,) to (N,).
        start: Lanczos' method begins there, (N,).
        tolerance: Relative, of the eigenvalues.
        count: How many; zeros make up for N < count.

    Returns:
        Values from the largest, (count,), and their vectors in columns, (N, count).
    """
    size = len(start)
    if size <= _DENSE:
        values, vectors = np.linalg.eigh(np.stack([product(e) for e in np.eye(size)]))
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
        missing = count - len(values)
        return np.pad(values, (0, missing)), np.pad(vectors, ((0, 0), (0, missing)))
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    values, vectors = eigsh(operator, k=count, v0=start, tol=tolerance, which="LA")
    order = np.argsort(-values)
    return values[order], vectors[:, order]


def fixed_point(function: Callable[[float], float], start: float, tolerance: float) -> float:
    """An estimate, not proved, of where a rising function of slope below 1 meets its argument.

    Args:
        function: The function.
        start: Where secants begin.
        tolerance: Relative, of the argument.
    """
    last, here = start, function(start)
    gap = here - last
    for _ in range(_SECANTS):
        next_gap = function(here) - here
        if abs(next_gap) <= tolerance * abs(here) or next_gap == gap:
            break
        last, here, gap = here, here - next_gap * (here - last) / (next_gap - gap), next_gap
    return here
