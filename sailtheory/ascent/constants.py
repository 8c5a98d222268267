"""The constants of the theorems: K_B, K⁻, μ, Λ, ℒ (C11, C12, C17), and the field's own (C29)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.errors import InputError
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.fisher import least_fisher
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.algebra import LinearCombination, Objective
from sailtheory.objectives.fields import OnlineDPO
from sailtheory.objectives.sail import SAIL, KLRefPolicy
from sailtheory.objectives.target import Target, no_certain_gamma
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds, field_bound

__all__ = [
    "Constants",
    "FieldConstants",
    "RelativeConstants",
    "constants",
    "field_constants",
    "regularisation",
    "step_constants",
    "target_constants",
]

_ROUNDING = 1e-12


@dataclass(frozen=True)
class RelativeConstants:
    """Bounds relative to F̄ of an objective's Hessian or a field's Jacobian, and γ.

    Attributes:
        gamma: γ.
        relative: K, above.
        lower: K⁻, below.
    """

    gamma: float
    relative: float
    lower: float

    @property
    def relative_modulus(self) -> float:
        """γ − K: strong convexity of −J_γ (C12), strong monotonicity of a field (C29), by A."""
        return self.gamma - self.relative

    @property
    def relative_smooth(self) -> float:
        """ℒ = γ + K⁻: smoothness relative to A (C12, C17)."""
        return self.gamma + self.lower


@dataclass(frozen=True)
class Constants(RelativeConstants):
    """What the theorems say of J_γ on C.

    Attributes:
        gamma: γ.
        relative: K_B, with ∇²J ⪯ K_B F̄ (C11).
        lower: K⁻, with ∇²J ⪰ −K⁻ F̄ (C11).
        smooth: Λ = (γ + K⁻)D²/4 (C12).
        modulus: μ (C12); None unless γ > K_B and F̄(c) ≻ 0 on S.
        convexity: c, with c·F̄ ⪯ ∇²D for the penalty D; K and K⁻ are relative to ∇²D.
        stiffness: C, with ∇²D ⪯ C·F̄.
    """

    smooth: float
    modulus: float | None
    convexity: float = 1.0
    stiffness: float = 1.0

    @property
    def relative_modulus(self) -> float:
        """c(γ − K), by A; γ − K for KL(π_ref‖π_θ)."""
        return self.convexity * (self.gamma - self.relative)

    @property
    def relative_smooth(self) -> float:
        """Cγ + cK⁻, by A; γ + K⁻ for KL(π_ref‖π_θ)."""
        return self.stiffness * self.gamma + self.convexity * self.lower


@dataclass(frozen=True)
class FieldConstants(RelativeConstants):
    """What C29 and C36 say of V − γ∇KL on C.

    Attributes:
        gamma: γ.
        relative: K_V, with sym DV ⪯ K_V F̄.
        lower: K_V⁻, which bounds all of DV.
        smooth: Λ_V, the inverse of the step of projected ascent; None unless γ > K_V.
        modulus: μ of strong monotonicity; None unless γ > K_V and F̄(c) ≻ 0 on S.
    """

    smooth: float | None
    modulus: float | None


def regularisation(objective: Objective, kind: type[Objective] = SAIL) -> float:
    """γ of an objective ``SAIL(p) - gamma * KLRefPolicy(p)``, γ ≥ 0; 0 for ``SAIL(p)``.

    Args:
        objective: The objective.
        kind: What may stand in SAIL's place.

    Raises:
        InputError: Any other objective.
    """
    terms = objective.terms if isinstance(objective, LinearCombination) else [(1.0, objective)]
    sail = sum(c for c, term in terms if type(term) is kind)
    gamma = -sum(c for c, term in terms if type(term) is KLRefPolicy)
    known = all(type(term) in (kind, KLRefPolicy) for _, term in terms)
    if not (known and sail == 1 and gamma >= 0):
        found = " + ".join(f"{c:g} * {type(term).__name__}" for c, term in terms)
        accepted = "SAIL(p), SAILRevKL(p, gamma) or the same of OnlineDPO is expected"
        raise InputError("objective", found, accepted)
    return abs(float(gamma))


def constants(objective: Objective) -> Constants:
    """The constants of SAIL or SAIL-RevKL.

    Raises:
        InputError: Another objective, for which no constant is proved.
    """
    gamma, problem = regularisation(objective), objective.problem
    beta, z = float(problem.beta), problem.z_max_above
    diameter = problem.feature_diameter
    relative = bounds.relative_bound(beta, z)
    lower = float(bounds.lower_curvature(FLOAT64, beta, z))
    modulus = _modulus(problem, gamma, relative)
    smooth = float(bounds.smoothness(gamma, lower, diameter))
    return Constants(gamma, relative, lower, smooth, modulus)


def target_constants(target: Target, gamma: float) -> Constants:
    """The constants of a target less γD: with K_B for SAIL, else the least certain K.

    Args:
        target: Not null.
        gamma: γ ≥ 0.

    Raises:
        InputError: S = {0}, or no K is certain or K⁻ infinite, so that no step is proved.
    """
    known, problem = target.bounds(), target.problem
    if known is None or known.least is None or known.lower is None:
        raise no_certain_gamma(target, known)
    c, stiff = known.convexity, known.stiffness
    smooth = float(bounds.smoothness(stiff * gamma, c * known.lower, problem.feature_diameter))
    modulus = _modulus(problem, gamma, known.least)
    modulus = None if modulus is None else c * modulus
    return Constants(gamma, known.least, known.lower, smooth, modulus, c, stiff)


def field_constants(problem: PreferenceProblem, gamma: float) -> FieldConstants:
    """The constants of V − γ∇KL(π_ref‖π_θ).

    Args:
        problem: The problem.
        gamma: γ ≥ 0.
    """
    beta, z = float(problem.beta), problem.z_max_above
    relative = float(field_bound.field_bound(FLOAT64, beta, z)) * (1 + _ROUNDING)
    lower = float(field_bound.field_lower(FLOAT64, beta, z))
    smooth = None
    if gamma > relative:
        turning = float(field_bound.field_turning_bound(FLOAT64, beta, z, np.pi))
        smooth = float(
            field_bound.monotone_smoothness(
                FLOAT64, gamma - relative, gamma + lower,
                turning if max(problem.responses) > 2 else 0.0, problem.feature_diameter,
            )
        )  # fmt: skip
    return FieldConstants(gamma, relative, lower, smooth, _modulus(problem, gamma, relative))


def _modulus(problem: PreferenceProblem, gamma: float, relative: float) -> float | None:
    """(γ − K)e^{−DB}λ⁺_min(F̄(c)), None where it is not positive."""
    if not gamma > relative:
        return None
    least = least_fisher(Domain(problem))
    if not least > 0:
        return None
    diameter, radius = problem.feature_diameter, float(problem.radius)
    return float(bounds.strong_concavity(FLOAT64, gamma, relative, diameter, radius, least))


def step_constants(objective: Objective) -> Constants | FieldConstants:
    """The constants of SAIL, SAIL-RevKL, or of online DPO's field with or without KL.

    Raises:
        InputError: Another objective.
    """
    if objective.has_value:
        return constants(objective)
    return field_constants(objective.problem, regularisation(objective, OnlineDPO))
