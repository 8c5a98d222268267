"""What an audit of a run found: a table, a sentence, JSON, and the trajectories behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.report.numerals import number
from sailtheory.run_audit.audit import Audit
from sailtheory.run_audit.decided import Loss
from sailtheory.run_audit.policy_lines import TOLERANCE, gap_series, radius_used
from sailtheory.run_audit.standing import Standing
from sailtheory.run_audit.step_lines import step_sizes

__all__ = ["Trajectory", "as_dict", "described", "print_audit", "summary", "trajectories"]

_MOST = 6  # further series shown
_FIRST = ("loss", "objective/kl", "objective/scores", "rewards/mean", "kl/kl_ref_policy",
          "learning_rate", "loss/total", "gradient norm", "grad_norm", "reward")  # fmt: skip


@dataclass(frozen=True)
class Trajectory:
    """One number along a run.

    Attributes:
        name: What it is.
        says: A sentence on it.
        points: Steps and values.
        level: What it is compared with; None for nothing.
        level_name: The name of that.
        logarithmic: Whether its axis is.
    """

    name: str
    says: str
    points: tuple[tuple[int, float], ...]
    level: float | None = None
    level_name: str = ""
    logarithmic: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "name": self.name, "steps": [step for step, _ in self.points],
            "values": [value for _, value in self.points], "level": self.level,
            "level_name": self.level_name or None,
        }  # fmt: skip


def summary(found: Audit) -> str:
    """How many lines stand how, and which are violated."""
    count = {standing: 0 for standing in Standing}
    for line in found.lines:
        count[line.standing] += 1
    parts = [f"{count[standing]} {words}" for standing, words in (
        (Standing.HOLDS, "hold"), (Standing.VIOLATED, "violated"),
        (Standing.UNKNOWN, "not measurable"),
    )]  # fmt: skip
    said = f"Of {len(found.lines)} assumptions {', '.join(parts)}."
    if not found.violated:
        return said
    return f"{said} Violated: {', '.join(line.key for line in found.violated)}."


def print_audit(found: Audit, run: str, console: Console) -> None:
    """One row an assumption, and what was left out."""
    table = Table(title=escape(f"{run}: {found.view.trace.kind}"), title_justify="left")
    table.add_column("assumption", max_width=32)
    table.add_column("status", no_wrap=True)
    table.add_column("because, or what to log", overflow="fold")
    table.add_column("source", max_width=9)
    for line in found.lines:
        table.add_row(*map(escape, (line.name, line.standing.value, line.why, line.source)))
    console.print(table)
    for note in found.view.trace.notes:
        console.print(f"Note: {note}", markup=False)
    console.print(summary(found), markup=False)


def as_dict(found: Audit, run: str) -> dict[str, Any]:
    """JSON form."""
    return {
        "schema": "sailtheory.audit/2", "run": run, "kind": found.view.trace.kind,
        "assumptions": [line.as_dict() for line in found.lines],
        "notes": list(found.view.trace.notes),
        "trajectories": [each.as_dict() for each in trajectories(found)],
    }  # fmt: skip


def trajectories(found: Audit) -> list[Trajectory]:
    """What the lines were decided by, along the run; then some of what else was logged."""
    view, trace = found.view, found.view.trace
    shown = [
        Trajectory("‖θ − θ_start‖", "How far the weights went.",
                   tuple(trace.distances), trace.facts.radius or radius_used(trace), "B"),
        Trajectory("gap of log-linearity",
                   "By how much log π_θ/π_ref half-way is off its half, relative to its range.",
                   tuple((step, gap) for step, gap, _ in gap_series(trace)),
                   TOLERANCE, "allowed", logarithmic=True),
        Trajectory("change of log π_ref", "Largest over the candidates.",
                   _plain(trace.along("reference")), trace.facts.rounding or None, "rounding"),
        Trajectory("range of log π_θ/π_ref", "Largest over the prompts.", tuple(
            (step, float(np.ptp(rows, axis=-1).max()))
            for step, rows in trace.along("log_ratios"))),
        Trajectory("step size", "‖Δθ‖ ÷ ‖gradient‖ of an update.", tuple(step_sizes(trace)),
                   None if view.guarantee is None else 1 / view.guarantee.smooth,
                   _resting("1/Λ", view.loss)),
    ]  # fmt: skip
    shown += _progress(found)
    rest = sorted(trace.series, key=lambda name: (
        _FIRST.index(name) if name in _FIRST else len(_FIRST), name))  # fmt: skip
    shown += [Trajectory(name, "As logged.", tuple(trace.series[name])) for name in rest[:_MOST]]
    return [each for each in shown if each.points]


def _progress(found: Audit) -> list[Trajectory]:
    view = found.view
    if view.guarantee is None or not view.path:
        return []
    seen = view.guarantee.progress(view.path)
    score, steps = view.guarantee.score, [int(step) for step in seen.steps]
    says = f"{_resting('On the candidate problem', view.loss)}."
    gap = "J* − J_γ" if score else "‖θ − θ*‖²"
    ratio = "PL ratio" if score else "monotonicity ratio"
    pairs = zip(steps, seen.gap.tolist(), strict=True)
    ratios = zip(steps, seen.ratio.tolist(), strict=True)
    return [
        Trajectory(gap, says, tuple(p for p in pairs if p[1] > 0),
                   logarithmic=True),
        Trajectory(ratio, says, tuple(p for p in ratios if p[1] > 0),
                   view.guarantee.constants.modulus, "μ", logarithmic=True),
    ]  # fmt: skip


def _resting(said: str, loss: Loss) -> str:
    """With what is stated and not measured."""
    return f"{said}, {loss.condition}" if loss.condition else said


def _plain(rows: Sequence[tuple[int, Any]]) -> tuple[tuple[int, float], ...]:
    return tuple((step, float(value)) for step, value in rows)


def described(each: Trajectory) -> str:
    """Its last value, and what it is compared with."""
    level = "" if each.level is None else f"; {each.level_name} = {number(each.level)} (dashed)"
    return f"{each.says} Last: {number(each.points[-1][1])}{level}."
