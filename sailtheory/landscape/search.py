"""The worst point on C: rounds of ascents, repeated until independent rounds agree.

One engine serves every question: largest curvature, generalised curvature, the PL and
prox-PL constants, the maximiser. A round draws points of its own, climbs from the most
promising and from a few unscreened ones, and reports where it got. Rounds know nothing of
each other, so how many of them end at the best value says how far the search can be
trusted; they end when enough do, or when the budget is spent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sailtheory.errors import InputError
from sailtheory.landscape.bfgs import ascend
from sailtheory.landscape.domain import Domain
from sailtheory.objectives.expectation import points_at_once

__all__ = ["Function", "Proposal", "Search", "SearchResult"]

Function = Callable[[np.ndarray], np.ndarray]
"""θ (k, d) to (k,); nan or -inf where the quantity is not defined."""

Proposal = Callable[[int, np.random.Generator], np.ndarray]
"""How many points are wanted, and a generator, to points θ (k, d)."""

_WAVE, _LARGEST_WAVE = 4, 16  # rounds that climb side by side; each wave doubles, to save calls
_ROUNDS = {"light": 0, "quick": 64, "full": 640}
_AGREEING = {"light": 2, "quick": 3, "full": 12}
_MANY_MAXIMA = 4  # dimensions beyond which twice as many rounds have to agree
_WORK = 1e8  # multiplications of one round, roughly
_CLIMBS = (2, 8)  # from each family of points, in one round
_POOL = 8  # points drawn for each climb
_STEPS, _POLISH_STEPS = 60, 100  # the best end of each round is polished
_SCOUT_CLIMBS, _SCOUT_STEPS = 2, 12
_TOLERANCE, _POLISH_TOLERANCE = 1e-7, 1e-13
_LEAN_WORK, _LEAN_POOL, _LEAN_ROUNDS = 1e8, (2, 16, 128), (8, 64)  # one climb a round
_LEAN_TOLERANCE = {True: 1e-11, False: 1e-5}  # where the range is small, and elsewhere
_SAME = 1e-3  # of the range of the function: two rounds found one maximum


@dataclass(frozen=True)
class SearchResult:
    """Where a search ended.

    Attributes:
        theta: The best point found, (d,).
        value: The function there; -inf if it was defined nowhere.
        evaluations: Points at which the function was evaluated.
        starts: Points from which ascents began.
        trace: (evaluations so far, best value so far), improvements only.
        spread: Distinct local maxima among the ends of the rounds, best first.
        rounds: Independent rounds made.
        agreeing: Rounds that ended at the best value.
        trusted: Whether as many agree as the effort asks for. The search is then evidence
            that no point is better; without it, it shows only what it found.
    """

    theta: np.ndarray
    value: float
    evaluations: int
    starts: int
    trace: tuple[tuple[int, float], ...]
    spread: tuple[float, ...]
    rounds: int
    agreeing: int
    trusted: bool


class Search:
    """Maximisation over C.

    A wave of short rounds goes ahead, and is all that ``light`` does. The rounds of a smaller
    effort are the first ones of a larger one, so more effort never finds less.

    Args:
        domain: C.
        effort: ``light`` (for one of many problems), ``quick`` or ``full``.
        seed: Seed of the rounds; equal seeds give equal results.

    Raises:
        InputError: Unknown effort or a seed that is not a natural number.
    """

    def __init__(self, domain: Domain, effort: str = "quick", seed: int = 0) -> None:
        if effort not in _ROUNDS:
            raise InputError("effort", effort, "light, quick or full is expected")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InputError("seed", seed, "an integer ≥ 0 is expected")
        domain.expect_memory()
        self.domain = domain
        self.effort = effort
        self.seed = int(seed)

    @property
    def spectra_are_dear(self) -> bool:
        """Whether a function that costs a Hessian's eigenvalues gets one climb a round."""
        return _plan(self.domain, self.effort, matrices=True, small_range=False).round.merged

    def maximise(
        self,
        function: Function,
        gradient: Function | None = None,
        extra_starts: np.ndarray | None = None,
        enough: float = np.inf,
        propose: Proposal | None = None,
        matrices: bool = False,
        small_range: bool = True,
    ) -> SearchResult:
        """The largest value found of a function on C.

        Args:
            function: θ (k, d) to (k,).
            gradient: θ (k, d) to (k, d); central differences are used without it.
            extra_starts: Further points θ (k, d) for the first round; projected onto C.
            enough: Stop as soon as a value above this is found.
            propose: Draws further points θ for a round, beside those of the domain.
            matrices: Whether the function costs a Hessian and its eigenvalues, and not only
                products with the features.
            small_range: Whether the function varies little beside its values, as objectives do:
                climbs then go on for smaller gains.
        """
        plan = _plan(self.domain, self.effort, matrices, small_range and not matrices)
        run = _Run(self.domain, function, gradient, enough)
        extra = np.empty((0, self.domain.dimension))
        if extra_starts is not None:
            extra = self.domain.coordinates(np.atleast_2d(extra_starts))
        if self.domain.dimension == 0 or self.domain.radius == 0.0:
            run.evaluate(np.zeros((1, self.domain.dimension)))
            return run.result([run.best], 1, True)
        ends: list[float] = []
        scale = 0.0
        if plan.scouts is not None:
            ends, scale = self._wave(run, range(_WAVE), plan.scouts, extra, propose)
        for rounds in _waves(_WAVE, _WAVE + plan.rounds, plan.wave):
            if run.satisfied():
                break
            first = rounds.start == _WAVE
            given = extra if first else extra[:0]
            found, spread = self._wave(run, rounds, plan.round, given, propose)
            ends, scale = (found, spread) if first else (ends + found, scale)
            if run.agreeing(ends, scale) >= plan.agreeing:
                break
        agreeing = run.agreeing(ends, scale)
        if plan.round.merged and np.isfinite(run.best) and not run.satisfied():
            run.polish(run.best_x[None], np.array([run.best]), plan.round)
        return run.result(ends, agreeing, agreeing >= plan.agreeing)

    def _wave(
        self,
        run: _Run,
        numbers: range,
        effort: _Round,
        extra: np.ndarray,
        propose: Proposal | None,
    ) -> tuple[list[float], float]:
        """Where the rounds of one wave end, and the range of the function on their points."""
        rounds = [self._draw(number, effort, propose) for number in numbers]
        if len(extra):
            rounds[0].append(extra)
        if effort.merged:
            rounds = [[np.concatenate(families)] for families in rounds]
        starts, spread = run.screen(rounds, effort.climbs)
        return run.climb(starts, effort), spread

    def _draw(self, number: int, effort: _Round, propose: Proposal | None) -> list[np.ndarray]:
        """The points of one round, a family each: x (·, r)."""
        rng = np.random.default_rng([self.seed, number])
        families = [self.domain.starts(effort.points, rng)]
        if propose is not None:
            families.append(self.domain.coordinates(propose(effort.points, rng)))
        return [rng.permutation(family) for family in families]


@dataclass(frozen=True)
class _Round:
    """What one round does.

    Attributes:
        climbs: From each family of points.
        points: Drawn for each family.
        steps: Of each climb, at most.
        tolerance: Of the climbs; the best end of a round is polished beyond it.
        merged: Whether the families are one.
    """

    climbs: int
    points: int
    steps: int
    tolerance: float
    merged: bool


@dataclass(frozen=True)
class _Plan:
    """Rounds: scouts (None: no wave goes ahead), at most so many, of which so many must agree."""

    scouts: _Round | None
    round: _Round
    wave: int
    rounds: int
    agreeing: int


def _plan(domain: Domain, effort: str, matrices: bool, small_range: bool) -> _Plan:
    """As many climbs as the multiplications of one evaluation allow."""
    sizes, r = np.array(domain.problem.responses), domain.dimension
    cost = 60.0 * (sizes**2).sum() + 4.0 * sizes.sum() * domain.problem.dimension
    if matrices:
        cost += 2.0 * sizes.sum() * r**2 + 10.0 * r**3
    affordable = _WORK / (200.0 * cost)
    agreeing = _AGREEING[effort] * (1 + (r > _MANY_MAXIMA))
    if affordable >= 1:
        climbs = int(np.clip(affordable, *_CLIMBS))
        scouts = _Round(_SCOUT_CLIMBS, _POOL * _SCOUT_CLIMBS, _SCOUT_STEPS, _TOLERANCE, False)
        each = _Round(climbs, _POOL * climbs, _STEPS, _TOLERANCE, False)
        scarce = min(1.0, affordable / _CLIMBS[0])
        rounds = max(int(scarce * _ROUNDS[effort]), min(agreeing, _ROUNDS[effort]))
        return _Plan(scouts, each, _WAVE, rounds, agreeing)
    least, few, many = _LEAN_POOL  # spectra have more maxima than functions
    points = int(np.clip(_LEAN_WORK / cost, least, many if matrices and effort != "light" else few))
    lean = _Round(1, points, _STEPS, _LEAN_TOLERANCE[small_range], True)
    agreeing = _AGREEING[effort]
    share = _ROUNDS[effort] / _ROUNDS["quick"]
    rounds = int(share * np.clip(_LEAN_WORK / cost, *_LEAN_ROUNDS))
    return _Plan(None, lean, agreeing, max(rounds, 2 * agreeing), agreeing)


def _waves(start: int, stop: int, size: int) -> Iterator[range]:
    """The numbers of the rounds of each wave."""
    while start < stop:
        yield range(start, min(start + size, stop))
        start, size = start + size, min(2 * size, _LARGEST_WAVE)


class _Run:
    """One maximisation: counts evaluations and remembers the best point."""

    def __init__(
        self, domain: Domain, function: Function, gradient: Function | None, enough: float
    ) -> None:
        self.domain = domain
        self._function = function
        self._gradient = gradient
        self._enough = enough
        self.evaluations = 0
        self.starts = 0
        self.best = -np.inf
        self.best_x = np.zeros(domain.dimension)
        self.trace: list[tuple[int, float]] = []

    def satisfied(self) -> bool:
        """Whether a value above ``enough`` was found."""
        return self.best > self._enough

    def agreeing(self, ends: list[float], scale: float) -> int:
        """How many of the ends of rounds are the best value found, given the function's range."""
        if not np.isfinite(self.best):
            return 0
        rounding = 64 * np.finfo(float).eps * abs(self.best)
        return int((np.array(ends) >= self.best - _SAME * scale - rounding).sum())

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        """The function at points of the ball, (k, r) to (k,); undefined is -inf."""
        step = points_at_once(self.domain.problem)
        with np.errstate(all="ignore"):
            parts = [
                np.asarray(self._function(self.domain.embed(x[i : i + step])), dtype=float)
                for i in range(0, len(x), step)
            ]
        values = np.concatenate(parts) if parts else np.empty(0)
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

    def screen(self, rounds: list[list[np.ndarray]], climbs: int) -> tuple[list[np.ndarray], float]:
        """Choose from each family of each round: the best that lie apart, and the first ones.

        Returns:
            Starts of each round, and how far the best of all rises above their median.
        """
        families = [family for each in rounds for family in each]
        values = self.evaluate(np.concatenate(families))
        at = np.cumsum([len(family) for family in families])[:-1]
        scores = iter(np.split(values, at))
        starts = []
        for each in rounds:
            chosen = []
            for family in each:
                score = next(scores)
                best = _distinct(family, score, (climbs + 1) // 2, self.domain.radius)
                others = np.setdiff1d(np.arange(len(family)), best)
                blind = others[: climbs // 2]
                chosen += [family[best], family[blind]]
            starts.append(np.concatenate(chosen))
        seen = values[np.isfinite(values)]
        return starts, float(seen.max() - np.median(seen)) if len(seen) else 0.0

    def climb(self, rounds: list[np.ndarray], effort: _Round) -> list[float]:
        """Ascend from the points of all rounds at once, then further from the best of each.

        Args:
            rounds: Starts of each round, (·, r).
            effort: Steps and tolerance.

        Returns:
            Where each round ended.
        """
        if self.satisfied():
            return [self.best]
        x = np.concatenate(rounds)
        self.starts += len(x)
        x, values = self._ascend(x, self.evaluate(x), effort.steps, effort.tolerance)
        first = np.cumsum([0, *(len(starts) for starts in rounds)])
        top = [a + int(values[a:b].argmax()) for a, b in itertools.pairwise(first)]
        ends = values[top]
        if not effort.merged:
            _, ends = self.polish(x[top], ends, effort)
        return [float(v) for v in ends]

    def polish(
        self, x: np.ndarray, values: np.ndarray, effort: _Round
    ) -> tuple[np.ndarray, np.ndarray]:
        """Climb further from ends of climbs."""
        steps = effort.steps * _POLISH_STEPS // _STEPS
        return self._ascend(x, values, steps, _POLISH_TOLERANCE)

    def _ascend(
        self, x: np.ndarray, values: np.ndarray, steps: int, tolerance: float
    ) -> tuple[np.ndarray, np.ndarray]:
        radius = self.domain.radius
        return ascend(self.evaluate, self.slope, x, values, radius, steps, tolerance,
                      self.satisfied)  # fmt: skip

    def result(self, ends: list[float], agreeing: int, trusted: bool) -> SearchResult:
        """Freeze the best point."""
        ranked = np.sort([value for value in ends if np.isfinite(value)])[::-1]
        fresh = np.abs(np.diff(ranked, prepend=np.inf)) > 1e-6 * (1e-12 + np.abs(ranked))
        return SearchResult(
            theta=self.domain.embed(self.best_x),
            value=self.best,
            evaluations=self.evaluations,
            starts=self.starts,
            trace=tuple(self.trace),
            spread=tuple(float(v) for v in ranked[fresh][:8]),
            rounds=len(ends),
            agreeing=agreeing,
            trusted=trusted,
        )


def _distinct(x: np.ndarray, values: np.ndarray, keep: int, radius: float) -> np.ndarray:
    """Indices of the best points that lie apart from each other, filled up with the next best."""
    order = np.argsort(-values)
    order = order[np.isfinite(values[order])]
    apart: list[int] = []
    for i in order:
        if len(apart) == keep:
            break
        if all(np.linalg.norm(x[i] - x[j]) > 0.05 * radius for j in apart):
            apart.append(int(i))
    rest = [int(i) for i in order[:keep] if int(i) not in apart]
    return np.array(apart + rest[: max(0, keep - len(apart))], dtype=int)
