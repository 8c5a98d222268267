"""The page of ``sailtheory audit --html``: one line an assumption, and the trajectories."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from sailtheory.report.axes import decades, round_ticks
from sailtheory.report.html import page, piece
from sailtheory.report.numerals import number
from sailtheory.report.run_audit import Trajectory, described, summary, trajectories
from sailtheory.run_audit.audit import Audit
from sailtheory.run_audit.standing import Standing
from sailtheory.verdict import Outcome

__all__ = ["audit_page"]

_WIDTH, _HEIGHT = 460.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 66.0, 446.0, 14.0, 186.0
_OUTCOME = {
    Standing.HOLDS: Outcome.HOLDS, Standing.VIOLATED: Outcome.REFUTED,
    Standing.UNKNOWN: Outcome.UNDECIDED,
}  # fmt: skip


def audit_page(found: Audit, run: str, seconds: float) -> str:
    """What was found, as a self-contained page.

    Args:
        found: The audit.
        run: What the run is called.
        seconds: How long the audit took.
    """
    trace, loss = found.view.trace, found.view.loss
    known = {
        "read from": trace.kind,
        "β": number(trace.facts.beta),
        "γ": number(loss.gamma) + (" as stated" if "γ" in loss.said else ""),
        "B": number(trace.facts.radius) if trace.facts.radius else "none was set",
        "updates measured": str(len(trace.points)),
        "candidate problem": str(trace.problem) if trace.problem else "none",
    }
    return page(
        "run_audit", 0, "full", seconds,
        title=f"Audit of {run}",
        lead=summary(found),
        lines=[(line, _OUTCOME[line.standing]) for line in found.lines],
        facts=known | {f"note {i}": note for i, note in enumerate(trace.notes, start=1)},
        charts=[(each.name, described(each), _chart(each)) for each in trajectories(found)],
    )  # fmt: skip


def _chart(each: Trajectory) -> Markup:
    """The line, its dots, and the level that it is compared with."""
    steps, values = (np.array(column, float) for column in zip(*each.points, strict=True))
    levels = [] if each.level is None else [each.level]
    log = each.logarithmic and values.min() > 0 and all(level > 0 for level in levels)
    x0, x1 = _apart(float(steps.min()), float(steps.max()))
    ends = [*values.tolist(), *levels]
    if log:
        low, high = np.log10(min(ends)), np.log10(max(ends))
        if high - low < 1:
            low, high = np.floor(low), np.floor(low) + 1 + (high > np.floor(low) + 1)
    else:
        low, high = _apart(min(ends), max(ends))

    def across(x: float) -> float:
        return _LEFT + (x - x0) / (x1 - x0) * (_RIGHT - _LEFT)

    def down(y: float) -> float:
        at = float(np.log10(y)) if log else y
        return float(_TOP + (high - at) / (high - low) * (_BOTTOM - _TOP))

    marks = decades(10.0**low, 10.0**high) if log else round_ticks(low, high)
    places = [(across(x), down(y)) for x, y in zip(steps, values, strict=True)]
    return piece(
        "figures", "trajectory",
        {
            "width": int(_WIDTH), "height": int(_HEIGHT), "left": _LEFT, "right": _RIGHT,
            "bottom": _BOTTOM, "title": f"{each.name}: {described(each)}",
            "rows": [(down(float(y)), f"{y + 0.0:.6g}") for y in marks],  # −0 is 0
            "columns": [(across(float(x)), f"{x:,.6g}") for x in round_ticks(x0, x1)],
            "line": " ".join(f"{x:.1f},{y:.1f}" for x, y in places),
            "dots": places if len(places) <= 60 else [],
            "level": None if each.level is None else down(each.level),
            "level_name": each.level_name,
        },
    )  # fmt: skip


def _apart(low: float, high: float) -> tuple[float, float]:
    """Two ends that differ: a flat line needs room as well."""
    wide = max(abs(low), 1.0) * 0.5
    return (low, high) if high > low else (low - wide, high + wide)
