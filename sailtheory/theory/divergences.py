"""f-divergences between the policy and its reference, and their convexity relative to F̄ (C38).

D_f = E_ref f(w), w = π_θ/π_ref, so that ∇D = E_θ[f'(w)s] and

    ∇²D = E_θ[(k(w) − E_θ f')ssᵀ],  k = (w f')',

whatever the features are. Where the logits of C move by ranges ≤ R, ∇²D ⪰ c(R)F̄. Functions of w
are told by log w.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sailtheory.errors import InputError, require
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem
from sailtheory.theory.formulas import centred, expectation, pair_sum

__all__ = [
    "DIVERGENCES",
    "Divergence",
    "Parts",
    "alpha_divergence",
    "divergence",
    "divergence_curvature",
    "divergence_curvature_gradient",
    "divergence_gradient",
    "divergence_smoothness",
    "divergence_terms",
    "divergence_threshold",
]

Parts = tuple[Array, Array, Array, Array]
"""f, f', k and w k' at log w."""


@dataclass(frozen=True)
class Divergence:
    """D_f, with how convex it is.

    Attributes:
        name: As it is asked for.
        title: By its arguments.
        parts: A number system and log w to f, f', k, w k'.
        convexity: A number system and R to c(R); exact, but where ``proved`` is False a
            numerical finding.
        radius: c(R) > 0 below it; ∞ where D is convex for every R.
        up_to: c(R) is known up to here.
        proved: Whether c(R) is proved.
        by_reference: Whether w is taken against π_ref; −entropy has none.
    """

    name: str
    title: str
    parts: Callable[[NumberSystem, Array], Parts]
    convexity: Callable[[NumberSystem, Array], Array]
    radius: float
    up_to: float = math.inf
    proved: bool = True
    by_reference: bool = True


def divergence_gradient(policy: Array, slope: Array) -> Array:
    """∂D_f by the logits, π_k(f'_k − E_θ f'): (..., n, m)."""
    return policy * centred(policy, slope)


def divergence_curvature(policy: Array, slope: Array, bend: Array) -> Array:
    """Pair form of E_θ[(k − E_θ f')ssᵀ]: k_k + k_l − E_θ k − E_θ f', (..., m, m)."""
    mean = expectation(policy, bend) + expectation(policy, slope)
    return pair_sum(bend) - mean[..., None, None]


def divergence_curvature_gradient(
    policy: Array, slope: Array, bend: Array, third: Array, along: Array
) -> Array:
    """vᵀ∇²D_f v by the logits, for fixed v, along = vᵀφ; ``third`` is w k': (..., n, m)."""
    score = centred(policy, along)
    square, level = score * score, bend - expectation(policy, slope)[..., None]
    whole = expectation(policy, square)[..., None]
    tilt = expectation(policy, level * score)[..., None]
    moved = centred(policy, (level + third) * square) - 2 * score * tilt
    return policy * (moved - whole * centred(policy, bend))


def divergence_threshold(relative: float, convexity: float) -> float:
    """K/c(R): γ above it makes J − γD concave where ∇²J ⪯ K F̄ and ∇²D ⪰ c(R)F̄ (C38).

    ∞ unless c(R) > 0; 0 where K ≤ 0.
    """
    require("", relative=relative, convexity=convexity)
    if relative <= 0 and convexity >= 0:
        return 0.0
    return relative / convexity if convexity > 0 else math.inf


def divergence_smoothness(made: Divergence, xp: NumberSystem, r: Array) -> Array:
    """C(R) with ∇²D ⪯ C(R)F̄ where logits move by at most R ≥ 0 (C38).

    k is monotone for each D here. Where it rises t f' is convex, so that E_θ f' = E_ref[w f'] ≥
    f'(1); where it falls f' is at least its value at e^{−R}.
    """
    _, level, _, third = made.parts(xp, 0 * r)
    if third >= 0:
        return made.parts(xp, r)[2] - level
    _, slope, bend, _ = made.parts(xp, -r)
    return bend - slope


# --- by name ----------------------------------------------------------------------------------


def _kl_ref(xp: NumberSystem, log_w: Array) -> Parts:
    inverse = xp.exp(-log_w)
    return -log_w + 0 * inverse, -inverse, 0 * inverse, 0 * inverse


def _chi2_ref(xp: NumberSystem, log_w: Array) -> Parts:
    square = xp.exp(-2 * log_w)
    return xp.exp(-log_w) - 1, -square, square, -2 * square


def _kl_policy(xp: NumberSystem, log_w: Array) -> Parts:
    w = xp.exp(log_w)
    return w * log_w - w + 1, log_w, log_w + 1, 0 * w + 1


def _chi2(xp: NumberSystem, log_w: Array) -> Parts:
    w = xp.exp(log_w)
    return (w - 1) * (w - 1), 2 * (w - 1), 4 * w - 2, 4 * w


def _mixed(xp: NumberSystem, log_w: Array) -> Parts:
    w = xp.exp(log_w)
    value = (w - 1) * (w - 1) / 2 + w * log_w - w + 1
    return value, w - 1 + log_w, 2 * w + log_w, 2 * w + 1


def _jensen_shannon(xp: NumberSystem, log_w: Array) -> Parts:
    w, down = xp.exp(log_w), xp.sigmoid(-log_w)
    slope = (xp.log_2() + xp.log_sigmoid(log_w)) / 2
    value = w * slope + (xp.log_2() + xp.log_sigmoid(-log_w)) / 2
    return value, slope, slope + down / 2, down * down / 2


def _mixed_c(xp: NumberSystem, r: Array) -> Array:
    """That of χ² at weight ½ and of KL: the same w is the worst of both, up to log 3."""
    return _chi2_c(xp, r) / 2 + 1 - r


def _jensen_shannon_c(xp: NumberSystem, r: Array) -> Array:
    return (xp.log_2() + xp.log_sigmoid(-r) + xp.sigmoid(r)) / 2


def _chi2_c(xp: NumberSystem, r: Array) -> Array:
    """4e^{−R} − 2 up to log 3, then 1 − cosh R."""
    near, far = 4 * xp.exp(-r) - 2, 1 - (xp.exp(r) + xp.exp(-r)) / 2
    return far if 3 * xp.exp(-r) < 1 else near


def alpha_divergence(alpha: float) -> Divergence:
    """f' = (w^{α−1} − 1)/(α − 1), α ∉ {0, 1}: those are the two KLs.

    Raises:
        InputError: α is 0, 1 or not finite.
    """
    require("", alpha=alpha)
    if alpha in (0, 1):
        raise InputError("alpha", alpha, "a number other than 0 (kl-ref) and 1 (kl-policy)")
    a = float(alpha)

    def parts(xp: NumberSystem, log_w: Array) -> Parts:
        power, w = xp.exp((a - 1) * log_w), xp.exp(log_w)
        value = (power * w - a * w + (a - 1)) / (a * (a - 1))
        return value, (power - 1) / (a - 1), (a * power - 1) / (a - 1), a * power

    def convexity(xp: NumberSystem, r: Array) -> Array:
        worst = -r if a < 0 else r  # where w is largest, or least
        return (1 - a * xp.exp((1 - a) * worst)) / (1 - a)

    radius = math.inf if a <= 0 else math.log(a) / (a - 1)
    known = radius if a > 1 else math.inf
    return Divergence(f"alpha={a:g}", f"α-divergence, α = {a:g}", parts, convexity, radius, known)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return low


DIVERGENCES: dict[str, Divergence] = {
    each.name: each
    for each in (
        Divergence("kl-ref", "KL(π_ref‖π_θ)", _kl_ref, lambda xp, r: 0 * r + 1, math.inf),
        Divergence("chi2-ref", "χ²(π_ref‖π_θ)", _chi2_ref, lambda xp, r: 1 + xp.exp(-2 * r),
                   math.inf),
        Divergence("kl-policy", "KL(π_θ‖π_ref)", _kl_policy, lambda xp, r: 1 - r, 1.0),
        Divergence("chi2", "χ²(π_θ‖π_ref)", _chi2, _chi2_c, math.log(2)),
        Divergence("chipo", "½χ²(π_θ‖π_ref) + KL(π_θ‖π_ref)", _mixed, _mixed_c,
                   _root(lambda r: float(_mixed_c(FLOAT64, np.float64(r))), 0.0, 1.0),
                   math.log(3)),
        Divergence("js", "Jensen–Shannon", _jensen_shannon, _jensen_shannon_c,
                   _root(lambda r: float(_jensen_shannon_c(FLOAT64, np.float64(r))), 0.0, 2.0),
                   proved=False),
        Divergence("entropy", "−entropy of π_θ", _kl_policy, lambda xp, r: 1 - r, 1.0,
                   by_reference=False),
    )
}  # fmt: skip
"""Divergences by name; −entropy's R is the range of log π_θ itself."""


def divergence(name: str) -> Divergence:
    """A divergence by name: one of :data:`DIVERGENCES`, or ``alpha=NUMBER``.

    Raises:
        InputError: There is none of that name.
    """
    label, _, number = name.partition("=")
    if label == "alpha" and number:
        try:
            return alpha_divergence(float(number))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError("divergence", name, "alpha=NUMBER") from None
    if name not in DIVERGENCES:
        raise InputError("divergence", name, f"one of {', '.join(DIVERGENCES)}, alpha=NUMBER")
    return DIVERGENCES[name]


def divergence_terms(name: str) -> list[tuple[float, Divergence]]:
    """A sum of divergences with weights, such as ``0.5*chi2 + kl-policy``.

    c(R) of the sum is at least the sum of the weighted c(R), for terms of one R or several (C38).

    Raises:
        InputError: A weight that is not positive and finite, or no such divergence.
    """
    terms = []
    for part in name.split("+"):
        weight, star, rest = part.rpartition("*")
        try:
            factor = float(weight) if star else 1.0
        except ValueError:
            factor = math.nan
        if not 0 < factor < math.inf:
            raise InputError("divergence", name, "WEIGHT*NAME + …, each weight above 0")
        terms.append((factor, divergence(rest.strip())))
    return terms
