"""C27: a path version for averages, which C11 (iv) has for one prompt only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from proofs_check.arguments.averaged_steps import C27_ASSUMES, C27_STEPS
from proofs_check.arguments.relative_path import path_falsehood
from proofs_check.claims.c11_relative_curvature import compare, spectrum
from proofs_check.evidence.argument import Ball, Tally, argue, refute
from proofs_check.evidence.battery import battery, points
from proofs_check.expected import claim
from sailtheory import SAIL, Objective, PreferenceProblem, SAILRevKL
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.theory import bounds
from sailtheory.theory.averaged_bound import path_factor
from sailtheory.verdict import Evidence

_SIZES = {"quick": 18, "full": 120}
_ABOVE = 1 + 1e-6
_LOG_2 = float(np.log(2.0))


def sufficient(problem: PreferenceProblem, curvature: float) -> float:
    """A γ that satisfies the hypothesis, c = θ_ref: K₀ + |h|_{F̄⁻¹}/(ϕ B₀ √λ_min(F̄)).

    For δ of length B₀, h·δ ≤ |h|_{F̄⁻¹}(δᵀF̄δ)^½ and δᵀF̄δ ≥ B₀²λ_min(F̄).
    """
    domain, center = Domain(problem), problem.center.astype(float)
    radius = float(problem.radius)
    fisher = domain.reduce(domain.reduce(KLRefPolicy(problem).hessian(center)).T)
    values, vectors = np.linalg.eigh(fisher)
    along = vectors.T @ domain.reduce(SAIL(problem).gradient(center))
    steep = float(np.sqrt((along**2 / values).sum()))
    factor = float(path_factor(FLOAT64, problem.feature_diameter * radius))
    return curvature + _ABOVE * steep / (factor * radius * float(np.sqrt(values[0])))


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then the sphere, and curvature where J_γ ≥ J(θ_ref) inside."""
    yield from argue(
        "the component of {J_γ ≥ J(θ_ref)} of θ_ref lies within the ball, is convex, and J_γ is "
        "concave on it", C27_STEPS, C27_ASSUMES,
    )  # fmt: skip
    rng = context.rng("C27")
    sphere = Tally("J_γ < J(θ_ref) on the sphere ‖θ − θ_ref‖ = B₀")
    inside = Tally("∇²J ⪯ γF̄ where J_γ ≥ J(θ_ref) in the ball")
    for drawn in battery(rng, _SIZES[context.effort]):
        problem = drawn.replace(center=drawn.ref_params)
        domain = Domain(problem)
        if domain.dimension == 0:
            continue
        level = bounds.relative_bound(float(problem.beta), problem.z_max_above)
        gamma = sufficient(problem, level)
        if not 0 <= gamma < 1e4:
            continue
        objective = SAILRevKL(problem, gamma)
        ways = rng.normal(size=(64, domain.dimension))
        ways *= float(problem.radius) / np.linalg.norm(ways, axis=1, keepdims=True)
        theta = domain.embed(ways)
        sphere.add(
            objective.value(theta), np.full(64, -_LOG_2), partial(_reaches, objective, theta)
        )
        theta = points(rng, problem)
        theta = theta[objective.value(theta) >= -_LOG_2]
        if len(theta):
            compare(inside, spectrum(SAIL(problem), theta), gamma)
    yield sphere.evidence()
    yield inside.evidence()


def _reaches(objective: Objective, theta: np.ndarray, i: int) -> Evidence:
    def excess() -> Ball:
        xp = arb_numbers()
        return objective.value(xp.asarray(theta[i])) + xp.log_2()

    says = "J_γ > J(θ_ref) on the sphere of radius B₀, although the hypothesis holds"
    return refute(
        objective.problem, theta[i], says, float(objective.value(theta[i])) + _LOG_2, excess
    )


# --- wrong variants ---------------------------------------------------------------------


def _loser() -> PreferenceProblem:
    """A rare response that always loses: away from it J gains, and F̄ shrinks as fast as may be."""
    return PreferenceProblem(
        features=[[["0.5"], ["-0.5"]]], preferences=[[[0.5, 0], [1, 0.5]]], beta="0.01",
        radius="0.8", base=[["1e-6", 1]],
    )  # fmt: skip


Level = Callable[[float, float, float, float], float]
"""γ from K₀ on the ball, the curvature at θ_ref, h·δ/(δᵀF̄δ) and ϕ."""


def _planted(name: str, says: str, level: Level) -> Falsehood:
    def wrong(context: Context) -> Iterator[Evidence]:
        problem = _loser()
        theta = np.linspace(-0.8, 0.8, 4001)[:, None]
        curvature = spectrum(SAIL(problem), theta)[2]
        own = float(spectrum(SAIL(problem), np.zeros((1, 1)))[2][0])
        radius = float(problem.radius)
        slope = abs(float(SAIL(problem).gradient(np.zeros(1))[0]))
        mass = radius * float(KLRefPolicy(problem).hessian(np.zeros(1))[0, 0])
        factor = float(path_factor(FLOAT64, problem.feature_diameter * radius))
        gamma = _ABOVE * level(float(curvature.max()) * _ABOVE, own, slope / mass, factor)
        objective = SAILRevKL(problem, gamma)
        ends = np.array([[-radius], [radius]])
        yield _reaches(objective, ends, int(objective.value(ends).argmax()))

    return Falsehood(name, says, wrong)


PLANTED = (
    path_falsehood(),
    _planted("no-decay", "no-decay: ½ for ϕ(R), as if F̄ stayed what it is at c",
             lambda k, own, ratio, factor: k + 2 * ratio),
    _planted("at-reference", "at-reference: the curvature at θ_ref for K₀ of the ball",
             lambda k, own, ratio, factor: own + ratio / factor),
    _planted("half-slope", "half-slope: h·δ/2 for h·δ",
             lambda k, own, ratio, factor: k + ratio / (2 * factor)),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C27",
        title="path version for averages: above θ_ref's value J_γ is concave, without a ball",
        statement=r"(\gamma - K_0)\,\phi(R)\,\delta^\top \bar F(c)\,\delta > h \cdot \delta"
        r"\text{ for } \|\delta\| = B_0",
        source="new; proof in docs/theory.md",
        hypotheses=("c = θ_ref", "∇²J ⪯ K₀F̄ on the ball of radius B₀", "R = DB₀, h = ∇J(θ_ref)"),
        check=check,
        planted=PLANTED,
    )
]
