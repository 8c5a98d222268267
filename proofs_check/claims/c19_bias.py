"""C19: what the regulariser costs in J: 0 ≤ J(θ*) − J(θ*_γ) ≤ γ KL(π_ref‖π_θ*) ≤ γK(R*)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from flint import arb

from proofs_check.arguments.bias_steps import STEPS
from proofs_check.claims.c09_fisher_floor import span_range
from proofs_check.evidence.argument import Ball, Tally, argue, deferred, refute
from proofs_check.evidence.battery import SIZES, battery, points, skewed
from proofs_check.expected import claim
from sailtheory import SAIL, KLRefPolicy, PreferenceProblem, SAILRevKL
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Maximiser, Search, maximise
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.sail import fisher
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence, Outcome, Strength

# --- instances --------------------------------------------------------------------------


def best_of(problem: PreferenceProblem, gamma: float, context: Context, *starts: Any) -> Maximiser:
    """The maximiser of J_γ found on C."""
    search = Search(Domain(problem), "quick", context.seed)
    extra = np.stack(starts) if starts else None
    return maximise(SAILRevKL(problem, gamma), search, extra)


def bias_ball(problem: PreferenceProblem, best: np.ndarray, ours: np.ndarray) -> Ball:
    """J(θ*) − J(θ*_γ) as a ball."""
    xp, objective = arb_numbers(), SAIL(problem)
    return objective.value(xp.asarray(best)) - objective.value(xp.asarray(ours))


def _kl_above(
    problem: PreferenceProblem, points: np.ndarray, i: int, scale: float = 1.0
) -> Evidence:
    """Decide KL(π_ref‖π_θ) > scale·K(R) at point i in ball arithmetic."""
    xp, theta = arb_numbers(), points[i]

    def excess() -> Ball:
        at = xp.asarray(theta)
        reach = span_range(problem, at, xp.asarray(problem.ref_params))
        return KLRefPolicy(problem).value(at) - scale * bounds.bias_range_bound(xp, reach)

    value = float(KLRefPolicy(problem).value(theta))
    return refute(problem, theta, f"KL(π_ref‖π_θ) above {scale:g}·K(R)", value, excess)


def _k_above(problem: PreferenceProblem, points: np.ndarray, i: int) -> Evidence:
    """Decide K(R) > min(R, R²/8) at the range of point i in ball arithmetic."""
    xp, theta = arb_numbers(), points[i]

    def excess() -> Ball:
        reach = span_range(problem, xp.asarray(theta), xp.asarray(problem.ref_params))
        return bounds.bias_range_bound(xp, reach) - reach.min(reach**2 / 8)

    value = float(span_range(problem, theta, problem.ref_params))
    return refute(problem, theta, "K(R) above min(R, R²/8)", value, excess)


def _check(context: Context) -> Iterator[Evidence]:
    yield from argue("bias ≤ γKL(π_ref‖π_θ*) ≤ γK(R*), K ≤ min(R, R²/8); ½γ² expansion", STEPS)
    rng = context.rng("C19")
    exact = Tally("KL(π_ref‖π_θ) ≤ K(R)")
    simple = Tally("K(R) ≤ min(R, R²/8)")
    for problem in battery(rng, SIZES[context.effort]):
        theta = points(rng, problem)
        reach = span_range(problem, theta, problem.ref_params)
        reach = np.where(reach > 1e-6, reach, np.nan)  # at θ_ref all sides are 0
        ceiling = bounds.bias_range_bound(FLOAT64, np.nan_to_num(reach, nan=1.0))
        kl = np.where(np.isnan(reach), np.nan, KLRefPolicy(problem).value(theta))
        exact.add(kl, ceiling, partial(_kl_above, problem, theta))
        limit = np.minimum(reach, reach**2 / 8)
        simple.add(ceiling, limit, partial(_k_above, problem, theta))
    yield exact.evidence()
    yield simple.evidence()
    bias = Tally("0 ≤ J(θ*) − J(θ*_γ) ≤ γKL(π_ref‖π_θ*), maximisers by search")
    for problem in battery(rng, 40 if context.full else 6):
        gamma = float(problem.beta) * float(10 ** rng.uniform(-2, 1))
        best = best_of(problem, 0.0, context)
        ours = best_of(problem, gamma, context, best.theta)
        cost = best.value - SAIL(problem).value(ours.theta)
        most = gamma * best.kl_ref_policy
        confirm = deferred(_bias_above, problem, best.theta, ours.theta, most, "γKL")
        bias.add(np.array([cost]), np.array([most]), confirm)
    yield bias.evidence()
    ratios = expansion_ratios(context)
    outcome = (
        Outcome.HOLDS if abs(ratios[-1] - 1) < 10 * abs(ratios[0] - 1) / 100 else Outcome.UNDECIDED
    )
    shown = ", ".join(f"{r:.6f}" for r in ratios)
    detail = f"bias/(½γ²∇KLᵀ(−H)⁻¹∇KL) at γ = 10⁻², 10⁻³, 10⁻⁴: {shown}"
    yield Evidence("sampled", detail, outcome, Strength.SUPPORTED)


def _bias_above(
    problem: PreferenceProblem, best: np.ndarray, ours: np.ndarray, limit: float, says: str
) -> Evidence:
    """Decide J(θ*) − J(θ*_γ) > limit; θ* need not be the maximiser, only better."""
    return refute(
        problem, ours, f"J(θ*) − J(θ*_γ) above {says} = {limit:.6g}",
        float(SAIL(problem).value(best) - SAIL(problem).value(ours)),
        lambda: bias_ball(problem, best, ours) - arb(limit), best=best.tolist(),
    )  # fmt: skip


def interior() -> PreferenceProblem:
    """Two responses, p₁₂ = .9, β = 1: J is largest at an interior θ* of a wide ball."""
    return PreferenceProblem(
        features=[[[1], [-1]]], preferences=[[[0.5, 0.9], [0.1, 0.5]]], beta=1, radius=4
    )


def expansion_ratios(context: Context) -> list[float]:
    """bias over its second-order expansion, at γ = 10⁻², 10⁻³, 10⁻⁴."""
    problem = interior()
    best = best_of(problem, 0.0, context)
    h = SAIL(problem).hessian(best.theta)
    k = KLRefPolicy(problem).gradient(best.theta)
    ratios = []
    for gamma in (1e-2, 1e-3, 1e-4):
        ours = best_of(problem, gamma, context, best.theta)
        cost = float(bias_ball(problem, best.theta, ours.theta))
        ratios.append(cost / float(gamma**2 / 2 * k @ np.linalg.solve(-h, k)))
    return ratios


# --- wrong variants ---------------------------------------------------------------------


def _two_point(reach: float, scale: float, says: str) -> Falsehood:
    """The law that attains K(R), against a smaller claim."""
    m = 1 - reach / np.expm1(reach)
    problem = skewed(float(m / reach), beta=1.0, radius=reach)

    def check(context: Context) -> Iterator[Evidence]:
        yield _kl_above(problem, np.array([[reach]]), 0, scale)

    return Falsehood(says.split(":")[0], says, check)


def _kl_bias(context: Context) -> Iterator[Evidence]:
    """A fifth of the bound, where ¼ is reached: a quadratic J and γF of the size of −H."""
    problem = interior()
    best = best_of(problem, 0.0, context)
    gamma = float(-SAIL(problem).hessian(best.theta)[0, 0] / fisher(problem, best.theta)[0, 0])
    ours = best_of(problem, gamma, context)
    limit = gamma * best.kl_ref_policy / 5
    yield _bias_above(problem, best.theta, ours.theta, limit, "γKL/5")


def _expansion(context: Context) -> Iterator[Evidence]:
    problem, gamma = interior(), 1e-3
    best = best_of(problem, 0.0, context)
    ours = best_of(problem, gamma, context, best.theta)
    h, k = SAIL(problem).hessian(best.theta), KLRefPolicy(problem).gradient(best.theta)
    limit = 0.45 * gamma**2 * float(k @ np.linalg.solve(-h, k))
    yield _bias_above(problem, best.theta, ours.theta, limit, "0.45γ²∇KLᵀ(−H)⁻¹∇KL")


PLANTED = (
    _two_point(0.1, 8 / 8.02, "ninth: K(R) ≤ 0.997·K(R) at small R (R²/8 with 8.02)"),
    _two_point(12.0, 0.75, "three-quarters: KL ≤ 0.75·K(R) at large R"),
    Falsehood("fifth", "bias ≤ γKL(π_ref‖π_θ*)/5", _kl_bias),
    Falsehood("expansion", "bias ≤ 0.45γ²∇KLᵀ(−H)⁻¹∇KL for small γ", _expansion),
)

CLAIMS: list[Claim] = [
    claim(
        "C19",
        title="bias of the regulariser: 0 ≤ J(θ*) − J(θ*_γ) ≤ γ KL(π_ref‖π_θ*) ≤ γ K(R*)",
        statement=r"0\le J(\theta^*)-J(\theta^*_\gamma)\le\gamma\,KL(\pi_{ref}\|\pi_{\theta^*})"
        r"\le\gamma K(R^*),\; K(R)\le\min(R,R^2/8)",
        source="form arXiv 2606.31524, constant new",
        hypotheses=("R* = range((θ*−θ_ref)ᵀφ)", "interior θ* for the expansion"),
        check=_check,
        planted=PLANTED,
    )
]
