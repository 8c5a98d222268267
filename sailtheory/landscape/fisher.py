"""F̄ through a root of it, so that no error is squared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sailtheory.landscape.domain import Domain
from sailtheory.objectives.expectation import Point
from sailtheory.objectives.sail import KLRefPolicy

__all__ = ["fisher_root", "least_fisher"]


def least_fisher(domain: Domain) -> float:
    """λ⁺_min(F̄(c)): the least eigenvalue on S of the Fisher matrix at the centre.

    From singular values, whose error is not squared; 0 where float64 cannot tell it from 0.
    """
    if domain.dimension == 0:
        return 0.0
    center = domain.embed(np.zeros(domain.dimension))
    root = fisher_root(domain, KLRefPolicy(domain.problem).points(center))
    singular = np.linalg.svd(root, compute_uv=False)
    rounding = max(root.shape) * np.finfo(float).eps * singular[0]
    return float(singular[-1] ** 2) if singular[-1] > rounding else 0.0


def fisher_root(domain: Domain, points: Sequence[Point]) -> np.ndarray:
    """X with F̄(θ) = XᵀX on S: the centred features, weighted by √(w π).

    Args:
        domain: C.
        points: The policies at θ (...), a block each.

    Returns:
        (..., N, r), a row a response, in the order of the problem's blocks.
    """
    rows = []
    for at in points:
        root = np.sqrt(at.block.weights)[:, None] * np.exp(at.log_policy / 2)
        x = root[..., None] * domain.reduce(_scores(at.policy, at.block.features))
        rows.append(x.reshape(*x.shape[:-3], -1, domain.dimension))
    return np.concatenate(rows, axis=-2)


def _scores(policy: np.ndarray, features: np.ndarray) -> np.ndarray:
    """s = φ − E φ, shifted first to the likeliest response so that a peaked π loses nothing."""
    mode = policy.argmax(-1)
    index = mode[..., None, None]
    spread = np.broadcast_to(features, (*policy.shape, features.shape[-1]))
    shifted = spread - np.take_along_axis(spread, index, axis=-2)
    return np.asarray(shifted - policy[..., None, :] @ shifted)
