"""Inequalities and equalities tried at given points, in ball arithmetic from the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb, ctx

from proofs_check.evidence.argument import refute
from sailtheory.claims import Context, Falsehood
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.objectives.algebra import Objective
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence, Outcome, Strength

BITS = 128
"""Working precision of a trial; a witness replays at twice as much."""


@dataclass(frozen=True)
class Case:
    """One point at which a statement is tried.

    Attributes:
        problem: Where the point lives.
        theta: The point, (d,).
        excess: Balls, any shape, at the precision in force, none of which may be positive:
            left − right of an inequality, abs(left − right) of an equality.
    """

    problem: PreferenceProblem
    theta: np.ndarray
    excess: Callable[[], Array]

    def worst(self) -> arb:
        """:func:`certain_excess` of its balls."""
        return certain_excess(self.excess())


Cases = Callable[[Context], Iterable[Case]]


def certain_excess(entries: Array) -> arb:
    """The largest certainly positive ball; else one that is not finite; else the highest."""
    balls: list[arb] = list(np.asarray(entries, dtype=object).flat)
    certain = [ball for ball in balls if ball > 0]
    if certain:
        return max(certain, key=lambda ball: float(ball.mid()))
    unknown = [ball for ball in balls if not ball.is_finite()]
    return (
        unknown[0] if unknown else max(balls, key=lambda ball: float(ball.upper()), default=arb(0))
    )


def tried(says: str, cases: Iterable[Case]) -> Evidence:
    """Support by every case, or a refutation by the first that certainly fails.

    Args:
        says: The statement, one line.
        cases: Where it is tried.

    Returns:
        ``holds``, supported; ``refuted``, proved; or ``undecided`` without a case, or with one
        that is not finite.
    """
    count, highest, defined = 0, -np.inf, True
    for case in cases:
        with ctx.workprec(BITS):
            worst = case.worst()
        if worst > 0:
            says = f"not so: {says}"
            return refute(case.problem, case.theta, says, float(worst.mid()), case.worst)
        defined = worst.is_finite()
        if not defined:
            break
        count, highest = count + 1, max(highest, float(worst.upper()))
    if not (count and defined):
        detail = f"{says}: an instance was not defined, or there was none"
        return Evidence("sampled", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    detail = f"{says}: {count} instances in balls, none exceeds {highest:.0e}"
    return Evidence("sampled", detail, Outcome.HOLDS, Strength.SUPPORTED)


def false_at(name: str, says: str, cases: Cases) -> Falsehood:
    """A falsehood that :func:`tried` has to refute."""

    def check(context: Context) -> Iterator[Evidence]:
        yield tried(says, cases(context))

    return Falsehood(name, says, check)


# --- what cases are made of ----------------------------------------------------------------


def tabular(preferences: list[Any], base: Any, beta: float) -> PreferenceProblem:
    """One parameter a response, θ_ref = 0: θ is log π/π_ref up to a constant for each prompt.

    Args:
        preferences: Of each prompt, (m, m) or a model.
        base: π_ref up to a factor, (n, m).
        beta: β.
    """
    n, m = len(base), len(base[0])
    return PreferenceProblem(
        features=np.eye(n * m).reshape(n, m, n * m), preferences=preferences, base=list(base),
        beta=beta, radius=100,
    )  # fmt: skip


def flat_at(objective: Objective, theta: np.ndarray | Callable[[], Array]) -> Case:
    """Is the gradient of an objective 0 at θ?

    Args:
        objective: Any.
        theta: (d,) float64, taken exactly; or what encloses it.
    """
    at = theta if callable(theta) else lambda: arb_numbers().asarray(theta)
    shown = np.array([float(x) for x in at()])
    return Case(objective.problem, shown, lambda: abs(objective.gradient(at())))
