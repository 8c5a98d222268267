"""The averaged bound (C26): γF̄ ⪰ ∇²J on C where no prompt needs to satisfy it alone.

For two responses, D their difference and t = δ·D with δ = θ − c,

    γF_x − ∇²J_x = f(t) DDᵀ, f = γv − j″, v = π₁π₂, j = 2vg̃,

as J_x = 2π₁π₂g̃ up to a constant. If f(t) ≥ A + ℓt − κt² for |t| ≤ B‖D‖, for every prompt, then
γF̄ ⪰ ∇²J on C whenever, for some invertible W and ỹ = WD,

    λ_min(E Aỹỹᵀ) ≥ B·T₃ + κB²·T₄,
    T₃ = sup_{|d|=|y|=1} |E ℓ (d·D)(y·ỹ)²|, T₄ = sup_{|d|=|y|=1} E (d·D)²(y·ỹ)².

(The sum over responses in the statement of C26 is half of t² here, so κ is half of that one.)
"""

from __future__ import annotations

from typing import NamedTuple

from sailtheory.numeric.numbers import Array, NumberSystem
from sailtheory.theory.formulas import log_likelihood_fourth, log_likelihood_payoff

__all__ = ["TwoResponses", "path_factor", "shortfall", "steepness", "two_responses"]


class TwoResponses(NamedTuple):
    """v and j″ along t, each with its first two derivatives.

    Attributes:
        chance: v, v′, v″.
        curvature: j″, j‴, j⁗.
    """

    chance: tuple[Array, Array, Array]
    curvature: tuple[Array, Array, Array]


def two_responses(
    xp: NumberSystem, beta: Array, odds: Array, offset: Array, preference: Array, t: Array
) -> TwoResponses:
    """γF_x = γv DDᵀ and ∇²J_x = j″ DDᵀ at t, for two responses (C02, C26).

    Args:
        xp: Number system.
        beta: β.
        odds: log π_c(y₁)/π_c(y₂), of the policy at c, (...).
        offset: (c − θ_ref)·D, (...).
        preference: q = p₁₂ − ½, (...).
        t: δ·D, D = φ₁ − φ₂, (...).
    """
    s, rest = xp.sigmoid(odds + t), xp.sigmoid(-(odds + t))
    v, w = s * rest, rest - s
    chance = v, v * w, v * (1 - 6 * v)
    third, fourth = chance[1] * (1 - 12 * v), v * (1 - 30 * v + 120 * v * v)
    payoff = log_likelihood_payoff(xp, preference, beta * (offset + t))
    g = payoff.value
    g1, g2, g3 = payoff.first * beta, payoff.second * beta**2, payoff.third * beta**3
    g4 = log_likelihood_fourth(preference, payoff) * beta**4
    curvature = (
        2 * (chance[2] * g + 2 * chance[1] * g1 + v * g2),
        2 * (third * g + 3 * chance[2] * g1 + 3 * chance[1] * g2 + v * g3),
        2 * (fourth * g + 4 * third * g1 + 6 * chance[2] * g2 + 4 * chance[1] * g3 + v * g4),
    )
    return TwoResponses(chance, curvature)


def steepness(beta: Array, gamma: Array, z_range: Array) -> Array:
    """K with |f″| ≤ Kv where |z| ≤ Z: γ + 2(Z + 4β + 3β²/2 + 2β³/5 + β⁴/8).

    Each of |v′|, |v″|, |v‴|, |v⁗| is at most v; |g̃| ≤ |z|, |u| ≤ 1, σ' ≤ ¼, |σ''| ≤ 1/10 and
    |σ'''| ≤ ⅛.
    """
    return gamma + 2 * (z_range + 4 * beta + 1.5 * beta**2 + 0.4 * beta**3 + beta**4 / 8)


def shortfall(radius: Array, third: Array, curvature: Array, fourth: Array) -> Array:
    """B·T₃ + κB²·T₄, what λ_min(E Aỹỹᵀ) has to make up for."""
    return radius * third + curvature * radius**2 * fourth


def path_factor(xp: NumberSystem, range_: Array) -> Array:
    """∫₀¹ (1 − s)e^{−sR} ds = (e^{−R} − 1 + R)/R², R > 0 (C27)."""
    return (xp.exp(-range_) - 1 + range_) / (range_ * range_)
