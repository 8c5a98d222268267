"""Win rates of one policy over another on the same prompts, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import special

from sailtheory.compare.statistics import Estimate, numbers, wilson
from sailtheory.errors import InputError

__all__ = ["Judge", "WinRate", "at_equal_length", "by_judge", "by_reward", "win_rate"]

_Z = 1.959963984540054
_PRIOR = 1 / 9  # precision of both coefficients: a standard deviation of 3 log-odds


class Judge(Protocol):
    """A pairwise judge, called as TRL's are."""

    def judge(self, prompts: list[Any], completions: list[list[Any]]) -> list[int]:
        """For each pair the place of the better one, 0 or 1, or −1 for neither."""
        ...


@dataclass(frozen=True)
class WinRate:
    """A share of comparisons won, ties counted half, with a 95 % Wilson interval.

    Attributes:
        value: The mean outcome: 1 for a win, ½ for a tie, and ¾ or ¼ where a judge decides in
            one order alone.
        low: Lower end.
        high: Upper end.
        wins: Outcomes above ½.
        ties: Outcomes of ½; the rest is lost.
        n: All of them.
    """

    value: float
    low: float
    high: float
    wins: int
    ties: int
    n: int


def by_reward(first: Sequence[float], second: Sequence[float]) -> np.ndarray:
    """Outcomes for the first of each pair: 1, ½ or 0, (n,).

    Raises:
        InputError: Numbers of rewards that differ, or one that is not finite.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape or a.ndim != 1:
        raise InputError("rewards", f"{a.shape} and {b.shape}", "one for each of n pairs")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("rewards", "not finite", "finite rewards are expected")
    outcomes: np.ndarray = (np.sign(a - b) + 1) / 2
    return outcomes


def by_judge(
    judge: Judge, prompts: Sequence[Any], first: Sequence[Any], second: Sequence[Any]
) -> tuple[np.ndarray, float]:
    """Outcomes by a pairwise judge that sees every pair in both orders.

    A pair that it decides by place alone is a tie; one that it decides in one order and ties in
    the other has the outcome ¾ or ¼.

    Returns:
        The mean outcome of both orders, (n,); and the share of pairs on which the orders
        disagree, which tells of a judge that looks at the place.

    Raises:
        InputError: A verdict other than 0, 1 and −1, or another number of them.
    """
    forward = [[a, b] for a, b in zip(first, second, strict=True)]
    backward = [[b, a] for a, b in zip(first, second, strict=True)]
    seen = _verdicts(judge, prompts, forward)
    swapped = 1 - _verdicts(judge, prompts, backward)
    return (seen + swapped) / 2, float((seen != swapped).mean())


def _verdicts(judge: Judge, prompts: Sequence[Any], pairs: list[list[Any]]) -> np.ndarray:
    found = judge.judge(list(prompts), pairs)
    if len(found) != len(pairs):
        raise InputError("judge", len(found), f"{len(pairs)} verdicts, one a pair")
    score = {0: 1.0, 1: 0.0, -1: 0.5}
    for place, verdict in enumerate(found):
        if verdict not in score:
            raise InputError(f"judge[{place}]", verdict, "0, 1, or -1 for neither")
    return np.array([score[int(v)] for v in found])


def win_rate(outcomes: np.ndarray) -> WinRate:
    """The mean outcome, its interval, and how many were won and tied.

    Args:
        outcomes: Each in [0, 1]: (n,).

    Raises:
        InputError: No outcome, or one outside [0, 1].
    """
    values = _outcomes(outcomes)
    low, high = wilson(float(values.sum()), len(values))
    return WinRate(
        float(values.mean()), low, high, int((values > 0.5).sum()), int((values == 0.5).sum()),
        len(values),
    )  # fmt: skip


def at_equal_length(
    outcomes: np.ndarray, first: Sequence[float], second: Sequence[float]
) -> Estimate:
    """The win rate that is left at equal lengths: length-controlled.

    Outcomes are fitted by σ(a + b tanh(Δ/s)), Δ the difference of the lengths and s its root
    mean square; the answer is σ(a) (the form of Dubois et al., arXiv 2404.04475, without their
    terms of single prompts and models). a and b have normal priors of deviation 3, so that
    a fit exists when one side wins all; the interval is that of the normal approximation.

    Args:
        outcomes: Each in [0, 1]: (n,).
        first: Lengths of the first of each pair: (n,).
        second: The same of the second.

    Raises:
        InputError: Outcomes as for :func:`win_rate`, lengths that are not finite, or another
            number of them.
    """
    y, lengths = _outcomes(outcomes), (numbers("first", first), numbers("second", second))
    for found in lengths:
        if found.shape != y.shape:
            raise InputError("lengths", found.shape, f"{len(y)}, one a comparison")
    delta = lengths[0] - lengths[1]
    scale = float(np.sqrt((delta**2).mean())) or 1.0
    x = np.stack([np.ones_like(delta), np.tanh(delta / scale)], 1)
    coefficients = np.zeros(2)
    for _ in range(100):  # Newton's method on a strictly convex function
        p = special.expit(x @ coefficients)
        slope = x.T @ (y - p) - _PRIOR * coefficients
        curvature = (x * (p * (1 - p))[:, None]).T @ x + _PRIOR * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        coefficients = coefficients + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    error = float(np.sqrt(np.linalg.inv(curvature)[0, 0]))
    ends = coefficients[0] + _Z * error * np.array([0, -1, 1])
    value, low, high = special.expit(ends).tolist()
    return Estimate(value, low, high)


def _outcomes(outcomes: np.ndarray) -> np.ndarray:
    values = np.asarray(outcomes, float)
    if values.ndim != 1 or not len(values):
        raise InputError("outcomes", values.shape, "one comparison or more")
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("outcomes", values[~((values >= 0) & (values <= 1))][0], "0 to 1")
    return values
