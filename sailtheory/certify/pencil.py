"""An affine lower bound of γF̄ − ∇²J − μI on a box, in the Loewner order."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory import formulas
from sailtheory.certify.expansion import coefficients, expand, outer, pairs
from sailtheory.certify.region import Region
from sailtheory.certify.remainder import slack
from sailtheory.numbers import FLOAT64, Array, NumberSystem, arb_numbers
from sailtheory.objectives import Point
from sailtheory.problem import Block


def upper_ends(values: Array) -> Array:
    """The upper end points of balls, as exact numbers."""
    from flint import arb

    return np.frompyfunc(lambda ball: arb(arb(ball).upper()), 1, 1)(values)


class Pencil:
    """γF̄ − ∇²J_SAIL − μ WᵀW in coordinates of S, with its lower bounds on boxes.

    In ball arithmetic it belongs to the precision in force when it was made.

    Args:
        region: C.
        xp: ``FLOAT64``, for batches of points, or Arb, for one point at a time.
    """

    def __init__(self, region: Region, xp: NumberSystem) -> None:
        self.region = region
        self.xp = xp
        self._up = (lambda values: values) if xp is FLOAT64 else upper_ends
        self._blocks = region.problem.blocks(xp)
        self._features = region.features(xp)
        self._gram = xp.asarray(region.gram)
        self._reach, self._squares = [], []
        for features in self._features:
            n, m, r = features.shape
            k, l = pairs(m)  # noqa: E741
            gaps = features[:, :, None, :] - features[:, None, :, :]
            self._reach.append(abs(gaps))
            squares = outer(gaps[:, k, l], gaps[:, k, l])
            self._squares.append(squares.reshape(n * len(k), r * r))

    def affine(self, x: Array, half: Array, gamma: Any, modulus: Any) -> Array:
        """M with γF̄ − ∇²J − μWᵀW ⪰ M_0 + Σ_i δ_i M_i at c + W(x + δ), |δ_i| ≤ h_i.

        Args:
            x: Centre of the box, (..., r).
            half: h ≥ 0, (..., r).
            gamma: γ.
            modulus: μ.

        Returns:
            (..., 1 + r, r, r).
        """
        total: Array = 0
        for block, features, reach, squares in zip(
            self._blocks, self._features, self._reach, self._squares, strict=True
        ):
            point = self._point(block, x)
            at = expand(point, features)
            near = coefficients(at, gamma, block.weights)
            low = near.value - slack(self._up, point, at, near, gamma, reach, half)
            rows = [low[..., None, :, :], near.gradient.swapaxes(-1, -2).swapaxes(-2, -3)]
            stacked = np.concatenate(rows, axis=-3)
            total = total + stacked.reshape(*stacked.shape[:-2], len(squares)) @ squares
        r = self.region.dimension
        out = total.reshape(*total.shape[:-1], r, r)
        out[..., 0, :, :] = out[..., 0, :, :] - modulus * self._gram
        return out

    def matrix(self, x: Array, gamma: Any, modulus: Any) -> Array:
        """γF̄ − ∇²J − μWᵀW at c + Wx: (..., r, r)."""
        total: Array = 0
        for block, features in zip(self._blocks, self._features, strict=True):
            point = self._point(block, x)
            payoff = formulas.log_likelihood_payoff(self.xp, block.preference, point.z)
            eta = formulas.relative_pair_curvature(block.beta, point.policy, payoff)
            chance = formulas.pair_probability(point.policy) * block.weights[:, None, None]
            total = total + formulas.laplacian(chance * (gamma - eta), features).sum(-3)
        return total - modulus * self._gram

    def extent(self) -> np.ndarray:
        """Root sum of squares of the feature differences along each coordinate, (r,) float64."""
        return np.asarray(np.sqrt(sum((reach**2).sum((0, 1, 2)) for reach in self._reach)))

    def _point(self, block: Block, x: Array) -> Point:
        theta = self.region.embed(self.xp, x)
        log_policy = formulas.log_policy(self.xp, theta, block.features, block.log_base)
        delta = theta - block.ref_params
        return Point(self.xp, block, delta, log_policy, self.xp.exp(log_policy))


def ball_pencil(region: Region) -> Pencil:
    """The pencil in ball arithmetic at the precision in force."""
    return Pencil(region, arb_numbers())
