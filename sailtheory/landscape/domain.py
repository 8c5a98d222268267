"""The domain C = {‖θ − c‖ ≤ B} ∩ (c + S) in coordinates of S: θ = c + Qx, ‖x‖ ≤ B."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from sailtheory.numeric.exact import exact_array, to_fraction
from sailtheory.numeric.layout import responses_outside
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.storage.memory import expect_memory
from sailtheory.theory.pair_form import laplacian_all, pairwise

__all__ = ["DENSE", "Domain", "pairwise_rows"]

DENSE = 512
"""Dimensions of S up to which a Hessian is formed, in one product."""

_ROUNDING = 1e-9  # of B


class Domain:
    """C of a problem, as a ball of radius B in R^r, r = dim S.

    Attributes:
        problem: The problem.
        dimension: r.
        radius: B.
        ref: Coordinates of θ_ref, (r,).
    """

    def __init__(self, problem: PreferenceProblem) -> None:
        self.problem = problem
        self._basis = problem.span.basis
        self._center = problem.center.astype(np.float64)
        self.dimension = problem.span.dimension
        self.radius = float(problem.radius)
        self.ref = self.reduce(problem.ref_params - self._center)

    @cached_property
    def features(self) -> list[np.ndarray]:
        """Features of each block in coordinates of S, (n, m, r)."""
        blocks = self.problem.blocks()
        return [responses_outside(self.reduce(block.features)) for block in blocks]

    @cached_property
    def single_features(self) -> list[np.ndarray]:
        """:attr:`features` in float32."""
        return [responses_outside(features.astype(np.float32)) for features in self.features]

    def expect_memory(self) -> None:
        """Refuse a problem on which a search would not fit.

        Raises:
            InputError: The estimate, and what is free.
        """
        rows, r = sum(self.problem.responses), self.dimension
        copied = r / 2 + (0 if self.problem.span.is_full else r)  # in float32, and on S
        stacked = rows * (self.problem.dimension + copied)
        matrices = 40 * r**2 if r <= DENSE else 4 * r**2
        pairs = 30 * sum(m * m for m in self.problem.responses)
        sizes = f"{self.problem.prompts} prompts of {self.problem.dimension} features"
        expect_memory(8.0 * (stacked + matrices + pairs), "problem", sizes)

    def small(self, entries: int) -> bool:
        """Whether a matrix with a row a response and a column a coordinate is of such a size."""
        return sum(self.problem.responses) * self.dimension <= entries

    @cached_property
    def precondition(self) -> Callable[[np.ndarray], np.ndarray]:
        """The inverse of F̄(c) on S, a little regularised, times vectors (r, k)."""
        center = self.embed(np.zeros(self.dimension))
        weights = KLRefPolicy(self.problem).pair_weights(center)
        parts = zip(weights, self.features, strict=True)
        fisher = sum(laplacian_all(pairs, features) for pairs, features in parts)
        ridge = 1e-10 * np.trace(fisher) / self.dimension
        factor = cho_factor(fisher + ridge * np.eye(self.dimension))
        return lambda v: np.asarray(cho_solve(factor, v))

    def embed(self, x: np.ndarray) -> np.ndarray:
        """θ = c + Qx: (..., r) to (..., d)."""
        return np.asarray(self._center + self.lift(x))

    def lift(self, v: np.ndarray) -> np.ndarray:
        """Qv, a direction in S: (..., r) to (..., d)."""
        return v if self.problem.span.is_full else np.asarray(v @ self._basis.T)

    def reduce(self, v: np.ndarray) -> np.ndarray:
        """Qᵀv: (..., d) to (..., r)."""
        return v if self.problem.span.is_full else np.asarray(v @ self._basis)

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """x of the point of C nearest to θ: (..., d) to (..., r)."""
        return self.project(self.reduce(theta - self._center))

    def reduce_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """QᵀMQ: (..., d, d) to (..., r, r)."""
        full = self.problem.span.is_full
        return matrix if full else np.asarray(self._basis.T @ matrix @ self._basis)

    def project(self, x: np.ndarray) -> np.ndarray:
        """Nearest point of the ball: (..., r)."""
        norm = np.linalg.norm(x, axis=-1, keepdims=True)
        return np.asarray(x * (self.radius / np.maximum(norm, max(self.radius, 1e-300))))

    def on_boundary(self, x: np.ndarray) -> np.ndarray:
        """Whether ‖x‖ = B up to rounding: (..., r) to (...) bool."""
        return np.asarray(np.linalg.norm(x, axis=-1) >= self.radius * (1 - _ROUNDING))

    def inside(self, theta: np.ndarray) -> np.ndarray | None:
        """A point next to θ (d,) whose distance to c is at most B exactly, or None.

        What float64 stores is taken exactly. A distance from c + S changes no policy and
        takes a point's projection only nearer to c.
        """
        center, limit = exact_array(self.problem.center), to_fraction(self.problem.radius, "radius")
        offset, shrink = theta - self._center, 0.0
        while shrink < 1:
            point = theta if shrink == 0 else self._center + (1 - shrink) * offset
            gaps = [Fraction(float(t)) - c for t, c in zip(point, center, strict=True)]
            if sum(gap * gap for gap in gaps) <= limit**2:
                return np.asarray(point)
            shrink = max(1e-15, 2 * shrink)
        return None

    def starts(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Well-spread points of C, (about count, r).

        The centre, θ_ref, boundary points along feature differences, then a
        scrambled Sobol sequence: half of it uniform in the ball, a quarter on
        the sphere, a quarter at log-uniform distances from θ_ref.
        """
        from scipy.stats import qmc  # half a second, which only a search pays

        r = self.dimension
        fixed = [np.zeros((1, r)), self.ref[None, :], self._along_differences(count // 8, rng)]
        size = 1 << max(count - 1, 1).bit_length()
        cube = qmc.Sobol(r + 1, rng=rng).random(size)
        normal = np.sqrt(2.0) * _erfinv(2.0 * cube[:, :r] - 1.0)
        unit = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
        level = cube[:, r:]
        a, b = size // 2, 3 * size // 4
        fixed += [
            unit[:a] * self.radius * level[:a] ** (1.0 / max(r, 1)),
            unit[a:b] * self.radius,
            self.ref + unit[b:] * self.radius * 10.0 ** (-4.0 * level[b:]),
        ]
        return self.project(np.concatenate(fixed))

    def _along_differences(self, count: int, rng: np.random.Generator) -> np.ndarray:
        rows = []
        for block in self.problem.blocks():
            delta = self.reduce(pairwise_rows(block.features, count, rng))
            norm = np.linalg.norm(delta, axis=1, keepdims=True)
            keep = norm[:, 0] > 0
            rows.append(delta[keep] / norm[keep] * self.radius)
        out = np.concatenate(rows)
        return out[rng.permutation(len(out))[: max(count, 1)]]


def pairwise_rows(features: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """At most ``count`` random within-prompt differences φ_k − φ_l, k ≠ l: (·, d)."""
    n, m, _ = features.shape
    if n * m * (m - 1) <= count:
        k, j = np.nonzero(pairwise(np.arange(m)))
        return np.asarray(features[:, k] - features[:, j]).reshape(-1, features.shape[-1])
    x, k, j = rng.integers(n, size=count), rng.integers(m, size=count), rng.integers(m, size=count)
    return np.asarray(features[x, k] - features[x, j])


def _erfinv(u: np.ndarray) -> np.ndarray:
    from scipy.special import erfinv

    return np.asarray(erfinv(np.clip(u, -1 + 1e-15, 1 - 1e-15)))
