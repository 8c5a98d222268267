"""S, the directions in which policies differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Span"]


@dataclass(frozen=True, eq=False)
class Span:
    """S: the span, over all prompts, of within-prompt feature differences.

    Attributes:
        basis: Orthonormal columns, (d, r).
        exact: Whether the rank r was decided in exact arithmetic.
    """

    basis: np.ndarray
    exact: bool

    @property
    def dimension(self) -> int:
        """The rank r of S."""
        return int(self.basis.shape[1])

    @property
    def is_full(self) -> bool:
        """Whether S is all of R^d."""
        return bool(self.basis.shape[0] == self.dimension)

    def project(self, vector: np.ndarray) -> np.ndarray:
        """Orthogonal projection onto S: (..., d)."""
        return vector if self.is_full else (vector @ self.basis) @ self.basis.T
