"""Points of C at which one prompt alone is at its worst, and the others hardly count (C24)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sailtheory.landscape.domain import Domain
from sailtheory.numeric.numbers import FLOAT64, Array
from sailtheory.objectives.algebra import LinearCombination, Objective
from sailtheory.objectives.rewards import GroupField, RewardObjective
from sailtheory.problem.blocks import Block
from sailtheory.theory import fields, formulas, pair_form
from sailtheory.theory.payoff import Payoff

__all__ = ["Form", "SinglePrompts", "form_of"]

Form = Callable[[Block, slice, Array, Array], Array]
"""A block, which of its prompts, their π (..., m) and z (..., m, m) to η (..., m, m)."""

_DRAWN = 16  # points of the ball of S_x at which each prompt is ranked
_ENTRIES = 1 << 21  # of an array of pairs


class SinglePrompts:
    """The worst points of single prompts, for SAIL or another on-policy payoff.

    Prompt x sees θ only through its projection onto S_x, the span of its feature differences,
    and that through its Gram matrix alone (C23). Every prompt is ranked by its own relative
    curvature at random points of the ball of S_x. If S_x meets the other prompts' spans in 0
    only, and x has the largest γ*_x, the worst point of C lies above the worst of x (C24);
    otherwise the rest of θ helps where it makes the other prompts nearly deterministic.

    Args:
        domain: C.
        seed: Of the points drawn.
        form: The pair form of the curvature, SAIL's by default.
    """

    def __init__(self, domain: Domain, seed: int = 0, form: Form | None = None) -> None:
        form = form or _of_payoff(formulas.relative_pair_curvature)
        self._domain = domain
        rng = np.random.default_rng([seed, 1])
        blocks = domain.problem.blocks()
        ranked = [_ranked(domain, block, rng, form) for block in blocks]
        self._where = [(b, i) for b, block in enumerate(blocks) for i in range(len(block.prompts))]
        self._value = np.concatenate([values for values, _ in ranked])
        self._along = [along for _, points in ranked for along in points]
        self._order = np.argsort(-self._value)

    def worst(self, count: int) -> np.ndarray:
        """θ of least norm at the worst points of the ``count`` worst prompts: (·, d)."""
        return self._domain.embed(np.array([self._lifted(x) for x in self._order[:count]]))

    def __call__(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Points θ (count, d) above single prompts, the worst prompts drawn most often.

        Half of them are of least norm, half reach the sphere in a random direction in which
        the prompt does not change.
        """
        domain, size = self._domain, len(self._order)
        ranks = np.minimum(size ** rng.random(count), size).astype(int) - 1
        chosen = self._order[ranks]
        outward = rng.standard_normal((count, domain.dimension))
        x = np.empty_like(outward)
        for prompt in np.unique(chosen):
            mine, rows = chosen == prompt, self._rows(prompt)
            inverse = np.linalg.pinv(rows)
            x[mine] = inverse @ self._along[prompt][1:]
            outward[mine] -= outward[mine] @ rows.T @ inverse.T
        length = np.linalg.norm(outward, axis=1, keepdims=True)
        left = np.sqrt(np.maximum(domain.radius**2 - (x * x).sum(1, keepdims=True), 0))
        aside = np.where(length > 1e-9, left / np.maximum(length, 1e-9), 0) * outward
        return domain.embed(domain.project(x + (rng.random((count, 1)) < 0.5) * aside))

    def _lifted(self, prompt: int) -> np.ndarray:
        """The shortest x (r,) at which the prompt's logits change by what was found worst."""
        return np.asarray(np.linalg.pinv(self._rows(prompt)) @ self._along[prompt][1:])

    def _rows(self, prompt: int) -> np.ndarray:
        block, place = self._where[prompt]
        features = self._domain.features[block][place]
        return np.asarray(features[1:] - features[:1])


def form_of(objective: Objective) -> Form:
    """The pair form by which single prompts are ranked: that of an objective's leading term."""
    lead = objective.terms[0][1] if isinstance(objective, LinearCombination) else objective
    if isinstance(lead, RewardObjective | GroupField):
        return lead.own_curvature
    return _of_payoff(
        formulas.relative_pair_curvature if lead.has_value else fields.field_curvature
    )


def _of_payoff(curvature: Callable[[Any, Array, Payoff], Array]) -> Form:
    def form(block: Block, part: slice, policy: Array, z: Array) -> Array:
        payoff = formulas.log_likelihood_payoff(FLOAT64, block.preference[part], z)
        return curvature(block.beta, policy, payoff)

    return form


def _ranked(
    domain: Domain, block: Block, rng: np.random.Generator, form: Form
) -> tuple[np.ndarray, np.ndarray]:
    """The largest relative curvature met of each prompt alone, (n,), and the logits, (n, m)."""
    n, m = block.log_base.shape
    size = max(1, _ENTRIES // (_DRAWN * m * m))
    parts = [_ranked_part(domain, block, slice(i, i + size), rng, form) for i in range(0, n, size)]
    return np.concatenate([v for v, _ in parts]), np.concatenate([a for _, a in parts])


def _ranked_part(
    domain: Domain, block: Block, part: slice, rng: np.random.Generator, form: Form
) -> tuple[np.ndarray, np.ndarray]:
    features = block.features[part]
    center = domain.embed(np.zeros(domain.dimension))
    spread = _gram_root(features)
    draws = rng.standard_normal((_DRAWN, *spread.shape[:1], spread.shape[-1]))
    length = np.linalg.norm(draws, axis=-1, keepdims=True)
    draws *= domain.radius * rng.random((_DRAWN, 1, 1)) / np.maximum(length, 1e-300)
    along = np.einsum("nmr,knr->knm", spread, draws)
    shifts = features @ center, features @ block.ref_params
    values = _own_curvature(block, part, *shifts, along, form)
    best = values.argmax(0)
    each = np.arange(len(best))
    return values[best, each], along[best, each]


def _gram_root(features: np.ndarray) -> np.ndarray:
    """U with UUᵀ the Gram matrix of φ_k − φ_1, up to rounding: (n, m, d) to (n, m, m)."""
    gram = features @ features.mT
    values, vectors = np.linalg.eigh(gram)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0))[:, None, :])


def _own_curvature(
    block: Block,
    part: slice,
    center: np.ndarray,
    reference: np.ndarray,
    along: np.ndarray,
    form: Form,
) -> np.ndarray:
    """Largest relative curvature of each prompt alone, free in m − 1 directions.

    Args:
        block: The prompts.
        part: Which of them, n.
        center: cᵀφ, (n, m).
        reference: θ_refᵀφ, (n, m).
        along: (θ − c)ᵀφ, (k, n, m).
        form: The pair form of the curvature.

    Returns:
        (k, n).
    """
    logits = center + along
    policy = np.exp(FLOAT64.log_softmax(logits + block.log_base[part]))
    z = pair_form.pairwise((logits - reference) * block.beta)
    eta = form(block, part, policy, z)
    root = np.sqrt(policy)
    pairs = root[..., :, None] * root[..., None, :]
    lifted = np.abs(eta).max((-2, -1), keepdims=True) * 2 * policy.shape[-1]
    degree = (policy[..., None, :] * eta).sum(-1)
    matrix = -pairs * (eta + lifted)
    diagonal = np.arange(policy.shape[-1])
    matrix[..., diagonal, diagonal] += degree
    return np.asarray(np.linalg.eigvalsh(matrix)[..., -1])
