"""Is γF_x − ∇²J_x ≻ 0 on a box of logits? Float64 bounds with margins, many boxes at once.

A box x ± h of the unit ball belongs to one prompt. It is settled by ranges (an upper bound of the
relative curvature from intervals of z and π) or by the second-order expansion at its centre,
whose affine bound is tested at the vertices.

**Margins.** Let S = 2(Z + β + β² + β³) + γ, Z = max|z| over C: |g̃|, β|u| and each term of η are
below S.

1. *Data.* Logits, log π_ref and q are known within ε, β within a relative 2⁻⁵³ (which moves z as
   an error ε of the logits does). Then X = g̃ + βu moves by at most (Z + β)ε + (2β + β²)ε, π_k by a
   factor e^{±4ε}, so η by 16|ΔX| + 86 ε max|X| + .4β³ε, and π_kπ_l(γ − η) by at most π_kπ_l 2⁸ S ε.
2. *Rounding.* Values, first and second derivatives along the box, ρ = max|h·D_kl| ≤ ``_WIDEST``,
   are sums of fewer than 300 products, each below 16 S (1 + ρ)³ and relatively accurate within
   32 u (u = 2⁻⁵³; exp, tanh and log1p within 8 u): off by less than 2⁻³⁸ S (1 + ρ)³ π_kπ_l. The
   remainder is a sum, product or minimum of positive numbers, and raised by a factor 1 + 2⁻³⁶.
3. *The test.* At a vertex Σ c_kl D_klD_klᵀ ≻ 0 if the scaled Laplacian N of
   :mod:`~sailtheory.certificates.prompts.points` is positive definite without the row of the
   likeliest response: there F_x is I − ssᵀ ⪰ (1/m)I, whatever the features. LDLᵀ with positive
   pivots proves that for a matrix within 2⁻⁴² max|c_kl/π_kπ_l| of N.

Each moves the test by that many times F_x at most; so a box counts as settled if γ less their sum
passes. ``replay`` uses none of this.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np

from sailtheory.certificates.expansion import coefficients, expand
from sailtheory.certificates.prompts.points import scaled
from sailtheory.certificates.remainder import slack
from sailtheory.numeric import layout
from sailtheory.numeric.layout import pairs
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.expectation import Point
from sailtheory.problem.reduced import Reduced, ranges
from sailtheory.theory import formulas, pair_form
from sailtheory.theory.data_bound import inner_bound

__all__ = ["Boxes", "Prompts", "settle"]

_WIDEST = 2.5
_PIECES = 4
_ROUNDING, _RELATIVE, _TEST = 2.0**-38, 1 + 2.0**-36, 2.0**-40
_COARSEST = 1e-3  # ε up to which item 1 holds
_RAREST = 1e-140  # products of two probabilities must not underflow


class Boxes(NamedTuple):
    """Boxes of the unit ball: dyadic, so exact.

    Attributes:
        owner: Position of the prompt, (N,).
        x: Centres, (N, r).
        half: Half sides, (N, r).
    """

    owner: np.ndarray
    x: np.ndarray
    half: np.ndarray

    def take(self, which: Any) -> Boxes:
        """Some of them."""
        return Boxes(self.owner[which], self.x[which], self.half[which])


class Prompts:
    """Prompts with what the tests of their boxes share.

    Args:
        data: The reduced prompts.
        beta: β.
        gamma: γ.
    """

    def __init__(self, data: Reduced, beta: float, gamma: float) -> None:
        self.data, self.beta, self.gamma = data, beta, gamma
        self.low, self.high = ranges(data, beta)
        reach = np.maximum(abs(self.low), abs(self.high)).max((1, 2))
        self.scale = 2 * (reach + beta + beta**2 + beta**3) + gamma
        known = np.where(data.error <= _COARSEST, data.error, np.inf)
        self.margin = (_ROUNDING + 2.0**8 * known) * self.scale
        self.gaps = abs(data.reach[:, :, None] - data.reach[:, None])


def settle(prompts: Prompts, boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Which boxes are settled, and at which centres γF_x − ∇²J_x ≻ 0 fails in float64.

    Returns:
        Two arrays (N,) of bool.
    """
    data = prompts.data.take(boxes.owner)
    logits = data.offset + (data.reach @ boxes.x[..., None])[..., 0]
    gaps = prompts.gaps[boxes.owner]
    width = (gaps * boxes.half[:, None, None, :]).sum(-1)
    settled = _by_ranges(prompts, boxes, data, logits, width)
    false = np.zeros(len(settled), dtype=bool)
    rest = np.flatnonzero(~settled & (width.max((1, 2)) <= _WIDEST))
    if len(rest):
        settled[rest], false[rest] = _by_expansion(
            prompts, boxes.take(rest), data.take(rest), logits[rest], width[rest]
        )
    return settled, false


def _by_ranges(
    prompts: Prompts, boxes: Boxes, data: Reduced, logits: np.ndarray, width: np.ndarray
) -> np.ndarray:
    """Whether an upper bound from intervals of z and π is below γ: (N,)."""
    beta, q, m = prompts.beta, data.preference, data.responses
    width = width * _RELATIVE + 2 * data.error[:, None, None]
    middle = pair_form.pairwise(logits)
    low = np.maximum(beta * (middle - width), prompts.low[boxes.owner])
    high = np.minimum(beta * (middle + width), prompts.high[boxes.owner])
    value = formulas.log_likelihood_value
    least = np.minimum(value(FLOAT64, q, low), value(FLOAT64, q, high))
    with np.errstate(divide="ignore"):
        peak = np.log1p(2 * q) - np.log1p(-2 * q)
    most = value(FLOAT64, q, np.clip(peak, low, high))
    with np.errstate(over="ignore"):
        ratio = pair_form.pairwise(data.log_ref).mT
        room = 2 * data.error[:, None, None]
        rare = 1 / np.exp(ratio - low / beta + room).sum(-1)
        likely = 1 / np.exp(ratio - high / beta - room).sum(-1)
    rare, likely = rare * (1 - 2.0**-40), np.minimum(likely * _RELATIVE, 1)
    each_rare, each_likely = (np.broadcast_to(p[:, None], q.shape) for p in (rare, likely))
    minus = -_mean(rare, likely, _mean(each_rare, each_likely, -least))
    reach = np.maximum(abs(low), abs(high)).max((1, 2))
    lean = abs(q).max((1, 2))
    minus = np.maximum(minus, -(FLOAT64.log_cosh_half(reach) + lean * reach) / 2)
    k, l = pairs(m)  # noqa: E741
    local = inner_bound(beta, q[:, k, l], low[:, k, l], high[:, k, l], -minus, _PIECES)
    bound = np.minimum(
        local, _diagonal(beta, q, (low, high), (least, most), (each_rare, each_likely), minus)
    )
    return np.asarray(bound < prompts.gamma - prompts.margin[boxes.owner])


Interval = tuple[np.ndarray, np.ndarray]


def _diagonal(
    beta: float, q: np.ndarray, z: Interval, payoff: Interval, chance: Interval, value: np.ndarray
) -> np.ndarray:
    """max G + 2 max_k E_l|W_kl|, where N = diag(G) + 2√π(W)√πᵀ (Schur's test): (N,).

    G_k = 2E_l[g̃ + 2βu + β²τ] − 2J̃ − β²/2, τ = ¼ − σ', and W = g̃ − β²τ off the diagonal, to which a
    constant may be added, as N acts on the complement of √π.
    """
    between = ~np.eye(q.shape[-1], dtype=bool)
    tanh = np.tanh(z[0] / 2) / 2, np.tanh(z[1] / 2) / 2
    far = np.maximum(tanh[0] ** 2, tanh[1] ** 2)
    near = np.clip(0.0, *tanh) ** 2
    steep = payoff[1] + (2 * beta * (q - tanh[0]) + beta**2 * far) * between
    own = 2 * _mean(*chance, steep) - 2 * value[:, None] - beta**2 / 2
    below, above = payoff[0] - beta**2 * far * between, payoff[1] - beta**2 * near * between
    lowest = np.where(between, below, np.inf).min((1, 2))
    highest = np.where(between, above, -np.inf).max((1, 2))
    spread = np.inf
    for shift in (np.zeros_like(value), -(lowest + highest) / 2):
        size = np.maximum(abs(below + shift[:, None, None]), abs(above + shift[:, None, None]))
        spread = np.minimum(spread, _mean(*chance, size).max(-1))
    return np.asarray(own.max(-1) + 2 * spread)


def _mean(rare: np.ndarray, likely: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The largest Σ π_j v_j with rare ≤ π ≤ likely and Σ π = 1, (..., m) to (...)."""
    order = np.argsort(-values, axis=-1)
    least, most, sorted_ = (np.take_along_axis(a, order, -1) for a in (rare, likely, values))
    left = np.maximum(1 - least.sum(-1, keepdims=True), 0)
    room = most - least
    taken = np.clip(left - (np.cumsum(room, -1) - room), 0, room)
    return np.asarray(((least + taken) * sorted_).sum(-1))


def _by_expansion(
    prompts: Prompts, boxes: Boxes, data: Reduced, logits: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The affine bound at the vertices, and the sign at the centre: (N,) each."""
    m, r, gamma = data.responses, boxes.x.shape[-1], prompts.gamma
    k, l = pairs(m)  # noqa: E741
    point = _point(data, prompts.beta, logits)
    at = expand(point, data.reach[:, None])
    near = coefficients(at, gamma, point.block.weights)
    gaps = prompts.gaps[boxes.owner][:, k, l]
    lost = _RELATIVE * slack(lambda v: v, point, at, near, gamma, gaps[:, None], boxes.half)
    policy = at.policy[:, 0]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        chance = policy[:, k] * policy[:, l]
        excess = near.value[:, 0] / chance
        tilt = near.gradient[:, 0] * boxes.half[:, None, :] / chance[..., None]
        size = (abs(excess) + lost[:, 0] / chance + abs(tilt).sum(-1)).max(-1)
        margin = prompts.margin[boxes.owner] * (1 + width.max((1, 2))) ** 3 + _TEST * size
        low = excess - lost[:, 0] / chance - margin[:, None]
        affine = low[:, None] + np.einsum("vr,npr->nvp", _signs(r), tilt)
        sure = (policy.min(-1) > _RAREST) & np.isfinite(size)
        settled = sure & _definite(policy[:, None], affine).all(-1)
        inside = (boxes.x**2).sum(-1) <= 1
        false = sure & ~settled & inside & ~_definite(policy, excess + margin[:, None])
    return settled, false


def _point(data: Reduced, beta: float, logits: np.ndarray) -> Point:
    """One block of one prompt at each of N points."""
    block = SimpleNamespace(beta=beta, preference=data.preference[:, None], weights=np.ones(1))
    log_policy = FLOAT64.log_softmax(data.log_ref + logits)[:, None]
    return cast(
        Point,
        SimpleNamespace(
            xp=FLOAT64,
            block=block,
            log_policy=log_policy,
            policy=np.exp(log_policy),
            z=(beta * pair_form.pairwise(logits))[:, None],
        ),
    )


def _signs(r: int) -> np.ndarray:
    """The vertices of [−1, 1]^r: (2^r, r)."""
    return np.array(np.meshgrid(*[[-1.0, 1.0]] * r, indexing="ij")).reshape(r, -1).T


def _definite(policy: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Whether Σ π_kπ_l e_kl (h_k − h_l)² is positive off constants: (..., m), (..., p) to (...)."""
    positive = np.asarray((values > 0).all(-1))
    rest = np.nonzero(~positive)
    policy = np.broadcast_to(policy, (*values.shape[:-1], policy.shape[-1]))[rest]
    positive[rest] = _pivots_positive(policy, values[rest])
    return np.asarray(positive)


def _pivots_positive(policy: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The same for (n, m), (n, p), by LDLᵀ without the row of the likeliest response."""
    n, m = policy.shape
    matrix = scaled(policy, layout.mirrored(values, m))
    others = np.array([[j for j in range(m) if j != i] for i in range(m)])[policy.argmax(-1)]
    matrix = matrix[np.arange(n)[:, None, None], others[:, :, None], others[:, None, :]]
    positive = np.ones(n, dtype=bool)
    for i in range(m - 1):
        pivot = matrix[:, i, i]
        positive &= pivot > 0
        factor = matrix[:, i + 1 :, i] / np.where(positive, pivot, 1.0)[:, None]
        matrix[:, i + 1 :, i + 1 :] -= factor[..., None] * matrix[:, i : i + 1, i + 1 :]
    return positive
