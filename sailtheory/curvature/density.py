"""Spectral density, trace and diagonal of an operator from its products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sailtheory.curvature.lanczos import Iteration, Product, applied, random_vector
from sailtheory.errors import InputError, real_number, whole_number

__all__ = ["SpectralDensity", "TraceEstimate", "diagonal", "spectral_density", "trace"]


@dataclass(frozen=True)
class SpectralDensity:
    """A discrete density on Ritz values (stochastic Lanczos quadrature).

    Attributes:
        nodes: Ritz values of all probes, (p·k,).
        weights: Their shares, ≥ 0, summing to 1.
    """

    nodes: np.ndarray
    weights: np.ndarray

    def moment(self, power: int) -> float:
        """∫ λ^power, an estimate of tr A^power / d, power ≥ 0."""
        return float(self.weights @ self.nodes ** whole_number("power", power))

    def smoothed(self, grid: np.ndarray, width: float) -> np.ndarray:
        """The density at grid points, each node a normal bump of this width > 0."""
        if not 0 < real_number("width", width) < np.inf:
            raise InputError("width", width, "a finite number > 0")
        points = np.asarray(grid)
        if points.ndim != 1 or points.dtype.kind not in "iuf" or not np.isfinite(points).all():
            raise InputError("grid", grid, "finite numbers (n,)")
        z = (points[:, None] - self.nodes) / width
        bumps = np.exp(-z * z / 2) / (width * np.sqrt(2 * np.pi))
        return np.asarray(bumps @ self.weights)


def spectral_density(
    product: Product, like: Tensor, generator: torch.Generator, *, probes: int = 8, steps: int = 40
) -> SpectralDensity:
    """Stochastic Lanczos quadrature (Ubaru, Chen, Saad 2017).

    Each random vector's Lanczos matrix T gives a Gauss rule: nodes its eigenvalues,
    weights the squared first entries of its eigenvectors. Moments to degree 2·steps − 1
    are exact for that vector.

    Args:
        product: v ↦ Av.
        like: A vector (d,) that gives size, dtype and device.
        generator: Source of the probes.
        probes: How many random vectors, ≥ 1.
        steps: Lanczos steps of each, ≥ 1.

    Raises:
        InputError: A number below 1, no dimension, or a product that is not finite.
    """
    probes, steps = whole_number("probes", probes, 1), whole_number("steps", steps, 1)
    whole_number("dimension", len(like), 1)
    nodes, weights = [], []
    for _ in range(probes):
        iteration = Iteration(product, random_vector(like, generator))
        for _ in range(min(steps, len(like))):
            krylov = iteration.step()
            if krylov.rest == 0:
                break
        values, vectors, _ = krylov.ritz()
        nodes.append(values)
        weights.append(vectors[0] ** 2 / probes)
    return SpectralDensity(np.concatenate(nodes), np.concatenate(weights))


@dataclass(frozen=True)
class TraceEstimate:
    """A trace and its standard error (over the Hutchinson probes; 0 where exact)."""

    value: float
    error: float
    products: int


def trace(
    product: Product, like: Tensor, generator: torch.Generator, *, products: int = 60
) -> TraceEstimate:
    """Hutch++ (Meyer, Musco, Musco, Woodruff 2021), unbiased.

    A third of the products finds a basis Q of the dominant range, a third takes the
    trace on it exactly, a third samples the rest by Hutchinson's estimator.

    Args:
        product: v ↦ Av, A symmetric.
        like: A vector (d,) that gives size, dtype and device.
        generator: Source of the probes.
        products: At least 6.
    """
    q, left = _dominant(product, like, generator, products)
    exact = sum(float(row @ applied(product, row)) for row in q)
    samples = []
    for _ in range(left):
        g = _signs(like, generator)
        g = g - q.mT @ (q @ g)
        samples.append(float(g @ applied(product, g)))
    spread = float(np.std(samples, ddof=1)) / len(samples) ** 0.5
    return TraceEstimate(exact + float(np.mean(samples)), spread, 2 * len(q) + left)


def diagonal(
    product: Product, like: Tensor, generator: torch.Generator, *, products: int = 60
) -> Tensor:
    """Diag++ (Baston, Nakatsukasa 2022), unbiased: the diagonal of A, (d,).

    diag(QQᵀA) exactly, and of (I − QQᵀ)A by E[v ⊙ (I − QQᵀ)Av] over random signs v.

    Args:
        product: v ↦ Av, A symmetric.
        like: A vector (d,) that gives size, dtype and device.
        generator: Source of the probes.
        products: At least 6.
    """
    q, left = _dominant(product, like, generator, products)
    total = sum((row * applied(product, row) for row in q), torch.zeros_like(like))
    rest = torch.zeros_like(like)
    for _ in range(left):
        v = _signs(like, generator)
        image = applied(product, v)
        rest += v * (image - q.mT @ (q @ image))
    return total + rest / left


def _dominant(
    product: Product, like: Tensor, generator: torch.Generator, products: int
) -> tuple[Tensor, int]:
    """An orthonormal basis of A·(random signs) as rows, and how many products are left."""
    whole_number("products", products, 6)
    size = min(products // 3, whole_number("dimension", len(like), 1))
    sketch = torch.stack([applied(product, _signs(like, generator)) for _ in range(size)])
    basis, _ = torch.linalg.qr(sketch.mT)
    return basis.mT, max(products - 2 * size, 2)


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Independent ±1."""
    return (torch.randint(0, 2, like.shape, generator=generator) * 2 - 1).to(like)
