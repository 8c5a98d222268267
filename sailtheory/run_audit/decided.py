"""Which loss the lines take: its γ, its score term, its factor, and what they rest on.

One decision for all lines. What the gradients show counts before what was stated, and what was
stated alone is not taken for shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
        sure: Whether the gradients show this loss, or allow what is stated; or a trainer's
            settings say so, whose gradients are of other responses.
        said: What of it is stated and not measured, in words.
    """

    gamma: float | None
    score: bool | None
    room: float = 0.0
    scale: float = 1.0
    sure: bool = True
    said: str = ""

    @property
    def condition(self) -> str:
        """On what that is stated and not measured a line rests, in words; empty for nothing."""
        return f"if {self.said} as stated" if self.said else ""


def agrees(stated: float, measured: tuple[float, float]) -> bool:
    """Whether a stated number lies in the interval of a value with its standard error."""
    value, error = measured
    return abs(stated - value) <= SURE * error + SMALL * abs(stated)


def decided(
    facts: Facts, found: Followed | None, allowed: Callable[[float, bool], float | None]
) -> Loss:
    """The loss that all lines take.

    Args:
        facts: What was stated.
        found: What the gradients show; None where there are too few.
        allowed: Of γ and the score term: the loss's factor, where the gradients allow them.
    """
    gamma, score = facts.gamma, None if facts.score is None else _KINDS.get(float(facts.score))
    if not facts.all_responses:
        return Loss(gamma, score)
    room, scale, only = 0.0, 1.0, {"γ": gamma, "score": facts.score}
    if found is not None and found.identified:
        scale = found.scale
        if found.penalised:
            del only["γ"]
            if gamma is None or not agrees(gamma, found.gamma):
                gamma, room = max(found.gamma[0], 0.0), SURE * found.gamma[1]
        if found.weight is not None:
            del only["score"]
            score = _KINDS.get(found.weight)
    if not only:
        return Loss(gamma, score, room, scale)
    said = " and ".join(f"{name} = {value:g}" for name, value in only.items() if value is not None)
    factor = None if gamma is None or score is None else allowed(gamma, score)
    return Loss(gamma, score, room, factor or scale, factor is not None, said)
