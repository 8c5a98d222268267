"""Lines on the updates: the step against 1/Λ, noise against the batch, PL and contraction."""

from __future__ import annotations

import numpy as np

from sailtheory.run_audit.candidate import Guarantee
from sailtheory.run_audit.standing import Found, Standing, holds, unknown, violated
from sailtheory.run_audit.trace import Point, Trace
from sailtheory.run_audit.view import View

__all__ = ["contraction", "noise", "step_size", "step_sizes"]

_ALONG = 1e-3  # 1 − cosine of a step that is along the gradient
_SPHERE = 1e-6
_MARKOV = 20.0  # a positive quantity exceeds 20 times its mean with 5 % at most
_ROUNDING = 1e-4


def step_sizes(trace: Trace) -> list[tuple[int, float]]:
    """‖Δθ‖/‖gradient‖ of the logged updates."""
    return [(step, float(size)) for step, size in trace.along("step_size")]


def step_size(view: View) -> Found | None:
    """Updates are η times the gradient, η ≤ 1/Λ."""
    made = [p for p in view.trace.points if p.step_size is not None and p.along is not None]
    if not made:
        return None
    limit, inner = view.trace.facts.radius, []
    for before, after in zip(made, [*made[1:], None], strict=True):
        if limit is None or not _near_sphere(before, after, limit):
            inner.append(before)  # a step that a projection has cut is not along the gradient
    for point in inner:
        if 1 - float(point.along or 0) > _ALONG:
            return violated(
                f"the update at step {point.step} is not along the gradient (cosine "
                f"{point.along:.3g}), as with Adam or momentum: C15 is of gradient steps"
            )
    if view.guarantee is None:
        return unknown(f"no Λ to compare with: {view.lacking}")
    scale = 1.0 if view.explained is None else view.explained.scale
    smooth = view.guarantee.smooth
    for point in made:
        eta = float(point.step_size or 0) * scale
        if eta * smooth > 1 + _ROUNDING:
            return violated(f"η = {eta:.4g} > 1/Λ = {1 / smooth:.4g} at step {point.step}")
    step, most = max(step_sizes(view.trace), key=lambda row: row[1])
    return holds(f"η ≤ {most * scale:.4g} (step {step}), 1/Λ = {1 / smooth:.4g}")


def _near_sphere(before: Point, after: Point | None, limit: float) -> bool:
    apart = [p.distance for p in (before, after) if p is not None and p.distance is not None]
    return after is None or max(apart, default=0.0) >= limit * (1 - _SPHERE)


def noise(view: View) -> Found | None:
    """The floor that noise leaves (C16) against the first gap."""
    found = view.explained
    if found is None or view.guarantee is None:
        return _unjudged(view)
    modulus = view.guarantee.constants.modulus
    if modulus is None:
        return unknown("no μ is known, as γ is not above the threshold: raise γ, or log more")
    first = float(view.guarantee.progress(view.path).gap.max(initial=0.0))
    floor = _floor(view, modulus)
    batch = next((p.batch for p in view.path if p.batch is not None), None)
    if first <= 0:
        return unknown("the run began at its end: there is no gap to compare noise with")
    share = floor / first
    sized = f"σ² = {found.noise * (batch or 1):.3g}" + (f", N = {batch}" if batch else "")
    said = f"{sized}: noise leaves {share:.2g} of the first gap (C16), {view.accuracy:g} allowed"
    if share <= view.accuracy:
        return holds(said)
    more = "" if batch is None else f"; N ≥ {np.ceil(batch * share / view.accuracy):.0f} would do"
    return violated(f"{said}, over steps {found.steps[0]} to {found.steps[1]}{more}")


def _unjudged(view: View) -> Found | None:
    """σ² where there is no μ to judge it by."""
    seen = [(float(p.variance), p.batch or 1) for p in view.trace.points if p.variance is not None]
    if not seen:
        return unknown(view.lacking) if view.path else None
    variance = float(np.mean([value * batch for value, batch in seen]))
    return unknown(
        f"σ² = {variance:.3g} by the gradients of successive updates (after clipping), "
        f"N = {seen[0][1]}; what it leaves of the gap needs a μ: {view.lacking}"
    )


def _floor(view: View, modulus: float) -> float:
    """V/μ of J_γ's gap (C16b); ηV/μ of a field's squared distance, for its own steps."""
    found, at = view.explained, view.guarantee
    assert found is not None and at is not None
    variance = found.noise / found.scale**2
    eta = max((size for _, size in step_sizes(view.trace)), default=0.0) * found.scale
    return variance / modulus if at.score else eta * variance / modulus


def contraction(view: View) -> Found | None:
    """The PL ratio against μ, and the measured contraction against 1 − μη."""
    at, path = view.guarantee, view.path
    if at is None or len(path) < 2:
        return unknown(view.lacking) if view.trace.points else None
    seen = at.progress(path)
    good = np.isfinite(seen.ratio)
    if not good.any():
        return unknown("the run began at its end: there is no gap to measure")
    least = int(np.nanargmin(np.where(good, seen.ratio, np.inf)))
    name = "PL ratio" if at.score else "monotonicity ratio"
    said = f"least {name} {seen.ratio[least]:.3g} (step {seen.steps[least]})"
    modulus = at.constants.modulus
    if modulus is None:
        return unknown(f"nothing is predicted, as γ is not above the threshold; {said}")
    if seen.ratio[least] < modulus * (1 - _ROUNDING):
        return violated(f"{said} < μ = {modulus:.3g}")
    made = step_size(view)
    if made is not None and made.standing is Standing.VIOLATED:
        return holds(f"{said} ≥ μ = {modulus:.3g}; of such updates no contraction is predicted")
    return _measured(view, at, seen.steps, seen.gap, modulus, f"{said} ≥ μ = {modulus:.3g}")


def _measured(
    view: View, at: Guarantee, steps: np.ndarray, gap: np.ndarray, modulus: float, said: str
) -> Found:
    """Whether the gap fell as fast as predicted, noise allowed for."""
    sizes, scale = dict(step_sizes(view.trace)), view.explained.scale if view.explained else 1.0
    if not sizes:
        return holds(f"{said}; no update was measured")
    eta = min(min(sizes.values()) * scale, 1 / at.smooth)
    floor = _MARKOV * _floor(view, modulus) if view.explained else 0.0
    taken = steps - steps[0]
    allowed = (1 - modulus * eta) ** taken * gap[0] * (1 + _ROUNDING) + floor + 1e-12
    slow = np.flatnonzero(gap > allowed)
    rate, predicted = _rate(taken, gap), 1 - modulus * eta
    if len(slow):
        t = slow[0]
        return violated(
            f"at step {steps[t]} the gap is {gap[t] / gap[0]:.3g} of the first, at most "
            f"{predicted ** taken[t]:.3g} is predicted (1 − μη = {predicted:.4g} a step)"
        )
    if floor > _ROUNDING * gap[0]:
        return holds(f"{said}; gaps are at most (1 − μη)^t of the first, but for noise")
    return holds(f"{said}; contraction {rate:.4g} a step, at most {predicted:.4g} predicted")


def _rate(taken: np.ndarray, gap: np.ndarray) -> float:
    """Mean factor a step, as long as the gap is above rounding."""
    seen = np.flatnonzero(gap > 1e-9 * gap.max())
    last = seen[-1]
    return float((gap[last] / gap[0]) ** (1 / max(taken[last], 1)))
