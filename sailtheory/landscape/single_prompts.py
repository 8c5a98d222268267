"""Points of C at which one prompt alone is at its worst, and the others hardly count (C24)."""

from __future__ import annotations

import numpy as np

from sailtheory.landscape.domain import Domain
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.problem.blocks import Block
from sailtheory.theory import formulas

__all__ = ["worst_of_single_prompts"]

_DRAWN = 8  # points of S_x ranked for each that is proposed


def worst_of_single_prompts(domain: Domain, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points near the worst ones of single prompts, for SAIL.

    Prompt x sees θ only through its projection onto S_x, the span of its feature differences.
    Points of the ball of S_x are ranked by the prompt's own relative curvature; the rest of θ
    is drawn on the sphere, where the other prompts are nearly deterministic and leave the
    average to this one. If S_x meets the other prompts' spans in 0 only, and x has the
    largest γ*_x, the worst point of C is of this kind (C24).

    Args:
        domain: C.
        count: How many points are wanted.
        rng: Generator.

    Returns:
        θ, (count, d).
    """
    blocks = domain.problem.blocks()
    sizes = np.array([len(block.features) for block in blocks])
    shares = rng.multinomial(count, sizes / sizes.sum())
    drawn = [
        _of_block(domain, block, share, rng)
        for block, share in zip(blocks, shares, strict=True)
        if share > 0
    ]
    return np.concatenate(drawn)


def _of_block(domain: Domain, block: Block, count: int, rng: np.random.Generator) -> np.ndarray:
    """Points for ``count`` prompts of a block, drawn at random: θ (count, d)."""
    chosen = rng.integers(len(block.features), size=count)
    features = block.features[chosen]
    bases = [_span(domain.reduce(f)) for f in features]
    drawn = np.stack([_in_ball(domain, basis, rng) for basis in bases], axis=1)
    worst = _own_curvature(block, chosen, domain.embed(drawn)).argmax(0)
    x = drawn[worst, np.arange(count)]
    outward = rng.standard_normal(x.shape)
    for i, basis in enumerate(bases):
        outward[i] -= basis @ (basis.T @ outward[i])
    length = np.linalg.norm(outward, axis=1, keepdims=True)
    room = np.sqrt(np.maximum(domain.radius**2 - (x * x).sum(1, keepdims=True), 0))
    aside = np.where(length > 1e-9, room / np.maximum(length, 1e-9), 0) * outward
    return domain.embed(domain.project(x + aside))


def _span(features: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the span of feature differences, (r, rank); features (m, r)."""
    _, singular, rows = np.linalg.svd(features - features[:1], full_matrices=False)
    return np.asarray(rows[singular > 1e-10 * max(singular[0], 1e-300)].T)


def _in_ball(domain: Domain, basis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points of the ball of S_x, uniform in distance from its centre: (_DRAWN, r)."""
    u = rng.standard_normal((_DRAWN, basis.shape[1])) @ basis.T
    length = np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-300)
    return np.asarray(u / length * domain.radius * rng.random((_DRAWN, 1)))


def _own_curvature(block: Block, chosen: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Largest relative curvature of prompt chosen[i] at θ (k, i, d), free in m − 1 directions.

    Returns:
        (k, i).
    """
    features = block.features[chosen]
    logits = np.einsum("kid,imd->kim", theta, features)
    moved = np.einsum("kid,imd->kim", theta - block.ref_params, features)
    policy = np.exp(FLOAT64.log_softmax(logits + block.log_base[chosen]))
    z = formulas.pairwise(moved * block.beta)
    payoff = formulas.log_likelihood_payoff(FLOAT64, block.preference[chosen], z)
    eta = formulas.relative_pair_curvature(block.beta, policy, payoff)
    root = np.sqrt(policy)
    pairs = root[..., :, None] * root[..., None, :]
    lifted = np.abs(eta).max((-2, -1), keepdims=True) * 2 * policy.shape[-1]
    degree = (policy[..., None, :] * eta).sum(-1)
    matrix = -pairs * (eta + lifted)
    diagonal = np.arange(policy.shape[-1])
    matrix[..., diagonal, diagonal] += degree
    return np.asarray(np.linalg.eigvalsh(matrix)[..., -1])
