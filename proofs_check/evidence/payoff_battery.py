"""Problems on which the bounds of payoffs are tried: margins within a given Z."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sailtheory.problem.problem import PreferenceProblem

__all__ = ["CASES", "payoff_problems", "three_responses"]

CASES = {
    "logistic": (1.0, 2.0), "smoothed": (0.3, 1.0), "margin": (1.0, 0.5), "ipo": (0.1, 1.0),
    "squared": (1.0, 2.0), "truncated-squared": (1.0, 1.0), "hinge": (1.0, 0.5),
    "exponential": (1.0, 2.0), "savage": (3.0, 1.0), "sigmoid": (1.0, 0.5),
}  # fmt: skip
"""β and Z at which each payoff is tried: where its K is nearly reached."""


def _preferences(rng: np.random.Generator, m: int) -> np.ndarray:
    """Antisymmetric about ½, and 0 or 1 in half of the problems."""
    upper = np.triu(rng.integers(0, 2, (m, m)) if rng.random() < 0.5 else rng.random((m, m)), 1)
    return np.asarray(upper + np.tril(1 - upper.T, -1) + np.eye(m) / 2)


def payoff_problems(
    rng: np.random.Generator, beta: float, z_range: float, count: int
) -> Iterator[PreferenceProblem]:
    """Problems with θ_ref = c = 0 and Z_max just below ``z_range``."""
    for _ in range(count):
        n, d = int(rng.integers(1, 3)), int(rng.integers(1, 4))
        sizes = [int(rng.integers(2, 5)) for _ in range(n)]
        phi = [rng.normal(size=(m, d)) for m in sizes]
        widest = max(float(np.linalg.norm(p[:, None] - p[None], axis=-1).max()) for p in phi)
        yield PreferenceProblem(
            features=phi, preferences=[_preferences(rng, m) for m in sizes], beta=beta,
            radius=0.999 * z_range / (beta * widest),
            base=[np.exp(rng.choice([0.5, 4]) * rng.normal(size=m)) for m in sizes],
        )  # fmt: skip


def three_responses(
    beta: float, z_range: float, third: float, *, leads: bool = False, chance: float = 1e-6
) -> tuple[PreferenceProblem, np.ndarray, np.ndarray]:
    """π → (½, ½, 0) at margins 0, Z and ``third``.

    The first beats the second, which is what J loses most by; the rare third beats the first,
    and the second too if it ``leads``.

    Returns:
        The problem, the point θ = (1, 0), and the direction that moves the third alone.
    """
    heights = np.array([0.0, z_range, third])
    policy = np.array([(1 - chance) / 2, (1 - chance) / 2, chance])
    features = np.stack([heights / beta, [0.0, 0.0, 1e-4 / beta]], axis=-1)
    wins = [[0.5, 1, 0], [0, 0.5, 1 - leads], [1, int(leads), 0.5]]
    problem = PreferenceProblem(
        features=[features], preferences=[wins], beta=beta, radius=1.0,
        base=[policy * np.exp(-heights / beta)],
    )  # fmt: skip
    return problem, np.array([1.0, 0.0]), np.array([0.0, 1.0])
