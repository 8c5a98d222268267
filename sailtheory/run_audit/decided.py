"""Which loss the lines take: its γ, its score term, its factor, and what they rest on.

One decision for all lines. What the gradients show counts before what was stated, and what was
stated alone is not taken for shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sailtheory.run_audit.gradients import SMALL, SURE, Followed
from sailtheory.run_audit.trace import Facts

__all__ = ["Loss", "agrees", "decided"]

_KINDS = {0.0: False, 1.0: True}


@dataclass(frozen=True)
class Loss:
    """−gradient = scale·(V + s·score − γ∇KL(π_ref‖π_θ)), as far as it is known.

    Attributes:
        gamma: γ ≥ 0; None where unknown.
        room: Half the width of γ's interval; 0 where a stated γ lies in it.
        score: Whether s is 1, not 0; None where it is unknown or neither.
        scale: Negative where the logged loss is to be maximised; 1 where it is not shown.
        sure: Whether the gradients show this loss, or allow it and no other; or a trainer's
            settings do, whose gradients are of other responses.
        said: What is stated of it, in words.
    """

    gamma: float | None
    score: bool | None
    room: float = 0.0
    scale: float = 1.0
    sure: bool = True
    said: str = ""


class _Taken(NamedTuple):
    """A value, half the width of its interval, whether it is shown, and what is stated of it."""

    value: float | None
    room: float
    sure: bool
    said: str = ""


def agrees(stated: float, measured: tuple[float, float]) -> bool:
    """Whether a stated number lies in the interval of a value with its standard error."""
    value, error = measured
    return abs(stated - value) <= SURE * error + SMALL * abs(stated)


def decided(facts: Facts, found: Followed | None) -> Loss:
    """The loss that all lines take.

    Args:
        facts: What was stated.
        found: What the gradients show; None where there are too few.
    """
    gamma, score = facts.gamma, facts.score
    if not facts.all_responses:
        return Loss(gamma, _kind(score))
    if found is None or not found.identified:
        pairs = (("γ", gamma), ("score", score))
        said = " and ".join(f"{name} = {value:g}" for name, value in pairs if value is not None)
        return Loss(gamma, _kind(score), sure=False, said=said)
    penalty = _taken("γ", gamma, found.gamma, found.penalised, 0.0)
    weight = found.score if found.weight is None else (found.weight, 0.0)
    term = _taken("score", score, weight, found.weight is not None, 1.0 - (score or 0.0))
    return Loss(
        None if penalty.value is None else max(penalty.value, 0.0), _kind(term.value),
        penalty.room, found.scale, penalty.sure and term.sure,
        " and ".join(filter(None, (penalty.said, term.said))),
    )  # fmt: skip


def _kind(score: float | None) -> bool | None:
    return None if score is None else _KINDS.get(float(score))


def _taken(
    name: str, stated: float | None, measured: tuple[float, float], resolved: bool, rival: float
) -> _Taken:
    """Of what is measured and stated; ``rival`` is what an interval must not hold to decide."""
    value, room = measured[0], SURE * measured[1]
    same = stated is not None and agrees(stated, measured)
    if resolved:
        return _Taken(stated, 0.0, True) if same else _Taken(value, room, True)
    if not same:
        return _Taken(None, room, False)
    return _Taken(stated, 0.0, abs(rival - value) > room, f"{name} = {stated:g}")
