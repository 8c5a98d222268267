"""The row space by triangles against an SVD of all rows."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory.numeric.row_space import row_space


@pytest.mark.parametrize("rows", [0, 1, 3, 40, 500])
@pytest.mark.parametrize("rank", [1, 4, 6])
def test_against_an_svd_of_all_rows(rows, rank):
    rng = np.random.default_rng(rows)
    scales = 10.0 ** -np.arange(6) * (np.arange(6) < rank)
    matrix = rng.normal(size=(rows, 6)) * scales @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    singular, vt, count = row_space(np.array_split(matrix, 7), 6)
    expected = np.linalg.svd(matrix, compute_uv=False)
    assert count == max(rows, 1)
    assert singular[: len(expected)] == pytest.approx(expected, abs=1e-14 * (1 + rows))
    low = min(rank, rows)
    assert matrix @ vt[:low].T @ vt[:low] == pytest.approx(matrix, abs=1e-13)


def test_small_directions_are_not_lost():
    """RᵀR would lose what is smaller than 1e-8 of the largest."""
    matrix = np.random.default_rng(0).normal(size=(300, 2)) * [1, 1e-11]
    singular, _, _ = row_space(np.array_split(matrix, 9), 2)
    assert singular == pytest.approx(np.linalg.svd(matrix, compute_uv=False), rel=1e-4)
