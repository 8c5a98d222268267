"""Random problems that the lists share."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory import BradleyTerry

Generator = np.random.Generator


def preferences(rng: Generator, m: int) -> Any:
    """Arbitrary, 0/1 or Bradley–Terry, three decimals."""
    kind = rng.integers(3)
    if kind == 2:
        return BradleyTerry(np.round(rng.normal(size=m), 3))
    upper = np.round(rng.random((m, m)), 3 if kind == 0 else 0)
    p = np.triu(upper, 1)
    return np.round(p + np.tril(1 - p.T, -1) + 0.5 * np.eye(m), 3)


def arguments(rng: Generator, d: int, most: int, prompts: tuple[int, int]) -> dict[str, Any]:
    """A random problem, as keywords; features of norm about 1 that span R^d."""
    n = max(int(rng.integers(prompts[0], prompts[1] + 1)), -(-d // (most - 1)))
    sizes = np.zeros(n, dtype=int)
    while (sizes - 1).sum() < d:
        sizes = rng.integers(2, most + 1, n)
    radius = round(float(rng.uniform(0.2, 1)), 3)
    center = np.zeros(d) if rng.random() < 0.5 else np.round(0.5 * rng.normal(size=d), 3)
    away = rng.normal(size=d)
    away *= rng.choice([0.0, rng.uniform(0, 0.8)]) * radius / np.linalg.norm(away)
    return {
        "features": [np.round(rng.normal(size=(m, d)) / np.sqrt(d), 3) for m in sizes],
        "preferences": [preferences(rng, int(m)) for m in sizes],
        "beta": round(float(10 ** rng.uniform(-1, 0)), 3),
        "radius": radius,
        "ref_params": np.round(center + away, 3),
        "center": center,
        "weights": np.round(rng.uniform(0.2, 1, n), 3),
        "base": None
        if rng.random() < 0.5
        else [np.round(rng.uniform(0.5, 2, int(m)), 3) for m in sizes],
    }
