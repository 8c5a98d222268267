"""Lanczos with full reorthogonalisation: extremal eigenvalues with residual bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.policies.protocol import finite

__all__ = ["Extremal", "Iteration", "Krylov", "Product", "applied", "extremal", "random_vector"]

_SMALL = 1e-3

Product = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Krylov:
    """A Lanczos decomposition A Q = Q T + β_k q_{k+1} e_kᵀ.

    Attributes:
        diagonal: Of T, (k,).
        off_diagonal: Of T, (k − 1,).
        rest: β_k ≥ 0; 0 where the space is invariant.
        basis: Q as rows, (k, d).
    """

    diagonal: np.ndarray
    off_diagonal: np.ndarray
    rest: float
    basis: Tensor

    def ritz(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ritz values (k,) ascending, vectors of T as columns, residuals ‖Av − λv‖ (k,)."""
        if len(self.diagonal) == 1:
            values, vectors = self.diagonal.copy(), np.ones((1, 1))
        else:
            values, vectors = eigh_tridiagonal(self.diagonal, self.off_diagonal)
        return values, vectors, self.rest * np.abs(vectors[-1])


def applied(product: Product, vector: Tensor) -> Tensor:
    """Av, checked.

    Raises:
        InputError: It is of another shape or dtype than v, or not finite.
    """
    image = product(vector)
    if image.shape != vector.shape or image.dtype != vector.dtype:
        found, wanted = (f"{tuple(t.shape)} of {t.dtype}" for t in (image, vector))
        raise InputError("product", found, f"{wanted} is expected, as of the vector")
    return finite("product", image)


class Iteration:
    """Lanczos, one product at a time."""

    def __init__(self, product: Product, start: Tensor) -> None:
        self._product = product
        self._basis = torch.zeros(8, len(start), dtype=start.dtype, device=start.device)
        self._basis[0] = start / start.norm()
        self._diagonal: list[float] = []
        self._off: list[float] = []
        self.scale = 0.0

    def step(self) -> Krylov:
        """Take one more product."""
        k = len(self._diagonal)
        rows = self._basis[: k + 1]
        image = applied(self._product, rows[k])
        self._diagonal.append(float(image @ rows[k]))
        self.scale = max(self.scale, float(image.norm()))
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            image = image - rows.mT @ (rows @ image)
        rest = float(image.norm())
        floor = 10 * torch.finfo(image.dtype).eps * self.scale * (k + 1) ** 0.5
        rest = 0.0 if rest <= floor else rest
        found = Krylov(np.array(self._diagonal), np.array(self._off), rest, rows)
        if rest:
            if k + 1 == len(self._basis):
                self._basis = torch.cat([self._basis, torch.zeros_like(self._basis)])
            self._basis[k + 1] = image / rest
            self._off.append(rest)
        return found


@dataclass(frozen=True)
class Extremal:
    """One end of a spectrum.

    Attributes:
        value: vᵀAv: for the upper end a lower bound of λ_max in exact arithmetic, for
            the lower end an upper bound of λ_min.
        vector: v, unit, (d,): the witness of the curvature's sign.
        residual: ‖Av − λv‖ from one product taken anew: some eigenvalue lies within it
            of ``value``. That it is the extremal one is likely (random start), not proved.
        products: Products taken.
        converged: Whether the residual bound reached the tolerance.
    """

    value: float
    vector: Tensor
    residual: float
    products: int
    converged: bool


def extremal(
    product: Product,
    start: Tensor,
    *,
    tolerance: float = 1e-6,
    products: int = 200,
) -> tuple[Extremal, Extremal]:
    """The lowest and the highest eigenvalue of a symmetric operator.

    The tolerance is asked of the residual, relative to the value itself, or to a thousandth
    of the other end where that is more (an end at 0 is never known relatively). The sharper
    r²/gap is not used: its gap would come from Ritz values, which do not yet tell a cluster
    apart, and did stop a run 5 % below λ_max.

    Args:
        product: v ↦ Av, (d,) to (d,).
        start: A random vector, (d,); a Krylov space sees only what it overlaps with.
        tolerance: Relative.
        products: At most so many.

    Raises:
        InputError: A start that vanishes, a tolerance ≤ 0, fewer than 1 product.
    """
    if not float(start.norm()) > 0:
        raise InputError("start", 0.0, "a vector that does not vanish")
    if not tolerance > 0 or products < 1:
        raise InputError("tolerance, products", (tolerance, products), "both > 0")
    iteration = Iteration(product, start)
    for count in range(1, min(products, len(start)) + 1):
        krylov = iteration.step()
        values, vectors, residuals = krylov.ritz()
        size = max(abs(values[0]), abs(values[-1]), 1e-300)
        settled = [
            residuals[end] <= tolerance * max(abs(values[end]), _SMALL * size) for end in (0, -1)
        ]
        if krylov.rest == 0 or (all(settled) and count > 2):
            break
    done = krylov.rest == 0
    ends = []
    for end, good in zip((0, -1), settled, strict=True):
        coefficients = torch.as_tensor(vectors[:, end], dtype=start.dtype, device=start.device)
        vector = krylov.basis.mT @ coefficients
        vector = vector / vector.norm()
        image = product(vector)
        value = float(vector @ image)
        residual = float((image - value * vector).norm())
        ends.append(Extremal(value, vector, residual, count + 2, bool(done or good)))
    return ends[0], ends[1]


def random_vector(like: Tensor, generator: torch.Generator) -> Tensor:
    """A standard normal vector of the same shape, dtype and device."""
    drawn = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    return drawn.to(like)
