"""Lines on the policy and what judges it: π_ref, the ball, log-linearity, preferences."""

from __future__ import annotations

import itertools

import numpy as np

from sailtheory.run_audit.standing import Found, holds, unknown, violated
from sailtheory.run_audit.trace import Series, Trace

__all__ = [
    "TOLERANCE",
    "ball", "finite", "gap_series", "linear", "nearly_linear", "preferences", "radius_used",
    "reference",
]  # fmt: skip

TOLERANCE = 0.01
"""Of the gap of log-linearity, relative to the range of log π_θ/π_ref."""
_ROUNDING = 1e-6
_ODDS = 1e-6  # of log-odds that rewards would explain


def reference(trace: Trace) -> Found | None:
    """π_ref is the same along the run, on the candidates."""
    drift = trace.along("reference")
    if not drift:
        return None
    for step, value in drift:
        if value > trace.facts.rounding:
            return violated(f"log π_ref of a candidate has moved by {value:.3g} at step {step}")
    return holds(f"log π_ref of the candidates is the same at {len(drift)} steps")


def radius_used(trace: Trace) -> float | None:
    """B: as stated, or the largest distance seen where that is larger, or none was stated."""
    seen = [value for _, value in trace.distances]
    if trace.facts.radius is not None:
        seen.append(trace.facts.radius)
    return max(seen, default=None)


def ball(trace: Trace) -> Found | None:
    """‖θ − c‖ ≤ B; without a stated B, which one the run used."""
    apart = trace.distances
    for fault in trace.faults:
        if fault.name == "θ":
            return violated(fault.why)
    if not apart:
        return None
    limit = trace.facts.radius
    step, most = max(apart, key=lambda pair: pair[1])
    if limit is None:
        return holds(
            f"no B was set: the largest ‖θ − θ_start‖ seen is {most:.4g}, at step {step}, and "
            f"other lines take it as B{_looked(trace)}"
        )
    for place, value in apart:
        if value > limit * (1 + _ROUNDING):
            return violated(f"‖θ − θ_start‖ = {value:.4g} > B = {limit:g} at step {place}")
    return holds(f"‖θ − θ_start‖ ≤ {most:.4g} (step {step}), B = {limit:g}{_looked(trace)}")


def _looked(trace: Trace) -> str:
    """How often θ was looked at, where that was not at every update."""
    count, made = len(trace.along("distance")), trace.spent.get("updates")
    if count == made and trace.end is not None:
        return ""
    of = "" if made is None else f" of {made:.0f}"
    updates = "update" if not of and count == 1 else "updates"
    return f"; looked at {count}{of} {updates}{'' if trace.end is None else ' and at the end'}"


def gap_series(trace: Trace) -> list[tuple[int, float, float]]:
    """Step, relative gap of log-linearity, and what rounding can make of it.

    log π_θ/π_ref of two responses to one prompt differs by a linear function of θ exactly if
    its value half-way is half its value: the gap is the largest deviation, relative to the
    largest difference.
    """
    found = []
    for point in trace.points:
        if point.log_ratios is None or point.middle is None:
            continue
        size = float(np.ptp(point.log_ratios, axis=-1).max())
        if size > 0:
            bend = float(np.ptp(2 * point.middle - point.log_ratios, axis=-1).max())
            found.append((point.step, bend / size, 4 * trace.facts.rounding / size))
    return found


def linear(trace: Trace) -> Found | None:
    """log π_θ/π_ref is linear in what is trained, up to the tolerance."""
    gaps = gap_series(trace)
    for step, gap, error in gaps:
        if gap - error > TOLERANCE:
            most = max(gaps, key=lambda row: row[1])
            return violated(
                f"at step {step} log π_θ/π_ref half-way is off its half by {gap:.2g} of its "
                f"range, above {TOLERANCE:g}; largest {most[1]:.2g} at step {most[0]}"
            )
    seen = [row for row in gaps if row[1] + row[2] <= TOLERANCE]
    if seen:
        step, gap, _ = max(seen, key=lambda row: row[1])
        return holds(f"gap at most {gap:.2g} of the range (step {step}), {TOLERANCE:g} allowed")
    if trace.along("log_ratios"):
        return unknown("log longer: π_θ has not yet moved from π_ref by more than rounding")
    return None


def nearly_linear(trace: Trace) -> bool:
    """Whether the candidate problem stands for the run: the measured gap is below the tolerance."""
    found = linear(trace)
    return found is not None and found.standing.value == "holds"


def preferences(trace: Trace) -> Found | None:
    """p₁₂ + p₂₁ = 1, log-odds of pairs are differences of rewards, and p does not move."""
    first = trace.preferences
    if first is None:
        return None
    logged = trace.along("preferences")
    for step, p in [(0, first), *logged]:
        excess = np.abs(p + p.swapaxes(-1, -2) - 1)
        if excess.max() > _ROUNDING:
            x, i, j = np.unravel_index(excess.argmax(), p.shape)
            both = p[x, i, j] + p[x, j, i]
            return violated(
                f"p₁₂ + p₂₁ = {both:.4g} for candidates {i}, {j} of prompt {x}, at step {step}"
            )
    for step, p in logged:
        moved = float(np.abs(p - first).max())
        if moved > _ROUNDING:
            return violated(f"p has moved by {moved:.3g} at step {step}: the theory's p is fixed")
    return _bradley_terry(first)


def _bradley_terry(p: np.ndarray) -> Found:
    """Whether log p₁₂/p₂₁ + log p₂₃/p₃₂ + log p₃₁/p₁₃ is 0 for every three responses."""
    unless = "C11 and C29 need p₁₂ + p₂₁ = 1 alone, the reading as a reward (C21) needs this too"
    off = ~np.eye(p.shape[-1], dtype=bool)
    if (p[:, off] <= 0).any() or (p[:, off] >= 1).any():
        return violated(f"labels are certain (p = 0 or 1), which no finite reward gives; {unless}")
    odds = np.log(p) - np.log(p.swapaxes(-1, -2))
    for i, j, k in itertools.combinations(range(p.shape[-1]), 3):
        around = np.abs(odds[:, i, j] + odds[:, j, k] + odds[:, k, i])
        if around.max() > _ODDS:
            x = int(around.argmax())
            return violated(
                f"log-odds around candidates {i}, {j}, {k} of prompt {x} add up to "
                f"{around[x]:.3g}, not 0: not Bradley–Terry; {unless}"
            )
    return holds("p₁₂ + p₂₁ = 1, and log-odds are differences of rewards, on all candidates")


def finite(trace: Trace) -> Found | None:
    """Every logged number is finite."""
    if trace.faults:
        return violated(trace.faults[0].why)
    rows: list[Series] = [*trace.series.values()]
    count = sum(map(len, rows)) + len(trace.points)
    if not count:
        return None
    last = max([s for row in rows for s, _ in row] + [point.step for point in trace.points])
    return holds(f"{count} numbers up to step {last}")
