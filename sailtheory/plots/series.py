"""What the kinds share: numbers to and from JSON, lines and plane slices of C."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.landscape import Curvature, Domain, Search, maximise
from sailtheory.objectives.sail import SAIL, KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem

__all__ = [
    "Plane",
    "array",
    "margin_range",
    "plain",
    "plane",
    "polar",
    "positive",
    "ray",
    "reach",
    "searched",
    "unit",
]

_DIGITS = 9  # the rest differs between machines, and no figure shows it


def plain(value: Any) -> Any:
    """JSON data: lists for arrays, 9 significant digits, null for what is not finite."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value


def array(value: Any) -> np.ndarray:
    """The array of a series; null becomes nan."""
    return np.array(value, dtype=float)


def positive(value: Any) -> np.ndarray:
    """A series for a logarithmic axis: what is not positive becomes nan and is not drawn."""
    numbers = array(value)
    return np.where(numbers > 0, numbers, np.nan)


def searched(found: Curvature) -> float:
    """The value that a search found.

    Raises:
        InputError: It is defined at no point tried.
    """
    if found.value is None:
        raise InputError(
            "problem", "F̄ singular", "in float64 at every point tried: γ* cannot be drawn"
        )
    return found.value


def reach(domain: Domain, x: np.ndarray, direction: np.ndarray) -> float:
    """The largest t with ‖x + t·direction‖ ≤ B, for ‖x‖ ≤ B and a unit direction, (r,)."""
    along = float(x @ direction)
    inside = max(domain.radius**2 - float(x @ x), 0.0)
    return -along + math.sqrt(along**2 + inside)


def ray(domain: Domain, seed: int, count: int) -> tuple[np.ndarray, np.ndarray, str]:
    """The ray from θ_ref that figures follow: unit direction (r,), distances, and where to.

    Towards the maximiser of J on C; where that is θ_ref, towards the centre or along an axis.
    """
    best = maximise(SAIL(domain.problem), Search(domain, "light", seed)).theta
    direction, words = unit(domain.coordinates(best) - domain.ref), "towards the maximiser of J"
    if direction is None:
        direction, words = unit(-domain.ref), "towards the centre of C"
    if direction is None:
        direction, words = np.eye(domain.dimension)[0], "along the first axis of S"
    return direction, np.linspace(0.0, reach(domain, domain.ref, direction), count), words


def margin_range(problem: PreferenceProblem, theta: np.ndarray) -> np.ndarray:
    """R = max_x range(δᵀφ) at θ (..., d): (...)."""
    points = KLRefPolicy(problem).points(theta)
    found = [np.abs(at.z).max(axis=(-3, -2, -1)) for at in points]
    return np.asarray(np.max(found, axis=0) / float(problem.beta))


def unit(vector: np.ndarray, tolerance: float = 1e-9) -> np.ndarray | None:
    """The vector with length 1; None if it is no longer than the tolerance."""
    length = float(np.linalg.norm(vector))
    return vector / length if length > tolerance else None


@dataclass(frozen=True)
class Plane:
    """A plane slice of C through its centre, or C itself where r = 2.

    Attributes:
        domain: C, r ≥ 2.
        axes: Orthonormal columns in coordinates of S, (r, 2).
        labels: What the two coordinates are.
    """

    domain: Domain
    axes: np.ndarray
    labels: tuple[str, str]

    def disc(self, rings: int, spokes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A polar grid of the slice: radii, angles, and θ (rings, spokes + 1, d)."""
        radii = np.linspace(0.0, self.domain.radius, rings)
        angles = np.linspace(0.0, 2 * np.pi, spokes + 1)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        return radii, angles, self.domain.embed(radii[:, None, None] * (circle @ self.axes.T))

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Orthogonal projection of points onto the plane: (..., d) to (..., 2)."""
        center = self.domain.problem.center.astype(float)
        return np.asarray(self.domain.reduce(theta - center) @ self.axes)


def plane(domain: Domain, *points: np.ndarray) -> Plane:
    """The plane through the centre and the first two of the points θ that span one.

    Where r = 2 the axes are those of S. Coordinate axes fill up.
    """
    r = domain.dimension
    full = domain.problem.span.is_full and not domain.problem.center.any()
    if r == 2:
        labels = (r"$\theta_1$", r"$\theta_2$") if full else ("$x_1$", "$x_2$")
        return Plane(domain, np.eye(2), labels)
    columns: list[np.ndarray] = []
    candidates = [domain.coordinates(theta) for theta in points] + list(np.eye(r))
    for candidate in candidates:
        rest = candidate - sum((c * (c @ candidate) for c in columns), np.zeros(r))
        direction = unit(rest, 1e-6 * max(domain.radius, 1e-300))
        if direction is not None and len(columns) < 2:
            columns.append(direction)
    labels = (r"$u^\top(\theta - c)$", r"$v^\top(\theta - c)$")
    return Plane(domain, np.stack(columns, axis=1), labels)


def polar(radii: Any, angles: Any) -> tuple[np.ndarray, np.ndarray]:
    """Cartesian coordinates of :meth:`Plane.disc`, each (rings, spokes + 1)."""
    r, a = array(radii)[:, None], array(angles)
    return r * np.cos(a), r * np.sin(a)
