"""The sign of an objective's curvature at a point, in ball arithmetic."""

from __future__ import annotations

from functools import cached_property
from typing import Any, cast

import numpy as np

from sailtheory.numeric.balls import BALLS, Balls
from sailtheory.numeric.numbers import Array, NumberSystem, arb_numbers
from sailtheory.objectives.algebra import Objective
from sailtheory.problem.blocks import Block, members, stacked
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["curvature_sign"]

_FEW = 2_000  # entries of features that are lifted one by one without trying balls of float64
_AFFORDABLE = 50_000  # entries that are lifted where those are too coarse


def curvature_sign(
    objective: Objective, theta: np.ndarray, direction: np.ndarray, bits: int = 128
) -> int:
    """The certified sign of vᵀ∇²v at a point, in ball arithmetic.

    Large problems are enclosed first through the scalars θᵀφ, θ_refᵀφ and vᵀφ alone, whose
    rounding is bounded, in balls of float64; where these are too coarse, the scalars or, if they
    are not too many, the features are lifted to Arb one by one.

    Args:
        objective: Any objective.
        theta: (d,) float64, taken exactly.
        direction: v, (d,) float64, taken exactly.
        bits: Working precision; doubled up to 16 times this before giving up.

    Returns:
        1 or -1 when the sign is certain, 0 when it is not.
    """
    from flint import ctx

    problem = objective.problem
    entries = sum(phi.size for phi in problem.features)
    if entries > _FEW:
        found = _by_scalars(objective, theta, direction, BALLS)
        if found:
            return found
    if entries > _AFFORDABLE:
        with ctx.workprec(bits):
            return _by_scalars(objective, theta, direction, arb_numbers())
    limit = 16 * bits
    while bits <= limit:
        with ctx.workprec(bits):
            xp = arb_numbers()
            found = _sign(objective.curvature(xp.asarray(theta), xp.asarray(direction)))
        if found:
            return found
        bits *= 2
    return 0


def _by_scalars(
    objective: Objective, theta: np.ndarray, direction: np.ndarray, xp: NumberSystem
) -> int:
    scalars = _Scalars(objective.problem, theta, direction, xp)
    at, along = (_unit(xp, i) for i in (0, 2))
    return _sign(objective.on(cast(PreferenceProblem, scalars)).curvature(at, along))


def _unit(xp: NumberSystem, i: int) -> Array:
    return xp.asarray(np.eye(3, dtype=float if xp is BALLS else object)[i])


def _sign(curvature: Any) -> int:
    if isinstance(curvature, Balls):
        return 1 if curvature.lower > 0 else -1 if curvature.upper < 0 else 0
    return 1 if curvature > 0 else -1 if curvature < 0 else 0


class _Scalars:
    """A problem of dimension 3, whose features are the balls (θᵀφ, θ_refᵀφ, vᵀφ).

    An objective sees a prompt through these alone: with θ = e₁, θ_ref = e₂ and v = e₃ it is
    that of the whole problem. Each scalar is a float64 product of d terms; its radius covers
    the rounding of the product, of the shift by the first response, and of data that float64
    does not store exactly.
    """

    dimension = 3

    def __init__(
        self,
        problem: PreferenceProblem,
        theta: np.ndarray,
        direction: np.ndarray,
        xp: NumberSystem,
    ) -> None:
        self.xp = xp
        self.responses = problem.responses
        self.response_rewards = problem.response_rewards
        self.states_preferences = problem.states_preferences
        self._problem = problem
        reference = problem.given_ref_params.astype(np.float64)
        self._vectors = np.stack([theta, reference, direction], axis=1)

    def blocks(self, xp: NumberSystem) -> list[Block]:
        """The blocks in ball arithmetic."""
        return self._blocks

    @cached_property
    def _blocks(self) -> list[Block]:
        reference = _unit(self.xp, 1)
        return [
            stacked(self._problem, self.xp, prompts, self._enclosed(prompts), reference)
            for prompts in members(self._problem)
        ]

    def _enclosed(self, prompts: np.ndarray) -> Array:
        """Balls around the scalars of some prompts, (n, m, 3)."""
        features = np.stack([self._problem.features[x] for x in prompts]).astype(np.float64)
        middle = (features - features[:, :1]) @ self._vectors
        size = np.abs(features) @ np.abs(self._vectors)
        unit = (self._problem.dimension + 8) * np.finfo(float).eps
        radius = unit * (size + size[:, :1]) + np.finfo(float).tiny
        if self.xp is BALLS:
            return Balls(middle, radius)
        from flint import arb

        balls = [arb(x, r) for x, r in zip(middle.flat, radius.flat, strict=True)]
        return np.array(balls, dtype=object).reshape(middle.shape)
