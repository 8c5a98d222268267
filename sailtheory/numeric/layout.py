"""How arrays of prompts lie in memory, and pairs of responses among the entries of matrices.

NumPy runs along the axis that is adjacent in memory, and is slow where that has two or three
entries. So arrays of float64 are stored with the prompts adjacent (:func:`prompts_adjacent`,
:func:`responses_outside`); shapes stay (..., n, m) and (..., n, m, m), and elementwise operations
hand the order on. Nothing here changes a value, and other kinds of arrays are left as they are.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from sailtheory.numeric.numbers import Array

__all__ = [
    "by_prompt",
    "from_rows",
    "in_rows",
    "mirrored",
    "pairs",
    "prompts_adjacent",
    "responses_outside",
    "rows",
    "thin",
    "upper",
    "upper_gaps",
    "vectors_in_rows",
]

_THIN = 16


def prompts_adjacent(a: np.ndarray) -> np.ndarray:
    """The same array (n, ...), stored so that prompts are adjacent in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0)


def responses_outside(features: np.ndarray) -> np.ndarray:
    """The same features (n, m, d), stored response by response and then prompt by prompt."""
    return np.ascontiguousarray(features.swapaxes(0, 1)).swapaxes(0, 1)


def by_prompt(a: Array) -> Array:
    """The same float64 array, stored so that each prompt's matrix is adjacent: for products."""
    return np.ascontiguousarray(a) if isinstance(a, np.ndarray) and a.dtype != object else a


def _outside(features: Array) -> bool:
    """Whether features are stored as by :func:`responses_outside`."""
    if not isinstance(features, np.ndarray) or features.dtype == object or features.ndim != 3:
        return False
    return features.strides[1] > features.strides[0]


def thin(features: Array) -> bool:
    """Whether features (n, m, d) have few enough coordinates to form products of two of them."""
    return _outside(features) and features.shape[2] <= _THIN and features.shape[1] > 1


def rows(features: Array) -> Array:
    """All responses of all prompts, as they are stored: (n, m, d) to (n·m, d)."""
    n, m, d = features.shape
    return (features.swapaxes(0, 1) if _outside(features) else features).reshape(n * m, d)


def in_rows(a: Array, features: Array) -> Array:
    """(..., n, m) to (..., n·m), in the order of :func:`rows`."""
    turned = a.swapaxes(-2, -1) if _outside(features) else a
    return turned.reshape(*a.shape[:-2], a.shape[-2] * a.shape[-1])


def vectors_in_rows(a: Array, features: Array) -> Array:
    """(..., n, m, d) to (..., n·m, d), in the order of :func:`rows`."""
    turned = a.swapaxes(-3, -2) if _outside(features) else a
    return turned.reshape(*a.shape[:-3], a.shape[-3] * a.shape[-2], a.shape[-1])


def from_rows(a: Array, features: Array) -> Array:
    """(..., n·m), in the order of :func:`rows`, to (..., n, m)."""
    n, m, _ = features.shape
    if _outside(features):
        return a.reshape(*a.shape[:-1], m, n).swapaxes(-1, -2)
    return a.reshape(*a.shape[:-1], n, m)


@cache
def pairs(m: int) -> tuple[np.ndarray, np.ndarray]:
    """The p = m(m − 1)/2 pairs k < l, row by row: k (p,) and l (p,)."""
    return np.triu_indices(m, 1)


def upper(a: np.ndarray) -> np.ndarray:
    """a_kl of the pairs k < l, row by row: (..., m, m) to (..., m(m−1)/2)."""
    return np.stack([a[..., k, j] for k, j in zip(*pairs(a.shape[-1]), strict=True)], -1)


def upper_gaps(a: np.ndarray) -> np.ndarray:
    """a_k − a_l of the pairs k < l: (..., m) to (..., m(m−1)/2)."""
    return np.stack([a[..., k] - a[..., j] for k, j in zip(*pairs(a.shape[-1]), strict=True)], -1)


def mirrored(values: Array, m: int, sign: int = 1, diagonal: float = 0.0) -> Array:
    """The matrix of values of the pairs k < l: (..., m(m−1)/2) to (..., m, m).

    Args:
        values: Row by row, in float64 or in an exact system.
        m: Number of responses, at least 2.
        sign: 1 for a symmetric matrix, −1 for an antisymmetric one.
        diagonal: Every entry of the diagonal.
    """
    if not isinstance(values, np.ndarray) or values.dtype == object:
        turned = values if sign > 0 else -values
        entries = np.concatenate([values, turned, values[..., :1] * 0 + diagonal], -1)
        return entries[..., _places(m)]
    square = np.moveaxis(np.empty((m, m, *values.shape[:-1])), (0, 1), (-2, -1))
    for k in range(m):
        square[..., k, k] = diagonal
    for place, (k, j) in enumerate(zip(*pairs(m), strict=True)):
        square[..., k, j] = values[..., place]
        square[..., j, k] = values[..., place] if sign > 0 else -values[..., place]
    return square


@cache
def _places(m: int) -> np.ndarray:
    """Where entry kl of a matrix is among p pairs, their mirror images and the diagonal: (m, m)."""
    p = m * (m - 1) // 2
    places = np.full((m, m), 2 * p)
    for place, (k, j) in enumerate(zip(*pairs(m), strict=True)):
        places[k, j], places[j, k] = place, p + place
    return places
