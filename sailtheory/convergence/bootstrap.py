"""Errors that depend on their neighbours: their correlation, and a block bootstrap."""

from __future__ import annotations

import numpy as np

from sailtheory.convergence.models import whiten

__all__ = ["DRAWS", "correlation", "resample"]

DRAWS = 600
MAX_CORRELATION = 0.98


def correlation(z: np.ndarray, parameters: int = 2) -> float:
    """Lag-1 autocorrelation ρ of the errors behind m residuals, in [0, 0.98].

    Residuals of a regression with p parameters are less correlated than the errors:
    E r₁ ≈ ρ − (p + 2pρ)/m (Kendall's bias for a mean, once for each smooth regressor).
    That is undone. Negative values count as 0, so intervals are never narrower than
    for independent errors.
    """
    power = float(z @ z)
    if power == 0 or len(z) < 8:
        return 0.0
    m, lag = len(z), float(z[1:] @ z[:-1]) / power
    corrected = (lag + parameters / m) / (1 - min(2 * parameters / m, 0.5))
    return float(np.clip(corrected, 0.0, MAX_CORRELATION))


def resample(
    operator: np.ndarray,
    z: np.ndarray,
    rho: float,
    rng: np.random.Generator,
    *,
    block: int | None = None,
    draws: int = DRAWS,
    vary: bool = True,
) -> np.ndarray:
    """Errors of estimates under resampled errors: blocks of innovations, recoloured.

    The residuals are whitened with ρ; moving blocks of the innovations are drawn and
    passed through e_i = ρ e_(i−1) + u_i. Blocks alone would lose most of a strong
    correlation in a short series (the block must be far longer than the correlation
    time, and far shorter than the series); the recursion keeps it, and the blocks keep
    whatever dependence AR(1) does not describe.

    Args:
        operator: Linear map from standardised errors to estimates, (p, m).
        z: Standardised residuals, (m,).
        rho: Correlation of neighbours.
        rng: Source of randomness.
        block: Length of a block; None for about m^(1/3); 1 for independent draws.
        draws: Number of resampled series.
        vary: Whether ρ is drawn too, from its approximate sampling distribution.

    Returns:
        (draws, p).
    """
    p, m = operator.shape
    length = min(block or max(2, round(m ** (1 / 3))), m)
    u = whiten(z, rho)
    # A fit of p parameters leaves residuals too small by √(1 − p/m).
    u = (u - u.mean()) * np.sqrt(m / max(m - p, 1))
    rhos = np.full(draws, rho)
    if vary and rho > 0:
        spread = np.sqrt((1 - rho**2) / m)
        rhos = np.clip(rho + spread * rng.normal(size=draws), 0, MAX_CORRELATION)
    starts = rng.integers(0, m - length + 1, size=(-(-m // length) + 1, draws))
    e = u[rng.integers(0, m, size=draws)] / np.sqrt(1 - rhos**2)
    total = np.zeros((draws, p))
    for i in range(m):
        e = rhos * e + u[starts[i // length] + i % length]
        total += e[:, None] * operator[:, i]
    return total
