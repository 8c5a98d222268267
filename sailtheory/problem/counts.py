"""Preference problems from data: counts of wins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sailtheory.errors import InputError, real_number
from sailtheory.numeric.exact import read_array
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["from_counts", "posterior_mean", "read_counts"]

_MOST = 2**53  # beyond, float64 tells no count from the next


def from_counts(
    *, features: Any, wins: Any, prior: float = 0.5, **arguments: Any
) -> PreferenceProblem:
    """A preference problem whose p is estimated from comparisons.

    p_kl = (w_kl + a) / (w_kl + w_lk + 2a), the posterior mean under a Beta(a, a)
    prior for each pair; a pair never compared gets ½.

    Args:
        features: As for :class:`PreferenceProblem`.
        wins: For each prompt an (m, m) matrix w of non-negative integers, w_kl the
            number of times response k was preferred to l, at most 2⁵³; the diagonal is 0.
        prior: a > 0; ½ is Jeffreys' prior.
        **arguments: The other arguments of :class:`PreferenceProblem`.

    Raises:
        InputError: Counts that are negative, fractional, above 2⁵³, or on the diagonal; a ≤ 0.
    """
    counts = read_counts(wins)
    if not 0 < real_number("prior", prior) < np.inf:
        raise InputError("prior", prior, "a finite number > 0 is expected")
    preferences = [posterior_mean(w, prior) for w in counts]
    return PreferenceProblem(features=features, preferences=preferences, **arguments)


def read_counts(wins: Any) -> list[np.ndarray]:
    """Counts of wins, checked: an (m, m) matrix for each prompt."""
    if not isinstance(wins, Iterable):
        raise InputError("wins", wins, "a matrix for each prompt is expected")
    return [_counts(w, f"prompts[{x}].wins") for x, w in enumerate(wins)]


def _counts(data: Any, field: str) -> np.ndarray:
    w = read_array(data, field, 2).astype(np.float64)
    if w.shape[0] != w.shape[1]:
        raise InputError(field, f"shape {w.shape}", "an m×m matrix is expected")
    for k, j in np.argwhere((w < 0) | (w != np.round(w))):
        raise InputError(f"{field}[{k}][{j}]", w[k, j], "a count 0, 1, 2, … is expected")
    for k, j in np.argwhere(w > _MOST):
        raise InputError(f"{field}[{k}][{j}]", w[k, j], f"a count of at most {_MOST} is expected")
    for k in np.flatnonzero(np.diag(w)):
        raise InputError(f"{field}[{k}][{k}]", w[k, k], "0 is expected on the diagonal")
    return w


def posterior_mean(w: np.ndarray, prior: float) -> np.ndarray:
    """p of each pair under a Beta(a, a) prior: (m, m)."""
    p = (w + prior) / (w + w.T + 2 * prior)
    return np.asarray((p + 1 - p.T) / 2)
