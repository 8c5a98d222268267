"""Mirror ascent with A (C17) and natural gradient ascent.

∇A(θ) = E_x E_θ φ and KL(π_ref‖π_θ) = D_A(θ, θ_ref), so that every equation in ∇A is
one in ∇KL(π_ref‖·), with Hessian F̄: the production formulas serve.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.ascent.constants import step_constants
from sailtheory.ascent.gradient import Rule, follow
from sailtheory.ascent.trajectory import Callback, Trajectory, read_real, read_starts
from sailtheory.errors import InputError
from sailtheory.landscape.domain import Domain
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["MirrorMap", "bregman_divergence", "mirror_ascent", "natural_gradient_ascent"]

_NEWTON = 60
_SECULAR = 60
_ROUNDING = 1e-13


def bregman_divergence(problem: PreferenceProblem, best: Array, theta: Array) -> Any:
    """D_A(best, θ) = k(best) − k(θ) − ∇k(θ)ᵀ(best − θ), k = KL(π_ref‖π_θ) (section 1, C17).

    Args:
        problem: The problem.
        best: (d,), in float64 or balls.
        theta: (..., d), likewise.

    Returns:
        (...), ≥ 0.
    """
    kl = KLRefPolicy(problem)
    slope = (kl.gradient(theta) * (best - theta)).sum(-1)
    return kl.value(best) - kl.value(theta) - slope


class MirrorMap:
    """Inverts ∇A on S, freely or on the ball, for many points at once.

    Args:
        domain: C.
    """

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._kl = KLRefPolicy(domain.problem)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """∇A less the constant ∇A(θ_ref), on S: (k, r) to (k, r)."""
        domain = self._domain
        return domain.reduce(self._kl.gradient(domain.embed(x)))

    def fisher(self, x: np.ndarray) -> np.ndarray:
        """F̄ on S: (k, r) to (k, r, r)."""
        domain = self._domain
        return domain.reduce_matrix(self._kl.hessian(domain.embed(x)))

    def free(self, target: np.ndarray, x: np.ndarray) -> np.ndarray:
        """y with ∇A(y) = target, from x, all (k, r).

        Where the target is outside the mean parameters no y exists, and a distant point
        is returned.
        """
        return self._solve(target, x, np.zeros(len(x)))

    def constrained(self, target: np.ndarray, x: np.ndarray) -> np.ndarray:
        """argmax of ⟨target, y⟩ − A(y) over the ball, from x, all (k, r).

        On the boundary ∇A(y) + νy = target with ν ≥ 0: Newton on 1/‖y(ν)‖ = 1/B, kept in
        a bracket.
        """
        radius = self._domain.radius
        start = self._domain.project(x)
        # At the centre ∇A is far from saturated: the free problem is solved with a little
        # ridge first only if its solution leaves the ball.
        y = self._solve(target, start, np.zeros(len(x)), leave=2 * radius)
        out = np.flatnonzero(np.linalg.norm(y, axis=1) > radius)
        if not len(out) or radius == 0.0:
            return self._domain.project(y)
        goal, at = target[out], start[out]
        low = np.zeros(len(out))
        # ν‖y‖ ≤ ‖target − ∇A(y)‖, so this ν brings y inside.
        high = np.linalg.norm(goal - self.gradient(at), axis=1) / radius + 1.0
        nu = np.full(len(out), 0.5) * high
        for _ in range(_SECULAR):
            at = self._solve(goal, at, nu)
            norm = np.linalg.norm(at, axis=1)
            low = np.where(norm > radius, nu, low)
            high = np.where(norm <= radius, nu, high)
            if (np.abs(norm - radius) <= 4 * np.finfo(float).eps * radius).all():
                break
            ridge = self.fisher(at) + nu[:, None, None] * np.eye(at.shape[1])
            pull = (at * _solve_each(ridge, at)).sum(1)
            newton = nu + norm * norm * (norm / radius - 1) / np.maximum(pull, 1e-300)
            # The bracket's upper end may still be too low: it doubles until it is not.
            high = np.where((norm > radius) & (nu >= high), 2 * high, high)
            nu = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
        y[out] = at
        return self._domain.project(y)

    def _solve(
        self, target: np.ndarray, x: np.ndarray, nu: np.ndarray, leave: float = np.inf
    ) -> np.ndarray:
        """Damped Newton for the maximiser of ⟨target, y⟩ − A(y) − ν‖y‖²/2.

        A point that goes beyond ``leave`` is left there.
        """
        y, eye = x.copy(), np.eye(x.shape[1])
        open_ = np.arange(len(y))
        scale = 1 + np.linalg.norm(target, axis=1)
        for _ in range(_NEWTON):
            at, ridge = y[open_], nu[open_, None]
            rest = target[open_] - self.gradient(at) - ridge * at
            far = np.linalg.norm(at, axis=1) > leave
            short = np.linalg.norm(rest, axis=1) <= 2e-16 * scale[open_]
            keep = ~(short | far)
            open_, at, rest, ridge = open_[keep], at[keep], rest[keep], ridge[keep]
            if not len(open_):
                break
            move = _solve_each(self.fisher(at) + ridge[:, :, None] * eye, rest)
            damp = self._damping(target[open_], at, ridge, move)
            y[open_] = at + damp[:, None] * move
            open_ = open_[damp > 0]
        return y

    def _damping(
        self, target: np.ndarray, y: np.ndarray, ridge: np.ndarray, move: np.ndarray
    ) -> np.ndarray:
        """1, ½, ¼ … until the residual of the optimality condition is smaller; 0 if never."""

        def size(at: np.ndarray) -> np.ndarray:
            return np.asarray(np.linalg.norm(target - self.gradient(at) - ridge * at, axis=1))

        now, damp, fits = size(y), np.ones(len(y)), np.zeros(len(y), dtype=bool)
        for _ in range(30):
            fits = size(y + damp[:, None] * move) < now
            if fits.all():
                break
            damp = np.where(fits, damp, damp / 2)
        return np.where(fits, damp, 0.0)


def _solve_each(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """M⁻¹v on the eigenvalues above rounding: symmetric (k, r, r), (k, r) to (k, r)."""
    values, vectors = np.linalg.eigh(matrix)
    least = _ROUNDING * np.maximum(values[:, -1:], 1e-300)
    along = (vectors.mT @ right[:, :, None])[:, :, 0]
    part = np.where(values > least, along / np.where(values > least, values, 1.0), 0.0)
    return np.asarray((vectors @ part[:, :, None])[:, :, 0])


class _Mirror(Rule):
    def __init__(self, domain: Domain, size: float, runs: int, constrained: bool) -> None:
        self.name = "mirror ascent" if constrained else "mirror ascent, free"
        self.sizes = np.full(runs, size)
        self._map = MirrorMap(domain)
        self._invert = self._map.constrained if constrained else self._map.free

    def step(self, x: np.ndarray, gradient: np.ndarray, which: np.ndarray) -> np.ndarray:
        target = self._map.gradient(x) + self.sizes[which, None] * gradient
        return self._invert(target, x)


class _Natural(Rule):
    name = "natural gradient ascent"

    def __init__(self, domain: Domain, size: float, runs: int) -> None:
        self.sizes = np.full(runs, size)
        self._domain = domain
        self._map = MirrorMap(domain)

    def step(self, x: np.ndarray, gradient: np.ndarray, which: np.ndarray) -> np.ndarray:
        move = _solve_each(self._map.fisher(x), gradient)
        return self._domain.project(x + self.sizes[which, None] * move)


def _step_size(objective: Objective, step: str | float) -> float:
    """1/ℒ (C17), or the number given."""
    if isinstance(step, str):
        if step != "relative-smoothness":
            raise InputError("step", step, "'relative-smoothness' or a number > 0")
        return 1 / step_constants(objective).relative_smooth
    return read_real("step", step)


def mirror_ascent(
    objective: Objective,
    start: np.ndarray,
    *,
    step: str | float = "relative-smoothness",
    constrained: bool = True,
    steps: int,
    best: float | None = None,
    tolerance: float = 0.0,
    record: int = 1,
    callback: Callback | None = None,
) -> Trajectory:
    """Mirror ascent with A (C17).

    Constrained, θ⁺ = argmax over C of ⟨∇J, y⟩ − ℒ D_A(y, θ); free,
    ∇A(θ⁺) = ∇A(θ) + ∇J/ℒ on c + S, which may leave C.

    Args:
        objective: Any objective, or a field.
        start: (d,) or (runs, d).
        step: ``"relative-smoothness"`` for 1/ℒ = 1/(γ + K⁻) (SAIL and SAIL-RevKL) or
            1/(γ + K_V⁻) (online DPO: C29 proves its rate for m ≤ 2 only), or > 0.
        constrained: Whether steps stay in C.
        steps: See :func:`sailtheory.ascent.projected_ascent`, as for the rest.
        best: J_γ*.
        tolerance: For the gap or the (Euclidean) gradient mapping.
        record: Every how many steps the state is recorded.
        callback: See :data:`Callback`.

    Raises:
        InputError: An argument outside its domain.
    """
    theta = read_starts(objective, start)
    rule = _Mirror(Domain(objective.problem), _step_size(objective, step), len(theta), constrained)
    return follow(
        objective, theta, rule, steps=steps, best=best, tolerance=tolerance, record=record,
        callback=callback,
    )  # fmt: skip


def natural_gradient_ascent(
    objective: Objective,
    start: np.ndarray,
    *,
    step: str | float = "relative-smoothness",
    steps: int,
    best: float | None = None,
    tolerance: float = 0.0,
    record: int = 1,
    callback: Callback | None = None,
) -> Trajectory:
    """Natural gradient ascent: θ + ηF̄⁻¹∇ on S, projected onto C in the Euclidean norm.

    The first-order form of mirror ascent. No theorem here covers it: a full step is not
    that of C17, and the projection is not in the metric of F̄.

    Args:
        objective: Any objective.
        start: (d,) or (runs, d).
        step: ``"relative-smoothness"`` for η = 1/ℒ, or η > 0.
        steps: See :func:`sailtheory.ascent.projected_ascent`, as for the rest.
        best: J_γ*.
        tolerance: For the gap or the gradient mapping.
        record: Every how many steps the state is recorded.
        callback: See :data:`Callback`.

    Raises:
        InputError: An argument outside its domain.
    """
    theta = read_starts(objective, start)
    rule = _Natural(Domain(objective.problem), _step_size(objective, step), len(theta))
    return follow(
        objective, theta, rule, steps=steps, best=best, tolerance=tolerance, record=record,
        callback=callback,
    )  # fmt: skip
