"""Problems whose responses can be listed, with features that prompts and states share.

A response has T = 1 or 2 tokens over four letters, π_θ(a|x, s) ∝ π_ref(a|x, s) exp(θᵀφ(x, s, a)),
θ_ref = 0, and rewards are 0 or 1 with the same pass rate under π_ref for every prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LETTERS, PROMPTS, DIMENSION, RADIUS, PROBLEMS = 4, 8, 3, 6.0, 6
CORRECT = 0.3
"""The share of responses that are correct, before the masses are set."""


@dataclass(frozen=True)
class Problems:
    """Several problems of one kind: P of them, n prompts, S states of v letters, m responses.

    Attributes:
        depth: T.
        features: φ, (P, n, S, v, d).
        log_ref: log π_ref(a|x, s), (P, n, S, v).
        reward: (P, n, m).
    """

    depth: int
    features: Array
    log_ref: Array
    reward: Array

    @cached_property
    def paths(self) -> Array:
        """Which tokens of which states a response has: (m, S·v), of 0 and 1."""
        return paths(self.depth)

    @cached_property
    def ref(self) -> Array:
        """π_ref of the responses: (P, n, m)."""
        return np.exp(self.flat(self.log_ref) @ self.paths.T)

    @staticmethod
    def flat(states: Array) -> Array:
        """(..., S, v) to (..., S·v)."""
        return states.reshape(*states.shape[:-2], -1)

    def tokens(self, theta: Array) -> Array:
        """log π_θ(a|x, s): (P, K, d) to (P, K, n, S, v)."""
        count, tried, _ = theta.shape
        flat = self.features.reshape(count, -1, self.features.shape[-1])
        shape = (count, tried, *self.features.shape[1:-1])
        logits = (theta @ flat.swapaxes(1, 2)).reshape(shape) + self.log_ref[:, None]
        logits -= logits.max(-1, keepdims=True)
        found: Array = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return found

    def combined(self, weights: Array) -> Array:
        """Mean over prompts of Σ weights·φ: (P, K, n, S, v) to (P, K, d)."""
        count, tried = weights.shape[:2]
        flat = self.features.reshape(count, -1, self.features.shape[-1])
        found: Array = weights.reshape(count, tried, -1) @ flat / self.features.shape[1]
        return found


def paths(depth: int) -> Array:
    """Which tokens of which states a response has: (m, S·v)."""
    v = LETTERS
    found = np.zeros((v**depth, states(depth) * v))
    for k in range(v**depth):
        first = k // v ** (depth - 1)
        found[k, first] = 1
        if depth == 2:
            found[k, (1 + first) * v + k % v] = 1
    return found


def states(depth: int) -> int:
    """S: the empty text, and where T = 2 each first letter."""
    return 1 if depth == 1 else 1 + LETTERS


def problems(seed: int, depth: int, pass_rate: float, count: int = PROBLEMS) -> Problems:
    """The problems of a seed; features and rewards do not depend on the pass rate."""
    rng = np.random.default_rng([seed, depth])
    m = LETTERS**depth
    features = rng.normal(size=(count, PROMPTS, states(depth), LETTERS, DIMENSION))
    reward = (rng.random((count, PROMPTS, m)) < CORRECT).astype(float)
    some = rng.permuted(np.tile(np.arange(m), (count, PROMPTS, 1)), axis=-1)[..., :2]
    np.put_along_axis(reward, some, np.array([1.0, 0.0]), -1)  # one of each at least
    mass = np.exp(rng.normal(size=(count, PROMPTS, m)))
    right, wrong = (mass * r for r in (reward, 1 - reward))
    ref = pass_rate * right / right.sum(-1, keepdims=True)
    ref += (1 - pass_rate) * wrong / wrong.sum(-1, keepdims=True)
    return Problems(depth, features, _by_token(ref, depth), reward)


def _by_token(ref: Array, depth: int) -> Array:
    """log π_ref(a|x, s) of a law of responses: (P, n, m) to (P, n, S, v)."""
    met = (ref @ paths(depth)).reshape(*ref.shape[:-1], states(depth), LETTERS)
    found: Array = np.log(met / met.sum(-1, keepdims=True))
    return found


def starts(seed: int, depth: int, count: int) -> Array:
    """θ_ref and points that are uniform in C: (P, count, d)."""
    rng = np.random.default_rng([seed, depth, 1])
    found = ball(rng, (PROBLEMS, count))
    found[:, 0] = 0
    return found


def ball(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Points that are uniform in the ball of the radius B."""
    found = rng.normal(size=(*shape, DIMENSION))
    found /= np.linalg.norm(found, axis=-1, keepdims=True)
    return RADIUS * found * rng.random((*shape, 1)) ** (1 / DIMENSION)


def projected(theta: Array) -> Array:
    """The nearest point of C."""
    length = np.linalg.norm(theta, axis=-1, keepdims=True)
    found: Array = theta * np.minimum(1, RADIUS / np.maximum(length, 1e-300))
    return found


def told() -> dict[str, Any]:
    """What the page says of the problems."""
    return {
        "letters": LETTERS, "prompts": PROMPTS, "dimension": DIMENSION, "radius": RADIUS,
        "problems": PROBLEMS, "correct": CORRECT,
    }  # fmt: skip
