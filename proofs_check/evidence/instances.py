"""Random and adversarial preference problems for sampled evidence."""

from __future__ import annotations

import numpy as np

from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem


def random_problem(
    rng: np.random.Generator,
    *,
    prompts: int | None = None,
    responses: int | None = None,
    dimension: int | None = None,
    beta: float | None = None,
    radius: float | None = None,
    deterministic: bool | None = None,
) -> PreferenceProblem:
    """A problem with features in the unit ball; what is not given is drawn.

    Args:
        rng: Source of randomness.
        prompts: n, by default 1 to 3.
        responses: m of every prompt, by default 2 to 5, ragged.
        dimension: d, by default 1 to 3.
        beta: By default log-uniform in [0.01, 10].
        radius: B, by default log-uniform in [0.1, 6].
        deterministic: Preferences all 0 or 1 (where C11's proof is extremal); by
            default one third each of deterministic, uniform and Bradley–Terry.

    Returns:
        A problem with a random base measure, reference and centre.
    """
    n = int(rng.integers(1, 4)) if prompts is None else prompts
    d = int(rng.integers(1, 4)) if dimension is None else dimension
    b = float(10 ** rng.uniform(-1, np.log10(6))) if radius is None else radius
    features, preferences, base = [], [], []
    for _ in range(n):
        m = int(rng.integers(2, 6)) if responses is None else responses
        phi = rng.normal(size=(m, d))
        phi *= rng.random((m, 1)) ** (1 / d) / np.linalg.norm(phi, axis=1, keepdims=True)
        features.append(phi)
        preferences.append(random_preferences(rng, m, deterministic))
        base.append(rng.dirichlet(np.full(m, 0.5)) + 1e-6)
    center = rng.normal(size=d) * (rng.random() < 0.5)
    offset = rng.normal(size=d)
    offset *= b * rng.random() / np.linalg.norm(offset)
    return PreferenceProblem(
        features=features,
        preferences=preferences,
        weights=rng.dirichlet(np.ones(n)) + 1e-9,
        base=base if rng.random() < 0.5 else None,
        beta=float(10 ** rng.uniform(-2, 1)) if beta is None else beta,
        radius=b,
        center=center,
        ref_params=center + offset * (rng.random() < 0.7),
    )


def random_preferences(
    rng: np.random.Generator, m: int, deterministic: bool | None = None
) -> np.ndarray | BradleyTerry:
    """Preferences among m responses: 0/1, uniform in [0, 1], or Bradley–Terry."""
    kind = int(rng.integers(3)) if deterministic is None else (0 if deterministic else 1)
    if kind == 2:
        return BradleyTerry(3 * rng.normal(size=m))
    upper = np.triu(rng.random((m, m)), 1)
    if kind == 0:
        upper = np.triu(np.round(upper), 1)
    return upper + np.tril(1 - upper.T, -1) + np.eye(m) / 2


def random_points(rng: np.random.Generator, problem: PreferenceProblem, count: int) -> np.ndarray:
    """Points of C, half of them on its boundary: (count, d)."""
    r = problem.span.dimension
    x = rng.normal(size=(count, r))
    x *= float(problem.radius) / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
    x[::2] *= rng.random((len(x[::2]), 1)) ** (1 / max(r, 1))
    return np.asarray(problem.center.astype(float) + x @ problem.span.basis.T)
