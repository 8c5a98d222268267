"""Block: prompts of a problem that have equally many responses, in one number system."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np

from sailtheory.numeric import layout
from sailtheory.numeric.balls import BALLS, Balls
from sailtheory.numeric.exact import lift
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem
from sailtheory.problem.preferences import Preferences, centred_all
from sailtheory.theory import formulas


class Prompts(Protocol):
    """What a block is made of: the data of a problem, by prompt."""

    beta: Any
    features: tuple[np.ndarray, ...]
    responses: tuple[int, ...]
    preferences: tuple[Preferences, ...]
    base: tuple[np.ndarray | None, ...]
    weights: np.ndarray
    given_ref_params: np.ndarray

    @property
    def weights_exact(self) -> tuple[Fraction, ...]:
        """Weights as given."""

    def centred_features(self, prompt: int) -> np.ndarray:
        """φ less that of the first response."""

    @property
    def ref_params(self) -> np.ndarray:
        """θ_ref projected onto c + S."""


__all__ = ["Block", "Prompts", "blocks_of", "members", "stacked"]

_LARGEST = 1 << 21  # entries of a block's features, and of its pairs; a problem has more blocks


class Block(NamedTuple):
    """Prompts that have equally many responses, in one number system.

    Attributes:
        prompts: Their positions in the problem, (n,).
        features: φ minus the prompt's first response's φ, (n, m, d): no quantity
            depends on the shift, and differences keep their accuracy.
        log_base: log ν, (n, m).
        preference: q = p₁₂ − ½, (n, m, m).
        weights: Normalised prompt weights, (n,).
        ref_params: θ_ref, (d,); projected onto c + S in float64 and torch, as given in
            exact systems, where no policy sees the difference.
        beta: Scalar.
        log_ref: log π_ref, (n, m).
    """

    prompts: np.ndarray
    features: Array
    log_base: Array
    preference: Array
    weights: Array
    ref_params: Array
    beta: Any
    log_ref: Array

    def to_torch(self, xp: NumberSystem) -> Block:
        """This float64 block as tensors."""
        return Block(*(f if i in (0, 6) else xp.asarray(f) for i, f in enumerate(self)))


def blocks_of(problem: Prompts, xp: NumberSystem) -> list[Block]:
    """Blocks of equally many responses, the fewest first; exact systems lift the data."""
    return [_block(problem, xp, prompts) for prompts in members(problem)]


def members(problem: Prompts) -> list[np.ndarray]:
    """The prompts of each block: no block is too large to be evaluated at once."""
    sizes, width = np.array(problem.responses), problem.features[0].shape[1]
    parts = []
    for m in np.unique(sizes):
        prompts = np.flatnonzero(sizes == m)
        most = max(1, _LARGEST // (int(m) * max(int(m), width)))
        parts += [prompts[i : i + most] for i in range(0, len(prompts), most)]
    return parts


def _block(problem: Prompts, xp: NumberSystem, prompts: np.ndarray) -> Block:
    if xp is FLOAT64:
        features = xp.asarray(np.stack([problem.centred_features(x) for x in prompts]))
        return stacked(problem, xp, prompts, features, xp.asarray(problem.ref_params))
    lifted = [lift(xp, problem.features[x]) for x in prompts]
    features = np.stack([phi - phi[:1] for phi in lifted])
    return stacked(problem, xp, prompts, features, lift(xp, problem.given_ref_params))


def stacked(
    problem: Prompts, xp: NumberSystem, prompts: np.ndarray, features: Array, ref_params: Array
) -> Block:
    """The block of some prompts with equally many responses.

    Args:
        problem: The data.
        xp: Number system.
        prompts: Positions in the problem, (n,).
        features: φ, (n, m, d), each prompt's up to a shift.
        ref_params: θ_ref, (d,), in the coordinates of the features.
    """
    if xp is FLOAT64:
        weights = xp.asarray(problem.weights[prompts])
        beta: Any = float(problem.beta)
    elif xp is BALLS:  # a weight is a quotient by a sum of all
        given = problem.weights[prompts]
        weights = Balls(given, (len(problem.responses) + 8) * np.finfo(float).eps * given)
        beta = lift(xp, np.array(float(problem.beta)))
    else:
        exact = problem.weights_exact
        total = sum(exact)
        weights = xp.asarray([exact[x] / total for x in prompts])
        beta = lift(xp, np.array([problem.beta], dtype=object))[0]
    if xp is FLOAT64:
        features = layout.responses_outside(features)
    base = [problem.base[x] for x in prompts]
    measures = [np.ones(features.shape[1]) if b is None else b for b in base]
    log_base = xp.log(lift(xp, np.stack(measures)))
    preference = centred_all([problem.preferences[x] for x in prompts], xp)
    if xp is FLOAT64:
        log_base = layout.prompts_adjacent(log_base)
        preference = layout.prompts_adjacent(preference)
    log_ref = formulas.log_policy(xp, ref_params, features, log_base)
    return Block(prompts, features, log_base, preference, weights, ref_params, beta, log_ref)
