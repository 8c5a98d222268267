"""What several lines ask of one run, computed once: the field it follows, γ, the guarantee."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sailtheory.run_audit.candidate import Guarantee, guarantee
from sailtheory.run_audit.decided import Loss, decided
from sailtheory.run_audit.gradients import Followed, allowed, followed, interval, updates_needed
from sailtheory.run_audit.policy_lines import gap_series, linear, nearly_linear, radius_used
from sailtheory.run_audit.standing import Found, Standing, unknown
from sailtheory.run_audit.trace import Point, Trace

__all__ = ["View"]

_SEE = "the gradients do not show the loss: see the line on the penalty"
_EITHER = "the gradients allow the loss with the score term and without it"
_LATE = (
    "the weights had moved since AuditLog was made when log() was first called: call it after "
    "backward() and before the optimiser's step, as gradients stand beside the wrong θ otherwise"
)


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

    @property
    def _bent(self) -> bool:
        gap = linear(self.trace)
        return gap is not None and gap.standing is Standing.VIOLATED

    @cached_property
    def followed(self) -> Followed | None:
        """Of what the logged gradients are made, if they are of the candidate problem."""
        if not (self.linear and self.trace.facts.all_responses):
            return None
        assert self.trace.problem is not None
        return followed(
            self.trace.problem, self.trace.points, self._bend, self.trace.facts.rounding
        )

    @property
    def _bend(self) -> float:
        return max([0.0, *(gap - error for _, gap, error in gap_series(self.trace))])

    @property
    def explained(self) -> Followed | None:
        """The same where the gradients show which of the theory's terms they are."""
        found = self.followed
        return found if found is not None and found.identified else None

    @property
    def unseen(self) -> str:
        """Why the gradients do not show the loss, and what would, in words; empty if they do."""
        found = self.followed
        if self.trace.late:
            return _LATE
        if found is not None:
            return found.doubt or found.unclear
        if self.trace.problem is None:
            return "log the candidates with β and their rewards or preferences: AuditLog does"
        if not self.trace.facts.all_responses:
            return "log a loop on all its responses with AuditLog: gradients are measured there"
        if self._bent:
            return "terms of the gradients are known of log-linear policies, and this run's is none"
        seen = sum(p.gradient is not None and p.theta is not None for p in self.trace.points)
        few = f"{seen} {'is' if seen == 1 else 'are'} too few"
        return f"log {updates_needed()} updates or more (share=1 measures each): {few}"

    @property
    def outside(self) -> str:
        """Why the loss is seen to be none of the theory's, in words; empty where it may be one."""
        found = self.followed
        if self.trace.late:
            return _LATE
        if self.upside_down:
            return "the updates go up the loss, away from the maximum: see the line on updates"
        if found is None or not (found.foreign or found.identified):
            return ""
        if found.foreign:
            return found.doubt
        if found.rewarded:
            return (
                "the gradients hold ∇E[r], a reward's, and thresholds here are of preferences: "
                "`sailtheory check` on the log's problem.npz takes --objective reward"
            )
        if found.penalised and found.reverse:
            return "the gradients hold KL(π_θ‖π_ref), which has no such threshold (C33)"
        if found.weight not in (None, 0.0, 1.0):
            return "the score term's weight is neither 0 nor 1, and the theory has no other"
        return ""

    @cached_property
    def loss(self) -> Loss:
        """The loss that all lines take."""
        return decided(self.trace.facts, self.followed, self._allowed)

    def _allowed(self, gamma: float | None, score: bool) -> float | None:
        found = self.followed
        if found is None or found.foreign:
            return None
        trace = self.trace
        assert trace.problem is not None
        return allowed(trace.problem, trace.points, self._bend, trace.facts.rounding, gamma, score)

    @property
    def upside_down(self) -> bool:
        """Whether updates go down what the loss should make them climb."""
        turns = [float(cosine) for _, cosine in self.trace.along("along")]
        known = self.explained is not None or (self.loss.sure and self.trace.facts.all_responses)
        return known and self.loss.scale * sum(turns) < 0

    @property
    def lacking(self) -> str:
        """Why there is no guarantee to compare with, and what to log."""
        if self._bent:
            return "Λ, μ and thresholds are those of log-linear policies, and this run's is none"
        found, loss = self.followed, self.loss
        if self.outside or found is None:
            return self.outside or self.unseen
        if not found.identified:
            return _SEE
        if loss.gamma is None or not found.penalised:
            return (
                f"log more updates: the penalty's factor is {interval(found.gamma)}"
                f"{_stated('γ', self.trace.facts.gamma)}"
            )
        return (
            f"log more updates: the score term's factor is {interval(found.score)}"
            f"{_stated('score', self.trace.facts.score)}"
        )

    def as_far(self, found: Found) -> Found:
        """What follows from γ and the score term: no surer than these are."""
        loss = self.loss
        if found.standing is Standing.VIOLATED and loss.sure and self._either:
            return unknown(f"{loss.condition}: {found.why}; {_EITHER}")
        return self.as_stated(found)

    def as_stated(self, found: Found) -> Found:
        """The same where whether there is a score term does not matter."""
        loss = self.loss
        if not loss.said:
            return found
        if not loss.sure:
            return unknown(f"{loss.condition}: {found.why}; {_SEE}")
        return found._replace(why=f"{found.why}; {loss.said} as stated, which the gradients allow")

    @cached_property
    def _either(self) -> bool:
        """Whether the score term is stated, and the gradients allow the other one too."""
        if "score" not in self.loss.said:
            return False
        return self._allowed(None, not self.loss.score) is not None

    @property
    def unpredicted(self) -> str:
        """Why there is no μ, in words."""
        more = ", or log more updates" if self.loss.room else ""
        return f"γ is not shown to be above the threshold: raise γ{more}"

    @cached_property
    def guarantee(self) -> Guarantee | None:
        """What the theorems say on the candidate problem, with the run's γ and B, of their loss."""
        return self.linearised if self.linear and not self.outside else None

    @cached_property
    def linearised(self) -> Guarantee | None:
        """The same of a run that is not log-linear, on its candidates linearised at π_ref."""
        problem, radius = self.trace.problem, radius_used(self.trace)
        if problem is None or radius is None or self.loss.gamma is None or self.loss.score is None:
            return None
        return guarantee(problem, radius, self.loss.gamma, self.loss.score)

    @property
    def path(self) -> tuple[Point, ...]:
        """Points with θ of a run on its candidate problem; none of another."""
        if not (self.linear and self.trace.facts.all_responses):
            return ()
        return tuple(point for point in self.trace.points if point.theta is not None)


def _stated(name: str, value: float | None) -> str:
    return "" if value is None else f", {name} = {value:g} is stated"
