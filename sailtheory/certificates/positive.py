"""Positive definiteness of a symmetric matrix, decided in ball arithmetic."""

from __future__ import annotations

from sailtheory.numeric.numbers import Array

__all__ = ["positive_definite"]


def positive_definite(matrix: Array) -> bool:
    """Whether every symmetric matrix in an array of balls is positive definite.

    LDLᵀ without pivoting: a positive definite matrix has positive pivots, and matrices
    all of whose pivots are certainly positive are positive definite.

    Args:
        matrix: (r, r) of Arb balls; only its lower triangle is read.

    Returns:
        True when it is certain; False when it is not, which refutes nothing.
    """
    rows = [list(row[: i + 1]) for i, row in enumerate(matrix)]
    r = len(rows)
    for j in range(r):
        pivot = rows[j][j]
        if not pivot > 0:
            return False
        for i in range(j + 1, r):
            factor = rows[i][j] / pivot
            for k in range(j + 1, i + 1):
                rows[i][k] = rows[i][k] - factor * rows[k][j]
    return True
