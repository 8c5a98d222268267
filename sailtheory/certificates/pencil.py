"""An affine lower bound of γF̄ − ∇²J − μI on a box, in the Loewner order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from flint import arb, arb_mat

from sailtheory.certificates.expansion import coefficients, expand, outer
from sailtheory.certificates.region import Region
from sailtheory.certificates.remainder import slack
from sailtheory.numeric.exact import lift
from sailtheory.numeric.layout import pairs
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem, arb_numbers
from sailtheory.objectives.expectation import Point
from sailtheory.problem.blocks import Block
from sailtheory.theory import formulas, pair_form

__all__ = ["Pencil", "ball_pencil", "product", "upper_ends", "whitening"]

_upper_end = np.frompyfunc(arb.upper, 1, 1)


def upper_ends(values: Array) -> Array:
    """The upper end points of balls, as exact numbers."""
    return _upper_end(values)


class Pencil:
    """γF̄ − ∇²J_SAIL − μ WᵀW in coordinates of S, with its lower bounds on boxes.

    In ball arithmetic it belongs to the precision in force when it was made.

    Args:
        region: C.
        xp: ``FLOAT64`` or Arb.
        frame: T, (r, r): matrices are given as TᵀMT, by default T = I. A congruence keeps
            definiteness, and a good T keeps float64 accurate where F̄ is nearly singular.
    """

    def __init__(self, region: Region, xp: NumberSystem, frame: Array | None = None) -> None:
        self.region = region
        self.xp = xp
        self._up = (lambda values: values) if xp is FLOAT64 else upper_ends
        self._center, self._basis = lift(xp, region.problem.center), region.lifted(xp)
        blocks = zip(region.problem.blocks(xp), region.features(xp), strict=True)
        some = [(block, phi) for block, phi in blocks if phi.shape[1] > 1]  # others add nothing
        self._blocks, self._features = [block for block, _ in some], [phi for _, phi in some]
        gram = xp.asarray(region.gram)
        self._gram = gram if frame is None else frame.T @ gram @ frame
        self._framed = [phi if frame is None else phi @ frame for phi in self._features]
        self._reach, self._squares = [], []
        for features, framed in zip(self._features, self._framed, strict=True):
            n, m, r = features.shape
            k, l = pairs(m)  # noqa: E741
            self._reach.append(abs(features[:, k] - features[:, l]))
            gaps = framed[:, k] - framed[:, l]
            self._squares.append(outer(gaps, gaps).reshape(n * len(k), r * r))

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
            total = total + product(stacked.reshape(*stacked.shape[:-2], len(squares)), squares)
        r = self.region.dimension
        out = total.reshape(*total.shape[:-1], r, r)
        out[..., 0, :, :] = out[..., 0, :, :] - modulus * self._gram
        return out

    def matrix(self, x: Array, gamma: Any, modulus: Any) -> Array:
        """γF̄ − ∇²J − μWᵀW at c + Wx: (..., r, r)."""
        total: Array = 0
        for block, features in zip(self._blocks, self._framed, strict=True):
            point = self._point(block, x)
            payoff = formulas.log_likelihood_payoff(self.xp, block.preference, point.z)
            eta = formulas.relative_pair_curvature(block.beta, point.policy, payoff)
            chance = formulas.pair_probability(point.policy) * block.weights[:, None, None]
            total = total + pair_form.laplacian(chance * (gamma - eta), features).sum(-3)
        return total - modulus * self._gram

    def extent(self) -> np.ndarray:
        """Root sum of squares of the feature differences along each coordinate, (r,) float64."""
        return np.asarray(np.sqrt(sum((reach**2).sum((0, 1)) for reach in self._reach)))

    def pairs_at(self, x: Array) -> Iterator[tuple[Block, Array, Array]]:
        """Each block with π_kπ_l at c + Wx, (n, p), and D_kl, (n, p, r)."""
        for block, features in zip(self._blocks, self._features, strict=True):
            policy = self._point(block, x).policy
            k, l = pairs(policy.shape[-1])  # noqa: E741
            yield block, policy[:, k] * policy[:, l], features[:, k] - features[:, l]

    def _point(self, block: Block, x: Array) -> Point:
        theta = self._center + x @ self._basis.T
        log_policy = formulas.log_policy(self.xp, theta, block.features, block.log_base)
        delta = theta - block.ref_params
        return Point(self.xp, block, delta, log_policy, self.xp.exp(log_policy))


def product(a: Array, b: Array) -> Array:
    """a @ b, (..., i, j) and (j, k); balls by Arb's own product of matrices."""
    if a.dtype != object:
        return a @ b
    rows = a.reshape(-1, len(b))
    out = arb_mat(rows.tolist()) * arb_mat(b.tolist())
    return np.array(out.entries(), dtype=object).reshape(*a.shape[:-1], -1)


def whitening(region: Region, x: np.ndarray) -> np.ndarray:
    """T with TᵀF̄(c + Wx)T = I in float64, from the singular values of weighted differences.

    Their columns are scaled first, so that rare responses along one coordinate are resolved.
    """
    plain = Pencil(region, FLOAT64)
    rows = [
        (np.sqrt(block.weights[:, None] * chance)[..., None] * gaps).reshape(-1, gaps.shape[-1])
        for block, chance, gaps in plain.pairs_at(x)
    ]
    differences = np.concatenate(rows)
    scale = np.linalg.norm(differences, axis=0)
    _, singular, axes = np.linalg.svd(differences / scale, full_matrices=False)
    return np.asarray(axes.T / np.maximum(singular, singular[0] * 1e-12) / scale[:, None])


def ball_pencil(region: Region) -> Pencil:
    """The pencil in ball arithmetic at the precision in force."""
    return Pencil(region, arb_numbers())
