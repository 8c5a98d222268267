"""The constants of the theorems for one objective: K_B, K⁻, μ, Λ, ℒ (C11, C12, C17)."""

from __future__ import annotations

from dataclasses import dataclass

from sailtheory.errors import InputError
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.fisher import least_fisher
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.algebra import LinearCombination, Objective
from sailtheory.objectives.sail import SAIL, KLRefPolicy
from sailtheory.theory import bounds

__all__ = ["Constants", "constants", "regularisation"]


@dataclass(frozen=True)
class Constants:
    """What the theorems say of J_γ on C.

    Attributes:
        gamma: γ.
        relative: K_B, with ∇²J ⪯ K_B F̄ (C11).
        lower: K⁻, with ∇²J ⪰ −K⁻ F̄ (C11).
        smooth: Λ = (γ + K⁻)D²/4 (C12).
        modulus: μ (C12); None unless γ > K_B and F̄(c) ≻ 0 on S.
    """

    gamma: float
    relative: float
    lower: float
    smooth: float
    modulus: float | None

    @property
    def relative_modulus(self) -> float:
        """γ − K_B: −J_γ is that strongly convex relative to A where it is positive (C12)."""
        return self.gamma - self.relative

    @property
    def relative_smooth(self) -> float:
        """ℒ = γ + K⁻: −J_γ is that smooth relative to A (C12, C17)."""
        return self.gamma + self.lower


def regularisation(objective: Objective) -> float:
    """γ of an objective ``SAIL(p) - gamma * KLRefPolicy(p)``, γ ≥ 0; 0 for ``SAIL(p)``.

    Raises:
        InputError: Any other objective.
    """
    terms = objective.terms if isinstance(objective, LinearCombination) else [(1.0, objective)]
    sail = sum(c for c, term in terms if type(term) is SAIL)
    gamma = -sum(c for c, term in terms if type(term) is KLRefPolicy)
    known = all(type(term) in (SAIL, KLRefPolicy) for _, term in terms)
    if not (known and sail == 1 and gamma >= 0):
        found = " + ".join(f"{c:g} * {type(term).__name__}" for c, term in terms)
        raise InputError("objective", found, "SAIL(p) or SAILRevKL(p, gamma) is expected")
    return abs(float(gamma))


def constants(objective: Objective) -> Constants:
    """The constants of SAIL or SAIL-RevKL.

    Raises:
        InputError: Another objective, for which no constant is proved.
    """
    gamma, problem = regularisation(objective), objective.problem
    beta, z = float(problem.beta), problem.z_max_above
    diameter, radius = problem.feature_diameter, float(problem.radius)
    relative = bounds.relative_bound(beta, z)
    lower = float(bounds.lower_curvature(FLOAT64, beta, z))
    modulus = None
    if gamma > relative:
        least = least_fisher(Domain(problem))
        if least > 0:
            modulus = float(
                bounds.strong_concavity(FLOAT64, gamma, relative, diameter, radius, least)
            )
    smooth = float(bounds.smoothness(gamma, lower, diameter))
    return Constants(gamma, relative, lower, smooth, modulus)
