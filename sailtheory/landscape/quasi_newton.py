"""What BFGS remembers of each point's curvature: −H⁻¹ as a matrix, or as its latest updates."""

from __future__ import annotations

from typing import Protocol

import numpy as np

__all__ = ["InverseHessian", "inverse_hessian"]

_DENSE = 512  # entries of a point up to which the matrix is stored
_PAIRS = 12
_TINY = 1e-280


class InverseHessian(Protocol):
    """−H⁻¹ of each of k points.

    Attributes:
        fresh: Points of which nothing is known: their matrix is the identity, (k,) bool.
    """

    fresh: np.ndarray

    def direction(self, at: np.ndarray, g: np.ndarray) -> np.ndarray:
        """−H⁻¹g of some points: (j,), (j, size) to (j, size)."""

    def forget(self, at: np.ndarray) -> None:
        """Start again with the identity."""

    def learn(self, at: np.ndarray, step: np.ndarray, change: np.ndarray) -> None:
        """One update from steps s and falls −Δg of the gradient along them, each (j, size)."""


def inverse_hessian(points: int, size: int) -> InverseHessian:
    """What is remembered of so many points with so many entries each."""
    return _Dense(points, size) if size <= _DENSE else _Limited(points)


def _usable(step: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Which updates keep the matrix positive definite."""
    curved, size = (step * change).sum(1), (change * change).sum(1)
    steep = curved > 1e-10 * np.linalg.norm(step, axis=1) * np.sqrt(size)
    return np.asarray(steep & (size > _TINY))


class _Dense:
    def __init__(self, points: int, size: int) -> None:
        self.fresh = np.ones(points, dtype=bool)
        self._eye = np.eye(size)
        self._inverse = np.broadcast_to(self._eye, (points, size, size)).copy()

    def direction(self, at: np.ndarray, g: np.ndarray) -> np.ndarray:
        return np.asarray((self._inverse[at] @ g[:, :, None])[..., 0])

    def forget(self, at: np.ndarray) -> None:
        self._inverse[at], self.fresh[at] = self._eye, True

    def learn(self, at: np.ndarray, step: np.ndarray, change: np.ndarray) -> None:
        good = _usable(step, change)
        at, s, change = at[good], step[good], change[good]
        if len(at) == 0:
            return
        curved, size = (s * change).sum(1), (change * change).sum(1)
        first = (curved / size)[:, None, None] * self._eye
        h = np.where(self.fresh[at, None, None], first, self._inverse[at])
        image = (h @ change[..., None])[..., 0]
        cross = s[:, :, None] * image[:, None, :]
        factor = (1 + (change * image).sum(1) / curved) / curved
        outer = s[:, :, None] * s[:, None, :]
        rest = h - (cross + cross.mT) / curved[:, None, None]
        self._inverse[at] = rest + factor[:, None, None] * outer
        self.fresh[at] = False


class _Limited:
    """L-BFGS: the latest updates, applied by the two loops."""

    def __init__(self, points: int) -> None:
        self.fresh = np.ones(points, dtype=bool)
        self._pairs: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(points)]

    def direction(self, at: np.ndarray, g: np.ndarray) -> np.ndarray:
        found = [self._one(self._pairs[i], row) for i, row in zip(at, g, strict=True)]
        return np.array(found).reshape(g.shape)

    def forget(self, at: np.ndarray) -> None:
        self.fresh[at] = True
        for i in at:
            self._pairs[i] = []

    def learn(self, at: np.ndarray, step: np.ndarray, change: np.ndarray) -> None:
        for place in np.flatnonzero(_usable(step, change)):
            i = at[place]
            self._pairs[i] = [*self._pairs[i][1 - _PAIRS :], (step[place], change[place])]
            self.fresh[i] = False

    @staticmethod
    def _one(pairs: list[tuple[np.ndarray, np.ndarray]], g: np.ndarray) -> np.ndarray:
        d, weights = g.copy(), []
        for s, y in reversed(pairs):
            weights.append((s @ d) / (s @ y))
            d -= weights[-1] * y
        if pairs:
            s, y = pairs[-1]
            d *= (s @ y) / (y @ y)
        for (s, y), weight in zip(pairs, reversed(weights), strict=True):
            d += (weight - (y @ d) / (s @ y)) * s
        return d
