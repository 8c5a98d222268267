"""The relative curvature of single prompts at points, and a search for its largest value.

For potentials h ∈ R^m and pair values e_kl the form Σ_{k<l} π_kπ_l e_kl (h_k − h_l)² is, in
coordinates √π_k h_k, the matrix N = diag(Σ_l π_l e_kl) − √π_k e_kl √π_l (k ≠ l), which is 0 on √π;
for the Fisher matrix (e = 1) it is the identity on the complement of √π. So a prompt's largest
relative curvature over all directions is the largest eigenvalue of N there, e = η (C02).
"""

from __future__ import annotations

import numpy as np

from sailtheory.numeric.numbers import FLOAT64, without_diagonal
from sailtheory.problem.reduced import Reduced
from sailtheory.theory import formulas, pair_form

__all__ = ["curvature", "eta", "policy_at", "scaled", "search", "top"]

_CHUNK = 2000
_SCALES = (1.0, 0.5)
_MOST_PAIRS = 12
_CLIMBED = 0.03  # share of the prompts, the highest ones, that are climbed
_CLIMBED_LEAST = 100
_ROUNDS = 30
_STEPS = 16


def policy_at(prompts: Reduced, logits: np.ndarray) -> np.ndarray:
    """π at logits less those of θ_ref, (k, ..., m)."""
    return np.asarray(np.exp(FLOAT64.log_softmax(_spread(prompts.log_ref, logits) + logits)))


def eta(prompts: Reduced, beta: float, logits: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """η_kl at logits (k, ..., m): (k, ..., m, m)."""
    q = prompts.preference.reshape(len(logits), *[1] * (logits.ndim - 2), *[logits.shape[-1]] * 2)
    payoff = formulas.log_likelihood_payoff(FLOAT64, q, beta * pair_form.pairwise(logits))
    return np.asarray(formulas.relative_pair_curvature(beta, policy, payoff))


def scaled(policy: np.ndarray, values: np.ndarray) -> np.ndarray:
    """N of symmetric pair values: (..., m), (..., m, m) to (..., m, m)."""
    m = policy.shape[-1]
    between = without_diagonal(values)
    root = np.sqrt(policy)
    out = -root[..., :, None] * between * root[..., None, :]
    out[..., np.arange(m), np.arange(m)] = formulas.expectation(policy[..., None, :], between)
    return np.asarray(out)


def top(policy: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalue on the complement of √π, and its potentials h: (...), (..., m)."""
    matrix = scaled(policy, values)
    root = np.sqrt(policy)
    below = 1 + 2 * abs(matrix).sum(-1).max(-1)
    found, vectors = np.linalg.eigh(
        matrix - below[..., None, None] * root[..., :, None] * root[..., None, :]
    )
    return found[..., -1], vectors[..., -1] / np.maximum(root, 1e-150)


def curvature(prompts: Reduced, beta: float, points: np.ndarray) -> np.ndarray:
    """The largest relative curvature at points x of the unit ball, (k, c, m − 1): (k, c)."""
    logits = prompts.offset[:, None] + points @ prompts.reach.mT
    policy = policy_at(prompts, logits)
    matrix = scaled(policy, eta(prompts, beta, logits, policy))
    root = np.sqrt(policy)
    below = 1 + 2 * abs(matrix).sum(-1).max(-1)
    matrix -= below[..., None, None] * root[..., :, None] * root[..., None, :]
    return np.asarray(np.linalg.eigvalsh(matrix)[..., -1])


def search(
    prompts: Reduced, beta: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A point of high relative curvature for each prompt; the highest prompts are climbed.

    Returns:
        Values (k,), in float64, and points x of the unit ball, (k, m − 1).
    """
    k, _, r = prompts.reach.shape
    value, point = np.empty(k), np.zeros((k, r))
    for start in range(0, k, _CHUNK):
        part = slice(start, start + _CHUNK)
        each = prompts.take(part)
        tried = _candidates(each.reach)
        value[part], point[part] = _best(tried, curvature(each, beta, tried))
    highest = np.argsort(-value)[: max(_CLIMBED_LEAST, int(_CLIMBED * k))]
    each = prompts.take(highest)
    step = np.full(len(highest), 0.3)
    for _ in range(_ROUNDS if r else 0):
        moves = rng.standard_normal((len(highest), _STEPS, r)) * (step / np.sqrt(r))[:, None, None]
        tried = point[highest, None] + moves
        tried /= np.maximum(np.linalg.norm(tried, axis=-1, keepdims=True), 1)
        found, where = _best(tried, curvature(each, beta, tried))
        up = found > value[highest]
        value[highest[up]], point[highest[up]] = found[up], where[up]
        step = np.where(up, 1.3, 0.7) * step
    return value, point


def _candidates(reach: np.ndarray) -> np.ndarray:
    """The centre, and both ways along differences and single responses: (k, c, m − 1)."""
    m = reach.shape[1]
    k, l = np.triu_indices(m, 1)  # noqa: E741
    ways = [(reach[:, k] - reach[:, l])[:, :_MOST_PAIRS]]
    if m > 2:
        ways.append(reach - reach.mean(1, keepdims=True))
    along = np.concatenate(ways, axis=1)
    along = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-300)
    both = [scale * sign * along for scale in _SCALES for sign in (1, -1)]
    return np.concatenate([np.zeros_like(reach[:, :1]), *both], axis=1)


def _best(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, best = np.arange(len(values)), values.argmax(1)
    return values[rows, best], points[rows, best]


def _spread(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """One row for each prompt, (k, m), beside (k, ..., m)."""
    return values.reshape(len(values), *[1] * (like.ndim - 2), values.shape[-1])
