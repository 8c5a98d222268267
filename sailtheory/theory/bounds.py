"""Constants of the theorems: thresholds, moduli, rates, bias and variance bounds.

Closed forms take a number system ``xp`` where they need a transcendental function;
they run on float64 arrays, torch tensors, Arb balls and SymPy expressions alike.
``beta`` is β > 0, ``gamma`` γ ≥ 0, ``z_range`` Z ≥ 0 (an upper bound of |z|; Z_max
for all of C), ``range_`` R ≥ 0 (of δᵀφ), ``diameter`` D and ``radius`` B.

Floats and float arrays are checked and refused with ``InputError``; tensors, balls
and symbols are taken as they are. Closed forms in float64 carry a few units of
rounding and in Arb they are enclosures; what needs a supremum (:func:`relative_bound`,
:func:`pointwise_relative_bound`) is
enclosed and rounded outward.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
from flint import arb, ctx

from sailtheory.errors import InputError, real_number, require
from sailtheory.numeric.enclose import PRECISION, float_above
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem, arb_numbers
from sailtheory.theory.inner_supremum import best_margin, c_zero, curvature_at, margin_of

__all__ = [
    "absolute_threshold",
    "bias_bound",
    "bias_range_bound",
    "closed_form_threshold",
    "contraction",
    "fisher_floor",
    "gain_ceiling",
    "kl_ceiling",
    "limit_curvature",
    "linear_curvature",
    "linear_gap",
    "linear_steps",
    "lower_curvature",
    "path_threshold",
    "pointwise_curvature",
    "pointwise_relative_bound",
    "relative_bound",
    "second_moment_bound",
    "self_preference_curvature",
    "sharp_curvature",
    "smoothness",
    "stochastic_batch",
    "stochastic_gap",
    "stochastic_samples",
    "strong_concavity",
    "uniform_fisher_factor",
    "value_floor",
]

# --- relative curvature: closed forms (C06, C11) --------------------------------------


def value_floor(xp: NumberSystem, z_range: Array) -> Array:
    """−J_x ≤ ½(log 2 + log(1 + e^Z)), for every policy and preference (C11).

    Written log 2 + Z/4 + ½ log cosh(Z/2). Attained by two responses, uniform policy.
    """
    require(">=", z_range=z_range)
    return xp.log_2() + z_range / 4 + xp.log_cosh_half(z_range) / 2


def sharp_curvature(xp: NumberSystem, beta: Array, z_range: Array) -> Array:
    """∇²J ⪯ [Z + log 2σ(Z) + 4βσ(Z) − 2β²σ'(Z)] F̄ (C11, corollary (i)).

    The case b = log σ(Z) + βσ(Z), with Z + log 2σ(Z) = 3Z/2 − log cosh(Z/2). Valid for
    every β, since C11's proof needs S only in E[M² h] ≤ S E M², true for either sign;
    but where β > 1 + e^Z it may lie below K_B's formula, which takes the positive part.
    """
    require(">", beta=beta)
    require(">=", z_range=z_range)
    up, down = xp.sigmoid(z_range), xp.sigmoid(-z_range)
    level = 3 * z_range / 2 - xp.log_cosh_half(z_range)
    return level + 4 * beta * up - 2 * beta * beta * up * down


def linear_curvature(beta: Array, z_range: Array) -> Array:
    """K_B ≤ 1.5 Z + 4β; above ``sharp_curvature`` too (C11, corollary (i))."""
    require(">", beta=beta)
    require(">=", z_range=z_range)
    return 3 * z_range / 2 + 4 * beta


def closed_form_threshold(beta: Array, diameter: Array, radius: Array, offset: Array) -> Array:
    """γ > β(1.5 D(B + ‖θ_ref − c‖) + 4) makes J_γ strongly concave on C (C11 (i), C12).

    ``offset`` is ‖θ_ref − c‖ ≥ 0; any upper bound of D, such as 2L, will do.
    """
    require(">", beta=beta)
    require(">=", diameter=diameter, radius=radius, offset=offset)
    return beta * (3 * diameter * (radius + offset) / 2 + 4)


def pointwise_curvature(beta: Array, minus_value: Array) -> Array:
    """∇²J_x ⪯ (−2J_x + 2c₀β²) F_x at one θ, for any Z (C11, corollary (ii)).

    ``minus_value`` is −J_x(θ) ≥ 0 of a single prompt: with the average over prompts
    the statement is false (theory, section 4).
    """
    require(">", beta=beta)
    require(">=", minus_value=minus_value)
    return 2 * minus_value + 2 * c_zero().upper * beta * beta


def path_threshold(xp: NumberSystem, beta: Array) -> Array:
    """2 log 2 + 2c₀β² (C11, corollary (iv)).

    Above this γ, and for one prompt, the component of {J_γ ≥ −log 2} that contains
    θ_ref is convex and J_γ strictly concave on it. False for averages over prompts.
    """
    return pointwise_curvature(beta, xp.log_2())


def limit_curvature(xp: NumberSystem, beta: Array, log_inverse_min: Array) -> Array:
    """K_∞ = 2 log 2 + β log(1/π_ref,min) + 4β/e + 2c₀β², free of B (C11, corollary (iii)).

    ``log_inverse_min`` is log(1/π_ref,min) ≥ 0, the least over all prompts.
    """
    require(">=", log_inverse_min=log_inverse_min)
    return path_threshold(xp, beta) + beta * (log_inverse_min + 4 * xp.exp(xp.asarray(-1)))


def lower_curvature(xp: NumberSystem, beta: Array, z_range: Array) -> Array:
    """K⁻ = 2(log σ(Z/2) + log(1 + e^Z)) + 4βσ(Z) + β²/2, with ∇²J ⪰ −K⁻F̄ (C11).

    The bracket is written 3Z/4 + log cosh(Z/2) − log cosh(Z/4), which vanishes at 0.
    """
    require(">", beta=beta)
    require(">=", z_range=z_range)
    bracket = 3 * z_range / 4 + xp.log_cosh_half(z_range) - xp.log_cosh_half(z_range / 2)
    return 2 * bracket + 4 * beta * xp.sigmoid(z_range) + beta * beta / 2


def self_preference_curvature(xp: NumberSystem, beta: Array) -> Array:
    """∇²J_self ⪯ (2 log 2 + β²/2) F̄; above that γ, π_ref alone maximises (C06)."""
    require(">", beta=beta)
    return 2 * xp.log_2() + beta * beta / 2


# --- relative curvature: enclosed (C11) ---


def relative_bound(beta: float, z_range: float) -> float:
    """K_B = min_b 2b + log 2 + log(1 + e^Z) + 2β² S₊(b): ∇²J ⪯ K_B F̄ on C (C11).

    The smaller of that and :func:`sharp_curvature`, which makes it 2β − β²/2 at Z = 0
    for every β, and negative where J is concave by a small Z and a large β.

    Args:
        beta: β > 0, taken exactly.
        z_range: Z ≥ 0, taken exactly: pass an upper bound of Z_max.

    Returns:
        A rigorous bound, rounded up; at most 1e-9 relative above the minimum over b.

    Raises:
        InputError: β ≤ 0, Z < 0, or either not finite.
    """
    margin = best_margin(beta, z_range)
    with ctx.workprec(PRECISION):
        xp, b, z = arb_numbers(), float(beta), float(z_range)
        searched = curvature_at(arb(margin), b, z, value_floor(xp, arb(z)))
        return min(searched, float_above(sharp_curvature(xp, arb(b), arb(z))))


def pointwise_relative_bound(
    beta: float, z_range: float, value: float, offset: float | None = None
) -> float:
    """K_x = 2(b − J_x) + 2β² S₊(b), with ∇²J_x ⪯ K_x F_x at one θ (C11).

    Args:
        beta: β > 0, taken exactly.
        z_range: Z ≥ 0 at this θ or an upper bound of it, taken exactly.
        value: J_x(θ) ≤ 0 of one prompt or a lower bound of it, taken exactly.
        offset: b > log σ(Z); searched for where not given.

    Returns:
        A rigorous upper bound, rounded up.

    Raises:
        InputError: An argument outside its domain.
    """
    b, z, level = (
        real_number("beta", beta),
        real_number("z_range", z_range),
        real_number("value", value),
    )
    require(">", beta=b)
    require(">=", z_range=z)
    require("<=", value=level)
    with ctx.workprec(PRECISION):
        margin = arb(best_margin(b, z)) if offset is None else margin_of(offset, z)
        return curvature_at(margin, b, z, -arb(level))


# --- Fisher matrix, strong concavity, smoothness (C09, C10, C12) ------------------------


def fisher_floor(xp: NumberSystem, range_: Array) -> Array:
    """e^{−R}, with F(θ) ⪰ e^{−R} F(θ'), R = range((θ − θ')ᵀφ) ≤ D‖θ − θ'‖ (C09)."""
    require(">=", range_=range_)
    return xp.exp(-range_)


def uniform_fisher_factor(
    xp: NumberSystem, range_: Array, m: int, *, conjectured: bool = False
) -> Array:
    """m/(1 + (m − 1)e^R), with F(θ) ⪰ factor · F(θ') for uniform π_θ' (C09, proved).

    ``conjectured`` gives e^{−R}m²/(e^{−R} + m − 1)²: proved for m = 2, for m ≥ 3 only
    seen to be exact. ``m`` ≥ 2 is the number of responses.
    """
    if not (isinstance(m, (int, np.integer)) and m >= 2):
        raise InputError("m", m, "an integer >= 2")
    decay = fisher_floor(xp, range_)
    factor = m / (decay + (m - 1))
    return decay * factor * factor if conjectured else decay * factor


def strong_concavity(
    xp: NumberSystem, gamma: Array, relative: Array, diameter: Array, radius: Array, lam_min: Array
) -> Array:
    """μ = (γ − K_B) e^{−DB} λ⁺_min(F̄(c)): J_γ is μ-strongly concave on C, on S (C12).

    For γ > ``relative``, which is any K with ∇²J ⪯ K F̄ on C.
    """
    require("", relative=relative)
    require(">", lam_min=lam_min)
    require(">=", gamma=gamma, diameter=diameter, radius=radius)
    return (gamma - relative) * xp.exp(-diameter * radius) * lam_min


def absolute_threshold(
    xp: NumberSystem, top_eigenvalue: Array, diameter: Array, radius: Array, lam_min: Array
) -> Array:
    """γ_abs = sup_C λ_max(∇²J) e^{DB}/λ⁺_min(F̄(c)), λ⁺_min > 0 (C10, as reconstructed)."""
    require(">", lam_min=lam_min)
    require(">=", diameter=diameter, radius=radius)
    require("", top_eigenvalue=top_eigenvalue)
    return top_eigenvalue / lam_min * xp.exp(diameter * radius)


def smoothness(gamma: Array, lower: Array, diameter: Array) -> Array:
    """Λ = (γ + K⁻)D²/4, with −∇²J_γ ⪯ Λ (C12); ``lower`` is :func:`lower_curvature`."""
    require(">=", gamma=gamma, lower=lower, diameter=diameter)
    return (gamma + lower) * diameter * diameter / 4


# --- rates (C15–C17); for mirror ascent (γ − K_B, γ + K⁻) stand for (μ, Λ) ---------------


def contraction(modulus: Array, smooth: Array) -> Array:
    """1 − μ/Λ, the factor of one step of size 1/Λ; 0 < μ ≤ Λ (C15, C17)."""
    require(">", modulus=modulus, smooth=smooth)
    return 1 - modulus / smooth


def linear_gap(modulus: Array, smooth: Array, steps: Array, initial: Array) -> Array:
    """gap_t ≤ (1 − μ/Λ)^t · initial; initial = gap_0 (C15) or ℒ D_A(θ*, θ_0) (C17)."""
    require(">", initial=initial)
    require(">=", steps=steps)
    return contraction(modulus, smooth) ** steps * initial


def linear_steps(
    xp: NumberSystem, modulus: Array, smooth: Array, initial: Array, accuracy: Array
) -> Array:
    """(Λ/μ) log(initial/ε) steps, unrounded, bring :func:`linear_gap` to ε (C15, C17).

    initial = Λd₀² gives T of C16, which leaves ε/2 of bias. For 0 < ε ≤ initial.
    """
    require(">", modulus=modulus, smooth=smooth, initial=initial, accuracy=accuracy)
    return smooth / modulus * xp.log(initial / accuracy)


def stochastic_gap(
    modulus: Array, smooth: Array, steps: Array, initial: Array, variance: Array, batch: Array
) -> Array:
    """E gap_T ≤ ½(1 − μ/Λ)^T · initial + σ²/(μN), initial = Λ‖θ_0 − θ*‖², T ≥ 1 (C16b).

    C16 as stated has twice this noise floor. At T = 0 it is false: near a maximiser on
    the boundary gap_0 is of the order of the distance, not of its square.

    Raises:
        InputError: T < 1, or an argument outside its domain.
    """
    require(">", batch=batch)
    require(">=", variance=variance)
    try:
        require(">=", steps=steps - 1)
    except InputError:
        raise InputError("steps", steps, "a finite number >= 1") from None
    return linear_gap(modulus, smooth, steps, initial) / 2 + variance / (modulus * batch)


def stochastic_batch(modulus: Array, variance: Array, accuracy: Array) -> Array:
    """N = 2σ²/(με), unrounded, leaves ε/2 of noise (C16b; half of what C16 asks for)."""
    require(">", modulus=modulus, accuracy=accuracy)
    require(">=", variance=variance)
    return 2 * variance / (modulus * accuracy)


def stochastic_samples(
    xp: NumberSystem,
    modulus: Array,
    smooth: Array,
    initial: Array,
    variance: Array,
    accuracy: Array,
) -> Array:
    """NT = 2σ²Λ/(μ²ε) log(Λd₀²/ε) = Õ(1/ε) gradient samples, initial = Λd₀² (C16b).

    Half of what C16 asks for. Rounded up, T must be 1 at least: see :func:`stochastic_gap`.
    """
    steps = linear_steps(xp, modulus, smooth, initial, accuracy)
    return steps * stochastic_batch(modulus, variance, accuracy)


# --- estimator, bias, price (C18–C20) --------------------------------------------------


def second_moment_bound(
    xp: NumberSystem, beta: Array, z_range: Array, fisher_trace: Array, *, centred: bool
) -> Array:
    """E‖ĝ‖² ≤ 2 tr F (w + βσ(Z))² for the estimator of C18.

    w = log(1 + e^Z) without a baseline; w = Z/2, ``centred``, with b in the middle of
    the range of g.
    """
    require(">", beta=beta)
    require(">=", z_range=z_range, fisher_trace=fisher_trace)
    size = z_range / 2 if centred else -xp.log_sigmoid(-z_range)
    return 2 * fisher_trace * (size + beta * xp.sigmoid(z_range)) ** 2


def bias_range_bound(xp: NumberSystem, range_: Array) -> Array:
    """K(R) = log((e^R − 1)/R) − 1 + R/(e^R − 1), the largest KL(π_ref‖π_θ) of range R (C19).

    Written log cosh(R/2) + y − log(1 + y), y = (R/2)coth(R/2) − 1, which cannot overflow;
    below 1, where that cancels, float64 takes Σ_n B_2n/(2n)! (1 + 1/2n) R^2n. The
    other systems need R > 0, and torch is accurate to 1e-15 absolutely.
    """
    require(">=", range_=range_)
    if xp is not FLOAT64:
        return _bias_form(xp, range_)
    square = np.minimum(range_, 1.0) ** 2
    near = square * np.polyval(_bias_series(), square)
    return np.where(np.asarray(range_) < 1, near, _bias_form(xp, np.maximum(range_, 1.0)))[()]


def _bias_form(xp: NumberSystem, range_: Array) -> Array:
    inverse = range_ / (2 * xp.tanh(range_ / 2))
    return xp.log_cosh_half(range_) + inverse - 1 - xp.log(inverse)


@cache
def _bias_series() -> tuple[float, ...]:
    """B_2n/(2n)! (1 + 1/2n), n = 12, …, 1, from Σ_{k≤j} (B_k/k!)/(j + 1 − k)! = 0, j ≥ 1.

    |B_2n/(2n)!| < 4/(2π)^2n: for R ≤ 1 the remainder is below 1e-19 of K.
    """
    scaled = [Fraction(1)]
    for j in range(1, 25):
        terms = [b / math.factorial(j + 1 - k) for k, b in enumerate(scaled)]
        scaled.append(-sum(terms, Fraction(0)))
    return tuple(float(scaled[n] * (1 + Fraction(1, n))) for n in range(24, 0, -2))


def bias_bound(xp: NumberSystem, gamma: Array, range_: Array) -> Array:
    """0 ≤ J(θ*) − J(θ*_γ) ≤ γ K(R*), R* = range((θ* − θ_ref)ᵀφ) (C19)."""
    require(">=", gamma=gamma)
    return gamma * bias_range_bound(xp, range_)


def kl_ceiling(xp: NumberSystem, gamma: Array) -> Array:
    """KL(π_ref‖π_θ*γ) ≤ log 2/γ, as J_γ(θ*_γ) ≥ J(θ_ref) = −log 2 and J ≤ 0; γ > 0 (C20)."""
    require(">", gamma=gamma)
    return xp.log_2() / gamma


def gain_ceiling(beta: Array, reference_variance: Array, excess: Array) -> Array:
    """J_γ(θ*_γ) − J(θ_ref) ≤ 4β² Var_ref(p̄)/c, c = γ − K_B ≥ β (C20).

    ``reference_variance`` is Var_ref(p̄) ≥ 0 averaged over prompts, ``excess`` is c > 0.
    """
    require(">", beta=beta, excess=excess)
    require(">=", reference_variance=reference_variance)
    return 4 * beta * beta * reference_variance / excess
