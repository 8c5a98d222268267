"""Certifying concavity, γ* and strong concavity of one problem over the whole of C."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from flint import arb, ctx

from sailtheory.certificates.branch import Statement
from sailtheory.certificates.certificate import Certificate, WitnessPoint
from sailtheory.certificates.cover import OPEN
from sailtheory.certificates.pencil import Pencil, ball_pencil, whitening
from sailtheory.certificates.refine import Budget, refine
from sailtheory.certificates.region import Region, region
from sailtheory.certificates.replay import negative
from sailtheory.certificates.saved import Cover
from sailtheory.certificates.stationary import REFUTED, kind, spurious_stop, starting_points
from sailtheory.errors import InputError, one_line, real_number
from sailtheory.landscape import Domain, Search, largest_curvature_on, largest_relative_curvature_on
from sailtheory.numeric.enclose import float_below
from sailtheory.numeric.exact import to_fraction
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.sail import SAIL, SAILRevKL
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.storage.files import require_writable

__all__ = ["BITS", "FLOOR", "certify_concave", "certify_gamma", "certify_pl"]

FLOOR = 1e-3
"""Tolerances of γ* are relative to max(|γ*|, FLOOR · β)."""

BITS = 96
_NO_POLICY_MOVES = "S = {0}: no policy depends on θ, so there is nothing to show and γ* is null"
_ONE_POINT = "B = 0: C is one point, and the gap to its maximum is 0"
_BEYOND = "the search met numbers that float64 cannot hold or tell apart"
_OUT_OF_RANGE = (OverflowError, ZeroDivisionError, FloatingPointError, np.linalg.LinAlgError)
_WIDTHS = (15.0, 7.0, 3.0, 1.0, 0.3)  # tried when time runs out before the one asked for is met
_FIRST_SHARE = 0.6  # of the time, for the width asked for
_RAISES = 20


def certify_concave(
    problem: PreferenceProblem, gamma: float | Fraction, budget: Budget | None = None
) -> Certificate:
    """Is γF̄ − ∇²J ≻ 0 on S at every θ in C, so that J_γ is strictly concave on C?

    Args:
        problem: The problem.
        gamma: γ ≥ 0, taken exactly.
        budget: What it may cost; default no limit, one process.

    Returns:
        ``certified`` with a cover, ``refuted`` with a point and a direction along which
        ball arithmetic shows the opposite sign, or ``undecided``.
    """
    level = _level(gamma)
    made = _Certifier(problem, budget or Budget())
    if made.region.dimension == 0:
        return made.trivial("concave", gamma=level)
    return made.attempt("concave", level, lambda: _concave(made, level))


def certify_pl(
    problem: PreferenceProblem,
    gamma: float | Fraction,
    tolerance: float = 0.01,
    budget: Budget | None = None,
) -> Certificate:
    """A certified μ of plain PL and prox-PL on C, or a spurious stop that refutes PL.

    μ is a modulus of strong concavity of J_γ on C, which bounds both constants from below
    (C13). A refutation is a first-order point of J_γ on C below another point of C: prox-PL
    then fails with every μ > 0, and plain PL too when that point is interior.

    Args:
        problem: The problem.
        gamma: γ ≥ 0.
        tolerance: Relative distance that μ may keep from the modulus found by search.
        budget: What it may cost.

    Returns:
        ``undecided`` where J_γ is not strongly concave on C and no spurious stop was found:
        PL may hold there all the same.
    """
    level, tolerance = _level(gamma), _tolerance(tolerance)
    made = _Certifier(problem, budget or Budget())
    if made.region.is_point:
        return made.trivial("pl", gamma=level)
    return made.attempt("pl", level, lambda: _pl(made, level, tolerance))


def certify_gamma(
    problem: PreferenceProblem, tolerance: float = 0.01, budget: Budget | None = None
) -> Certificate:
    """Enclose γ*, the smallest γ at which J_γ is concave on C.

    Args:
        problem: The problem.
        tolerance: The enclosure is at most tolerance · max(|γ*|, ``FLOOR`` β) wide.
        budget: What it may cost. When time runs out, the best upper bound so far is returned.

    Returns:
        ``certified`` with ``lower`` and ``gamma`` as the two ends, or ``undecided``.
    """
    tolerance = _tolerance(tolerance)
    made = _Certifier(problem, budget or Budget())
    if made.region.dimension == 0:
        return made.trivial("gamma", gamma=None)
    return made.attempt("gamma", None, lambda: _gamma(made, tolerance))


def _concave(made: _Certifier, level: Fraction) -> Certificate:
    worst = largest_relative_curvature_on(SAIL(made.problem), made.search)
    return made.decide("concave", level, Fraction(0), made.near(worst.theta, level))


def _pl(made: _Certifier, level: Fraction, tolerance: float) -> Certificate:
    problem = made.problem
    worst = largest_curvature_on(SAILRevKL(problem, float(level)), made.search)
    assert worst.value is not None
    point = made.near(worst.theta, level)
    if worst.value >= 0:
        starts = starting_points(made.region, np.random.default_rng(0))
        with ctx.workprec(BITS):
            stop = spurious_stop(made.region, level, starts, made.budget.deadline)
            where = None if stop is None else kind(made.region, level, stop)
        if stop is None or where is None:
            late = " before time ran out" if made.budget.left <= 0 else ""
            note = f"J_γ is not strongly concave on C, and no spurious stop was found{late}"
            return made.certificate("pl", "undecided", level, None, note=note)
        return made.certificate("pl", "refuted", level, None, witness=stop, note=REFUTED[where])
    found = made.decide("pl", level, Fraction(-worst.value * (1 - tolerance)), point)
    if found.verdict == "refuted":  # the search overrated μ by more than the tolerance
        return replace(found, verdict="undecided", witness=None, note="μ was overrated by search")
    return found


def _gamma(made: _Certifier, tolerance: float) -> Certificate:
    worst = largest_relative_curvature_on(SAIL(made.problem), made.search)
    lower, point = made.lower_bound(worst.theta)
    first = made.budget.part(_FIRST_SHARE)
    fine, lower, point = _above(made, tolerance, first, lower, point)
    if fine.cover.complete:
        ends = {"lower": lower, "witness": point}
        return made.certificate("gamma", "certified", fine.gamma, fine.cover, **ends)
    best: _Level | None = None
    for width in _WIDTHS:
        if width <= tolerance:
            break
        level, lower, point = _above(made, width, made.budget, lower, point)
        if not level.cover.complete:
            break
        best = level
    ends = {"lower": lower, "witness": point}
    if best is None:
        return made.certificate("gamma", "undecided", None, fine.cover, **ends)
    why = "time ran out" if _late(fine.cover) else "float64 cannot tell a sign"
    note = f"the enclosure is wider than asked: {why}"
    return made.certificate("gamma", "undecided", best.gamma, best.cover, note=note, **ends)


class _Level(NamedTuple):
    """A γ, and how far a cover on which it makes J_γ concave came."""

    gamma: Fraction
    cover: Cover


def _above(
    made: _Certifier, width: float, budget: Budget, lower: Fraction, point: WitnessPoint
) -> tuple[_Level, Fraction, WitnessPoint]:
    """Cover C at lower + width · scale; where that is refuted, lower rises and it tries again."""
    for _ in range(_RAISES):
        upper = Fraction(float(lower) + width * made.scale(lower))
        cover = refine(Statement(made.region, upper, bits=BITS), budget)
        if cover.against is None:
            break
        at = made.theta(cover.against)[None, :]
        found = largest_relative_curvature_on(SAIL(made.problem), made.search, at)
        raised, higher = made.lower_bound(found.theta)
        if raised <= lower:
            break
        lower, point = raised, higher
    return _Level(upper, cover), lower, point


class _Certifier:
    """What the three properties share: exact coordinates, search, budgets, clock."""

    def __init__(self, problem: PreferenceProblem, budget: Budget) -> None:
        self.problem = problem
        self.budget = budget
        if budget.state is not None:
            require_writable(budget.state, "state")
        self.region: Region = region(problem)
        self.search = Search(Domain(problem), "quick", 0)
        self._began = time.monotonic()

    def scale(self, value: Fraction) -> float:
        """What a tolerance of γ* is relative to."""
        return max(abs(float(value)), FLOOR * float(self.problem.beta))

    def theta(self, x: np.ndarray) -> np.ndarray:
        """c + Wx in float64."""
        return np.asarray(self.region.embed(FLOAT64, x))

    def near(self, theta: np.ndarray, gamma: Fraction) -> WitnessPoint:
        """A point of C next to θ and the direction along which γF̄ − ∇²J is smallest."""
        return self._point(self.region.inside(theta), float(gamma), 0.0)

    def lower_bound(self, theta: np.ndarray) -> tuple[Fraction, WitnessPoint]:
        """A γ below the generalised eigenvalue next to θ, and where that is seen."""
        point = self._point(self.region.inside(theta), 0.0, 0.0)
        with ctx.workprec(BITS):
            xp = arb_numbers()
            w, at = xp.asarray(point.direction), xp.asarray(point.x)
            balls = ball_pencil(self.region)
            zero, one = (w @ balls.matrix(at, arb(g), arb(0)) @ w for g in (0, 1))
            value = float_below(-zero / (one - zero))
            bound = Fraction(value) - abs(Fraction(value)) / 2**50 - Fraction(1, 2**200)
            if not negative(self.region, point, bound, Fraction(0)):
                raise ArithmeticError("a lower bound of γ* does not replay")
        return bound, point

    def decide(
        self, name: str, gamma: Fraction, modulus: Fraction, suspect: WitnessPoint
    ) -> Certificate:
        """Try a point that the search suspects, then cover C."""
        with ctx.workprec(BITS):
            points = [suspect, self._point(suspect.x, float(gamma), float(modulus))]
            for point in points:
                if negative(self.region, point, gamma, modulus):
                    return self.certificate(
                        name, "refuted", gamma, None, modulus=modulus, witness=point
                    )
        cover = refine(Statement(self.region, gamma, modulus, BITS), self.budget)
        if cover.complete:
            return self.certificate(name, "certified", gamma, cover, modulus=modulus)
        if cover.against is not None:
            point = self._point(cover.against, float(gamma), float(modulus))
            with ctx.workprec(BITS):
                if negative(self.region, point, gamma, modulus):
                    return self.certificate(
                        name, "refuted", gamma, None, modulus=modulus, witness=point
                    )
        return self.certificate(name, "undecided", gamma, cover, modulus=modulus)

    def certificate(
        self, name: str, verdict: str, gamma: Fraction | None, cover: Cover | None, **rest: object
    ) -> Certificate:
        """Assemble one, with what remains in its note when it is undecided."""
        word = None if cover is None else cover.word
        if verdict == "undecided" and cover is not None and "note" not in rest:
            why = "time" if _late(cover) else "a sign that float64 cannot tell"
            rest["note"] = f"{cover.word.count(OPEN)} pieces remain open ({why})"
        made = Certificate(
            verdict,
            name,
            self.region,
            gamma,
            cover=word,
            bits=BITS,
            **rest,  # type: ignore[arg-type]
        )
        return self.timed(made)

    def trivial(self, name: str, gamma: Fraction | None) -> Certificate:
        """S = {0}, or for PL B = 0: where nothing can move, everything asked holds."""
        note = _NO_POLICY_MOVES if self.region.dimension == 0 else _ONE_POINT
        return Certificate("certified", name, self.region, gamma, note=note, bits=BITS)

    def attempt(
        self, name: str, gamma: Fraction | None, search: Callable[[], Certificate]
    ) -> Certificate:
        """What a search shows; data beyond its arithmetic leave the question open.

        Only the search works in float64, so that nothing is believed that came before. Any
        other exception is a defect and stays one.
        """
        try:
            with np.errstate(all="ignore"):
                return search()
        except _OUT_OF_RANGE as error:
            note = f"{_BEYOND}: {one_line(error)}"
            return self.certificate(name, "undecided", gamma, None, note=note)

    def timed(self, made: Certificate) -> Certificate:
        """The same with the time since the beginning."""
        return replace(made, seconds=time.monotonic() - self._began)

    def _point(self, x: np.ndarray, gamma: float, modulus: float) -> WitnessPoint:
        """x and the direction in which the pencil is smallest beside F̄(x)."""
        frame = whitening(self.region, x)
        matrix = Pencil(self.region, FLOAT64, frame).matrix(x, gamma, modulus)
        direction = frame @ np.linalg.eigh(matrix)[1][:, 0]
        return WitnessPoint(x, direction / np.abs(direction).max())


def _late(cover: Cover) -> bool:
    """Whether nothing but time was missing."""
    return cover.against is None and not cover.stuck


def _level(gamma: float | Fraction) -> Fraction:
    level = to_fraction(gamma, "gamma")
    if level < 0:
        raise InputError("gamma", float(level), "γ ≥ 0 is required")
    return level


def _tolerance(value: float) -> float:
    number = real_number("tol", value)
    if not 1e-12 <= number <= 1:
        raise InputError("tol", number, "a number from 1e-12 to 1 is expected")
    return number
