"""Problems on which the claims are tried, and their optimum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from proofs_check.evidence.cases import Case, false_at, tabular
from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.claims import Context, Falsehood

COUNT = {"quick": 6, "full": 200}
"""Random problems a claim is tried on."""


def of_rewards(rewards: Any, base: Any, beta: float) -> PreferenceProblem:
    """Bradley–Terry with rewards (n, m); the numbers have few bits, so that r/β is exact."""
    return tabular([BradleyTerry(r) for r in rewards], base, beta)


def problems(context: Context, name: str) -> Iterator[PreferenceProblem]:
    """Random ones: 1 or 2 prompts, 2 to 4 responses, β from ¼ to 4, π_ref not uniform."""
    rng = context.rng(name)
    for i in range(COUNT[context.effort]):
        shape = (1 + i % 2, 2 + i % 3)
        yield of_rewards(
            rng.integers(-16, 17, shape) / 8, rng.integers(1, 9, shape) / 4, 2.0 ** (i % 5 - 2)
        )


def rewards_of(problem: PreferenceProblem) -> np.ndarray:
    """All rewards, one prompt after another: (nm,)."""
    models: list[Any] = list(problem.preferences)
    return np.concatenate([np.asarray(each.rewards, dtype=float) for each in models])


def log_base(problem: PreferenceProblem) -> np.ndarray:
    """log π_ref up to a constant for each prompt, one prompt after another: (nm,)."""
    base: list[Any] = list(problem.base)
    return np.asarray(np.log(np.concatenate(base).astype(float)))


def best(problem: PreferenceProblem) -> np.ndarray:
    """θ = r/β, where π_θ = π_ref e^{r/β}/Z."""
    return rewards_of(problem) / float(problem.beta)


def every(name: str, says: str, case: Callable[[PreferenceProblem], Case]) -> Falsehood:
    """A statement that the problems of its claim refute."""
    return false_at(name, says, lambda context: map(case, problems(context, name)))
