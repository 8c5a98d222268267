"""What is fitted to comparisons: Bradley-Terry rewards, a temperature, the confidence of labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sailtheory.errors import InputError
from sailtheory.theory.pair_form import pairwise

__all__ = ["Fitted", "fit_confidence", "fit_rewards", "fit_temperature", "has_fit"]

_STEPS = 200
_TOLERANCE = 1e-10


class Fitted(NamedTuple):
    """A number that was fitted.

    Attributes:
        value: It.
        error: Its standard error.
        comparisons: From how many comparisons.
    """

    value: float
    error: float
    comparisons: float


def has_fit(wins: np.ndarray) -> np.ndarray:
    """Whether Bradley-Terry has a finite, unique maximum of likelihood: (k, m, m) to (k,) bool.

    It has where every response can be reached from every other along wins (Ford, 1957).
    """
    m = wins.shape[-1]
    reached = (wins > 0) | np.eye(m, dtype=bool)
    for _ in range(m.bit_length()):
        reached = (reached.astype(np.float64) @ reached.astype(np.float64)) > 0
    return np.asarray(reached.all((-1, -2)))


def fit_rewards(wins: np.ndarray, prior: float) -> np.ndarray:
    """Bradley-Terry rewards of mean 0 by Newton's method: (k, m, m) counts to (k, m).

    They maximise Σ w_kl log σ(r_k − r_l) − ‖r‖²/(2s²).

    Args:
        wins: w_kl ≥ 0, wins of response k over l.
        prior: s, the standard deviation of a normal prior on rewards; ∞ for none, which needs
            :func:`has_fit`.
    """
    k, m, _ = wins.shape
    total, pull = wins + wins.swapaxes(1, 2), 0.0 if np.isinf(prior) else prior**-2
    pinned = np.full((m, m), 1.0 / m) + pull * np.eye(m)  # the mean is free: it is held at 0
    rewards = np.zeros((k, m))
    for _ in range(_STEPS):
        share = (1 + np.tanh(pairwise(rewards) / 2)) / 2
        slope = (wins - total * share).sum(2) - pull * rewards
        weight = total * share * (1 - share)
        bend = pinned - weight
        np.einsum("kii->ki", bend)[:] += weight.sum(2)
        step = np.linalg.solve(bend, slope[..., None])[..., 0]
        # No further than 1 in log-odds: within that the curvature changes by a bounded factor.
        rewards += step / np.maximum(1, np.abs(step).max(1, keepdims=True))
        if np.abs(step).max(initial=0.0) < _TOLERANCE:
            return np.asarray(rewards - rewards.mean(1, keepdims=True))
    raise InputError("bradley-terry", "no fit", "a smaller prior: the rewards do not settle")


def fit_temperature(gaps: np.ndarray, wins: np.ndarray, losses: np.ndarray) -> Fitted:
    """T of P(first ≻ second) = σ(gap/T), by maximum likelihood.

    Args:
        gaps: Score of the first response less that of the second, (k,).
        wins: How often the first won, (k,).
        losses: How often the second won, (k,).

    Raises:
        InputError: No comparison has a gap; the scores agree with all of them, or do not
            predict them: no positive, finite T fits.
    """
    from scipy.optimize import brentq  # slow to import

    told = gaps != 0
    gaps, wins, losses = gaps[told], wins[told], losses[told]
    total = wins + losses
    if not total.sum():
        raise InputError("temperature", "fit", "comparisons of responses with unlike scores")

    def slope(inverse: float) -> float:
        share = (1 + np.tanh(gaps * inverse / 2)) / 2
        return float((gaps * (wins - total * share)).sum())

    if slope(0.0) <= 0:
        raise InputError("temperature", "fit", "the comparisons do not follow the scores: no T > 0")
    if not (np.where(gaps > 0, losses, wins) > 0).any():
        raise InputError("temperature", "fit",
                         "every comparison follows the scores: no T > 0 fits best")  # fmt: skip
    high = 1.0 / float(np.abs(gaps).max())
    while slope(high) > 0:
        high *= 2
    inverse = brentq(slope, 0.0, high, xtol=1e-14, rtol=1e-12)
    share = (1 + np.tanh(gaps * inverse / 2)) / 2
    information = float((total * gaps**2 * share * (1 - share)).sum())
    return Fitted(1 / inverse, information**-0.5 / inverse**2, float(total.sum()))


def fit_confidence(one: np.ndarray, two: np.ndarray) -> Fitted:
    """How often a label names the better response, from pairs that were labelled repeatedly.

    Two labels of a pair agree with probability c² + (1 − c)².

    Args:
        one: How often the first response of each pair won, whole numbers (k,).
        two: How often the second won, (k,).

    Raises:
        InputError: No pair has two labels; they always agree, or no more than by chance.
    """
    labels = one + two
    pairs = float((labels * (labels - 1)).sum()) / 2
    if not pairs:
        raise InputError("confidence", "fit", "pairs with two labels or more; no pair has them")
    agree = float((one * (one - 1) + two * (two - 1)).sum()) / 2 / pairs
    if agree == 1:
        raise InputError("confidence", "fit", "repeated labels never differ: give a number")
    if agree <= 0.5:
        raise InputError("confidence", "fit", "repeated labels agree no more than by chance")
    root = (2 * agree - 1) ** 0.5
    error = (agree * (1 - agree) / pairs) ** 0.5 / (2 * root)
    return Fitted((1 + root) / 2, error, pairs)
