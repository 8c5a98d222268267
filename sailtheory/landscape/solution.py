"""The solution on C of a variational inequality: where online DPO with KL comes to rest (C29).

θ* ∈ C solves it for a field V_γ = V − γ∇KL if ⟨V_γ(θ*), y − θ*⟩ ≤ 0 for every y ∈ C. For a
monotone −V_γ extragradient steps (Korpelevich 1976) approach a solution from anywhere; Newton's
steps on the conditions of the ball, with all of the Jacobian, finish.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.landscape.domain import DENSE, Domain
from sailtheory.objectives.algebra import Objective

__all__ = ["Solution", "inequality_gap", "solve"]

_ROUNDS, _FEWEST, _MOST = 40, 6, 25  # extragradient steps between attempts at Newton's
_NEWTON = 12
_LIPSCHITZ, _SHRINK, _GROW = 0.9, 0.6, 1.3
_SMALL = 1e-10  # of the gap at first


@dataclass(frozen=True)
class Solution:
    """A point of C at which the inequality holds up to a gap.

    Attributes:
        theta: (d,).
        gap: max over y ∈ C of ⟨V_γ(θ), y − θ⟩ ≥ 0, which is 0 at solutions only. Where V_γ is
            monotone with modulus m relative to F̄, the solution is one, and
            E_x[KL(π_θ‖π_*) + KL(π_*‖π_θ)] ≤ gap/m.
        found: Whether the gap is at most 10⁻¹⁰ of that at θ_ref or at the start.
    """

    theta: np.ndarray
    gap: float
    found: bool


def inequality_gap(objective: Objective, domain: Domain, theta: np.ndarray) -> np.ndarray:
    """max over y ∈ C of ⟨∇(θ), y − θ⟩ = B‖∇(θ)‖ − ⟨∇(θ), θ − c⟩ on S: (..., d) to (...)."""
    slope = domain.reduce(objective.gradient(theta))
    x = domain.coordinates(theta)
    length = np.linalg.norm(slope, axis=-1)
    return np.asarray(domain.radius * length - (slope * x).sum(-1))


def solve(objective: Objective, domain: Domain, start: np.ndarray | None = None) -> Solution:
    """A solution of the variational inequality of an objective's gradient, or of a field, on C.

    Args:
        objective: Any objective or field.
        domain: C.
        start: θ (d,), by default θ_ref. Where the field is not monotone there may be several
            solutions, and that which the steps reach from here is returned.
    """
    x = domain.ref if start is None else domain.coordinates(np.asarray(start, dtype=float))
    if domain.dimension == 0 or domain.radius == 0:
        return Solution(domain.embed(domain.project(x)), 0.0, True)
    conditions = _Conditions(objective, domain)
    size, best, least = 1.0, x, conditions.gap(x)
    enough = _SMALL * max(least, conditions.gap(domain.ref))
    for attempt in range(_ROUNDS):
        if least <= enough:
            break
        x, size = conditions.extragradient(x, size, min(_FEWEST << attempt, _MOST))
        for trial in (x, conditions.newton(x)):
            gap = conditions.gap(trial)
            if gap < least:
                best, least = trial, gap
    return Solution(domain.embed(best), max(least, 0.0), least <= enough)


class _Conditions:
    """g(x), the field in coordinates of S, and steps towards Proj(x + g(x)) = x."""

    def __init__(self, objective: Objective, domain: Domain) -> None:
        self._objective = objective
        self._domain = domain

    def field(self, x: np.ndarray) -> np.ndarray:
        domain = self._domain
        return domain.reduce(self._objective.gradient(domain.embed(x)))

    def gap(self, x: np.ndarray) -> float:
        return float(inequality_gap(self._objective, self._domain, self._domain.embed(x)))

    def residual(self, x: np.ndarray) -> float:
        return float(np.linalg.norm(self._domain.project(x + self.field(x)) - x))

    def extragradient(self, x: np.ndarray, size: float, steps: int) -> tuple[np.ndarray, float]:
        """Steps whose size follows what the field's change allows."""
        project = self._domain.project
        for _ in range(steps):
            here = self.field(x)
            while True:
                ahead = project(x + size * here)
                there, moved = self.field(ahead), np.linalg.norm(ahead - x)
                if size * np.linalg.norm(there - here) <= _LIPSCHITZ * moved or moved == 0:
                    break
                size *= _SHRINK
            x, size = project(x + size * there), _GROW * size
        return x, size

    def newton(self, x: np.ndarray) -> np.ndarray:
        """Newton's steps from x, while they halve the residual; x itself above ``DENSE``."""
        if self._domain.dimension > DENSE:
            return x
        best = self.residual(x)
        for _ in range(_NEWTON):
            trial = self._domain.project(x + self._newton_step(x))
            reached = self.residual(trial)
            if not reached < best / 2:
                break
            x, best = trial, reached
        return x

    def _newton_step(self, x: np.ndarray) -> np.ndarray:
        """Towards g = 0 inside, and g = λx, ‖x‖ = B, λ > 0 on the sphere."""
        domain, radius, here = self._domain, self._domain.radius, self.field(x)
        system = domain.reduce_matrix(self._objective.jacobian(domain.embed(x)))
        outward = float(here @ x) / radius**2
        if np.linalg.norm(x) < radius * (1 - 1e-6) or outward <= 0:
            return _solved(system, -here)
        shifted = system - outward * np.eye(len(x))
        bordered = np.block([[shifted, -x[:, None]], [x[None], np.zeros((1, 1))]])
        right = np.append(outward * x - here, (radius**2 - x @ x) / 2)
        return _solved(bordered, right)[: len(x)]


def _solved(system: np.ndarray, right: np.ndarray) -> np.ndarray:
    """M⁻¹v, of least residual and length where M is singular."""
    try:
        found = np.linalg.solve(system, right)
    except np.linalg.LinAlgError:
        found = np.linalg.lstsq(system, right, rcond=None)[0]
    return np.asarray(found)
