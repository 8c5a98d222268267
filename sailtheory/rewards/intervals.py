"""Intervals for the unknown mean reward of a prompt."""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

__all__ = ["clopper_pearson", "hoeffding"]


def clopper_pearson(
    correct: np.ndarray, samples: np.ndarray, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """The exact interval of a pass rate: it covers with at least this chance, whatever the rate.

    Args:
        correct: k, (n,).
        samples: N ≥ 1, (n,).
        confidence: Between 0 and 1.

    Returns:
        Lower and upper ends, each (n,).
    """
    tail = (1 - confidence) / 2
    hits, misses = correct, samples - correct
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), misses + 1, tail), 0.0)
        high = np.where(misses > 0, betaincinv(hits + 1, np.maximum(misses, 1), 1 - tail), 1.0)
    return low, high


def hoeffding(
    mean: np.ndarray, samples: np.ndarray, low: float, high: float, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """An interval for the mean of rewards between two bounds, whatever their distribution.

    Args:
        mean: (n,).
        samples: N ≥ 1, (n,).
        low: Least possible reward.
        high: Largest possible reward.
        confidence: Between 0 and 1.

    Returns:
        Lower and upper ends within the bounds, each (n,).
    """
    reach = (high - low) * np.sqrt(np.log(2 / (1 - confidence)) / (2 * samples))
    return np.maximum(mean - reach, low), np.minimum(mean + reach, high)
