"""The pass rate at which training ends where every prompt has parameters of its own (C31, C33).

Within the correct, and within the wrong, responses the policy keeps the proportions of π_ref, so
that V alone is to be found. Of f(V) − γKL(π_ref‖π_θ) it is the one root of

    V − p = V(1 − V)f'(V)/γ,

as (1 − V)f' = γ(1 − p/V) has a falling and a rising side. Of f(V) − γKL(π_θ‖π_ref) the roots of
log V/(1 − V) = log p/(1 − p) + f'(V)/γ may be several; taken is the first above p, at which ascent
from π_ref stops.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sailtheory.numeric.numbers import FLOAT64
from sailtheory.theory.reward_slopes import RewardMethod

__all__ = ["maximiser_policy_ref", "maximiser_ref_policy"]

_HALVINGS = 80
_FAR = 45.0  # 1 − σ(45) is 3e-20
_STEPS = 400
_AT_ONCE = 1 << 12


def maximiser_ref_policy(method: RewardMethod, gamma: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """V that maximises f(V) − γKL(π_ref‖π_θ), free in every response (C31).

    Args:
        method: f.
        gamma: γ > 0, one for each p or one for all.
        hit: p = V(θ_ref) in [0, 1], (k,).

    Returns:
        (k,); p where it is 0 or 1, and 1 where the supremum is not attained.
    """
    gamma, hit = np.broadcast_arrays(np.asarray(gamma, float), np.asarray(hit, float))
    inside = (hit > 0) & (hit < 1)
    p = np.where(inside, hit, 0.5)
    start = np.log(p) - np.log1p(-p)

    def rises(at: np.ndarray) -> np.ndarray:
        v, w = FLOAT64.sigmoid(at), FLOAT64.sigmoid(-at)
        # V − p = V(1 − p) − (1 − V)p loses nothing at either end.
        return np.asarray(v * method.path(FLOAT64, v, w) > gamma * (v * (1 - p) - w * p))

    low, high = start, np.maximum(start + 1, _FAR)
    return np.where(inside, _bisected(rises, low, high), hit)


def maximiser_policy_ref(method: RewardMethod, gamma: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """V at which ascent of f(V) − γKL(π_θ‖π_ref) from π_ref stops (C33 where f is linear).

    Arguments and result as for :func:`maximiser_ref_policy`.
    """
    gamma, hit = np.broadcast_arrays(np.asarray(gamma, float), np.asarray(hit, float))
    inside = (hit > 0) & (hit < 1)
    p = np.where(inside, hit, 0.5)
    start = np.log(p) - np.log1p(-p)

    def rises(at: np.ndarray, gamma: np.ndarray, start: np.ndarray) -> np.ndarray:
        slope = method.slope(FLOAT64, FLOAT64.sigmoid(at), FLOAT64.sigmoid(-at))
        return np.asarray(slope > gamma * (at - start))

    end = np.maximum(start + 1, _FAR)
    last = np.zeros(start.shape, int)  # of the steps from p on at which f still rises
    for part in range(0, start.size, _AT_ONCE):
        rows = slice(part, part + _AT_ONCE)
        first, width, each = start[rows, None], (end - start)[rows, None], gamma[rows, None]
        up = rises(first + width * np.arange(1, _STEPS) / _STEPS, each, first)
        last[rows] = np.where(up.all(-1), _STEPS - 1, up.argmin(-1))
    step = (end - start) / _STEPS
    low = start + step * last
    high = np.where(last == _STEPS - 1, end, low + step)
    return np.where(inside, _bisected(lambda at: rises(at, gamma, start), low, high), hit)


def _bisected(
    rises: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """σ of where ``rises`` ends between log-odds; 1 where it does not end."""
    never = rises(high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        up = rises(middle)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return np.where(never, 1.0, FLOAT64.sigmoid((low + high) / 2))
