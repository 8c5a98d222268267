"""First-order quantities of C12–C14 in ball arithmetic: gaps, plain and prox progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from flint import arb

from proofs_check.evidence.argument import Ball, refute
from sailtheory import Objective, PreferenceProblem
from sailtheory.landscape import Domain
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.sail import fisher
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence

Progress = Callable[[], Ball]
"""The left side of a PL inequality as a ball: it must reach 2μ·gap."""


def center_spectrum(problem: PreferenceProblem) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of F̄(c) on S, rising, and their directions, (r,) and (r, d)."""
    domain = Domain(problem)
    at_center = fisher(problem, problem.center.astype(float))
    values, vectors = np.linalg.eigh(domain.reduce_matrix(at_center))
    return values, domain.lift(vectors.T)


class Moduli(NamedTuple):
    """The constants of C12 at one γ > K_B.

    Attributes:
        gamma: γ.
        relative: K_B.
        mu: μ, of strong concavity on S.
        smooth: Λ.
    """

    gamma: float
    relative: float
    mu: float
    smooth: float


def moduli(problem: PreferenceProblem, excess: float) -> Moduli:
    """μ and Λ of C12 at γ = K_B + excess, or at γ = excess where K_B < 0."""
    beta, z = float(problem.beta), problem.z_max_above
    relative = bounds.relative_bound(beta, z)
    gamma = max(relative, 0.0) + excess
    low = float(center_spectrum(problem)[0][0])
    diameter = problem.feature_diameter
    mu = bounds.strong_concavity(FLOAT64, gamma, relative, diameter, float(problem.radius), low)
    lower = bounds.lower_curvature(FLOAT64, beta, z)
    return Moduli(gamma, relative, mu, float(bounds.smoothness(gamma, lower, diameter)))


def gradient_ball(objective: Objective, theta: np.ndarray) -> np.ndarray:
    """∇ at θ as balls, (d,)."""
    return np.asarray(objective.gradient(arb_numbers().asarray(theta)))


def gap_ball(objective: Objective, theta: np.ndarray, better: np.ndarray) -> Ball:
    """J(better) − J(θ): a lower bound of the gap when ``better`` is in the domain."""
    xp = arb_numbers()
    return objective.value(xp.asarray(better)) - objective.value(xp.asarray(theta))


def plain_progress(objective: Objective, theta: np.ndarray) -> Ball:
    """‖∇J‖²."""
    g = gradient_ball(objective, theta)
    return (g * g).sum()


def prox_progress(objective: Objective, theta: np.ndarray, smooth: float) -> Ball:
    """2Λ max[⟨∇J, y−θ⟩ − (Λ/2)‖y−θ‖²] over the ball ‖y − c‖ ≤ B, off c + S too.

    That is ‖∇J‖² − Λ²(‖θ + ∇J/Λ − c‖ − B)₊², attained at the projection. In C the
    gradient lies in S, and the maximum over C is the same.
    """
    xp = arb_numbers()
    problem = objective.problem
    g = gradient_ball(objective, theta)
    step = xp.asarray(theta) + g / arb(smooth) - xp.asarray(problem.center)
    beyond = (step * step).sum().sqrt() - arb(float(problem.radius))
    outside = beyond if beyond > 0 else (arb(0) if beyond < 0 else beyond.union(arb(0)))
    return (g * g).sum() - (arb(smooth) * outside) ** 2


def inward(problem: PreferenceProblem, theta: np.ndarray) -> np.ndarray:
    """θ drawn towards c by a few roundings, so that it lies in the ball exactly."""
    center = problem.center.astype(float)
    return np.asarray(center + (theta - center) * (1 - 1e-14))


def pl_fails(
    objective: Objective,
    theta: np.ndarray,
    better: np.ndarray,
    mu: float,
    progress: Progress,
    says: str,
) -> Evidence:
    """Decide progress(θ) < 2μ(J(better) − J(θ)) in ball arithmetic."""
    better = inward(objective.problem, better)

    def excess() -> Ball:
        return 2 * arb(mu) * gap_ball(objective, theta, better) - progress()

    gap = float(gap_ball(objective, theta, better))
    return refute(
        objective.problem, theta, f"progress/(2μ gap) below 1 at θ: {says}",
        float(progress()) / (2 * mu * gap) if gap > 0 else np.nan, excess,
        better=better.tolist(), mu=mu,
    )  # fmt: skip
