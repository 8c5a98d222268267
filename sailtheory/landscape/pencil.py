"""The largest curvature at a point, absolute and relative to F̄: dense, or by products alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.linalg import eigh, solve_triangular
from scipy.sparse.linalg import LinearOperator, eigsh, lobpcg

from sailtheory.landscape.domain import DENSE, Domain
from sailtheory.landscape.fisher import fisher_root
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.theory import pair_form

__all__ = [
    "flattest",
    "hessian_on_span",
    "hessian_operator",
    "largest_curvature",
    "largest_relative_curvature",
]

_PointMeasure = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""θ (d,) to a curvature and its direction (d,)."""

_ROOT = 1 << 13  # entries of a root of F̄ that is factored instead of F̄
_CONDITION = 1e10  # of F̄; beyond it, its root is factored
_SINGLE = 1 << 20  # entries of the features beyond which directions are found in float32
_SINGLE_CONDITION = 1e4  # of F̄; beyond it, float32 does not do
_FLAT = 16  # dimensions up to which many points are solved at once
_VECTORS, _ITERATIONS, _RESIDUAL = 4, 60, 1e-7


def largest_curvature(
    objective: Objective, domain: Domain, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """λ_max of the Hessian on S and its direction.

    Args:
        objective: Any objective.
        domain: C.
        theta: (..., d).

    Returns:
        λ (...) and unit vectors v in S (..., d).
    """
    if domain.dimension > DENSE:
        return _each(partial(_largest_by_products, objective, domain, False), theta)
    if domain.small(_ROOT) or domain.dimension <= _FLAT:
        values, vectors = np.linalg.eigh(domain.reduce_matrix(objective.hessian(theta)))
        return values[..., -1], domain.lift(vectors[..., -1])

    def dense(point: np.ndarray) -> tuple[float, np.ndarray]:
        single = not domain.small(_SINGLE)
        values, vectors = _top(_laplacian(domain, objective.pair_weights(point), single))
        v = domain.lift(vectors[:, -1])
        return float(objective.curvature(point, v) if single else values[-1]), v

    return _each(dense, theta)


def largest_relative_curvature(
    objective: Objective, domain: Domain, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Largest generalised eigenvalue of (∇², F̄) on S and its direction (C11).

    Small problems, and points where F̄ is nearly singular, are solved by a root of F̄, large
    ones by its Cholesky factor, and those of more than ``DENSE`` dimensions by products with
    vectors; there λ is a Rayleigh quotient, and so never above the eigenvalue.

    Args:
        objective: Any objective.
        domain: C.
        theta: (..., d).

    Returns:
        λ (...) and directions v in S with vᵀF̄v = 1 (..., d); nan where F̄ is
        singular in float64.
    """
    theta = np.asarray(theta, dtype=float)
    if domain.dimension > DENSE:
        return _each(partial(_largest_by_products, objective, domain, True), theta)
    if domain.small(_ROOT):
        return _by_root(objective, domain, theta)
    if domain.dimension <= _FLAT and theta.ndim > 1:
        return _by_cholesky_at_once(objective, domain, theta)
    return _each(partial(_by_cholesky, objective, domain), theta)


def flattest(objective: Objective, domain: Domain, theta: np.ndarray, count: int) -> np.ndarray:
    """Orthonormal directions in which the Hessian at θ (d,) is largest: (≤ count, r)."""
    count = min(count, domain.dimension)
    if domain.dimension > DENSE:
        start = np.random.default_rng(0).standard_normal(domain.dimension)
        _, vectors = eigsh(hessian_operator(objective, domain, theta), count, which="LA", v0=start)
    else:
        _, vectors = _top(hessian_on_span(objective, domain, theta), count)
    return np.asarray(vectors.T)


def hessian_on_span(objective: Objective, domain: Domain, theta: np.ndarray) -> np.ndarray:
    """∇² on S at one point θ (d,): (r, r)."""
    return _laplacian(domain, objective.pair_weights(theta))


def hessian_operator(objective: Objective, domain: Domain, theta: np.ndarray) -> LinearOperator:
    """∇² on S at one point θ (d,), as products with vectors."""
    return _operator(domain, objective.pair_weights(theta))


def _each(measure: _PointMeasure, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A measure of one point, at each of θ (..., d)."""
    found = [measure(point) for point in theta.reshape(-1, theta.shape[-1])]
    values = np.array([value for value, _ in found]).reshape(theta.shape[:-1])
    return values, np.array([v for _, v in found]).reshape(theta.shape)


def _by_root(
    objective: Objective, domain: Domain, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pencil through F̄ = XᵀX, X the weighted centred features, X = QR.

    It becomes the symmetric matrix QᵀNQ, N the Laplacian of η normalised by √(π_kπ_l). No
    matrix is squared, and Q does not see the scale of a column, so the result stays
    accurate where F̄ is nearly singular.
    """
    points = KLRefPolicy(domain.problem).points(theta)
    etas = objective.relative_pair_curvature(theta)
    x = fisher_root(domain, points)
    norm = np.linalg.norm(x, axis=-2, keepdims=True)
    scale = np.where(norm > 0, norm, 1)
    factor, triangle = np.linalg.qr(x / scale)
    total = np.zeros((*theta.shape[:-1], domain.dimension, domain.dimension))
    start = 0
    for at, eta in zip(points, etas, strict=True):
        size = at.policy.shape[-2] * at.policy.shape[-1]
        y = factor[..., start : start + size, :].reshape(*at.policy.shape, domain.dimension)
        start += size
        root = np.exp(at.log_policy / 2)
        degree = (at.policy[..., None, :] * eta).sum(-1)
        image = degree[..., None] * y - root[..., None] * (eta @ (root[..., None] * y))
        total += (y.mT @ image).sum(-3)
    values, vectors = np.linalg.eigh((total + total.mT) / 2)
    diagonal = np.abs(np.diagonal(triangle, axis1=-2, axis2=-1))
    singular = ~(diagonal.min(-1) > 1e-15 * diagonal.max(-1))
    safe = np.where(singular[..., None, None], np.eye(domain.dimension), triangle)
    direction = np.linalg.solve(safe, vectors[..., -1:])[..., 0]
    direction /= scale[..., 0, :]
    return np.where(singular, np.nan, values[..., -1]), domain.lift(direction)


def _by_cholesky(
    objective: Objective, domain: Domain, theta: np.ndarray
) -> tuple[float, np.ndarray]:
    """The pencil at one point θ (d,), whitened by the Cholesky factor of F̄.

    Where matrices are dear, the direction is that of float32; its curvature is a quotient in
    float64, and so never above the eigenvalue.
    """
    if not domain.small(_SINGLE):
        found = _whitened(objective, domain, theta, single=True)
        if found is not None:
            v = domain.lift(found[1])
            norm = float(KLRefPolicy(domain.problem).curvature(theta, v))
            return float(objective.curvature(theta, v)) / norm, v / np.sqrt(norm)
    found = _whitened(objective, domain, theta, single=False)
    if found is None:
        value, direction = _by_root(objective, domain, theta)
        return float(value), direction
    return found[0], domain.lift(found[1])


def _whitened(
    objective: Objective, domain: Domain, theta: np.ndarray, single: bool
) -> tuple[float, np.ndarray] | None:
    """λ_max of the pencil and its direction (r,); None where F̄ is too close to singular."""
    fisher = _laplacian(domain, KLRefPolicy(domain.problem).pair_weights(theta), single)
    scale = np.sqrt(np.maximum(np.diagonal(fisher), np.finfo(float).tiny))
    try:
        factor = np.linalg.cholesky(fisher / scale / scale[:, None])
    except np.linalg.LinAlgError:
        return None
    diagonal, condition = np.diagonal(factor), _SINGLE_CONDITION if single else _CONDITION
    if not diagonal.min() ** 2 * condition > diagonal.max() ** 2:
        return None
    hessian = _laplacian(domain, objective.pair_weights(theta), single) / scale / scale[:, None]
    half = solve_triangular(factor, hessian, lower=True)
    values, vectors = _top(solve_triangular(factor, half.T, lower=True))
    return float(values[-1]), solve_triangular(factor.T, vectors[:, -1], lower=False) / scale


def _by_cholesky_at_once(
    objective: Objective, domain: Domain, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`_by_cholesky` at many points θ (..., d) of few dimensions."""
    fisher = domain.reduce_matrix(KLRefPolicy(domain.problem).hessian(theta))
    scale = np.sqrt(np.maximum(np.diagonal(fisher, axis1=-2, axis2=-1), np.finfo(float).tiny))
    both = scale[..., None] * scale[..., None, :]
    try:
        factor = np.linalg.cholesky(fisher / both)
    except np.linalg.LinAlgError:
        return _each(partial(_by_cholesky, objective, domain), theta)
    diagonal = np.diagonal(factor, axis1=-2, axis2=-1)
    if not (diagonal.min(-1) ** 2 * _CONDITION > diagonal.max(-1) ** 2).all():
        return _each(partial(_by_cholesky, objective, domain), theta)
    hessian = domain.reduce_matrix(objective.hessian(theta)) / both
    half = np.linalg.solve(factor, hessian)
    values, vectors = np.linalg.eigh(np.linalg.solve(factor, half.mT))
    direction = np.linalg.solve(factor.mT, vectors[..., -1:])[..., 0] / scale
    return values[..., -1], domain.lift(direction)


def _laplacian(domain: Domain, weights: list[np.ndarray], single: bool = False) -> np.ndarray:
    """½ Σ w_kl Δ_klΔ_klᵀ on S, of one point, by products in float32 or float64: (r, r)."""
    total = np.zeros((domain.dimension, domain.dimension))
    for pairs, features in zip(
        weights, domain.single_features if single else domain.features, strict=True
    ):
        unit = float(np.abs(pairs).max(initial=0.0)) if single else 1.0  # far from underflow
        if unit > 0:
            scaled = (pairs / unit).astype(np.float32) if single else pairs
            total += unit * pair_form.laplacian_all(scaled, features)
    return total


def _top(matrix: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues of a symmetric matrix (r, r), rising, and their vectors."""
    size = len(matrix)
    values, vectors = eigh((matrix + matrix.T) / 2, subset_by_index=[size - count, size - 1])
    return values, vectors


def _largest_by_products(
    objective: Objective, domain: Domain, relative: bool, theta: np.ndarray
) -> tuple[float, np.ndarray]:
    """λ_max of the Hessian, or of the pencil, at one point θ (d,), by LOBPCG.

    F̄ at the centre, factored once, is the preconditioner.
    """
    size = domain.dimension
    hessian = hessian_operator(objective, domain, theta)
    fisher = hessian_operator(KLRefPolicy(domain.problem), domain, theta)
    rng = np.random.default_rng(0)
    start = rng.standard_normal((size, _VECTORS))
    start[:, 0] = domain.reduce(theta - domain.embed(np.zeros(size))) + 1e-3 * start[:, 0]
    given = {"B": fisher, "M": domain.precondition} if relative else {}
    values, vectors = lobpcg(
        hessian, start, **given, largest=True, tol=_RESIDUAL * size**0.5, maxiter=_ITERATIONS
    )
    v = vectors[:, int(np.argmax(values))]
    norm = float(v @ (fisher @ v)) if relative else float(v @ v)
    if not norm > 0:
        return float("nan"), domain.lift(v)
    return float(v @ (hessian @ v)) / norm, domain.lift(v / np.sqrt(norm))


def _operator(domain: Domain, weights: list[np.ndarray]) -> LinearOperator:
    """½ Σ w_kl Δ_klΔ_klᵀ on S as an operator."""

    def product(v: np.ndarray) -> np.ndarray:
        v = v.reshape(domain.dimension, -1)
        total = np.zeros(v.shape[::-1])
        for pairs, features in zip(weights, domain.features, strict=True):
            along = pair_form.logits(v.T, features)
            total += pair_form.combine_all(pair_form.laplacian_product(pairs, along), features)
        return total.T

    size = domain.dimension
    return LinearOperator((size, size), matvec=product, matmat=product, dtype=float)
