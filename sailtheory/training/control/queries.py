"""Which pairs of segments the teacher is asked about."""

from __future__ import annotations

import numpy as np

from sailtheory.training.control.settings import Sampling

__all__ = ["choose"]


def choose(sampling: Sampling, probabilities: np.ndarray, count: int) -> np.ndarray:
    """Places of the ``count`` candidates to ask about, the most informative first.

    Args:
        sampling: ``uniform`` takes the first ones, which were drawn uniformly;
            ``disagreement`` those on which the members' probabilities spread most;
            ``entropy`` those of which the ensemble's mean probability is closest to ½.
        probabilities: P(second ≻ first) of each member, (members, n).
        count: At most n.

    Returns:
        (min(count, n),) integers.
    """
    if sampling == "uniform":
        return np.arange(probabilities.shape[1])[:count]
    if sampling == "disagreement":
        worth = probabilities.std(0)
    else:
        # The binary entropy is decreasing in |p − ½|, which does not round to a tie at 0 or 1.
        worth = -np.abs(probabilities.mean(0) - 0.5)
    return np.argsort(-worth, kind="stable")[:count]
