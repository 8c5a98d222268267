"""Checks that γF_x − ∇²J_x ≻ 0 on C for every prompt of a batch, by balls alone.

Nothing of the search is used, nor its margins. Two responses: Arb encloses η₁₂ and its derivative
on pieces of the interval. More: K_data in ball arithmetic; what it does not settle is bisected and
each box settled by K_data on its own intervals or by the second-order bound of ``expansion`` and
``remainder`` in balls. What is trusted: the reduction (:mod:`sailtheory.problem.reduced`) and the
formulas.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from flint import arb, ctx

from sailtheory.certificates.expansion import coefficients, expand
from sailtheory.certificates.remainder import slack
from sailtheory.numeric import layout
from sailtheory.numeric.balls import BALLS, Balls, upper_end
from sailtheory.numeric.layout import pairs
from sailtheory.numeric.numbers import without_diagonal
from sailtheory.objectives.expectation import Point
from sailtheory.problem.reduced import Reduced, ranges
from sailtheory.theory import formulas, pair_form
from sailtheory.theory.bounds import relative_bound, sharp_curvature

__all__ = ["all_below", "two_below"]

_BITS = 64
_MOST_PIECES = 4000
_MOST_BOXES = 20_000
_CHUNK = 2048
_PIECES = (12, 48, 4)  # of an interval of z: at first, at last, on a box
_OFFSETS = (0.3, 0.45, 0.6, 0.8, 1.05)
_WIDEST = 2.5
_LARGEST = 4


def all_below(data: Reduced, beta: tuple[float, float], gamma: np.ndarray) -> np.ndarray:
    """Whether γ*_x ≤ γ is shown, for each prompt.

    Args:
        data: Prompts of equal m ≥ 2.
        beta: β, as middle and radius.
        gamma: γ, (k,).

    Returns:
        (k,) of bool.
    """
    if data.responses == 2:
        return np.array([two_below(data.take(slice(i, i + 1)), beta, g)
                         for i, g in enumerate(gamma.tolist())], dtype=bool)  # fmt: skip
    shown = _closed(data, beta, gamma, _PIECES[0])
    rest = np.flatnonzero(~shown)
    if len(rest) and data.responses <= _LARGEST:
        shown[rest] = _by_boxes(data.take(rest), beta, gamma[rest])
    elif len(rest):
        shown[rest] = _closed(data.take(rest), beta, gamma[rest], _PIECES[1])
    for i in np.flatnonzero(~shown):  # few, if any
        reach = float(abs(np.array(ranges(data.take(slice(i, i + 1)), beta[0]))).max())
        off = 2.0**-44 * (reach + beta[0] + beta[0] ** 2)  # β is within a unit in the last place
        shown[i] = relative_bound(beta[0], reach) + off <= gamma[i]
    return np.asarray(shown)


def _closed(data: Reduced, beta: tuple[float, float], gamma: np.ndarray, pieces: int) -> np.ndarray:
    """Whether K_data, or C11's closed form, is at most γ."""
    low, high = ranges(data, beta[0])
    reach = np.maximum(abs(low), abs(high)).max((1, 2)) * (1 + 2.0**-50)
    sharp = sharp_curvature(BALLS, Balls(*beta), Balls(reach)).upper
    bound = _data_bound(beta, data, low, high, pieces)
    return np.asarray(np.minimum(sharp, bound) <= gamma)


# --- two responses, in Arb -----------------------------------------------------------------


def two_below(data: Reduced, beta: tuple[float, float], gamma: float) -> bool:
    """Whether η₁₂ < γ on all of the interval of t = a₁ − a₂ (one prompt)."""
    with ctx.workprec(_BITS):
        error = 2 * float(data.error[0])
        width, middle = arb(abs(float(data.reach[0, 1, 0]))), -arb(float(data.offset[0, 1]))
        room = arb(error) + arb(2) ** -50 * abs(middle)
        odds = arb(float(data.log_ref[0, 0])) - arb(float(data.log_ref[0, 1])) + arb(0, error)
        q = arb(float(data.preference[0, 0, 1]), error)
        b, level = arb(*beta), arb(gamma)
        stack = [(middle - width - room, middle + width + room)]
        for _ in range(_MOST_PIECES):
            if not stack:
                return True
            lo, hi = stack.pop()
            piece = arb(lo.lower()).union(arb(hi.upper()))
            value, slope = _eta(piece, odds, q, b)
            if value < level:
                continue
            centre = ((lo + hi) / 2).mid()
            at, _ = _eta(centre, odds, q, b)
            if at + slope * (piece - centre) < level:
                continue
            if at > level:
                return False
            stack += [(lo, centre), (centre, hi)]
        return False


def _eta(t: arb, odds: arb, q: arb, beta: arb) -> tuple[arb, arb]:
    """η₁₂ and its derivative on a ball of t, with s = σ(odds + t), v = s(1 − s), w = 1 − 2s."""
    s = 1 / (1 + (-(odds + t)).exp())
    w, v, z = 1 - 2 * s, s * (1 - s), beta * t
    half = (z / 2).tanh() / 2
    slope = arb(1) / 4 - half * half
    g, u = q * z - (z / 2).cosh().log(), q - half
    value = (2 - 12 * v) * g + 4 * beta * u * w - 2 * beta**2 * slope
    change = (2 - 12 * v) * beta * u - 12 * v * w * g - 4 * beta**2 * slope * w
    return value, change - 8 * beta * u * v + 4 * beta**3 * half * slope


# --- K_data in balls -----------------------------------------------------------------------


def _data_bound(
    beta: tuple[float, float], data: Reduced, low: np.ndarray, high: np.ndarray, pieces: int
) -> np.ndarray:
    """K_data on intervals of z, (k, m, m), rounded up: (k,) (C25)."""
    k, l = pairs(data.responses)  # noqa: E741
    q = Balls(data.preference[:, k, l], data.error[:, None])
    low, high, b = low[:, k, l], high[:, k, l], Balls(*beta)
    nodes = [low + (high - low) * (i / pieces) for i in range(pieces)] + [high]
    slopes, values = zip(*(_slope_and_value(q, z) for z in nodes), strict=True)
    reach = np.maximum(abs(low), abs(high)).max(-1)
    mean = (BALLS.log_cosh_half(reach) + Balls(abs(q).upper.max(-1)) * reach) / 2
    least = np.minimum(values[0].lower, values[-1].lower).min(-1)
    most = Balls(np.maximum(-least, 0)) * (1 - 1 / Balls(float(data.responses)))
    value = np.minimum(mean.upper, most.upper)
    highest = _highest(q, low, high)
    steep = np.max([abs(u.mid).max(-1) for u in slopes], axis=0)
    best = np.full(len(low), np.inf)
    for share in _OFFSETS:
        offset = np.maximum(highest.max(-1), 0) + beta[0] * share * steep + 1e-300
        largest = np.full(len(low), -np.inf)
        for i in range(pieces):
            (u, v), (g, f) = slopes[i : i + 2], values[i : i + 2]
            turns = (u.upper > 0) & (v.lower < 0)
            peak = np.where(turns, highest, np.maximum(g.upper, f.upper))
            square = np.maximum((u * u).upper, (v * v).upper)
            tanh = np.maximum(((q - u) * (q - u)).upper, ((q - v) * (q - v)).upper)
            term = Balls(square) / (Balls(offset)[:, None] - Balls(peak)) + Balls(tanh) - 0.25
            largest = np.maximum(largest, term.upper.max(-1))
        bound = 2 * (Balls(offset) + Balls(value)) + 2 * (b * b) * Balls(largest)
        found = np.where(np.isnan(bound.upper), np.inf, bound.upper)
        best = np.minimum(best, found)
    return best


def _slope_and_value(q: Balls, z: np.ndarray) -> tuple[Balls, Balls]:
    """U and g̃ at z."""
    return q - BALLS.tanh(Balls(z) / 2) / 2, formulas.log_likelihood_value(BALLS, q, Balls(z))


def _highest(q: Balls, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Above g̃ on [low, high]: g̃ is concave, so below its tangent where it is nearly flat."""
    with np.errstate(divide="ignore"):
        peak = np.clip(np.log1p(2 * q.mid) - np.log1p(-2 * q.mid), low, high)
    slope, value = _slope_and_value(q, peak)
    after, before = Balls(high) - Balls(peak), Balls(peak) - Balls(low)
    rise = np.maximum((slope * after).upper, (-slope * before).upper)
    return (value + Balls(np.maximum(rise, 0))).upper


# --- boxes ---------------------------------------------------------------------------------


def _by_boxes(data: Reduced, beta: tuple[float, float], gamma: np.ndarray) -> np.ndarray:
    """Bisect the unit ball of each prompt until every box is settled."""
    n, m, r = data.reach.shape
    k, l = pairs(m)  # noqa: E741
    gaps = abs(data.reach[:, k] - data.reach[:, l])
    extent = gaps.max(1)
    shown, count = np.ones(n, dtype=bool), np.zeros(n, dtype=int)
    stack = [(np.arange(n), np.zeros((n, r)), np.ones((n, r)))]
    while stack:
        taken = [stack.pop()]
        while stack and sum(len(own) for own, _, _ in taken) < _CHUNK:
            taken.append(stack.pop())
        own = np.concatenate([own for own, _, _ in taken])
        x, half = (np.concatenate([each[i] for each in taken]) for i in (1, 2))
        nearest = np.maximum(abs(x) - half, 0)
        met = shown[own] & ((nearest * nearest).sum(-1) <= 1 + 1e-9)
        own, x, half = own[met], x[met], half[met]
        np.add.at(count, own, 1)
        if (count > _MOST_BOXES).any():  # what waits is not shown: one such prompt is enough
            shown[np.concatenate([own, *(waiting for waiting, _, _ in stack)])] = False
            break
        if not len(own):
            continue
        left = np.flatnonzero(~_settled(data.take(own), beta, gamma[own], gaps[own], x, half))
        own, x, half = own[left], x[left], half[left]
        axis = (half * extent[own]).argmax(-1)
        half[np.arange(len(own)), axis] /= 2
        step = np.zeros_like(x)
        step[np.arange(len(own)), axis] = half[np.arange(len(own)), axis]
        stack += [(own, x - step, half), (own, x + step, half)]
    return shown


def _settled(
    data: Reduced, beta: tuple[float, float], gamma: np.ndarray, gaps: np.ndarray,
    x: np.ndarray, half: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Whether γF_x − ∇²J_x ≻ 0 on each box."""
    m = data.responses
    # The logits at the centre within ε, as ε is defined: also as computed in float64.
    logits = Balls(data.offset + (data.reach @ x[..., None])[..., 0], data.error[:, None])
    width = (Balls(gaps) * half[:, None, :]).sum(-1).upper * (1 + 2.0**-40)
    spread = layout.mirrored(width, m)
    middle = pair_form.pairwise(logits)
    ends = (middle - spread).lower, (middle + spread).upper
    low, high = ranges(data, beta[0])
    low = np.maximum((Balls(*beta) * Balls(ends[0])).lower, low)
    high = np.minimum((Balls(*beta) * Balls(ends[1])).upper, high)
    settled = _data_bound(beta, data, low, high, _PIECES[2]) < gamma
    rest = np.flatnonzero(~settled & (width.max(-1) <= _WIDEST))
    if len(rest):
        parts = logits[rest], gaps[rest], half[rest]
        settled[rest] = _by_expansion(data.take(rest), beta, gamma[rest], *parts)
    return np.asarray(settled)


def _by_expansion(
    data: Reduced, beta: tuple[float, float], gamma: np.ndarray, logits: Balls,
    gaps: np.ndarray, half: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The affine lower bound of Σ c_kl D_klD_klᵀ, positive definite at the vertices of the box."""
    r = half.shape[-1]
    known = data.error[:, None]
    log_policy = BALLS.log_softmax(Balls(data.log_ref, known) + logits)[:, None]
    policy, b = BALLS.exp(log_policy), Balls(*beta)
    weights = np.ones(1)
    preference = Balls(data.preference, known[..., None])[:, None]
    block = SimpleNamespace(beta=b, preference=preference, weights=weights)
    point: Any = SimpleNamespace(xp=BALLS, block=block, log_policy=log_policy, policy=policy)
    point.z = (b * pair_form.pairwise(logits))[:, None]
    level = Balls(gamma)[:, None, None]
    features = Balls(data.reach)[:, None]
    with np.errstate(all="ignore"):
        at = expand(cast(Point, point), features)
        near = coefficients(
            at,
            level,
            weights,
        )
        lost = slack(upper_end, point, at, near, level, Balls(gaps)[:, None], Balls(half))
        low = near.value - lost
        signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * r, indexing="ij")).reshape(r, -1).T
        steps = Balls(half)[:, None, :] * signs[None]
        affine = low + (steps @ near.gradient[:, 0].mT)
        return np.asarray(_definite(policy.mid[:, 0], affine).all(-1))


def _definite(chance: np.ndarray, values: Balls) -> np.ndarray:
    """Whether Σ c_kl (h_k − h_l)² is certainly positive off constants: (n, v, p) to (n, v)."""
    n, m = chance.shape
    matrix = layout.mirrored(values, m) * -1.0
    scale = 1 / np.sqrt(chance)
    sums = matrix.sum(-1) * -1.0
    matrix = without_diagonal(matrix) + sums[..., None] * np.eye(m)
    matrix = matrix * (scale[:, None, :, None] * scale[:, None, None, :])
    # The row of the likeliest response goes: the others decide.
    others = np.array([[j for j in range(m) if j != i] for i in range(m)])[chance.argmax(-1)]
    rows = np.arange(n)[:, None, None, None], np.arange(values.shape[1])[None, :, None, None]
    matrix = matrix[*rows, others[:, None, :, None], others[:, None, None, :]]
    positive = np.ones(matrix.shape[:2], dtype=bool)
    for i in range(m - 1):
        pivot = matrix[..., i, i]
        positive &= pivot.lower > 0
        if i + 1 < m - 1:
            column = matrix[..., i + 1 :, i]
            product = column[..., :, None] * (column / pivot[..., None])[..., None, :]
            matrix[..., i + 1 :, i + 1 :] = matrix[..., i + 1 :, i + 1 :] - product
    return positive
