"""Arguments as chains of checked steps, and refutations that ball arithmetic confirms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import ctx

from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.algebra import Objective
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence, Outcome, Strength, Witness

Ball = Any
"""An Arb ball; python-flint states no types."""

_MOST_BITS = 2048
_ASKED = 3


@dataclass(frozen=True)
class Step:
    """One step of an argument on paper.

    Attributes:
        kind: How it is checked: ``symbolic``, ``exact`` or ``certified``.
        says: The step, one line.
        check: True when the step is shown.
    """

    kind: str
    says: str
    check: Callable[[], bool]


def argue(
    conclusion: str, steps: Iterable[Step], assumes: Iterable[str] = ()
) -> Iterator[Evidence]:
    """Check every step; only if all are shown, conclude that the statement holds, proved.

    Args:
        conclusion: What follows from the steps, one line.
        steps: The argument in order.
        assumes: What it takes from elsewhere: other claims, standard facts.

    Yields:
        One ``undecided`` piece a step, then the conclusion.
    """
    complete = True
    steps = tuple(steps)
    for number, step in enumerate(steps, 1):
        shown = bool(step.check())
        complete &= shown
        detail = f"step {number} of {len(steps)}: {step.says}"
        if not shown:
            detail = f"{detail}: NOT SHOWN"
        strength = Strength.PROVED if shown else Strength.SUPPORTED
        yield Evidence(step.kind, detail, Outcome.UNDECIDED, strength)
    if complete:
        taken = "; ".join(assumes)
        detail = f"{conclusion}: {len(steps)} steps shown" + (f"; taken: {taken}" if taken else "")
        yield Evidence("argument", detail, Outcome.HOLDS, Strength.PROVED)


def certain_sign(expression: Callable[[], Ball], bits: int = 128) -> int:
    """The sign of a real number given as a ball, at growing precision.

    Args:
        expression: Encloses the number at the precision in force.
        bits: First working precision.

    Returns:
        1 or -1 when the sign is certain, else 0.
    """
    while bits <= _MOST_BITS:
        with ctx.workprec(bits):
            ball = expression()
            if ball > 0:
                return 1
            if ball < 0:
                return -1
        bits *= 2
    return 0


def refute(
    problem: PreferenceProblem,
    theta: np.ndarray,
    statement: str,
    value: float,
    excess: Callable[[], Ball],
    **data: Any,
) -> Evidence:
    """Evidence against a statement: a point where ``excess`` is certainly positive.

    Args:
        problem: Where the point lives.
        theta: The point, (d,).
        statement: What fails there.
        value: The number that shows it in float64.
        excess: By how much the statement fails, in ball arithmetic.
        **data: Further numbers of the witness.

    Returns:
        ``refuted``, proved; or ``undecided`` when ball arithmetic does not confirm it.
    """
    if certain_sign(excess) <= 0:
        detail = f"{statement}: an excess of rounding size in float64, not confirmed"
        return Evidence("exact", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    witness = Witness(
        problem, np.array(theta), statement, float(value),
        lambda: certain_sign(excess, 256) > 0, data,
    )  # fmt: skip
    detail = f"{statement}: {value:.6g}, its sign confirmed in ball arithmetic"
    return Evidence("exact", detail, Outcome.REFUTED, Strength.PROVED, witness)


def curvature_ball(objective: Objective, theta: np.ndarray, direction: np.ndarray) -> Ball:
    """vᵀ∇²v at θ as a ball."""
    xp = arb_numbers()
    v = xp.asarray(direction)
    return (v @ objective.hessian(xp.asarray(theta))) @ v


def square(direction: np.ndarray) -> Ball:
    """‖v‖² as a ball."""
    v = arb_numbers().asarray(direction)
    return (v * v).sum()


class Tally:
    """Counts instances of an inequality; what float64 sees fail goes to ball arithmetic.

    No tolerance is needed: an excess of any size is decided by its certified sign.

    Attributes:
        count: Instances compared.
    """

    def __init__(self, says: str) -> None:
        self._says = says
        self.count = 0
        self._ties = 0
        self._tightest = np.inf
        self._refutation: Evidence | None = None

    def add(self, left: np.ndarray, right: np.ndarray, confirm: Callable[[int], Evidence]) -> None:
        """Compare left ≤ right, (k,); undefined entries (nan) do not count.

        Args:
            left: Left sides.
            right: Right sides.
            confirm: Evidence from ball arithmetic for the instance of that index.
        """
        left, right = np.broadcast_arrays(left, right)
        known = np.isfinite(left) & np.isfinite(right)
        self.count += int(known.sum())
        slack = np.where(known, right - left, np.inf)
        scale = np.maximum(np.maximum(np.abs(left), np.abs(right)), 1e-300)
        if known.any():
            self._tightest = min(self._tightest, float((slack / scale)[known].min()))
        failing = np.flatnonzero(slack < 0)
        for i in failing[np.argsort(slack[failing])][:_ASKED]:
            found = confirm(int(i))
            if found.outcome is Outcome.REFUTED:
                self._refutation = self._refutation or found
            else:
                self._ties += 1

    def evidence(self) -> Evidence:
        """The refutation if there is one, else support by all instances."""
        if self._refutation is not None:
            return self._refutation
        if not self.count:
            detail = f"{self._says}: no instance was defined"
            return Evidence("sampled", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
        detail = f"{self._says}: {self.count} instances, least relative slack {self._tightest:.2g}"
        if self._ties:
            detail += f", {self._ties} excess(es) of rounding size not confirmed by ball arithmetic"
        return Evidence("sampled", detail, Outcome.HOLDS, Strength.SUPPORTED)


def deferred(function: Callable[..., Evidence], *arguments: Any) -> Callable[[int], Evidence]:
    """``confirm`` for a :class:`Tally` of one instance: evaluated only when asked."""
    return lambda _: function(*arguments)
