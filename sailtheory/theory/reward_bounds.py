"""Constants with KL(π_θ‖π_ref) where the reward is linear in the features (C33)."""

from __future__ import annotations

from sailtheory.errors import require
from sailtheory.numeric.numbers import Array, NumberSystem

__all__ = ["inverse_path_factor", "realisable_modulus"]


def inverse_path_factor(xp: NumberSystem, range_: Array) -> Array:
    """κ(R) = (e^R − 1 − R)/R² with KL(π_θ‖π_θ*) ≤ κ(R)·Var_θ((θ − θ*)ᵀφ), R > 0; sharp (C33).

    R is the largest range of (θ − θ*)ᵀφ. ½ at R = 0, where it is not evaluated.
    """
    require(">", range_=range_)
    return (xp.exp(range_) - 1 - range_) / (range_ * range_)


def realisable_modulus(gamma: Array, lam_min: Array, factor: Array) -> Array:
    """μ = γλ⁺_min(F̄)/(2κ): ‖∇J‖² ≥ 2μ(J* − J) for J = V − γKL(π_θ‖π_ref), r = wᵀφ + c (C33).

    Args:
        gamma: γ > 0.
        lam_min: λ⁺_min(F̄) at θ, or the least over C.
        factor: κ(R).
    """
    require(">", gamma=gamma, lam_min=lam_min, factor=factor)
    return gamma * lam_min / (2 * factor)
