"""Objectives that are expectations over prompts of a closed form of one prompt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric import layout
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem, numbers_of
from sailtheory.objectives.algebra import Objective
from sailtheory.problem.blocks import Block
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas, pair_form
from sailtheory.theory.payoff import Payoff

__all__ = ["BlockObjective", "Point", "points_at_once"]

_CHUNK = 1 << 18  # entries of an array evaluated at a time: what a cache holds
_PLACES = 2  # as many of the latest such arrays of points are remembered
_recent: WeakKeyDictionary[Any, dict[tuple[tuple[int, ...], bytes], list[Point]]]
_recent = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Point:
    """What the prompts of one block look like at θ; pair arrays are (..., n, m, m)."""

    xp: NumberSystem
    block: Block
    delta: Array
    log_policy: Array
    policy: Array

    @cached_property
    def z(self) -> Array:
        """β(log-ratio difference), (..., n, m, m)."""
        return formulas.margins(self.block.beta, self.delta, self.block.features)

    @cached_property
    def payoffs(self) -> dict[Hashable, Payoff]:
        """What objectives found here, by their class, or by their payoff."""
        return {}

    @property
    def upper(self) -> tuple[Array, Array] | None:
        """q and z of the pairs k < l, each (..., n, m(m−1)/2), in float64; None where not."""
        if self.xp is not FLOAT64 or self.block.preference.shape[-1] < 2:
            return None
        gaps = layout.upper_gaps(pair_form.logits(self.delta, self.block.features))
        return layout.upper(self.block.preference), self.block.beta * gaps

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
        return formulas.centred(self.policy, pair_form.logits(self.delta, self.block.features))


def points_at_once(problem: PreferenceProblem, width: int = 1) -> int:
    """How many points θ to evaluate at a time: what is found at the latest is remembered.

    Args:
        problem: The problem.
        width: With arrays (n, m, max(m, width)) for each point.
    """
    entries = sum(n * m * max(m, width) for n, m in (b.log_base.shape for b in problem.blocks()))
    return max(1, int(_CHUNK // entries))


class BlockObjective(Objective):
    """An objective that is an expectation over prompts of a per-prompt closed form.

    A closed form sees a prompt only through its logits: its gradient is that by the logits,
    (..., n, m), and its Hessian is told by pair weights, (..., n, m, m). Features enter once,
    in one product over all prompts of a block.
    """

    def __init__(self, problem: PreferenceProblem) -> None:
        self.problem = problem

    def on(self, problem: PreferenceProblem) -> BlockObjective:
        """The same objective of another problem."""
        return type(self)(problem)

    @abstractmethod
    def _value(self, at: Point) -> Array: ...

    @abstractmethod
    def _gradient(self, at: Point) -> Array: ...

    @abstractmethod
    def _eta(self, at: Point) -> Array: ...

    @abstractmethod
    def _curvature_gradient(self, at: Point, along: Array) -> Array: ...

    def _pair_weights(self, at: Point) -> Array:
        return self._eta(at) * formulas.pair_probability(at.policy)

    def value(self, theta: Array) -> Array:
        """The objective at θ (..., d): (...)."""
        return self._expect(self._value, theta)

    def gradient(self, theta: Array) -> Array:
        """Its gradient: (..., d)."""
        return self._combined(self._gradient, theta)

    def hessian(self, theta: Array) -> Array:
        """Its Hessian: (..., d, d)."""
        return self._curved(self._pair_weights, theta)

    def hessian_product(self, theta: Array, direction: Array) -> Array:
        """∇² v for v (..., d), without a matrix: (..., d)."""

        def image(at: Point, v: Array) -> Array:
            along = pair_form.logits(v, at.block.features)
            return pair_form.laplacian_product(self._pair_weights(at), along)

        return self._combined(image, theta, direction)

    def curvature(self, theta: Array, direction: Array) -> Array:
        """vᵀ∇²v for v (..., d), from the scalars of the pairs alone: (...)."""

        def form(at: Point, v: Array) -> Array:
            along = pair_form.logits(v, at.block.features)
            return pair_form.laplacian_form(self._pair_weights(at), along)

        return self._expect(form, theta, direction)

    def curvature_gradient(self, theta: Array, direction: Array) -> Array:
        """∇_θ (vᵀ ∇² v) for fixed v (..., d): (..., d)."""

        def slope(at: Point, v: Array) -> Array:
            return self._curvature_gradient(at, pair_form.logits(v, at.block.features))

        return self._combined(slope, theta, direction)

    def prompt_values(self, theta: Array) -> Array:
        """The objective of each prompt alone, unweighted: (..., n)."""
        return self._per_prompt(self._value, theta)

    def prompt_hessians(self, theta: Array) -> Array:
        """The Hessian of each prompt alone, unweighted: (..., n, d, d)."""
        return self._per_prompt(self._hessian, theta)

    def relative_pair_curvature(self, theta: Array) -> list[Array]:
        """η for each block: (..., n, m, m)."""
        return [self._eta(at) for at in self.points(self._checked(theta))]

    def pair_weights(self, theta: Array) -> list[Array]:
        """w, with ∇² = ½ Σ_x Σ_kl w_kl Δ_klΔ_klᵀ, for each block: (..., n, m, m)."""
        return [
            self._pair_weights(at) * at.block.weights[:, None, None]
            for at in self.points(self._checked(theta))
        ]

    def _hessian(self, at: Point) -> Array:
        return pair_form.laplacian(self._pair_weights(at), at.block.features)

    def points(self, theta: Array) -> list[Point]:
        """What each block of prompts looks like at θ (..., d): policies, margins, ratios."""
        xp = numbers_of(theta)
        if xp is not FLOAT64:
            return self._points(xp, theta)
        if theta.size // theta.shape[-1] > points_at_once(self.problem):
            return self._points(xp, theta)
        key = (theta.shape, theta.tobytes())
        recent = _recent.setdefault(self.problem, {})
        if key not in recent:
            if len(recent) == _PLACES:
                del recent[next(iter(recent))]
            recent[key] = self._points(xp, theta)
        return recent[key]

    def _points(self, xp: NumberSystem, theta: Array) -> list[Point]:
        points = []
        for block in self.problem.blocks(xp):
            log_policy = formulas.log_policy(xp, theta, block.features, block.log_base)
            delta = theta - block.ref_params
            points.append(Point(xp, block, delta, log_policy, xp.exp(log_policy)))
        return points

    def _expect(self, function: Callable[..., Array], theta: Array, *extra: Array) -> Array:
        """E_x of a formula with a value a prompt, (..., n, *) to (..., *)."""

        def mean(at: Point, *others: Array) -> Array:
            each = function(at, *others)
            axis = at.policy.ndim - 2
            shape = (-1,) + (1,) * (each.ndim - axis - 1)
            return (each * at.block.weights.reshape(shape)).sum(axis)

        return self._total(mean, theta, *extra)

    def _combined(self, function: Callable[..., Array], theta: Array, *extra: Array) -> Array:
        """E_x Σ_k c_k φ_k of a formula with a coefficient a response, (..., n, m) to (..., d)."""

        def combine(at: Point, *others: Array) -> Array:
            coefficients = function(at, *others) * at.block.weights[:, None]
            return pair_form.combine_all(coefficients, at.block.features)

        return self._total(combine, theta, *extra)

    def _curved(self, function: Callable[[Point], Array], theta: Array) -> Array:
        """E_x of the Laplacian with a formula's pair weights, (..., n, m, m) to (..., d, d)."""

        def laplacian(at: Point) -> Array:
            weights = function(at) * at.block.weights[:, None, None]
            return pair_form.laplacian_all(weights, at.block.features)

        return self._total(laplacian, theta, width=self.problem.dimension)

    def _total(
        self, of_block: Callable[..., Array], theta: Array, *extra: Array, width: int = 1
    ) -> Array:
        """Σ over blocks, as many points θ at a time as arrays (..., n, m, max(m, width)) allow."""
        theta = self._checked(theta)
        if not isinstance(theta, np.ndarray) or theta.ndim == 1:
            return self._sum(of_block, theta, *extra)
        rows = theta.reshape(-1, theta.shape[-1])
        others = [np.broadcast_to(e, theta.shape).reshape(rows.shape) for e in extra]
        step = points_at_once(self.problem, width)
        parts = [
            self._sum(of_block, rows[i : i + step], *(e[i : i + step] for e in others))
            for i in range(0, max(len(rows), 1), step)
        ]
        whole = np.concatenate(parts)
        return whole.reshape(*theta.shape[:-1], *whole.shape[1:])

    def _sum(self, of_block: Callable[..., Array], theta: Array, *extra: Array) -> Array:
        total: Array = 0
        for at in self.points(theta):
            total = total + of_block(at, *extra)
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
