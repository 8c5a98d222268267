"""References of the bounds' tests in 50 digits, typed afresh from the theory."""

from __future__ import annotations

import mpmath as mp
import numpy as np

DIGITS = 50
# Every closed form is fewer than 20 float64 operations on terms that cancel by a
# factor of two at most: 40 units of 1.1e-16, doubled for the condition of exp.
ROUNDING = 1e-14


def sigma(z):
    return 1 / (1 + mp.exp(-z))


def slope(z):
    return sigma(z) * sigma(-z)


def sharp_curvature(b, z):
    return z + mp.log(2 * sigma(z)) + 4 * b * sigma(z) - 2 * b**2 * slope(z)


def inner(s, b):
    return (1 - s) ** 2 / (b - mp.log(s)) - s * (1 - s)


def supremum_reference(b, z):
    """Positive part of the supremum over |z| ≤ Z: float grid in z, then 50-digit Newton."""
    z = mp.mpf(z)
    ends = [sigma(-z), sigma(z)]
    values = [inner(s, b) for s in ends]
    grid = np.linspace(-float(min(z, 60)), float(min(z, 60)), 20_001)
    s = 1 / (1 + np.exp(-grid))
    with np.errstate(invalid="ignore", divide="ignore"):
        heights = (1 - s) ** 2 / (float(b) - np.log(s)) - s * (1 - s)
    best = int(np.nanargmax(heights))
    if 0 < best < len(grid) - 1:
        start = mp.mpf(grid[best])
        root = mp.findroot(lambda t: mp.diff(lambda y: inner(sigma(y), b), t), start)
        if abs(root) <= z:
            values.append(inner(sigma(root), b))
    return max(0, *values)
