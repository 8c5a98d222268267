"""Random problems for the tests, as data for the package and for the reference alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from sailtheory import (
    DPO,
    IPO,
    SAIL,
    BradleyTerry,
    InputError,
    KLPolicyRef,
    KLRefPolicy,
    PreferenceProblem,
    SAILRevKL,
    SelfPreferenceSAIL,
)
from sailtheory.problem.problem_file import load as load_problem
from tests.support.reference import Prompt, Reference, lists, mpf_of

OBJECTIVES = [
    SAIL, SelfPreferenceSAIL, DPO, IPO, KLRefPolicy, KLPolicyRef, partial(SAILRevKL, gamma=0.7)
]  # fmt: skip


@dataclass
class Instance:
    """Float64 data of a problem and points θ to look at."""

    features: list[np.ndarray]
    preferences: list[np.ndarray]
    rewards: list[np.ndarray] | None
    weights: np.ndarray
    ref_params: np.ndarray
    beta: float
    base: list[np.ndarray]
    theta: np.ndarray
    radius: float = field(default=4e3)

    def problem(self) -> PreferenceProblem:
        """The instance for the package."""
        return PreferenceProblem(
            features=self.features,
            preferences=self.preferences
            if self.rewards is None
            else [BradleyTerry(r) for r in self.rewards],
            weights=self.weights,
            ref_params=self.ref_params,
            beta=self.beta,
            radius=self.radius,
            base=self.base,
        )

    def reference(self, digits: int = 50) -> Reference:
        """The instance for the reference: the floats, exactly."""
        with mp.workdps(digits):
            prompts = []
            for x, phi in enumerate(self.features):
                if self.rewards is None:
                    matrix = lists(self.preferences[x])
                    # Where rounding left p₁₂ + p₂₁ ≠ 1 the package's p is ½ + (p₁₂ − p₂₁)/2.
                    p = [[(1 + matrix[k][j] - matrix[j][k]) / 2 for j in range(len(phi))]
                         for k in range(len(phi))]  # fmt: skip
                else:
                    r = lists(self.rewards[x])
                    p = [[1 / (1 + mp.exp(b - a)) for b in r] for a in r]
                prompts.append(
                    Prompt(mpf_of(float(self.weights[x])), lists(phi), p, lists(self.base[x]))
                )
            return Reference(prompts, lists(self.ref_params), mpf_of(self.beta), digits)


def random_instance(
    rng: np.random.Generator,
    *,
    extreme: bool = False,
    prompts: int | None = None,
    responses: int | None = None,
    dimension: int | None = None,
    bradley_terry: bool | None = None,
    duplicates: bool = False,
    tabular: bool = False,
) -> Instance:
    """A random instance with computed (not decimal) floats.

    Args:
        rng: Source of randomness.
        extreme: ‖θ‖ to 1e3, β from 1e-6 to 1e3, preferences 0 or 1, ν to 1e-300.
        prompts: Their number, 1 to 3 by default, ragged unless ``responses`` is given.
        responses: m of every prompt.
        dimension: d.
        bradley_terry: Preferences from rewards; at random by default.
        duplicates: The second response of each prompt repeats the first.
        tabular: One prompt, one-hot features.
    """
    n = 1 if tabular else prompts or int(rng.integers(1, 4))
    sizes = [responses or int(rng.integers(2, 6)) for _ in range(n)]
    d = sizes[0] if tabular else dimension or int(rng.integers(1, 4))
    features = [np.eye(d) if tabular else rng.normal(size=(m, d)) for m in sizes]
    if duplicates:
        for phi in features:
            phi[1] = phi[0]
    bradley_terry = bool(rng.integers(2)) if bradley_terry is None else bradley_terry
    spread = 10.0 ** rng.uniform(-1, 3) if extreme else 1.5
    rewards = [rng.normal(size=m) * spread for m in sizes] if bradley_terry else None
    preferences = []
    for m in sizes:
        p = np.tril(rng.integers(2, size=(m, m)) if extreme else rng.random((m, m)), -1)
        preferences.append(p + np.triu(1 - p.T, 1) + np.eye(m) / 2)
    depth = rng.uniform(0, 690) if extreme else 2.0
    length = 10.0 ** rng.uniform(-3, 3) if extreme else 1.5

    def point() -> np.ndarray:
        v = rng.normal(size=d)
        return v / np.linalg.norm(v) * length * rng.random()

    return Instance(
        features=features,
        preferences=preferences,
        rewards=rewards,
        weights=rng.random(n) + 0.05,
        ref_params=point(),
        beta=float(10.0 ** (rng.uniform(-6, 3) if extreme else rng.uniform(-1.5, 0.5))),
        base=[np.exp(-depth * rng.random(m)) for m in sizes],
        theta=point(),
    )


def name_of(kind: Any) -> str:
    """An objective's name in test ids."""
    return getattr(kind, "__name__", "SAILRevKL")


def ordinary(seed: int, **knobs: Any) -> Instance:
    """:func:`random_instance` from a seed."""
    return random_instance(np.random.default_rng(seed), **knobs)


def refusal(path: Any) -> str:
    """The message that a problem file gets; anything but an InputError fails the test."""
    with pytest.raises(InputError) as caught:
        load_problem(path)
    message = str(caught.value)
    assert message.isprintable(), message  # one line, no control characters
    assert len(message) < 600
    return message
