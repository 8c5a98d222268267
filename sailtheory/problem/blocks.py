"""Block: the prompts of a problem that have equally many responses, in one number system."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np

from sailtheory.numeric.exact import lift
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem
from sailtheory.problem.preferences import Preferences
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

    @property
    def centred_features(self) -> list[np.ndarray]:
        """φ less that of the first response."""

    @property
    def ref_params(self) -> np.ndarray:
        """θ_ref projected onto c + S."""


__all__ = ["Block", "Prompts", "blocks_of"]


class Block(NamedTuple):
    """The prompts that have equally many responses, in one number system.

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
    """A block for each number of responses, the smallest first; exact systems lift the data."""
    return [_block(problem, xp, m) for m in sorted(set(problem.responses))]


def _block(problem: Prompts, xp: NumberSystem, m: int) -> Block:
    members = [x for x, size in enumerate(problem.responses) if size == m]
    if xp is FLOAT64:
        features = xp.asarray(np.stack([problem.centred_features[x] for x in members]))
        ref_params = xp.asarray(problem.ref_params)
        weights = xp.asarray(problem.weights[members])
        beta: Any = float(problem.beta)
    else:
        lifted = [lift(xp, problem.features[x]) for x in members]
        features = np.stack([phi - phi[:1] for phi in lifted])
        ref_params = lift(xp, problem.given_ref_params)
        exact = problem.weights_exact
        total = sum(exact)
        weights = xp.asarray([exact[x] / total for x in members])
        beta = lift(xp, np.array([problem.beta], dtype=object))[0]
    base = [problem.base[x] for x in members]
    measures = [np.ones(m) if b is None else b for b in base]
    log_base = xp.log(lift(xp, np.stack(measures)))
    preference = np.stack([problem.preferences[x].centred(xp) for x in members])
    log_ref = formulas.log_policy(xp, ref_params, features, log_base)
    return Block(
        np.array(members), features, log_base, preference, weights, ref_params, beta, log_ref
    )
