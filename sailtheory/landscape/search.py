"""The worst point on C: multi-start, projected ascent, then a constrained polish.

One engine serves every question: largest curvature, generalised curvature, the
PL and prox-PL constants, the maximiser. It reports how hard it searched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from sailtheory.errors import InputError
from sailtheory.landscape.domain import Domain

Function = Callable[[np.ndarray], np.ndarray]
"""θ (k, d) to (k,); nan or -inf where the quantity is not defined."""

_STEPS = {"light": 12, "quick": 40, "full": 120}
_BUDGET = {"light": 6e5, "quick": 4e7, "full": 4e8}
_KEPT = {"light": 6, "quick": 12, "full": 32}
_POLISHED = {"light": 1, "quick": 3, "full": 8}
_POLISH_STEPS = {"light": 20, "quick": 40, "full": 120}
_POLISH_DIMENSION = 64


@dataclass(frozen=True)
class SearchResult:
    """Where a search ended.

    Attributes:
        theta: The best point found, (d,).
        value: The function there; -inf if it was defined nowhere.
        evaluations: Points at which the function was evaluated.
        starts: Starting points of the multi-start.
        trace: (evaluations so far, best value so far), improvements only.
        spread: Distinct local maxima among the refined starts, best first.
    """

    theta: np.ndarray
    value: float
    evaluations: int
    starts: int
    trace: tuple[tuple[int, float], ...]
    spread: tuple[float, ...]


class Search:
    """Maximisation over C.

    Args:
        domain: C.
        effort: ``light`` (for one of many problems), ``quick`` or ``full``.
        seed: Seed of the starting points; equal seeds give equal results.

    Raises:
        InputError: Unknown effort or a seed that is not a natural number.
    """

    def __init__(self, domain: Domain, effort: str = "quick", seed: int = 0) -> None:
        if effort not in _STEPS:
            raise InputError("effort", effort, "light, quick or full is expected")
        if not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InputError("seed", seed, "an integer ≥ 0 is expected")
        self.domain = domain
        self.effort = effort
        self.seed = int(seed)
        problem = domain.problem
        sizes = np.array(problem.responses)
        cost = float((sizes**2 + sizes * problem.dimension).sum() + problem.dimension**3)
        self.count = int(np.clip(_BUDGET[effort] / (100.0 * cost), 32, 4096))

    def maximise(
        self,
        function: Function,
        gradient: Function | None = None,
        extra_starts: np.ndarray | None = None,
        enough: float = np.inf,
    ) -> SearchResult:
        """The largest value found of a function on C.

        Args:
            function: θ (k, d) to (k,).
            gradient: θ (k, d) to (k, d); central differences are used without it.
            extra_starts: Further points θ (k, d) to try; projected onto C.
            enough: Stop as soon as a value above this is found.
        """
        run = _Run(self.domain, function, gradient, _POLISH_STEPS[self.effort])
        x = self.domain.starts(self.count, np.random.default_rng(self.seed))
        if extra_starts is not None:
            x = np.concatenate([x, self.domain.coordinates(np.atleast_2d(extra_starts))])
        starts = len(x)
        values = run.evaluate(x)
        if self.domain.dimension == 0 or self.domain.radius == 0.0 or run.best > enough:
            return run.result(starts, ())
        best = _distinct(x, values, _KEPT[self.effort], self.domain.radius)
        x, values = run.climb(x[best], values[best], _STEPS[self.effort], enough)
        order = np.argsort(-values)
        for i in order[: _POLISHED[self.effort]]:
            if run.best > enough or self.domain.dimension > _POLISH_DIMENSION:
                break
            if np.isfinite(values[i]):
                values[i] = max(values[i], run.polish(x[i]))
        ranked = np.sort(values[np.isfinite(values)])[::-1]
        fresh = np.abs(np.diff(ranked, prepend=np.inf)) > 1e-6 * (1e-12 + np.abs(ranked))
        return run.result(starts, tuple(float(v) for v in ranked[fresh][:8]))


class _Run:
    """One maximisation: counts evaluations and remembers the best point."""

    def __init__(
        self, domain: Domain, function: Function, gradient: Function | None, polish_steps: int
    ) -> None:
        self.domain = domain
        self._polish_steps = polish_steps
        self._function = function
        self._gradient = gradient
        self.evaluations = 0
        self.best = -np.inf
        self.best_x = np.zeros(domain.dimension)
        self.trace: list[tuple[int, float]] = []

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """The function at points of the ball, (k, r) to (k,); undefined is -inf."""
        with np.errstate(all="ignore"):
            values = np.asarray(self._function(self.domain.embed(x)), dtype=float)
        values = np.where(np.isnan(values), -np.inf, values)
        self.evaluations += len(x)
        top = int(values.argmax())
        if values[top] > self.best:
            self.best, self.best_x = float(values[top]), x[top].copy()
            self.trace.append((self.evaluations, self.best))
        return values

    def slope(self, x: np.ndarray) -> np.ndarray:
        """Gradient in coordinates of S, (k, r)."""
        if self._gradient is not None:
            with np.errstate(all="ignore"):
                g = self.domain.reduce(self._gradient(self.domain.embed(x)))
            return np.where(np.isfinite(g), g, 0.0)
        k, r = x.shape
        h = 1e-6 * (1.0 + self.domain.radius)
        shifts = h * np.concatenate([np.eye(r), -np.eye(r)])
        with np.errstate(all="ignore"):
            around = self._function(self.domain.embed((x[:, None] + shifts).reshape(-1, r)))
        around = np.asarray(around, dtype=float).reshape(k, 2, r)
        self.evaluations += 2 * k * r
        g = (around[:, 0] - around[:, 1]) / (2 * h)
        return np.where(np.isfinite(g), g, 0.0)

    def climb(
        self, x: np.ndarray, values: np.ndarray, steps: int, enough: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Projected ascent from all points at once, each with its own step length."""
        length = np.full(len(x), 0.1 * self.domain.radius)
        g = self.slope(x)
        for _ in range(steps):
            norm = np.linalg.norm(g, axis=1)
            active = (norm > 0) & (length > 1e-12 * self.domain.radius)
            if not active.any() or self.best > enough:
                break
            trial = x.copy()
            move = length[active] / norm[active]
            trial[active] = self.domain.project(x[active] + move[:, None] * g[active])
            found = values.copy()
            found[active] = self.evaluate(trial[active])
            better = found > values
            length = np.where(better, 1.6 * length, 0.4 * length)
            length = np.minimum(length, 2.0 * self.domain.radius)
            x[better], values[better] = trial[better], found[better]
            if better.any():
                g[better] = self.slope(x[better])
        return x, values

    def polish(self, start: np.ndarray) -> float:
        """Sequential quadratic programming from one point; returns the value reached."""
        radius = self.domain.radius

        def negative(x: np.ndarray) -> float:
            value = self.evaluate(self.domain.project(x)[None, :])[0]
            return -float(value) if np.isfinite(value) else 1e300

        reached = minimize(
            lambda y: negative(radius * y),
            start / radius,
            jac=lambda y: -radius * self.slope(self.domain.project(radius * y)[None, :])[0],
            method="SLSQP",
            constraints=[{"type": "ineq", "fun": lambda y: 1.0 - y @ y, "jac": lambda y: -2.0 * y}],
            options={"maxiter": self._polish_steps, "ftol": 1e-16},
        )
        return -float(reached.fun) if reached.fun < 1e299 else -np.inf

    def result(self, starts: int, spread: tuple[float, ...]) -> SearchResult:
        """Freeze the best point."""
        theta = self.domain.embed(self.best_x)
        return SearchResult(theta, self.best, self.evaluations, starts, tuple(self.trace), spread)


def _distinct(x: np.ndarray, values: np.ndarray, keep: int, radius: float) -> np.ndarray:
    """Indices of the best points that lie apart from each other, filled up with the next best."""
    order = np.argsort(-values)
    order = order[np.isfinite(values[order])]
    if len(order) == 0:
        return np.arange(min(len(x), 1))
    apart: list[int] = []
    for i in order[: 20 * keep]:
        if all(np.linalg.norm(x[i] - x[j]) > 0.05 * radius for j in apart):
            apart.append(int(i))
        if len(apart) == keep:
            break
    rest = [int(i) for i in order[:keep] if int(i) not in apart]
    return np.array(apart + rest[: max(0, keep - len(apart))])
