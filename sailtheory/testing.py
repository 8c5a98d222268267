"""Property-testing your own bounds: Hypothesis strategies and a counterexample finder.

>>> from hypothesis import given
>>> from sailtheory.testing import preference_problems, points_in_ball

The strategies shrink towards few prompts, few responses, one dimension, features
and rewards with few digits, β = 1 and B = 1, so that a failing example ends small.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from sailtheory.errors import InputError
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.search import Search
from sailtheory.problem.preferences import BradleyTerry, probabilities
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.progress import lines
from sailtheory.verdict import Witness

__all__ = [
    "Side",
    "find_counterexample",
    "points_in_ball",
    "policies",
    "preference_matrices",
    "preference_problems",
]

Kind = Literal["any", "bradley-terry", "deterministic"]
Side = Callable[[PreferenceProblem, np.ndarray], np.ndarray]
"""One side of an inequality: (problem, θ (k, d)) to (k,)."""

_MODERATE = (0.05, 5.0)
_EXTREME = (1e-4, 1e3)
_DIGITS = 9  # of merged features, so that 0.01 · 0.1 reads 0.001


def _decimals(low: float, high: float, digits: int = 2) -> st.SearchStrategy[float]:
    """Short decimals, which shrink to 0 (or the end nearest to it) and print exactly."""
    scale = 10**digits
    return st.integers(int(np.ceil(low * scale)), int(np.floor(high * scale))).map(
        lambda k: k / scale
    )


def preference_matrices(m: int, kind: Kind = "any") -> st.SearchStrategy[np.ndarray]:
    """Preference matrices p with p + pᵀ = 1.

    Args:
        m: Number of responses, at least 1.
        kind: ``any``, ``deterministic`` (entries 0, ½, 1), or ``bradley-terry``.

    Returns:
        Strategy of (m, m) arrays; it shrinks to all ½.
    """
    if kind == "bradley-terry":
        return st.lists(_decimals(-4, 4), min_size=m, max_size=m).map(_bradley_terry)
    pairs = m * (m - 1) // 2
    entry = (
        st.sampled_from([0.5, 1.0, 0.0])
        if kind == "deterministic"
        else (st.integers(0, 50).flatmap(lambda k: st.sampled_from([0.5 + k / 100, 0.5 - k / 100])))
    )
    return st.lists(entry, min_size=pairs, max_size=pairs).map(lambda upper: _matrix(m, upper))


def _matrix(m: int, upper: list[float]) -> np.ndarray:
    p = np.full((m, m), 0.5)
    p[np.triu_indices(m, 1)] = upper
    return np.asarray(np.triu(p, 1) + np.tril(1 - p.T, -1) + np.eye(m) / 2)


def _bradley_terry(rewards: list[float]) -> np.ndarray:
    return probabilities(BradleyTerry(np.array(rewards)))


def policies(m: int, smallest: float = 1e-3) -> st.SearchStrategy[np.ndarray]:
    """Probability vectors with every entry at least ``smallest``/m.

    Args:
        m: Number of responses.
        smallest: In (0, 1].

    Returns:
        Strategy of (m,) arrays that sum to 1; it shrinks to the uniform policy.
    """
    weight = st.integers(0, 1000).map(lambda k: 1.0 - (1.0 - smallest) * k / 1000)
    return st.lists(weight, min_size=m, max_size=m).map(lambda w: np.array(w) / np.sum(w))


@st.composite
def preference_problems(
    draw: st.DrawFn,
    *,
    kind: Kind = "any",
    max_prompts: int = 3,
    max_responses: int = 4,
    max_dimension: int = 3,
    tabular: bool = False,
    ragged: bool = True,
    base_measure: bool = True,
    degenerate: bool = False,
    extreme: bool = False,
    beta: float | None = None,
    radius: float | None = None,
) -> PreferenceProblem:
    """Preference problems with features in [−1, 1]^d.

    Args:
        draw: Supplied by Hypothesis.
        kind: Of preferences: ``any``, ``bradley-terry`` or ``deterministic``.
        max_prompts: Largest n.
        max_responses: Largest m.
        max_dimension: Largest d.
        tabular: One-hot features, d = m, equal m.
        ragged: Whether prompts may differ in m.
        base_measure: Whether ν may differ from uniform.
        degenerate: Whether duplicate responses and single responses may occur.
        extreme: β and B from 1e-4 to 1e3 instead of 0.05 to 5.
        beta: Fixed β, or None to draw one.
        radius: Fixed B, or None to draw one.
    """
    n = draw(st.integers(1, max_prompts))
    smallest = 1 if degenerate else 2
    sizes = st.integers(smallest, max(max_responses, smallest))
    m = [draw(sizes)] * n if tabular or not ragged else [draw(sizes) for _ in range(n)]
    d = m[0] if tabular else draw(st.integers(1, max_dimension))
    low, high = _EXTREME if extreme else _MODERATE
    scales = st.one_of(st.just(1.0), st.sampled_from(np.geomspace(low, high, 25).round(6).tolist()))
    bound = draw(scales) if radius is None else radius
    return PreferenceProblem(
        features=[np.eye(k) if tabular else draw(_features(k, d, degenerate)) for k in m],
        preferences=[draw(preference_matrices(k, kind)) for k in m],
        weights=[draw(st.integers(1, 20)) for _ in m],
        base=[draw(policies(k)) for k in m] if base_measure and draw(st.booleans()) else None,
        beta=draw(scales) if beta is None else beta,
        radius=bound,
        ref_params=np.array(
            [draw(_decimals(-1, 1)) for _ in range(d)]
        ) * 0.5 * bound / np.sqrt(d),
    )  # fmt: skip


@st.composite
def _features(draw: st.DrawFn, m: int, d: int, degenerate: bool) -> np.ndarray:
    rows = st.lists(_decimals(-1, 1), min_size=d, max_size=d).map(tuple)
    unique = not degenerate and m > 1
    return np.array(draw(st.lists(rows, min_size=m, max_size=m, unique=unique)))


@st.composite
def points_in_ball(draw: st.DrawFn, problem: PreferenceProblem) -> np.ndarray:
    """Points θ of C, a third of them on its boundary; shrinks to the centre: (d,)."""
    domain = Domain(problem)
    x = np.array([draw(_decimals(-1, 1, 3)) for _ in range(domain.dimension)])
    norm = float(np.linalg.norm(x)) if domain.dimension else 0.0
    if norm > 1 or (norm > 0 and draw(st.integers(0, 2)) == 2):
        x = x / norm
    return domain.embed(domain.radius * x)


def find_counterexample(
    lhs: Side,
    rhs: Side,
    problem_or_strategy: PreferenceProblem | st.SearchStrategy[PreferenceProblem],
    *,
    tolerance: float = 1e-9,
    effort: str | None = None,
    seed: int = 0,
    max_examples: int = 200,
) -> Witness | None:
    """Look for a point of C where ``lhs ≤ rhs`` fails.

    On one problem the worst-point search maximises lhs − rhs over C. Over a
    strategy, Hypothesis draws problems, each is searched, and the first failing
    one is shrunk, then stripped of prompts, dimensions, responses and base measure it does
    not need.

    Args:
        lhs: Left side, a function (problem, θ (k, d)) that returns (k,) values or one number; NaN
            where it is not defined.
        rhs: Right side, of the same form.
        problem_or_strategy: A problem, or a strategy of problems; a search of more than three
            seconds says on standard error how far it is.
        tolerance: What counts as failure: lhs − rhs > tolerance · (1 + |lhs| + |rhs|).
        effort: Of each search; by default ``quick`` on one problem and ``light`` on
            each problem of a strategy.
        seed: Seed of the searches and of the drawn problems.
        max_examples: How many problems to draw. Which they are depends on Hypothesis too:
            it mixes in constants of the modules that are loaded.

    Returns:
        A witness that replays, with the values of both sides, or None when nothing was found,
        which proves nothing. ``as_dict()`` is its JSON form, whose ``problem`` is a problem file.

    Raises:
        InputError: ``tolerance`` negative or not finite; a side of another shape; a right side
            that is NaN or −∞ somewhere; a left side that is NaN wherever it was tried.
    """
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise InputError("tolerance", tolerance, "a finite number ≥ 0 is expected")
    for name, side in (("lhs", lhs), ("rhs", rhs)):
        if not callable(side):
            raise InputError(name, side, "a function of a problem and θ is expected")
    if isinstance(problem_or_strategy, PreferenceProblem):
        search = Search(Domain(problem_or_strategy), effort or "quick", seed)
        with lines("find_counterexample: the worst point of C"):
            return _on_problem(lhs, rhs, search, tolerance, np.inf)

    tried = itertools.count(1)

    def attempt(problem: PreferenceProblem, enough: float) -> Witness | None:
        search = Search(Domain(problem), effort or "light", seed)
        say(f"find_counterexample: {next(tried)} problems searched")
        return _on_problem(lhs, rhs, search, tolerance, enough)

    def fails(problem: PreferenceProblem) -> bool:
        return attempt(problem, tolerance) is not None

    with lines() as say:
        try:
            smallest = find(
                problem_or_strategy,
                fails,
                settings=settings(
                    max_examples=max_examples,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate, Phase.shrink],
                    suppress_health_check=list(HealthCheck),
                ),
                random=random.Random(seed),
            )
        except NoSuchExample:
            return None
        smallest = _reduced(smallest, fails)
        return attempt(smallest, np.inf) or attempt(smallest, tolerance)


def _reduced(
    problem: PreferenceProblem, fails: Callable[[PreferenceProblem], bool]
) -> PreferenceProblem:
    """Leave out what is not needed as long as the problem still fails and S ≠ {0}."""
    for smaller in _smaller(problem):
        if smaller.span.dimension and fails(smaller):
            return _reduced(smaller, fails)
    return problem


def _smaller(problem: PreferenceProblem) -> Iterator[PreferenceProblem]:
    """The same problem with one part left out, larger parts first."""
    everything = [list(range(m)) for m in problem.responses]
    if problem.prompts > 1:
        for x in range(problem.prompts):
            yield _part(problem, [rows if i != x else [] for i, rows in enumerate(everything)])
    for axes in _fewer_axes(problem.dimension):
        yield _along(problem, axes)
    if any(nu is not None for nu in problem.base):
        yield problem.replace(base=None)
    for x, m in enumerate(problem.responses):
        for k in range(m if m > 2 else 0):
            fewer = [rows if i != x else [j for j in rows if j != k]
                     for i, rows in enumerate(everything)]  # fmt: skip
            yield _part(problem, fewer)


def _fewer_axes(d: int) -> Iterator[np.ndarray]:
    """Matrices that leave out one coordinate, or add a multiple of it to another: (d, d − 1)."""
    for i, j in itertools.permutations(range(d), 2):
        for multiple in (0.0, 1.0, -1.0, 0.1, -0.1):
            axes = np.delete(np.eye(d), i, axis=1)
            axes[i, j - (j > i)] = multiple
            yield axes


def _along(problem: PreferenceProblem, axes: np.ndarray) -> PreferenceProblem:
    """The problem with features φ·axes, its reference at the centre."""
    zero = np.zeros(axes.shape[1])
    features = [np.round(phi @ axes, _DIGITS) for phi in problem.features]
    return problem.replace(features=features, center=zero, ref_params=zero)


def _part(problem: PreferenceProblem, responses: list[list[int]]) -> PreferenceProblem:
    """The problem of some of the responses; a prompt with none left is left out."""
    inside = [(x, rows) for x, rows in enumerate(responses) if rows]
    matrices = [np.asarray(probabilities(problem.preferences[x])) for x, _ in inside]
    base = [problem.base[x] for x, _ in inside]
    return problem.replace(
        features=[problem.features[x][rows] for x, rows in inside],
        preferences=[p[np.ix_(rows, rows)] for p, (_, rows) in zip(matrices, inside, strict=True)],
        weights=[problem.raw_weights[x] for x, _ in inside],
        base=[None if nu is None else nu[rows] for nu, (_, rows) in zip(base, inside, strict=True)],
    )


def _on_problem(
    lhs: Side, rhs: Side, search: Search, tolerance: float, enough: float
) -> Witness | None:
    problem, sides = search.domain.problem, (("lhs", lhs), ("rhs", rhs))
    defined = False

    def excess(theta: np.ndarray) -> np.ndarray:
        nonlocal defined
        left, right = (_values(name, side, problem, theta) for name, side in sides)
        if (bad := np.flatnonzero(np.isnan(right) | (right == -np.inf))).size:
            at = f"a number is expected at θ = {theta[bad[0]].tolist()}"
            raise InputError("rhs", right[bad[0]], at)
        defined = defined or not bool(np.isnan(left).all())
        with np.errstate(invalid="ignore"):
            share = (left - right) / (1 + np.abs(left) + np.abs(right))
        without_end = np.where(left == np.inf, 1.0, -1.0)  # beyond every number, or below
        return np.asarray(np.where(np.isinf(left) | np.isinf(right), without_end, share))

    found = search.maximise(excess, enough=enough)
    if not defined:
        raise InputError("lhs", "nan at every point tried", "numbers are expected somewhere on C")
    if not found.value > tolerance:
        return None
    theta = _rounded(excess, problem, found.theta, tolerance)
    left, right = (float(_values(n, s, problem, theta[None, :])[0]) for n, s in sides)
    return Witness(
        problem=problem,
        theta=theta,
        statement=f"lhs = {left:.10g} > rhs = {right:.10g}, relative excess",
        value=float(excess(theta[None, :])[0]),
        replay=lambda: bool(excess(theta[None, :])[0] > tolerance),
        data={"lhs": left, "rhs": right},
    )


def _values(name: str, side: Side, problem: PreferenceProblem, theta: np.ndarray) -> np.ndarray:
    """A side at points, (k,); one number stands for all of them."""
    found = np.asarray(side(problem, theta), dtype=float)
    if found.shape not in ((), (len(theta),)):
        raise InputError(name, f"shape {found.shape}", f"({len(theta)},), a number a point")
    return np.broadcast_to(found, len(theta))


def _rounded(
    excess: Callable[[np.ndarray], np.ndarray],
    problem: PreferenceProblem,
    theta: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """The same failure at a θ with as few digits as will do."""
    for digits in range(0, 8):
        shorter = np.round(theta, digits) + 0.0
        if problem.contains(shorter) and excess(shorter[None, :])[0] > tolerance:
            return shorter
    return theta
