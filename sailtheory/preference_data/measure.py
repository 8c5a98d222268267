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
        ``rank`` of S; ``feature_norm`` L and ``feature_diameter`` D; of all pairs of responses
        ``pairs``, ``ties`` (p = ½), ``share_sure`` with |p − ½| > .45, and ``gaps``, quantiles
        of |log-odds|, None where p is 0 or 1.
    """
    largest = diameter = 0.0
    sureness = []
    for chunk in folder.chunks(BUDGET):
        phi = np.asarray(chunk.features, dtype=np.float64)
        m = phi.shape[1]
        norms = (phi**2).sum(2)
        largest = max(largest, float(norms.max()))
        centred = phi - phi[:, :1]
        length = (centred**2).sum(2)
        squares = length[:, :, None] + length[:, None] - 2 * centred @ centred.swapaxes(1, 2)
        diameter = max(diameter, float(squares.max(initial=0.0)))
        k, j = np.triu_indices(m, 1)
        sureness.append(np.abs(chunk.preference[:, k, j]).ravel())
    sure = np.concatenate(sureness)
    with np.errstate(divide="ignore"):
        gaps = np.quantile(2 * np.arctanh(2 * np.minimum(sure, 0.5)), _QUANTILES, method="nearest")
    sizes, held = np.unique(folder.responses, return_counts=True)
    return {
        "prompts": folder.prompts,
        "responses": {str(m): int(count) for m, count in zip(sizes, held, strict=True)},
        "dimension": folder.dimension,
        "rank": _rank(folder, largest**0.5),
        "feature_norm": largest**0.5,
        "feature_diameter": max(diameter, 0.0) ** 0.5,
        "pairs": len(sure),
        "ties": int((sure == 0).sum()),
        "share_sure": float((sure > SURE).mean()),
        "gaps": {
            f"{q:g}": float(gap) if np.isfinite(gap) else None
            for q, gap in zip(_QUANTILES, gaps, strict=True)
        },
    }


def _rank(folder: ProblemFolder, largest: float) -> int:
    """The rank of S, decided in float64 as :class:`PreferenceProblem` does."""
    blocks = (
        (phi[:, 1:] - phi[:, :1]).reshape(-1, folder.dimension)
        for phi in (np.asarray(c.features, dtype=np.float64) for c in folder.chunks(BUDGET))
    )
    singular, _, count = row_space(blocks, folder.dimension)
    scale = max(float(singular.max(initial=0.0)), largest)
    tolerance = scale * max(count, folder.dimension) * np.finfo(float).eps
    return int((singular > tolerance).sum())
