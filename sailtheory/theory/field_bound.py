"""Constants of the field without the score term: V − γ∇KL(π_ref‖π_θ), online DPO (C29, C36).

T = γ∇KL(π_ref‖π_θ) − V. With U = σ(Z) ≥ |u|, per prompt and on average, for v and w in S:

    sym DV ⪯ K_V F̄, −sym DV ⪯ K_V⁻ F̄, |vᵀDVw| ≤ K_V⁻ |v||w|, |vᵀ(DV − DVᵀ)w|/2 ≤ a |v||w|,

|v|² = vᵀF̄v. Closed forms take a number system as those of :mod:`sailtheory.theory.bounds` do.
"""

from __future__ import annotations

import numpy as np

from sailtheory.errors import require
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem

__all__ = [
    "explicit_mirror_constant",
    "field_bound",
    "field_data_bound",
    "field_limit",
    "field_lower",
    "field_turning_bound",
    "field_two_bound",
    "implicit_contraction",
    "monotone_smoothness",
    "payoff_field_bound",
]

_OFFSETS = (0.03, 0.06, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of βU/2, U = max |u|
_MARGIN = 2.0**-40
_PIECES = 64
_ENDS = (slice(None, -1), slice(1, None))  # of each piece


def field_limit(beta: Array) -> Array:
    """2β: sym DV ⪯ 2βF̄ for every B, m, p* and π_ref (C29)."""
    require(">", beta=beta)
    return 2 * beta


def field_bound(xp: NumberSystem, beta: Array, z_range: Array) -> Array:
    """K_V = 2βσ(Z) − 2β²σ'(Z), sharp for each β and Z; it grows with Z to 2β (C36)."""
    require(">", beta=beta)
    require(">=", z_range=z_range)
    up, down = xp.sigmoid(z_range), xp.sigmoid(-z_range)
    return 2 * beta * up - 2 * beta * beta * up * down


def payoff_field_bound(beta: Array, offset: Array, inner: Array) -> Array:
    """2b + 2β²·sup_{|z|≤Z}[G'²/(4b) + G''], for any payoff G and b > 0 (C36).

    Args:
        beta: β > 0.
        offset: b.
        inner: The supremum.
    """
    require(">", beta=beta, offset=offset)
    return 2 * offset + 2 * beta * beta * inner


def field_lower(xp: NumberSystem, beta: Array, z_range: Array) -> Array:
    """K_V⁻ = 2βσ(Z) + β²/2, which bounds all of DV relative to F̄ (C29)."""
    require(">", beta=beta)
    require(">=", z_range=z_range)
    return 2 * beta * xp.sigmoid(z_range) + beta * beta / 2


def field_turning_bound(xp: NumberSystem, beta: Array, z_range: Array, pi: Array) -> Array:
    """a = (4/π)βσ(Z), for the antisymmetric part of DV (C29); 0 will do if m ≤ 2.

    ``pi`` is the number π.
    """
    require(">", beta=beta)
    require(">=", z_range=z_range)
    return 4 * beta * xp.sigmoid(z_range) / pi


def monotone_smoothness(
    xp: NumberSystem, modulus: Array, smooth: Array, turning: Array, diameter: Array
) -> Array:
    """Λ_V = (D²/4)(√ℒ + a/√m)²: projected steps of size 1/Λ_V contract by 1 − μ/Λ_V (C29).

    The factor is that of the squared distance from the solution.

    Args:
        xp: Number system.
        modulus: m = γ − K_V > 0.
        smooth: ℒ = γ + K_V⁻.
        turning: a ≥ 0; 0 where V is a gradient.
        diameter: D.
    """
    require(">", modulus=modulus, smooth=smooth)
    require(">=", turning=turning, diameter=diameter)
    root = xp.exp(xp.log(smooth / modulus) / 2)
    both = smooth + 2 * turning * root + turning * turning / modulus
    return diameter * diameter * both / 4


def implicit_contraction(modulus: Array, smooth: Array) -> Array:
    """1/(1 + m/ℒ): how an implicit mirror step with ℒD_A shrinks D_A(θ*, ·) (C29)."""
    require(">", modulus=modulus, smooth=smooth)
    return smooth / (smooth + modulus)


def explicit_mirror_constant(
    xp: NumberSystem, modulus: Array, lower: Array, step_range: Array, path_factor: Array
) -> Array:
    """c²e^r(1 + e^r)/(2mϕ(R)): explicit mirror steps with ℒ − γ at least this contract (C29).

    D_A(θ*, ·) shrinks by 1/(1 + m/(2(ℒ − γ))) in every step whose logits move by ranges ≤ r.

    Args:
        xp: Number system.
        modulus: m = γ − K_V > 0.
        lower: c = K_V⁻.
        step_range: r ≥ 0.
        path_factor: ϕ(R) of C27, R the largest range of (θ − θ*)ᵀφ, at most 2DB.
    """
    require(">", modulus=modulus, lower=lower, path_factor=path_factor)
    require(">=", step_range=step_range)
    grown = xp.exp(step_range)
    return lower * lower * grown * (1 + grown) / (2 * modulus * path_factor)


def field_data_bound(
    beta: float, preference: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """K_V of each prompt with its own preferences and intervals of z over C (C36).

    2b + 2β² max over pairs of sup[u²/(4b) − σ'(z)]. In t = ½tanh(z/2) that is the convex
    quadratic (q − t)²/(4b) + t² − ¼, so its supremum lies at an end of the interval.

    Args:
        beta: β > 0.
        preference: q of the pairs k < l, (..., p).
        low: Lower ends of z over C, (..., p).
        high: Upper ends, (..., p).

    Returns:
        (...), rounded up: float64 errs by some units of β + β², 2⁻⁴⁰ of it is added.
    """
    turns = np.concatenate([np.tanh(low / 2), np.tanh(high / 2)], axis=-1) / 2
    slope = np.concatenate([preference, preference], axis=-1) - turns
    square, flat = slope * slope, turns * turns - 0.25
    steepest = abs(slope).max(-1) + np.finfo(float).tiny
    bounds = []
    for share in _OFFSETS:
        offset = share * beta * steepest / 2
        inner = (square / (4 * offset[..., None]) + flat).max(-1)
        bounds.append(payoff_field_bound(beta, offset, inner))
    reach = np.maximum(abs(low), abs(high)).max(-1)
    closed = field_bound(FLOAT64, beta, reach)
    return np.asarray(np.minimum(np.min(bounds, axis=0), closed) + _MARGIN * (beta + beta * beta))


def field_two_bound(
    beta: float,
    preference: np.ndarray,
    odds: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    error: np.ndarray,
) -> np.ndarray:
    """γ*_V of prompts of two responses, from above: η = 2βu(π₂ − π₁) − 2β²σ' on pieces (C29).

    DV = ηF there. On a piece of the interval u and π₂ − π₁ fall with z, and t² − ¼ = −σ' is
    largest at an end.

    Args:
        beta: β > 0.
        preference: q₁₂, (k,).
        odds: log π_ref(y₁)/π_ref(y₂), (k,).
        low: Lower ends of z₁₂ over C, (k,).
        high: Upper ends, (k,).
        error: By how much ``odds`` and the preferences may be off, (k,).

    Returns:
        (k,), rounded up: 2⁻⁴⁰ of β + β² and what the errors cost are added.
    """
    z = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, _PIECES + 1)
    turns = np.tanh(z / 2) / 2
    slope = preference[:, None] - turns
    lead = -np.tanh((odds[:, None] + z / beta) / 2)  # π₂ − π₁
    ends = [slope[:, a] * lead[:, b] for a in _ENDS for b in _ENDS]
    flat = turns * turns - 0.25
    steep = 2 * beta * np.max(ends, axis=0)
    level = steep + 2 * beta * beta * np.maximum(flat[:, :-1], flat[:, 1:])
    reach = np.maximum(abs(low), abs(high)) / beta + abs(odds)
    room = 8 * beta * (error + 2.0**-50 * reach) + _MARGIN * (beta + beta * beta)
    return np.asarray(level.max(-1) + room)
