"""Policies over two tokens, log-linear in each: where sequences differ from one softmax (C30, C34).

After first token i the second is drawn from ∝ exp(θᵀψ_ij + log-odds). θ_ref = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.numeric.numbers import Array, NumberSystem

__all__ = ["TwoTokens"]


@dataclass(frozen=True)
class TwoTokens:
    """A reference policy over two tokens, and the features of θ.

    Attributes:
        first: φ, (a, d).
        log_first: log π_ref of the first token, up to a constant, (a,).
        second: ψ, (a, b, d).
        log_second: log π_ref of the second, up to a constant a row, (a, b).
    """

    first: np.ndarray
    log_first: np.ndarray
    second: np.ndarray
    log_second: np.ndarray

    def at(self, xp: NumberSystem, theta: Array) -> Where:
        """The policy and its reference at θ (d,)."""
        phi, psi = xp.asarray(self.first), xp.asarray(self.second)
        level, levels = xp.asarray(self.log_first), xp.asarray(self.log_second)
        logs = (
            xp.log_softmax(phi @ theta + level), xp.log_softmax(level),
            xp.log_softmax(psi @ theta + levels), xp.log_softmax(levels),
        )  # fmt: skip
        chance, chance_ref, then, then_ref = (xp.exp(each) for each in logs)
        ratios = logs[2] - logs[3], logs[0] - logs[1]
        return Where(phi, psi, chance, chance_ref, then, then_ref, *ratios)


@dataclass(frozen=True)
class Where:
    """A :class:`TwoTokens` at θ: features, chances of both tokens, now and by π_ref.

    Attributes:
        first: φ, (a, d). second: ψ, (a, b, d).
        chance: (a,). chance_ref: (a,). then: (a, b). then_ref: (a, b).
        ratio: log-ratios of the second token, (a, b). ratio_first: of the first, (a,).
    """

    first: Array
    second: Array
    chance: Array
    chance_ref: Array
    then: Array
    then_ref: Array
    ratio: Array
    ratio_first: Array

    @property
    def moved(self) -> tuple[Array, Array]:
        """E_θ − E_ref of the features at the first token (d,), and at each second, (a, d)."""
        own = (self.chance - self.chance_ref) @ self.first
        return own, ((self.then - self.then_ref)[..., None] * self.second).sum(-2)

    @property
    def k3(self) -> Array:
        """The mean gradient of k3 token by token, samples held fixed: (d,)."""
        own, each = self.moved
        return own + self.chance @ each

    @property
    def sequence_kl(self) -> Array:
        """∇KL(π_ref‖π_θ) of the sequence: (d,)."""
        own, each = self.moved
        return own + self.chance_ref @ each

    @property
    def scores(self) -> tuple[Array, Array]:
        """φ − E φ, (a, d), and ψ − E ψ, (a, b, d)."""
        means = (self.then[..., None] * self.second).sum(-2)
        return self.first - self.chance @ self.first, self.second - means[:, None, :]

    def other_kls(self) -> tuple[Array, Array]:
        """Σ_s d_θ(s)∇KL(π_θ(·|s)‖π_ref(·|s)), and ∇KL(π_θ‖π_ref) of the sequence: (d,) each."""
        lead, inner = self.scores
        own = (self.chance * self.ratio_first) @ lead
        parts = ((self.then * self.ratio)[..., None] * inner).sum(-2)
        held = own + self.chance @ parts
        divergences = (self.then * self.ratio).sum(-1)
        return held, held + (self.chance * divergences) @ lead

    def jacobian(self) -> tuple[Array, Array]:
        """The symmetric part of k3's Jacobian, and F_seq: (d, d) each."""
        lead, inner = self.scores
        fisher = (self.chance[:, None] * lead).T @ lead
        weights = (self.chance[:, None] * self.then)[..., None]
        flat = (inner.shape[0] * inner.shape[1], inner.shape[2])
        fisher = fisher + (weights * inner).reshape(flat).T @ inner.reshape(flat)
        cross = (self.chance[:, None] * self.moved[1]).T @ lead
        return fisher + (cross + cross.T) / 2, fisher

    def chi_square(self) -> Any:
        """The largest χ²(π_ref‖π_θ) at a second token."""
        gaps = self.then_ref - self.then
        return (gaps * gaps / self.then).sum(-1).max()
