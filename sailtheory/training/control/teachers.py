"""Simulated teachers: who says which of two segments is better (B-Pref, arXiv 2111.03026)."""

from __future__ import annotations

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.training.control.settings import TeacherSettings

__all__ = ["EQUAL", "FIRST", "SECOND", "SKIP", "answers", "label_probabilities", "targets"]

FIRST, SECOND, EQUAL, SKIP = range(4)
"""What a teacher may answer."""


def label_probabilities(
    first: np.ndarray, second: np.ndarray, teacher: TeacherSettings, average: float
) -> np.ndarray:
    """The exact probability of each answer, in the order FIRST, SECOND, EQUAL, SKIP.

    A pair is skipped where the better segment earns less than ``skip · average``, else
    called equal where the two differ by less than ``equal · average``; a share of 0 skips or
    equates none. Otherwise the
    second wins with probability σ(β (R₂ − R₁)), R = Σ_t myopia^{L−1−t} r_t; the oracle
    is β → ∞, for whom R₂ = R₁ is equal. A mistake turns a preference round.

    Args:
        first: True rewards of the first segments, (n, L).
        second: Of the second ones, (n, L).
        teacher: Which teacher.
        average: Mean return of a segment of this length, the scale of the thresholds.

    Returns:
        (n, 4), rows summing to 1.

    Raises:
        InputError: A share of an average below 0, which is no threshold.
    """
    for field, share in (("teacher.skip", teacher.skip), ("teacher.equal", teacher.equal)):
        if share and average < 0:
            accepted = f"0 is expected where a segment earns less than nothing: {average:.4g}"
            raise InputError(field, share, accepted)
    length = first.shape[1]
    weights = teacher.myopia ** np.arange(length - 1, -1, -1.0)
    plain = np.stack([first.sum(1), second.sum(1)])
    gap = (second - first) @ weights
    if teacher.rationality is None:
        wins = np.where(gap > 0, 1.0, 0.0)
        equal = gap == 0
    else:
        wins = np.asarray(FLOAT64.sigmoid(teacher.rationality * gap))
        equal = np.zeros(len(gap), bool)
    wins = wins * (1 - teacher.mistake) + (1 - wins) * teacher.mistake
    equal = equal | (np.abs(plain[1] - plain[0]) < teacher.equal * average)
    skip = (plain.max(0) < teacher.skip * average) & (teacher.skip > 0)
    out = np.zeros((len(gap), 4))
    out[:, FIRST], out[:, SECOND] = 1 - wins, wins
    out[equal] = np.eye(4)[EQUAL]
    out[skip] = np.eye(4)[SKIP]
    return out


def answers(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One answer a row, drawn: (n, 4) to integers (n,)."""
    below = probabilities.cumsum(1) <= rng.random(len(probabilities))[:, None]
    # A draw just under 1 may lie above the rounded last sum; it belongs to the last answer
    # that is possible.
    last = probabilities.shape[1] - 1 - (probabilities[:, ::-1] > 0).argmax(1)
    return np.asarray(np.minimum(below.sum(1), last))


def targets(answers: np.ndarray) -> np.ndarray:
    """What is learned from answers other than SKIP: the share of the second, 0, 1 or ½."""
    return np.asarray(np.array([0.0, 1.0, 0.5])[answers])
