"""Lines on the updates: the step against 1/Λ, noise against the batch, PL and contraction."""

from __future__ import annotations

import numpy as np

from sailtheory.run_audit.candidate import Guarantee
from sailtheory.run_audit.gradients import COARSE
from sailtheory.run_audit.standing import Found, Standing, holds, unknown, violated
from sailtheory.run_audit.trace import Point, Trace
from sailtheory.run_audit.view import View

__all__ = ["contraction", "noise", "step_size", "step_sizes"]

_ALONG = 1e-3  # 1 − cosine of a step that is along the gradient
_SPHERE = 1e-6
_MARKOV = 20.0  # a positive quantity exceeds 20 times its mean with 5 % at most
_SIGMAS = 4.0
_ROUNDING = 1e-4
_CLIPPED = 1e-3


def step_sizes(trace: Trace) -> list[tuple[int, float]]:
    """‖Δθ‖/‖gradient‖ of the logged updates."""
    return [(step, float(size)) for step, size in trace.along("step_size")]


def step_size(view: View) -> Found | None:
    """Updates are η times the gradient, η ≤ 1/Λ."""
    made = _made(view.trace)
    if not made:
        return None
    if view.trace.late:
        return unknown(view.lacking)
    turned = _turned(view, made)
    if turned is not None:
        return turned
    if view.guarantee is None:
        return unknown(f"no Λ to compare with: {view.lacking}")
    scale, smooth = abs(view.loss.scale), view.guarantee.smooth
    times = "" if scale == 1 else f", as the loss is {scale:.4g} times J_γ"
    long = _too_long(view, made)
    if long is not None:
        return view.as_far(
            violated(
                f"η = {float(long.step_size or 0) * scale:.4g} > 1/Λ = {1 / smooth:.4g} at step "
                f"{long.step}{times}; Λ is the theory's bound on the curvature, and a longer step "
                "may still converge"
            )
        )
    step, most = max(step_sizes(view.trace), key=lambda row: row[1])
    return view.as_far(
        holds(f"η ≤ {most * scale:.4g} (step {step}), 1/Λ = {1 / smooth:.4g}{times}")
    )


def _made(trace: Trace) -> list[Point]:
    return [p for p in trace.points if p.step_size is not None and p.along is not None]


def _too_long(view: View, made: list[Point]) -> Point | None:
    """The first update that is longer than 1/Λ."""
    assert view.guarantee is not None
    most = (1 + _ROUNDING) / view.guarantee.smooth
    scale = abs(view.loss.scale)
    return next((p for p in made if float(p.step_size or 0) * scale > most), None)


def _turned(view: View, made: list[Point]) -> Found | None:
    """That an update is not along the gradient, or the wrong way; None where all are along it."""
    limit, inner = view.trace.facts.radius, []
    for before, after in zip(made, [*made[1:], None], strict=True):
        if limit is None or not _near_sphere(before, after, limit):
            inner.append(before)  # a step that a projection has cut is not along the gradient
    way = float(np.sign(view.loss.scale))
    for point in inner:
        cosine = way * float(point.along or 0)
        if abs(abs(cosine) - 1) > _ALONG:
            return violated(
                f"the update at step {point.step} is not along the gradient (cosine "
                f"{point.along:.3g}), as with Adam or momentum: C15 is of gradient steps"
            )
        if cosine < 0 and (view.upside_down or not view.trace.facts.all_responses):
            return view.as_stated(
                violated(
                    f"the update at step {point.step} goes up the loss: its cosine with the "
                    f"direction that the theory climbs is {cosine:.3g}; change a sign"
                )
            )
        if cosine < 0:
            return unknown(
                f"the update at step {point.step} goes up the logged loss (cosine {cosine:.3g}), "
                f"which is right only if that is to be maximised; {view.lacking}"
            )
    return None


def _near_sphere(before: Point, after: Point | None, limit: float) -> bool:
    apart = [p.distance for p in (before, after) if p is not None and p.distance is not None]
    return after is None or max(apart, default=0.0) >= limit * (1 - _SPHERE)


def noise(view: View) -> Found | None:
    """The floor that noise leaves (C16) against the first gap."""
    found = view.followed
    exact = found is not None and not found.doubt and not found.noise
    if found is not None and exact and not view.outside:
        if found.blind <= COARSE:
            return holds("the gradients are exact but for rounding: there is no noise")
        return holds(f"the gradients show no noise above {found.blind:.1g} of their length")
    if found is None or found.doubt or view.guarantee is None:
        return unknown(view.lacking) if exact else _unjudged(view)
    modulus = view.guarantee.constants.modulus
    if modulus is None:
        return view.as_far(unknown(f"no μ is known: {view.unpredicted}"))
    first = float(view.guarantee.progress(view.path).gap.max(initial=0.0))
    floor = _floor(view, modulus)
    batch = next((p.batch for p in view.path if p.batch is not None), None)
    if first <= 0:
        return view.as_far(unknown("the run began at its end: no gap to compare noise with"))
    share = floor / first
    sized = f"σ² = {found.noise * (batch or 1):.3g}" + (f", N = {batch}" if batch else "")
    said = f"{sized}: noise leaves {share:.2g} of the first gap (C16), {view.accuracy:g} allowed"
    if share <= view.accuracy:
        return view.as_far(holds(said))
    more = "" if batch is None else f"; N ≥ {np.ceil(batch * share / view.accuracy):.0f} would do"
    return view.as_far(violated(f"{said}, {found.span}{more}"))


def _unjudged(view: View) -> Found | None:
    """σ² where there is no μ to judge it by."""
    seen = [(float(p.variance), p.batch or 1) for p in view.trace.points if p.variance is not None]
    if not seen:
        return unknown(view.lacking) if view.path else None
    variance = float(np.mean([value * batch for value, batch in seen]))
    clipped = " (after clipping)" if _clipped(view.trace) else ""
    return unknown(
        f"σ² = {variance:.3g} by the gradients of successive updates{clipped}, N = {seen[0][1]}; "
        f"what it leaves of the gap needs a μ: {view.lacking}"
    )


def _clipped(trace: Trace) -> bool:
    """Whether a logged gradient is as long as clipping leaves it."""
    limit = trace.facts.clip
    norms = [norm for _, norm in trace.series.get("gradient norm", ())]
    return limit is not None and max(norms, default=0.0) >= limit * (1 - _CLIPPED)


def _variance(view: View) -> float:
    """V, of the gradients of J_γ or the field, as far as noise was told from misfit."""
    found = view.followed
    return 0.0 if found is None else found.noise / view.loss.scale**2


def _longest(view: View) -> float:
    return max((size for _, size in step_sizes(view.trace)), default=0.0) * abs(view.loss.scale)


def _floor(view: View, modulus: float) -> float:
    """V/μ of J_γ's gap (C16b); ηV/μ of a field's squared distance, for its own steps."""
    assert view.guarantee is not None
    floor = _variance(view) / modulus
    return floor if view.guarantee.score else _longest(view) * floor


def contraction(view: View) -> Found | None:
    """The PL ratio against μ, and the measured contraction against 1 − μη."""
    at, path = view.guarantee, view.path
    if at is None or len(path) < 2:
        return unknown(view.lacking) if view.trace.points else None
    seen = at.progress(path)
    good = np.isfinite(seen.ratio)
    if not good.any():
        return view.as_far(unknown("the run began at its end: there is no gap to measure"))
    least = int(np.nanargmin(np.where(good, seen.ratio, np.inf)))
    name = "PL ratio" if at.score else "monotonicity ratio"
    said = f"least {name} {seen.ratio[least]:.3g} (step {seen.steps[least]})"
    modulus = at.constants.modulus
    if modulus is None:
        return view.as_far(unknown(f"nothing is predicted: {view.unpredicted}; {said}"))
    if seen.ratio[least] < modulus * (1 - _ROUNDING):
        return view.as_far(violated(f"{said} < μ = {modulus:.3g}"))
    said = f"{said} ≥ μ = {modulus:.3g}"
    made = _made(view.trace)
    turned = _turned(view, made)
    if _too_long(view, made) or (turned is not None and turned.standing is Standing.VIOLATED):
        return view.as_far(holds(f"{said}; of such updates no contraction is predicted"))
    return view.as_far(_measured(view, at, seen.steps, seen.gap, modulus, said))


def _measured(
    view: View, at: Guarantee, steps: np.ndarray, gap: np.ndarray, modulus: float, said: str
) -> Found:
    """Whether the gap fell as fast as predicted, noise allowed for."""
    sizes = step_sizes(view.trace)
    if not sizes:
        return holds(f"{said}; no update was measured")
    eta = min(min(size for _, size in sizes) * abs(view.loss.scale), 1 / at.smooth)
    taken, predicted = steps - steps[0], 1 - modulus * eta
    mean = predicted**taken * gap[0]
    noise = _by_noise(view, at, modulus, gap[0], taken)
    excess = gap - (mean * (1 + _ROUNDING) + noise + 1e-12)
    slow = np.flatnonzero(excess > 0)
    if len(slow):
        t = slow[0]
        more = f", and noise explains {noise[t] / gap[0]:.2g} more" if noise[t] > 0 else ""
        return violated(
            f"at step {steps[t]} the gap is {gap[t] / gap[0]:.4g} of the first, at most "
            f"{predicted ** taken[t]:.4g} is predicted (1 − μη = {predicted:.4g} a step){more}: "
            f"{excess[t] / gap[0]:.2g} too much"
        )
    if noise.max() <= _ROUNDING * gap[0]:
        rate = _rate(taken, gap)
        return holds(f"{said}; contraction {rate:.4g} a step, at most {predicted:.4g} predicted")
    if (mean + noise).min() >= gap[0]:
        return unknown(
            f"{said}; noise of this size hides in {taken[-1]:d} updates whether the gap falls as "
            "predicted: log more updates or larger batches"
        )
    return holds(f"{said}; gaps are at most (1 − μη)^t of the first, but for noise")


def _by_noise(
    view: View, at: Guarantee, modulus: float, first: float, taken: np.ndarray
) -> np.ndarray:
    """By how much noise may put a gap above its predicted mean, (k,).

    The gap that noise makes is positive, of mean V/μ or ηV/μ. What it adds to a gap that is there
    already is a sum over steps of 2η⟨noise, θ − θ*⟩, or η⟨noise, ∇J_γ⟩, each discounted by the
    contraction from then on; ‖∇J_γ‖² ≤ 2Λ·gap.
    """
    variance, eta = _variance(view), _longest(view)
    rate, before = max(1 - modulus * eta, 0.0), np.maximum(taken - 1, 0)
    each = 2 * at.smooth * eta**2 if at.score else 4 * eta**2
    terms = np.minimum(taken, 1 / (modulus * eta)) if eta > 0 else taken
    spread = np.sqrt(each * variance * first * rate**before * terms)
    return np.where(taken > 0, _MARKOV * _floor(view, modulus) + _SIGMAS * spread, 0.0)


def _rate(taken: np.ndarray, gap: np.ndarray) -> float:
    """Mean factor a step, as long as the gap is above rounding."""
    seen = np.flatnonzero(gap > 1e-9 * gap.max())
    last = seen[-1]
    return float((gap[last] / gap[0]) ** (1 / max(taken[last], 1)))
