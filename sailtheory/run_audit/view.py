"""What several lines ask of one run, computed once: the field it follows, γ, the guarantee."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sailtheory.run_audit.candidate import Guarantee, guarantee
from sailtheory.run_audit.gradients import CLEAR, Followed, followed
from sailtheory.run_audit.policy_lines import gap_series, linear, nearly_linear, radius_used
from sailtheory.run_audit.standing import Standing
from sailtheory.run_audit.trace import Point, Trace

__all__ = ["View"]


@dataclass(frozen=True)
class View:
    """A run and what follows from it.

    Attributes:
        trace: The run.
        accuracy: The share of the first gap that noise may leave.
    """

    trace: Trace
    accuracy: float

    @cached_property
    def linear(self) -> bool:
        """Whether the candidate problem stands for the run."""
        return self.trace.problem is not None and nearly_linear(self.trace)

    @cached_property
    def followed(self) -> Followed | None:
        """Of what the logged gradients are made, if they are of the candidate problem."""
        if not (self.linear and self.trace.facts.all_responses):
            return None
        assert self.trace.problem is not None
        bend = max((gap - error for _, gap, error in gap_series(self.trace)), default=0.0)
        rounding = self.trace.facts.rounding
        return followed(self.trace.problem, self.trace.points, max(bend, 0.0), rounding)

    @property
    def explained(self) -> Followed | None:
        """The same where the theory's terms explain them."""
        found = self.followed
        return None if found is None or found.doubt else found

    @property
    def outside(self) -> str:
        """Why the loss is seen to be none of preferences, in words; empty where it may be one."""
        found = self.followed
        if found is not None and found.foreign:
            return found.doubt
        if self.explained is not None and self.explained.rewarded:
            return (
                "the gradients hold ∇E[r], a reward's, and thresholds here are of preferences: "
                "`sailtheory check` on the log's problem.npz takes --objective reward"
            )
        return ""

    @cached_property
    def gamma(self) -> float | None:
        """γ as stated, or as measured."""
        found = self.explained
        if self.trace.facts.gamma is not None:
            return self.trace.facts.gamma
        return max(found.gamma[0], 0.0) if found is not None and found.penalised else None

    @cached_property
    def score(self) -> bool | None:
        """Whether the score term is there: as measured, or as stated; None of another loss."""
        if self.explained is not None and self.explained.rewarded:
            return None
        if self.explained is not None and self.explained.score[1] < CLEAR:
            weight = round(self.explained.score[0], 1)
            return {0.0: False, 1.0: True}.get(weight)
        stated = self.trace.facts.score
        return None if stated is None else stated != 0

    @property
    def lacking(self) -> str:
        """Why there is no guarantee to compare with, and what to log."""
        gap = linear(self.trace)
        if gap is not None and gap.standing is Standing.VIOLATED:
            return "Λ, μ and thresholds are those of log-linear policies, and this run's is none"
        if self.trace.problem is None:
            return "log the candidates with β and their rewards or preferences: AuditLog does"
        if self.outside:
            return self.outside
        if self.score is None and self.explained is not None and not self.explained.unclear:
            return "the score term's weight is neither 0 nor 1, and the theory has no other"
        missing = [name for name in ("gamma", "score") if getattr(self, name) is None]
        if missing:
            them = " and ".join(f"{name}=" for name in missing)
            return f"state {them} to AuditLog: the gradients do not show {_of(missing)}"
        return "log a loop on all its responses with AuditLog: gradients are measured there"

    @cached_property
    def guarantee(self) -> Guarantee | None:
        """What the theorems say on the candidate problem, with the run's γ and B."""
        return self.linearised if self.linear else None

    @cached_property
    def linearised(self) -> Guarantee | None:
        """The same of a run that is not log-linear, on its candidates linearised at π_ref."""
        problem, radius = self.trace.problem, radius_used(self.trace)
        if problem is None or radius is None or self.gamma is None or self.score is None:
            return None
        return guarantee(problem, radius, self.gamma, self.score)

    @property
    def path(self) -> tuple[Point, ...]:
        """Points with θ of a run on its candidate problem; none of another."""
        if not (self.linear and self.trace.facts.all_responses):
            return ()
        return tuple(point for point in self.trace.points if point.theta is not None)


def _of(missing: list[str]) -> str:
    named = {"gamma": "γ", "score": "the score term's weight (0 for online DPO, 1 for SAIL)"}
    return " and ".join(named[name] for name in missing)
