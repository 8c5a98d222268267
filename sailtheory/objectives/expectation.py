"""Objectives that are expectations over prompts of a closed form of one prompt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import Array, NumberSystem, numbers_of
from sailtheory.objectives.algebra import Objective
from sailtheory.problem.blocks import Block
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas

__all__ = ["BlockObjective", "Point"]

_CHUNK = 1 << 23  # entries of an (..., n, m, m) array evaluated at a time


class Point(NamedTuple):
    """What the prompts of one block look like at θ; pair arrays are (..., n, m, m)."""

    xp: NumberSystem
    block: Block
    delta: Array
    log_policy: Array
    policy: Array

    @property
    def z(self) -> Array:
        """β(log-ratio difference), (..., n, m, m)."""
        return formulas.margins(self.block.beta, self.delta, self.block.features)

    @property
    def log_ratio(self) -> Array:
        """log π_θ/π_ref, (..., n, m)."""
        return self.log_policy - self.block.log_ref

    @property
    def ref(self) -> Array:
        """π_ref, (n, m)."""
        return self.xp.exp(self.block.log_ref)

    @property
    def advance(self) -> Array:
        """δᵀs, the centred log-ratio without the partition function, (..., n, m)."""
        return formulas.centred(self.policy, formulas.logits(self.delta, self.block.features))


class BlockObjective(Objective):
    """An objective that is an expectation over prompts of a per-prompt closed form."""

    def __init__(self, problem: PreferenceProblem) -> None:
        self.problem = problem

    @abstractmethod
    def _value(self, at: Point) -> Array: ...

    @abstractmethod
    def _gradient(self, at: Point) -> Array: ...

    @abstractmethod
    def _eta(self, at: Point) -> Array: ...

    @abstractmethod
    def _curvature_gradient(self, at: Point, direction: Array) -> Array: ...

    def value(self, theta: Array) -> Array:
        """The objective at θ (..., d): (...)."""
        return self._expect(self._value, theta)

    def gradient(self, theta: Array) -> Array:
        """Its gradient: (..., d)."""
        return self._expect(self._gradient, theta)

    def hessian(self, theta: Array) -> Array:
        """Its Hessian: (..., d, d)."""
        return self._expect(self._hessian, theta)

    def curvature_gradient(self, theta: Array, direction: Array) -> Array:
        """∇_θ (vᵀ ∇² v) for fixed v (..., d): (..., d)."""
        return self._expect(self._curvature_gradient, theta, direction)

    def prompt_values(self, theta: Array) -> Array:
        """The objective of each prompt alone, unweighted: (..., n)."""
        return self._per_prompt(self._value, theta)

    def prompt_hessians(self, theta: Array) -> Array:
        """The Hessian of each prompt alone, unweighted: (..., n, d, d)."""
        return self._per_prompt(self._hessian, theta)

    def relative_pair_curvature(self, theta: Array) -> list[Array]:
        """η for each block: (..., n, m, m)."""
        return [self._eta(at) for at in self.points(self._checked(theta))]

    def _hessian(self, at: Point) -> Array:
        weights = self._eta(at) * formulas.pair_probability(at.policy)
        return formulas.laplacian(weights, at.block.features)

    def points(self, theta: Array) -> list[Point]:
        """What each block of prompts looks like at θ (..., d): policies, margins, ratios."""
        xp = numbers_of(theta)
        points = []
        for block in self.problem.blocks(xp):
            log_policy = formulas.log_policy(xp, theta, block.features, block.log_base)
            delta = theta - block.ref_params
            points.append(Point(xp, block, delta, log_policy, xp.exp(log_policy)))
        return points

    def _expect(self, function: Callable[..., Array], theta: Array, *extra: Array) -> Array:
        """E_x of a per-prompt formula, a bounded number of points θ at a time."""
        theta = self._checked(theta)
        if not isinstance(theta, np.ndarray) or theta.ndim == 1:
            return self._expect_block(function, theta, *extra)
        rows = theta.reshape(-1, theta.shape[-1])
        others = [np.broadcast_to(e, theta.shape).reshape(rows.shape) for e in extra]
        step = max(1, _CHUNK // sum(m * m for m in self.problem.responses))
        parts = [
            self._expect_block(function, rows[i : i + step], *(e[i : i + step] for e in others))
            for i in range(0, max(len(rows), 1), step)
        ]
        whole = np.concatenate(parts)
        return whole.reshape(*theta.shape[:-1], *whole.shape[1:])

    def _expect_block(self, function: Callable[..., Array], theta: Array, *extra: Array) -> Array:
        total: Array = 0
        for at in self.points(theta):
            each = function(at, *extra)
            axis = at.policy.ndim - 2
            shape = (-1,) + (1,) * (each.ndim - axis - 1)
            total = total + (each * at.block.weights.reshape(shape)).sum(axis)
        return total

    def _per_prompt(self, function: Callable[..., Array], theta: Array) -> Array:
        theta = self._checked(theta)
        points = self.points(theta)
        axis = points[0].policy.ndim - 2
        order = np.argsort(np.concatenate([at.block.prompts for at in points]))
        if len(points) == 1:
            return function(points[0])
        return np.take(np.concatenate([function(at) for at in points], axis), order, axis)

    def _checked(self, theta: Array) -> Array:
        theta = theta if hasattr(theta, "shape") else np.asarray(theta, dtype=float)
        if theta.ndim == 0 or theta.shape[-1] != self.problem.dimension:
            raise InputError(
                "theta", f"shape {tuple(theta.shape)}", f"(..., {self.problem.dimension})"
            )
        if isinstance(theta, np.ndarray) and theta.dtype != object:
            theta = theta.astype(np.float64, copy=False)
            if not np.isfinite(theta).all():
                raise InputError("theta", theta, "finite numbers are expected")
        return theta
