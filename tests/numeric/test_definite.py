"""Eigenvalues bounded by a factorisation: against exact elimination, near the edge."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from sailtheory.numeric.definite import is_below, largest_above, smallest_below, top_pairs
from tests.support.exact import positive


def exactly_below(matrix, bound):
    rows = [[Fraction(-float(v)) for v in row] for row in matrix]
    for i, row in enumerate(rows):
        row[i] += Fraction(float(bound))
    return positive(rows)


@pytest.mark.parametrize("seed", range(6))
def test_yes_is_true_and_near_the_edge_it_is_said(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, 8))
    rows = rng.normal(size=(size, size)) * 10.0 ** rng.integers(-6, 7)
    matrix = (rows + rows.T) / 2
    top = float(np.linalg.eigvalsh(matrix)[-1])
    scale = float(np.abs(matrix).sum())
    steps = np.concatenate([[0.0], 10.0 ** np.arange(-17, -9), -(10.0 ** np.arange(-17, -9))])
    for bound in top + scale * steps:
        if is_below(matrix, bound):
            assert exactly_below(matrix, bound)
    assert is_below(matrix, top + 1e-12 * scale)
    assert not is_below(matrix, top - 1e-12 * scale)


def test_rank_one_at_its_own_eigenvalue_is_not_below():
    for size in (1, 3, 50, 400):
        vector = np.random.default_rng(size).normal(size=size)
        matrix = np.outer(vector, vector)
        exact = sum((Fraction(float(v)) ** 2 for v in vector), Fraction(0))
        assert not is_below(matrix, float(exact) * (1 - 1e-15))
        assert float(exact) <= largest_above(matrix) <= float(exact) * (1 + 1e-9)


def test_ends_enclose_and_errors_count():
    matrix = np.diag([1.0, -2.0, 3.0])
    assert 3 < largest_above(matrix) < 3 + 1e-12
    assert -2 - 1e-12 < smallest_below(matrix) < -2
    assert largest_above(matrix, error=0.5) >= 3.5
    assert smallest_below(matrix, error=0.5) <= -2.5
    assert largest_above(matrix, estimate=2.0) >= 3


def test_what_is_no_number_is_not_below():
    assert not is_below(np.array([[np.nan]]), 1.0)
    assert not is_below(np.array([[np.inf]]), 1.0)


def test_a_matrix_that_may_be_lost_gives_the_same_answer():
    matrix = np.diag([1.0, 2.0])
    assert is_below(matrix.copy(), 2.5, overwrite=True)
    assert not is_below(matrix.copy(), 1.5, overwrite=True)


@pytest.mark.parametrize("size", [1, 2, 30, 90])
def test_estimates_of_the_largest(size):
    rows = np.random.default_rng(size).normal(size=(size, size))
    matrix = rows @ rows.T
    values, vectors = top_pairs(lambda x: matrix @ x, np.ones(size), 1e-9, 2)
    exact = np.pad(np.linalg.eigvalsh(matrix)[::-1][:2], (0, max(0, 2 - size)))
    assert values == pytest.approx(exact)
    assert matrix @ vectors[:, 0] == pytest.approx(values[0] * vectors[:, 0], abs=1e-6)
