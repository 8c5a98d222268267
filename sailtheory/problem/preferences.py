"""Preference models: where p₁₂ = P*(y₁ ≻ y₂ | x) comes from.

Formulas use the centred preference q = p₁₂ − ½, antisymmetric by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import lift, read_array
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem
from sailtheory.theory.pair_form import pairwise

__all__ = ["BradleyTerry", "PreferenceMatrix", "Preferences", "centred_all", "probabilities"]

_TOLERANCE = 1e-9


class Preferences(Protocol):
    """Preferences over the m responses of one prompt."""

    @property
    def responses(self) -> int:
        """Number of responses m."""

    def centred(self, xp: NumberSystem) -> Array:
        """The centred preference q = p − ½ in a number system: (m, m), antisymmetric."""


@dataclass(frozen=True, eq=False)
class BradleyTerry:
    """p₁₂ = σ(r₁ − r₂) for rewards r.

    Attributes:
        rewards: (m,) finite numbers.
        field: Name used in error messages.

    Raises:
        InputError: A reward is not a finite number.
    """

    rewards: Any
    field: str = "rewards"

    def __post_init__(self) -> None:
        """Read and validate the rewards."""
        object.__setattr__(self, "rewards", read_array(self.rewards, self.field, 1))

    @property
    def responses(self) -> int:
        """Number of responses m."""
        return len(self.rewards)

    def centred(self, xp: NumberSystem) -> Array:
        """½ tanh((r_k − r_l)/2): (m, m)."""
        return _of_rewards(xp, self.rewards)


@dataclass(frozen=True, eq=False)
class PreferenceMatrix:
    """Any matrix p with p₁₂ + p₂₁ = 1.

    Attributes:
        matrix: (m, m) in [0, 1], diagonal ½.
        field: Name used in error messages.

    Raises:
        InputError: Not square, outside [0, 1], or p₁₂ + p₂₁ ≠ 1.
    """

    matrix: Any
    field: str = "preferences"

    def __post_init__(self) -> None:
        """Read and validate the matrix."""
        matrix = read_array(self.matrix, self.field, 2)
        if matrix.shape[0] != matrix.shape[1]:
            raise InputError(self.field, f"shape {matrix.shape}", "an m×m matrix is expected")
        p = matrix.astype(np.float64)
        outside = np.argwhere((p < 0) | (p > 1))
        if len(outside):
            k, j = outside[0]
            raise InputError(
                f"{self.field}[{k}][{j}]", p[k, j], "a probability in [0, 1] is expected"
            )
        unpaired = np.argwhere(np.abs(p + p.T - 1) > _TOLERANCE)
        if len(unpaired):
            k, j = unpaired[0]
            raise InputError(
                f"{self.field}[{k}][{j}] + {self.field}[{j}][{k}]",
                p[k, j] + p[j, k],
                "p₁₂ + p₂₁ = 1 is required (so the diagonal is ½)",
            )
        object.__setattr__(self, "matrix", matrix)

    @property
    def responses(self) -> int:
        """Number of responses m."""
        return len(self.matrix)

    def centred(self, xp: NumberSystem) -> Array:
        """(p − pᵀ)/2: (m, m), which is p − ½ and exactly antisymmetric."""
        return _of_matrix(xp, self.matrix)


def centred_all(models: Sequence[Preferences], xp: NumberSystem) -> Array:
    """q of n prompts of m responses each: (n, m, m); one evaluation where all are of one kind."""
    kinds = {type(model) for model in models}
    if kinds == {BradleyTerry}:
        return _of_rewards(xp, np.stack([cast(BradleyTerry, m).rewards for m in models]))
    if kinds == {PreferenceMatrix}:
        return _of_matrix(xp, np.stack([cast(PreferenceMatrix, m).matrix for m in models]))
    if xp.name == "balls":
        return np.concatenate([model.centred(xp)[None] for model in models])
    return np.stack([model.centred(xp) for model in models])


def _of_rewards(xp: NumberSystem, rewards: np.ndarray) -> Array:
    return xp.tanh(pairwise(lift(xp, rewards)) / 2) / 2


def _of_matrix(xp: NumberSystem, matrix: np.ndarray) -> Array:
    p = lift(xp, matrix)
    return (p - p.mT) / 2


def probabilities(preferences: Preferences) -> np.ndarray:
    """The float64 matrix p of any preference model: (m, m)."""
    return np.asarray(preferences.centred(FLOAT64) + 0.5)
