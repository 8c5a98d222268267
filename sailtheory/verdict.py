"""Verdicts: what was found, how strongly, on which evidence, with which witness.

A verdict is ``holds``, ``refuted`` or ``undecided``. Its strength says what kind
of evidence it rests on:

* ``proved``: exact or symbolic computation, or an argument each of whose steps
  was itself checked;
* ``certified``: ball arithmetic over the whole region in question;
* ``supported``: sampled and searched, without a counterexample.

There is no verdict without evidence, and refutation needs a witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.problem_file import dumps

__all__ = ["Evidence", "Outcome", "Strength", "Verdict", "Witness", "conclude", "enough"]

_SHOWN = 4  # coordinates of a point


class Outcome(StrEnum):
    """What a check found."""

    HOLDS = "holds"
    REFUTED = "refuted"
    UNDECIDED = "undecided"


class Strength(StrEnum):
    """What a verdict rests on; compare with :attr:`rank`."""

    PROVED = "proved"
    CERTIFIED = "certified"
    SUPPORTED = "supported"

    @property
    def rank(self) -> int:
        """3 for proved, 2 for certified, 1 for supported."""
        return {"proved": 3, "certified": 2, "supported": 1}[self.value]


@dataclass(frozen=True)
class Witness:
    """A point at which a claim fails, with the means to check that again.

    Attributes:
        problem: The problem it lives on.
        theta: The point, (d,); its float64 entries are exact dyadic rationals.
        statement: What fails there, in words.
        value: The number that shows it, as found in float64.
        replay: Recomputes the failure by independent means (ball arithmetic or
            exact arithmetic); True when the failure is confirmed.
        data: Further numbers, for example a direction.
    """

    problem: PreferenceProblem
    theta: np.ndarray
    statement: str
    value: float
    replay: Callable[[], bool]
    data: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = [f"{x:.4g}" for x in self.theta[:_SHOWN]] + ["…"] * (len(self.theta) > _SHOWN)
        return f"Witness({self.statement}: {self.value:.4g} at θ = ({', '.join(shown)}))"

    def as_dict(self) -> dict[str, Any]:
        """JSON form; the problem is given as TOML text that loads back."""
        return {
            "statement": self.statement,
            "value": self.value,
            "theta": np.asarray(self.theta, dtype=float).tolist(),
            "data": self.data,
            "problem": dumps(self.problem),
        }


@dataclass(frozen=True)
class Evidence:
    """One piece of evidence for or against a statement.

    Attributes:
        kind: ``symbolic``, ``exact``, ``argument``, ``certified``, ``search`` or
            ``sampled``.
        detail: What was done and found, one line, with sizes.
        outcome: What it shows of the whole statement. Evidence on a part of it,
            such as one step of an argument, is ``undecided`` when it succeeds.
        strength: How strongly.
        witness: The failing point, when the outcome is ``refuted``.
    """

    kind: str
    detail: str
    outcome: Outcome
    strength: Strength
    witness: Witness | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        out: dict[str, Any] = {
            "kind": self.kind,
            "detail": self.detail,
            "outcome": self.outcome.value,
            "strength": self.strength.value,
        }
        if self.witness is not None:
            out["witness"] = self.witness.as_dict()
        return out


@dataclass(frozen=True)
class Verdict:
    """The conclusion from a list of evidence.

    Attributes:
        outcome: holds, refuted or undecided.
        strength: The strongest evidence for that outcome; None when undecided.
        evidence: All of it, in the order it was gathered.
    """

    outcome: Outcome
    strength: Strength | None
    evidence: tuple[Evidence, ...]

    @property
    def witness(self) -> Witness | None:
        """The witness of the strongest refutation, if there is one."""
        refuting = [e for e in self.evidence if e.witness is not None]
        return max(refuting, key=lambda e: e.strength.rank).witness if refuting else None


def conclude(evidence: Iterable[Evidence]) -> Verdict:
    """Weigh evidence: a refutation outweighs everything, then what holds, else undecided.

    Raises:
        ValueError: A refutation without a witness: that is a defect of the check.
    """
    pieces = tuple(evidence)
    for outcome in (Outcome.REFUTED, Outcome.HOLDS):
        found = [e for e in pieces if e.outcome is outcome]
        if outcome is Outcome.REFUTED and any(e.witness is None for e in found):
            raise ValueError("a refutation needs a witness")
        if found:
            strength = max((e.strength for e in found), key=lambda s: s.rank)
            return Verdict(outcome, strength, pieces)
    return Verdict(Outcome.UNDECIDED, None, pieces)


def enough(
    gamma: float,
    proved: tuple[float | None, str],
    certified: tuple[float | None, str],
    strict: bool = False,
) -> list[Evidence]:
    """That γ reaches a bound: one that is proved, or else one that is certified; empty without.

    Args:
        gamma: γ.
        proved: The bound, None where there is none, and what reaching it says.
        certified: The same.
        strict: Whether γ has to lie above the bound, not at it.
    """
    for (bound, said), kind, strength in (
        (proved, "argument", Strength.PROVED), (certified, "certificate", Strength.CERTIFIED)
    ):  # fmt: skip
        if bound is not None and (gamma > bound if strict else gamma >= bound):
            return [Evidence(kind, said, Outcome.HOLDS, strength)]
    return []
