"""The row space of a tall matrix that is never whole in memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

__all__ = ["row_space"]


def row_space(blocks: Iterable[np.ndarray], dimension: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Singular values and right singular vectors of stacked blocks of rows.

    Rows are gathered and folded into a triangle R with RᵀR = AᵀA by QR, which, unlike AᵀA
    itself, loses no digits: a rank can be decided as by an SVD of all rows.

    Args:
        blocks: Arrays (k, d) of floats, any k.
        dimension: d.

    Returns:
        Singular values (p,), descending; vectors as rows (p, d); the number of rows, at least 1.
    """
    triangle: np.ndarray = np.zeros((0, dimension))
    waiting: list[np.ndarray] = []
    held = count = 0
    for block in blocks:
        waiting.append(np.asarray(block, dtype=np.float64))
        held, count = held + len(block), count + len(block)
        if held >= 4 * dimension:
            triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, *waiting]), mode="r"))
            waiting, held = [], 0
    rows = np.concatenate([triangle, *waiting, np.zeros((0 if count else 1, dimension))])
    _, singular, vt = np.linalg.svd(rows, full_matrices=False)
    return singular, vt, max(count, 1)
