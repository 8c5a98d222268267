"""C13: plain and proximal PL on C; at a boundary maximiser the usual consequences fail."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
import sympy as sp
from flint import arb

from proofs_check.arguments.algebra import vanishes
from proofs_check.arguments.first_order import (
    gap_ball,
    gradient_ball,
    inward,
    moduli,
    pl_fails,
    plain_progress,
    prox_progress,
)
from proofs_check.claims.c10_absolute_threshold import resolved
from proofs_check.claims.c12_strong_concavity import STEPS as CONCAVE
from proofs_check.claims.c12_strong_concavity import off_span_prox
from proofs_check.evidence.argument import Ball, Step, Tally, argue, refute
from proofs_check.evidence.battery import SIZES, battery, points, skewed
from proofs_check.expected import claim
from sailtheory import SAIL, Objective, SAILRevKL, examples
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import (
    Domain,
    Search,
    largest_curvature_on,
    maximise,
    pl_constant,
    pl_ratio,
)
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence, Outcome, Strength

Kind = Literal["plain", "prox"]


# --- the argument -----------------------------------------------------------------------


def _plain() -> bool:
    """‖g‖²/(2μ) − ⟨g, d⟩ + (μ/2)‖d‖² = ‖g − μd‖²/(2μ) in any dimension: here 2."""
    mu = sp.Symbol("mu", positive=True)
    g, d = sp.Matrix(sp.symbols("g:2")), sp.Matrix(sp.symbols("d:2"))
    rest = g.dot(g) / (2 * mu) - g.dot(d) + mu * d.dot(d) / 2
    return vanishes(rest - (g - mu * d).dot(g - mu * d) / (2 * mu))


def _prox() -> bool:
    """At y = θ + (μ/Λ)(θ* − θ) ∈ C the bracket is (μ/Λ)[⟨g, d⟩ − (μ/2)‖d‖²] ≥ (μ/Λ) gap."""
    mu, smooth = sp.symbols("mu Lambda", positive=True)
    g, d = sp.Matrix(sp.symbols("g:2")), sp.Matrix(sp.symbols("d:2"))
    move = mu / smooth * d
    bracket = g.dot(move) - smooth / 2 * move.dot(move)
    return vanishes(2 * smooth * bracket - 2 * mu * (g.dot(d) - mu / 2 * d.dot(d)))


STEPS = (
    *CONCAVE,
    Step("symbolic", "gap ≤ ⟨∇, d⟩ − (μ/2)‖d‖² ≤ ‖∇‖²/(2μ), d = θ* − θ: plain PL", _plain),
    Step("symbolic", "y = θ + (μ/Λ)d lies in C, as μ ≤ Λ, and gives prox-PL", _prox),
)


# --- instances --------------------------------------------------------------------------


def fails(
    objective: Objective,
    points: np.ndarray,
    best: np.ndarray,
    mu: float,
    smooth: float,
    kind: Kind,
    i: int,
) -> Evidence:
    """Decide plain or prox-PL with μ at the i-th point in ball arithmetic."""
    theta = points[i]

    def progress() -> Ball:
        if kind == "plain":
            return plain_progress(objective, theta)
        return prox_progress(objective, theta, smooth)

    return pl_fails(objective, theta, best, mu, progress, f"{kind} PL with μ = {mu:.6g}")


def _check(context: Context) -> Iterator[Evidence]:
    yield from argue("plain and prox-PL hold on C with μ of C12", STEPS, ("C11", "C07"))
    rng = context.rng("C13")
    tallies: dict[Kind, Tally] = {
        "plain": Tally("‖∇J_γ‖² ≥ 2μ gap on C at γ > K_B"),
        "prox": Tally("prox-PL on C at γ > K_B"),
    }
    for number, problem in enumerate(filter(resolved, battery(rng, SIZES[context.effort] // 6))):
        at = moduli(problem, float(10 ** rng.uniform(-2, 1)))
        objective, domain = SAILRevKL(problem, at.gamma), Domain(problem)
        search = Search(domain, "quick", context.seed)
        best = maximise(objective, search)
        theta = points(rng, problem)
        if number < (15 if context.full else 3):
            found = [pl_constant(objective, search, best, k, at.smooth).theta for k in tallies]
            theta = np.concatenate([theta, np.stack(found)])
        for kind, tally in tallies.items():
            ratio = pl_ratio(objective, domain, theta, best.value, kind, at.smooth)
            confirm = partial(fails, objective, theta, best.theta, at.mu, at.smooth, kind)
            tally.add(np.full(len(theta), at.mu), ratio, confirm)
    for tally in tallies.values():
        yield tally.evidence()


# --- at a boundary maximiser ------------------------------------------------------------

DISTANCE = 1e-4


def boundary_numbers(context: Context) -> dict[str, float]:
    """The numbers of theory.md at θ = B − 10⁻⁴: constants of its own, four ratios, K_B."""
    problem = examples.load("c13-boundary-maximiser")
    objective, domain = SAILRevKL(problem, 1.0), Domain(problem)
    search = Search(domain, context.effort, context.seed)
    steepest = largest_curvature_on(-objective, search).value
    flattest = largest_curvature_on(objective, search).value
    mu, smooth = -float(flattest or 0.0), float(steepest or 0.0)
    best = np.array([float(problem.radius)])
    theta = best - DISTANCE
    value = float(objective.value(best))
    gap = value - float(objective.value(theta))
    slope = float(objective.gradient(theta)[0])
    mapped = smooth * float(min(DISTANCE, slope / smooth))  # the gradient mapping
    rise = float(objective.value(theta + mapped / smooth) - objective.value(theta))
    ratios = {
        kind: float(pl_ratio(objective, domain, theta, value, kind, smooth)) / mu
        for kind in ("plain", "prox")
    }
    return {
        "mu": mu, "smoothness": smooth, **ratios,
        "increase": rise / (slope**2 / (2 * smooth)), "mapping": mapped**2 / (2 * mu * gap),
        "relative_bound": bounds.relative_bound(1.0, problem.z_max),
    }  # fmt: skip


def _boundary(context: Context) -> Iterator[Evidence]:
    problem = examples.load("c13-boundary-maximiser")
    objective, found = SAILRevKL(problem, 1.0), boundary_numbers(context)
    shown = ", ".join(f"{key} {value:.3g}" for key, value in found.items())
    detail = f"m = 2, φ = ±1, β = γ = 1, B = .2, θ = B − 10⁻⁴: {shown}"
    yield Evidence("search", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    best = np.array([float(problem.radius)])
    theta, smooth, mu = best - DISTANCE, arb(found["smoothness"]), arb(found["mu"])

    def distance() -> Ball:
        return arb(best[0]) - arb(theta[0])

    def no_increase() -> Ball:
        """‖∇‖²/(2Λ) − (J(θ⁺) − J(θ)), θ⁺ = B being the projection of the step."""
        slope = gradient_ball(objective, theta)[0]
        lands = slope > smooth * distance()
        excess = slope**2 / (2 * smooth) - gap_ball(objective, theta, best)
        return excess if lands else -abs(excess)

    def no_mapping() -> Ball:
        """2μ gap − ‖G‖², G = Λ(θ⁺ − θ)."""
        gap = gap_ball(objective, theta, inward(problem, best))
        return 2 * mu * gap - (smooth * distance()) ** 2

    says = "the step to θ⁺ gains less than ‖∇J_γ‖²/(2Λ)"
    yield refute(problem, theta, says, found["increase"], no_increase)
    says = "‖G‖² < 2μ gap for the gradient mapping G"
    yield refute(problem, theta, says, found["mapping"], no_mapping)


# --- wrong variants ---------------------------------------------------------------------


def _wrong(name: str, says: str, kind: Kind, factor: float) -> Falsehood:
    """PL with factor·μ where J_γ is almost quadratic, so that μ is almost optimal."""

    def check(context: Context) -> Iterator[Evidence]:
        problem = skewed("0.5", beta=0.1, radius=0.05)
        at = moduli(problem, 20.0)
        objective, search = SAILRevKL(problem, at.gamma), Search(Domain(problem))
        best = maximise(objective, search)
        worst = pl_constant(objective, search, best, kind, at.smooth)
        theta = worst.theta
        if np.allclose(theta, best.theta):  # at θ* itself the gap is 0
            theta = best.theta - 0.01
        yield fails(objective, theta[None], best.theta, factor * at.mu, at.smooth, kind, 0)

    return Falsehood(name, says, check)


def _without_hypothesis(context: Context) -> Iterator[Evidence]:
    """γ = 0: at the spurious stop of C14 no progress is left, whatever μ > 0."""
    problem = examples.load("c14-spurious-stop")
    objective = SAIL(problem)
    search = Search(Domain(problem), context.effort, context.seed)
    best = maximise(objective, search)
    lower = bounds.lower_curvature(FLOAT64, 0.1, problem.z_max)
    smooth = float(bounds.smoothness(0.0, lower, problem.feature_diameter))
    worst = pl_constant(objective, search, best, "prox", smooth)
    theta = inward(problem, worst.theta)[None]
    yield fails(objective, theta, best.theta, 1e-6, smooth, "prox", 0)


PLANTED = (
    _wrong("plain-constant", "plain PL with 1.1μ", "plain", 1.1),
    _wrong("prox-constant", "prox-PL with 1.1μ", "prox", 1.1),
    Falsehood("any-gamma", "prox-PL with μ = 10⁻⁶ at γ = 0", _without_hypothesis),
    Falsehood(
        "whole-ball",
        "prox-PL on the ball, off c + S",
        lambda context: iter([off_span_prox(context)]),
    ),
)


CLAIMS: list[Claim] = [
    claim(
        "C13",
        title="PL on C: plain and proximal, also when the maximiser is on the boundary",
        statement=r"\|\nabla J_\gamma\|^2 \ge 2\mu(J_\gamma^*-J_\gamma),\; 2\Lambda\max_{y\in C}"
        r"[\langle\nabla J_\gamma,y-\theta\rangle-\tfrac\Lambda2\|y-\theta\|^2]"
        r"\ge 2\mu(J_\gamma^*-J_\gamma)",
        source="arXiv 2606.31524; constants new",
        hypotheses=("γ > K_B", "C = ball ∩ (c + S)"),
        check=_check,
        planted=PLANTED,
    ),
    claim(
        "C13b",
        title="sufficient increase and gradient-mapping PL at a boundary maximiser",
        statement=r"J_\gamma(\theta^+)-J_\gamma(\theta)\ge\|\nabla J_\gamma\|^2/(2\Lambda),\;"
        r"\|G\|^2\ge 2\mu(J_\gamma^*-J_\gamma)",
        source="what plain PL gives without constraints",
        hypotheses=("plain PL on C",),
        check=_boundary,
    ),
]
