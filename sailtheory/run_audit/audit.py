"""All assumptions of the theory, one line each, for one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sailtheory.errors import InputError
from sailtheory.run_audit import objective_lines, policy_lines, step_lines
from sailtheory.run_audit.standing import Assumption, Found, Standing, holds, unknown, violated
from sailtheory.run_audit.trace import Trace
from sailtheory.run_audit.view import View
from sailtheory.shown import Shown

__all__ = ["Audit", "audit"]

_LOG = "log with AuditLog or AuditCallback (docs/audit-a-run.md)"
_OWN = "log a loop on all its responses with AuditLog: gradients are measured there"


@dataclass(frozen=True)
class _Line:
    key: str
    name: str
    source: str
    measured: Callable[[View], Found | None]
    missing: str


def _of_trace(rule: Callable[[Trace], Found | None]) -> Callable[[View], Found | None]:
    return lambda view: rule(view.trace)


_LINES = (
    _Line("reference", "π_ref is fixed", "section 1", _of_trace(policy_lines.reference),
          f"{_LOG}: log π_ref of the same candidates along the run"),
    _Line("ball", "θ stays in the ball C", "section 1", _of_trace(policy_lines.ball),
          f"{_LOG}: ‖θ − θ_start‖"),
    _Line("linear", "log π_θ/π_ref is linear in what is trained", "section 1",
          _of_trace(policy_lines.linear), f"{_LOG}: log π_θ half-way to θ_start"),
    _Line("preferences", "preferences are antisymmetric and Bradley–Terry", "section 1",
          _of_trace(policy_lines.preferences), f"{_LOG}: p or rewards of the candidates"),
    _Line("divergence", "the penalty is γ·KL(π_ref‖π_θ), estimated without bias", "C12, C22",
          objective_lines.divergence, _OWN),
    _Line("score", "the score term is that of J, or absent", "C18, C28",
          objective_lines.score, _OWN),
    _Line("threshold", "γ is above the threshold", "C11, C23, C25, C29",
          objective_lines.threshold, f"{_LOG}, and state β, γ and the score term's weight"),
    _Line("step", "updates are gradient steps of at most 1/Λ", "C15",
          step_lines.step_size, f"{_LOG}: the update beside the gradient"),
    _Line("noise", "the batch is large against σ²", "C16", step_lines.noise, _OWN),
    _Line("pl", "the PL ratio, and the contraction, are as predicted", "C13, C15, C29",
          step_lines.contraction, _OWN),
    _Line("finite", "every logged number is finite", "section 1",
          _of_trace(policy_lines.finite), "log the metrics of at least one update"),
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class Audit(Shown):
    """What an audit found.

    Attributes:
        lines: One an assumption.
        view: The run, and what follows from it.
    """

    lines: tuple[Assumption, ...]
    view: View

    @property
    def violated(self) -> tuple[Assumption, ...]:
        """The lines that do not hold."""
        return tuple(line for line in self.lines if line.standing is Standing.VIOLATED)

    def __getitem__(self, key: str) -> Assumption:
        return next(line for line in self.lines if line.key == key)


def audit(trace: Trace, arms: Sequence[tuple[str, Trace]] = (), *, accuracy: float = 0.1) -> Audit:
    """Which assumptions hold along a run.

    What was measured counts before what settings say; what neither shows is not measurable,
    and is never taken for granted.

    Args:
        trace: The run.
        arms: Runs that it is compared with, by name: their budgets should be its own.
        accuracy: The share of the first gap that noise may leave, in (0, 1).

    Raises:
        InputError: An accuracy outside (0, 1).
    """
    if not 0 < accuracy < 1:
        raise InputError("accuracy", accuracy, "a share in (0, 1)")
    view, lines = View(_before_fault(trace), accuracy), []
    for line in _LINES:
        measured = _until(trace, view, line.measured(view))
        found = measured or trace.stated.get(line.key) or unknown(line.missing)
        if found.standing is Standing.UNKNOWN:  # settings may still decide
            found = trace.stated.get(line.key, found)
        lines.append(Assumption(line.key, line.name, *found, line.source))
    name = "budgets are equal between arms"
    lines.insert(-1, Assumption("budgets", name, *_budgets(trace, arms), "arms"))
    return Audit(tuple(lines), view)


def _until(trace: Trace, view: View, found: Found | None) -> Found | None:
    """What is found of the steps before the policy or its gradient was not finite."""
    fault = trace.broken
    if fault is None or trace.facts.group is not None:  # groups are judged by settings
        return found
    if found is not None and found.standing is Standing.VIOLATED:
        return found
    if not view.trace.points:
        return unknown(f"{fault.why}, and nothing was measured before it")
    if found is None or found.standing is Standing.UNKNOWN:
        return found and unknown(f"{fault.why}; before that: {found.why}")
    where = f"where {fault.name} is {fault.text}"
    return holds(f"{found.why}; of the steps before {fault.step}, {where}")


def _before_fault(trace: Trace) -> Trace:
    """What was measured before the policy or its gradient was not finite."""
    if trace.broken is None:
        return trace
    last, end = trace.broken.step, trace.end
    points = tuple(point for point in trace.points if point.step < last)
    return replace(trace, points=points, end=end if end is not None and end[0] < last else None)


def _budgets(trace: Trace, arms: Sequence[tuple[str, Trace]]) -> Found:
    """What each arm was given is what this one was."""
    if not arms:
        return unknown("name the runs it is compared with: --arm RUN")
    compared: set[str] = set()
    for name, other in arms:
        both = [key for key in trace.spent if key in other.spent]
        if not both:
            return unknown(f"{name} and this run count nothing alike: log updates and prompts")
        for key in both:
            mine, theirs = trace.spent[key], other.spent[key]
            if mine != theirs:
                return violated(f"{key}: {mine:g} here, {theirs:g} in {name}")
        compared.update(both)
    return holds(f"{', '.join(sorted(compared))} are the same in {len(arms) + 1} runs")
