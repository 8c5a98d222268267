"""Problems and points on which the bounds of C09–C13, C19 and C20 are tried hard."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from proofs_check.evidence.instances import random_points, random_problem
from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem

SIZES = {"quick": 78, "full": 360}
"""Problems a battery has."""

POINTS = 64
"""Points of C a problem is tried at."""


def skewed(
    chance: float | str, *, beta: float, radius: float, wins: bool = True, scale: float = 1.0
) -> PreferenceProblem:
    """Two responses φ = ±scale/2, the first wins (or loses) always; ν = (chance, 1 − chance).

    As ``chance`` goes to 0 and B to 0, C11's bound becomes an equality.
    """
    p = [[0.5, 1], [0, 0.5]] if wins else [[0.5, 0], [1, 0.5]]
    rest = 1 - float(chance)
    return PreferenceProblem(
        features=[[[scale / 2], [-scale / 2]]], preferences=[p], beta=beta, radius=radius,
        base=[[chance, rest]],
    )  # fmt: skip


def bradley_terry(
    rng: np.random.Generator, *, beta: float, radius: float, prompts: int = 2
) -> PreferenceProblem:
    """Prompts with 4 responses in the unit ball of R², rewards of scale 1, θ_ref = c = 0."""
    phi = rng.normal(size=(prompts, 4, 2))
    phi *= rng.random((prompts, 4, 1)) ** 0.5 / np.linalg.norm(phi, axis=-1, keepdims=True)
    rewards = [BradleyTerry(rng.normal(size=4)) for _ in range(prompts)]
    return PreferenceProblem(features=phi, preferences=rewards, beta=beta, radius=radius)


def _large(rng: np.random.Generator) -> PreferenceProblem:
    return random_problem(
        rng, beta=float(10 ** rng.uniform(0, 1.5)), radius=float(rng.uniform(4, 20))
    )


def _small(rng: np.random.Generator) -> PreferenceProblem:
    return skewed(
        float(10 ** rng.uniform(-6, -1)), beta=float(10 ** rng.uniform(-2, 1)),
        radius=float(10 ** rng.uniform(-3, 0)), wins=bool(rng.random() < 0.5),
    )  # fmt: skip


_KINDS: tuple[Callable[[np.random.Generator], PreferenceProblem], ...] = (
    random_problem,
    lambda rng: random_problem(rng, prompts=1, deterministic=True),
    lambda rng: random_problem(rng, prompts=3, deterministic=True),
    _large,
    _small,
    lambda rng: bradley_terry(rng, beta=0.1, radius=float(rng.uniform(0.5, 6)), prompts=3),
)


def battery(rng: np.random.Generator, count: int) -> Iterator[PreferenceProblem]:
    """Problems of six kinds in turn: what C11's proof calls extremal among them."""
    for i in range(count):
        yield _KINDS[i % len(_KINDS)](rng)


def points(rng: np.random.Generator, problem: PreferenceProblem, count: int = POINTS) -> np.ndarray:
    """Points of C, half of them on the boundary, θ_ref and c among them: (count, d)."""
    theta = random_points(rng, problem, count)
    theta[0], theta[1] = problem.ref_params, problem.center.astype(float)
    return theta


def single(problem: PreferenceProblem, x: int) -> PreferenceProblem:
    """The problem of prompt x alone."""
    base = problem.base[x]
    return PreferenceProblem(
        features=[problem.features[x]], preferences=[problem.preferences[x]], beta=problem.beta,
        radius=problem.radius, ref_params=problem.ref_params, center=problem.center,
        base=None if base is None else [base],
    )  # fmt: skip
