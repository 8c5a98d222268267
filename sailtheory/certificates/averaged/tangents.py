"""Minorants of f = v(γ − η) from its values alone: what ``replay`` uses.

Between two neighbouring points a < b of an interval, h = b − a, a function g satisfies
g ≥ min{g(a), g(b)} − (h²/8) sup g″. Here g = f − ℓt + κt², and g″ ≤ Kv + 2κ with K of
:func:`sailtheory.theory.averaged_bound.steepness`; as |v′| ≤ v, v is at most e^{h/2} times its
larger end value in between. Values come from balls.
"""

from __future__ import annotations

import numpy as np

from sailtheory.numeric.balls import BALLS, Balls
from sailtheory.problem.reduced import Reduced
from sailtheory.theory.averaged_bound import steepness

__all__ = ["constants", "tangents"]

_LOSS, _FLOOR = 3e-4, 0.01  # of max(γ, _FLOOR β), that the distance of the points may cost
_FEWEST, _MOST = 32, 1 << 14
_ENTRIES = 1 << 19


def tangents(data: Reduced, beta: float, gamma: float) -> np.ndarray:
    """The slope of f at 0 in float64, by a difference: (k,). Any number would do."""
    step = 2.0**-13
    ends = [_value(data, (beta, 0.0), gamma, np.full((len(data.prompts), 1), t))[0].mid[:, 0]
            for t in (step, -step)]  # fmt: skip
    return np.asarray((ends[0] - ends[1]) / (2 * step))


def constants(
    data: Reduced, beta: tuple[float, float], gamma: float, slope: np.ndarray, bend: float
) -> np.ndarray:
    """A with f(t) ≥ A + ℓt − κt² where |t| ≤ B‖D‖: (k,)."""
    reach = abs(data.reach[:, 1, 0]) * (1 + 2.0**-50)
    z_range = beta[0] * (reach + abs(data.offset[:, 1]) + 2 * data.error) * (1 + 2.0**-40)
    steep = steepness(beta[0] * (1 + 2.0**-50), gamma, z_range) * (1 + 2.0**-40)
    loss = _LOSS * max(gamma, _FLOOR * beta[0])
    wanted = reach.max() * (steep.max() / (2 * loss)) ** 0.5
    points = int(np.clip(wanted if np.isfinite(wanted) else _MOST, _FEWEST, _MOST))
    out, step = np.empty(len(reach)), max(1, _ENTRIES // points)
    for i in range(0, len(reach), step):
        part = slice(i, i + step)
        t = np.linspace(-1, 1, points + 1) * reach[part, None]
        value, chance = _value(data.take(part), beta, gamma, t)
        line = Balls(slope[part, None]) * t - Balls(bend) * t * t
        width = (2 / points) * reach[part] * (1 + 2.0**-40)
        each = np.maximum(chance.upper[:, 1:], chance.upper[:, :-1]) * np.exp(width / 2)[:, None]
        most = steep[part, None] * each * (1 + 2.0**-40) + 2 * bend
        low = (value - line).lower
        least = np.minimum(low[:, 1:], low[:, :-1]) - most * (width**2 / 8)[:, None] * (1 + 2e-12)
        out[part] = least.min(1) - 2.0**-50 * abs(low).max(1)
    return out


def _value(
    data: Reduced, beta: tuple[float, float], gamma: float, t: np.ndarray
) -> tuple[Balls, Balls]:
    """f and v at t, (k, points)."""
    error, b = data.error[:, None], Balls(*beta)
    first, second = (Balls(data.log_ref[:, i : i + 1], error) for i in (0, 1))
    a = Balls(data.offset[:, 1:], error) + t
    z, q = b * a, Balls(data.preference[:, 1, :1], error)
    s = BALLS.sigmoid(second - first + a)
    rest = BALLS.sigmoid(first - second - a)
    v, half = s * rest, BALLS.tanh(z / 2) / 2
    payoff, u = q * z - BALLS.log_cosh_half(z), q - half
    eta = 2 * payoff * (1 - 6 * v) + 4 * b * u * (rest - s) - 2 * b * b * (0.25 - half * half)
    return v * (gamma - eta), v
