"""LOBPCG (Knyazev 2001): several extremal eigenvalues at once, with residuals.

A Krylov space from one vector meets an eigenvalue's eigenspace in one direction only; a
block sees its multiplicity. SciPy's implementation does the work.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, lobpcg
from torch import Tensor

from sailtheory.curvature.lanczos import Extremal
from sailtheory.errors import InputError

__all__ = ["block_extremal"]

_ROOM = 5  # SciPy asks for 5 times the block in dimensions, or goes over to a dense solver


def block_extremal(
    operator: LinearOperator,
    like: Tensor,
    generator: torch.Generator,
    *,
    count: int = 4,
    largest: bool = True,
    tolerance: float = 1e-6,
    iterations: int = 200,
) -> list[Extremal]:
    """The ``count`` extremal eigenvalues of one end of a symmetric operator.

    Args:
        operator: Symmetric, (d, d); called on torch vectors for the final residuals.
        like: A vector of the parameters' dtype and device, (d,).
        generator: Of the starting block.
        count: How many, 1 ≤ count < d/5.
        largest: The upper end, or the lower.
        tolerance: Of the residuals ‖Av − λv‖, relative to the largest |λ| found.
        iterations: At most so many; each takes ``count`` products.

    Returns:
        The outermost first; each with a residual from one product taken anew. That no
        eigenvalue was passed over is likely, not proved.

    Raises:
        InputError: A count, tolerance or number of iterations out of range.
    """
    size = operator.shape[0]
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count * _ROOM < size:
        raise InputError("count", count, f"an integer from 1 to below {size}/{_ROOM}")
    if not tolerance > 0 or iterations < 1:
        raise InputError("tolerance, iterations", (tolerance, iterations), "both > 0")
    start = torch.randn(size, count, generator=generator, dtype=torch.float64).numpy()
    products = 0

    def counted(block: np.ndarray) -> np.ndarray:
        nonlocal products
        products += block.shape[1]
        return np.asarray(operator.matmat(block), dtype=np.float64)

    # The scale of λ is not known beforehand: a few rough iterations tell it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # not converged: said by ``converged``
        rough, start = lobpcg(counted, start, tol=np.inf, maxiter=3, largest=largest)
        values, vectors = lobpcg(
            counted, start, tol=tolerance * float(np.abs(rough).max()), maxiter=iterations,
            largest=largest,
        )  # fmt: skip
    found = []
    scale = float(np.abs(values).max())
    for column in np.argsort(values)[:: -1 if largest else 1]:
        vector = torch.as_tensor(vectors[:, column]).to(like)
        vector = vector / vector.norm()
        image = operator(vector)
        value = float(vector @ image)
        residual = float((image - value * vector).norm())
        met = residual <= 2 * tolerance * max(scale, 1e-300)
        found.append(Extremal(value, vector, residual, products + count, met))
    return found
