"""Scores of two arms by the seeds that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

Record = dict[str, Any]
LEVEL = 0.95


def paired(runs: list[Record], base: list[Record]) -> Record:
    """The mean difference with its 95 % interval (Student's t), and p of no difference.

    None for what fewer than two pairs, or pairs that all differ alike, do not give.
    """
    theirs = {run["seed"]: run["score"] for run in base}
    gaps = np.array([r["score"] - theirs[r["seed"]] for r in runs if r["seed"] in theirs])
    found: Record = {"pairs": len(gaps), "interval": None, "deviation": None, "p": None}
    if len(gaps) < 2 or not gaps.std():
        return found
    mean, deviation = float(gaps.mean()), float(gaps.std(ddof=1))
    error = deviation / np.sqrt(len(gaps))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(gaps) - 1) * error)
    p = float(2 * stats.t.sf(abs(mean) / error, len(gaps) - 1))
    return found | {"interval": [mean, mean - half, mean + half], "deviation": deviation, "p": p}
