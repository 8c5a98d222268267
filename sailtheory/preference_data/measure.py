"""What a problem's data are like: sizes, rank, gaps, ties, and how sure its preferences are."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.numeric.row_space import row_space
from sailtheory.problem.folder import ProblemFolder

__all__ = ["BUDGET", "measure"]

BUDGET = 1 << 23
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
SURE = 0.45


def measure(folder: ProblemFolder) -> dict[str, Any]:
    """Measurements of a folder, as JSON, in two passes over its features.

    Returns:
        ``rank`` of S; ``feature_norm`` L and ``feature_diameter`` D. Of all pairs of responses
        ``pairs``, ``ties`` (p = ½), ``share_sure`` with |p − ½| > .45, and ``gaps``, quantiles
        of |log-odds|, None where p is 0 or 1. Without preferences, ``alike``: the prompts whose
        responses have one reward; ``binary``; ``mean_reward``, and quantiles of prompts' means.
    """
    largest = diameter = 0.0
    seen: _Preferred | _Rewarded = _Preferred() if folder.states_preferences else _Rewarded()
    for prompts in folder.parts(BUDGET):
        phi = np.asarray(folder.features_of(prompts), dtype=np.float64)
        norms = (phi**2).sum(2)
        largest = max(largest, float(norms.max()))
        centred = phi - phi[:, :1]
        length = (centred**2).sum(2)
        squares = length[:, :, None] + length[:, None] - 2 * centred @ centred.swapaxes(1, 2)
        diameter = max(diameter, float(squares.max(initial=0.0)))
        seen.add(folder, prompts)
    sizes, held = np.unique(folder.responses, return_counts=True)
    return {
        "prompts": folder.prompts,
        "responses": {str(m): int(count) for m, count in zip(sizes, held, strict=True)},
        "dimension": folder.dimension,
        "rank": _rank(folder, largest**0.5),
        "feature_norm": largest**0.5,
        "feature_diameter": max(diameter, 0.0) ** 0.5,
    } | seen.found()


class _Preferred:
    """What is measured of preferences."""

    def __init__(self) -> None:
        self.sureness: list[np.ndarray] = []

    def add(self, folder: ProblemFolder, prompts: np.ndarray) -> None:
        preference = folder.chunk(prompts).preference
        k, j = np.triu_indices(preference.shape[-1], 1)
        self.sureness.append(np.abs(preference[:, k, j]).ravel())

    def found(self) -> dict[str, Any]:
        sure = np.concatenate(self.sureness)
        with np.errstate(divide="ignore"):
            odds = 2 * np.arctanh(2 * np.minimum(sure, 0.5))
        gaps = np.quantile(odds, _QUANTILES, method="nearest")
        return {
            "pairs": len(sure),
            "ties": int((sure == 0).sum()),
            "share_sure": float((sure > SURE).mean()),
            "gaps": {
                f"{q:g}": float(gap) if np.isfinite(gap) else None
                for q, gap in zip(_QUANTILES, gaps, strict=True)
            },
        }


class _Rewarded:
    """What is measured of rewards alone."""

    def __init__(self) -> None:
        self.means: list[np.ndarray] = []
        self.alike, self.binary = 0, True

    def add(self, folder: ProblemFolder, prompts: np.ndarray) -> None:
        rewards = folder.rewards_of(prompts)
        self.means.append(rewards.mean(1))
        self.alike += int((rewards == rewards[:, :1]).all(1).sum())
        self.binary &= bool(np.isin(rewards, (0, 1)).all())

    def found(self) -> dict[str, Any]:
        means = np.concatenate(self.means)
        levels = np.quantile(means, _QUANTILES, method="nearest")
        return {
            "binary": self.binary,
            "alike": self.alike,
            "mean_reward": float(means.mean()),
            "mean_rewards": {
                f"{q:g}": float(level) for q, level in zip(_QUANTILES, levels, strict=True)
            },
        }


def _rank(folder: ProblemFolder, largest: float) -> int:
    """The rank of S, decided in float64 as :class:`PreferenceProblem` does."""
    each = (folder.features_of(prompts) for prompts in folder.parts(BUDGET))
    blocks = (
        (phi[:, 1:] - phi[:, :1]).reshape(-1, folder.dimension)
        for phi in (np.asarray(features, dtype=np.float64) for features in each)
    )
    singular, _, count = row_space(blocks, folder.dimension)
    scale = max(float(singular.max(initial=0.0)), largest)
    tolerance = scale * max(count, folder.dimension) * np.finfo(float).eps
    return int((singular > tolerance).sum())
