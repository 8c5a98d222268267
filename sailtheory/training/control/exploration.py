"""Exploring by the entropy of visited states, before any reward is known (PEBBLE)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sailtheory.errors import InputError

__all__ = ["StateEntropy"]

Tree = dict[str, Any]


class StateEntropy:
    """r(s) = log(1 + ‖s − s^k‖) / std, s^k the k-th nearest neighbour among visited states.

    The distance to it estimates the density at s (a particle estimate of the entropy of
    the states); std is that of all values so far. PEBBLE (arXiv 2106.05091) takes
    log ‖·‖, which is −∞ for a state visited twice, hence the 1.

    Args:
        neighbours: k ≥ 1.
    """

    def __init__(self, neighbours: int) -> None:
        self.neighbours = neighbours
        self._count, self._mean, self._squares = 0, 0.0, 0.0

    def rewards(self, states: np.ndarray, visited: np.ndarray) -> np.ndarray:
        """Rewards of states (B, o) that lie among the visited (n, o): (B,).

        Raises:
            InputError: No more than k states were visited.
        """
        if len(visited) <= self.neighbours:
            raise InputError("entropy_neighbours", self.neighbours, f"below {len(visited)} states")
        gaps = torch.cdist(torch.from_numpy(states), torch.from_numpy(visited))
        # The nearest is the state itself.
        distance = gaps.kthvalue(self.neighbours + 1, dim=1).values.numpy()
        values = np.log1p(distance.astype(np.float64))
        self._take_in(values)
        std = (self._squares / self._count) ** 0.5
        return np.asarray(values / max(std, 1e-8))

    def _take_in(self, values: np.ndarray) -> None:
        """Update mean and sum of squared deviations by those of a batch (Chan et al.)."""
        count, mean = len(values), float(values.mean())
        total, gap = self._count + count, mean - self._mean
        self._squares += float(((values - mean) ** 2).sum()) + gap**2 * self._count * count / total
        self._mean += gap * count / total
        self._count = total

    def state(self) -> Tree:
        """What the scale rests on."""
        return {"count": self._count, "mean": self._mean, "squares": self._squares}

    def restore(self, tree: Tree) -> None:
        """Go back to a state."""
        self._count, self._mean, self._squares = tree["count"], tree["mean"], tree["squares"]
