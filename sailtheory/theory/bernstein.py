"""Polynomials Σ_j C(n, j) b_j V^j (1 − V)^{n−j}: positive terms, accurate at both ends.

Every expected value over a binomial number of correct samples is one (C31).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sailtheory.numeric.numbers import Array

__all__ = ["antiderivative", "derivative", "evaluate"]


def evaluate(coefficients: Sequence[Array], hit: Array, miss: Array) -> Array:
    """The polynomial with coefficients b at V = ``hit``, 1 − V = ``miss``: (...).

    Args:
        coefficients: b_0, …, b_n.
        hit: V, (...).
        miss: 1 − V, given apart so that neither end loses digits, (...).
    """
    level = [b + hit * 0 for b in coefficients]
    while len(level) > 1:  # de Casteljau: means of neighbours, no binomials
        level = [a * miss + b * hit for a, b in itertools.pairwise(level)]
    return level[0]


def derivative(coefficients: Sequence[Array]) -> list[Array]:
    """Coefficients of the derivative, of degree n − 1: n(b_{j+1} − b_j); [0] for a constant."""
    degree = len(coefficients) - 1
    steps = [degree * (b - a) for a, b in itertools.pairwise(coefficients)]
    return steps or [coefficients[0] * 0]


def antiderivative(coefficients: Sequence[Array]) -> list[Array]:
    """Coefficients of ∫_0^V, of degree n + 1: Σ_{i<j} b_i/(n + 1)."""
    sums = [coefficients[0] * 0]
    for b in coefficients:
        sums.append(sums[-1] + b)
    return [s / len(coefficients) for s in sums]
