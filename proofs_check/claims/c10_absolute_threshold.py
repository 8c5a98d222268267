"""C10: the threshold from absolute curvature suffices, and is exponentially loose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, product
from typing import Any

import numpy as np
import sympy as sp
from flint import arb, ctx

from proofs_check.arguments.algebra import vanishes
from proofs_check.arguments.first_order import center_spectrum
from proofs_check.claims.c09_fisher_floor import STEPS as FISHER
from proofs_check.claims.c11_relative_curvature import against, compare, spectrum
from proofs_check.evidence.argument import Ball, Step, Tally, argue, curvature_ball, refute, square
from proofs_check.evidence.battery import SIZES, battery, bradley_terry, points, skewed
from proofs_check.expected import claim
from sailtheory import SAIL, KLRefPolicy, PreferenceProblem, examples
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, gamma_star, largest_curvature, largest_curvature_on
from sailtheory.numeric.enclose import float_above
from sailtheory.numeric.numbers import FLOAT64, arb_numbers, sympy_numbers
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence, Outcome, Strength

_BOXES = {1: 256, 2: 8}
_RESOLVED = 1e-8  # λ⁺_min below this times λ_max is not resolved to half its digits


def _threshold_form() -> bool:
    """γ_abs e^{−DB} λ_min = sup λ_max: what vᵀ∇²Jv ≤ γ vᵀF̄v needs."""
    top, d, radius, low = sp.symbols("T D B l", positive=True)
    threshold = bounds.absolute_threshold(sympy_numbers(), top, d, radius, low)
    floor = bounds.fisher_floor(sympy_numbers(), d * radius) * low
    return vanishes(sp.simplify(threshold * floor - top))


def _exponential() -> bool:
    """γ_abs ≥ λ e^{DB}/λ_min for any λ reached on C, while (i) is affine in B."""
    beta, d, radius, offset, top, low = sp.symbols("beta D B r T l", positive=True)
    closed = bounds.closed_form_threshold(beta, d, radius, offset)
    ratio = bounds.absolute_threshold(sympy_numbers(), top, d, radius, low) / closed
    return bool(sp.diff(closed, radius, 2) == 0 and sp.limit(ratio, radius, sp.oo) == sp.oo)


STEPS = (
    *FISHER[:2],
    Step("symbolic", "γ > γ_abs: vᵀ∇²Jv ≤ sup λ_max < γe^{−DB}λ⁺_min ≤ γvᵀF̄v", _threshold_form),
    Step("symbolic", "loose: where λ_max > 0, γ_abs/(closed form) → ∞ as B grows", _exponential),
)


def threshold(problem: PreferenceProblem, top: np.ndarray | float) -> Any:
    """γ_abs for a largest curvature ``top``; no γ ≥ 0 is needed where it is negative."""
    low = float(center_spectrum(problem)[0][0])
    reach = problem.feature_diameter
    return bounds.absolute_threshold(
        FLOAT64, np.maximum(top, 0.0), reach, float(problem.radius), low
    )


def resolved(problem: PreferenceProblem) -> bool:
    """Whether float64 resolves λ⁺_min(F̄(c)), and S ≠ {0}."""
    if problem.span.dimension == 0:
        return False
    values = center_spectrum(problem)[0]
    return bool(values[0] > _RESOLVED * values[-1])


def looseness(problem: PreferenceProblem, context: Context) -> float:
    """A certified lower bound of γ_abs/K_B, from one point and direction."""
    worst = largest_curvature_on(
        SAIL(problem), Search(Domain(problem), context.effort, context.seed)
    )
    if worst.value is None or worst.value <= 0:
        return 0.0
    flat = center_spectrum(problem)[1][0]
    with ctx.workprec(128):
        top = curvature_ball(SAIL(problem), worst.theta, worst.direction) / square(worst.direction)
        center = problem.center.astype(float)
        low = curvature_ball(KLRefPolicy(problem), center, flat) / square(flat)
        reach = arb(problem.feature_diameter * float(problem.radius) * (1 - 1e-12))
        bound = bounds.relative_bound(float(problem.beta), problem.z_max_above)
        return float((top / low * reach.exp() / arb(bound)).lower())


def _check(context: Context) -> Iterator[Evidence]:
    yield from argue("γ > γ_abs makes J_γ strongly concave on C, and γ_abs is loose", STEPS)
    rng = context.rng("C10")
    tally = Tally("∇²J(θ) ⪯ [λ_max(∇²J(θ)) e^{DB}/λ⁺_min(F̄(c))]₊ F̄(θ), point by point")
    for problem in filter(resolved, battery(rng, SIZES[context.effort] // 2)):
        theta = points(rng, problem)
        top, _ = largest_curvature(SAIL(problem), Domain(problem), theta)
        compare(tally, spectrum(SAIL(problem), theta), threshold(problem, top))
    yield tally.evidence()
    count = 6 if context.full else 3
    for radius in (1.0, 4.0):
        problems = [bradley_terry(rng, beta=0.1, radius=radius) for _ in range(count)]
        ratios = [looseness(p, context) for p in problems]
        needed = [gamma_star(p, context.effort, context.seed).value or np.nan for p in problems]
        upper = [bounds.relative_bound(0.1, p.z_max_above) for p in problems]
        true = [r * k / g for r, k, g in zip(ratios, upper, needed, strict=True) if g > 0]
        shown = f"γ_abs/K_B ≥ {np.median(ratios):.3g} in the median, at least {min(ratios):.3g}"
        detail = f"loose at β = .1, B = {radius:g}, {count} problems: {shown}"
        yield Evidence("certified", detail, Outcome.UNDECIDED, Strength.CERTIFIED)
        detail = f"there γ_abs/γ* = {np.median(true):.3g} in the median, γ* by search"
        yield Evidence("search", detail, Outcome.UNDECIDED, Strength.SUPPORTED)


# --- wrong variants ---------------------------------------------------------------------

Threshold = Callable[[PreferenceProblem, float], float]
"""A claimed threshold from the problem and sup λ_max over C."""


def top_above(problem: PreferenceProblem) -> float:
    """An upper bound of sup λ_max(∇²J) over C: Gershgorin rows on boxes, or K_B D²/4."""
    bound = bounds.relative_bound(float(problem.beta), problem.z_max_above)
    plain = bound * problem.feature_diameter**2 / 4
    count = _BOXES.get(problem.dimension, 0)
    edges = np.linspace(-float(problem.radius), float(problem.radius), count + 1)
    sides = [arb(a).union(arb(b)) for a, b in pairwise(edges)]
    rows = []
    for box in product(sides, repeat=problem.dimension if count else 0):
        theta = arb_numbers().asarray(problem.center) + np.array(box, dtype=object)
        h = SAIL(problem).hessian(theta)
        rows += [
            h[i, i] + sum(abs(h[i, j]) for j in range(len(h)) if j != i) for i in range(len(h))
        ]
    return min(plain, max(map(float_above, rows))) if count else plain


def _anisotropic() -> PreferenceProblem:
    """A prompt with ties along θ₁, and a rare winner with features of size .1 along θ₂."""
    tie, win = [[0.5, 0.5], [0.5, 0.5]], [[0.5, 1], [0, 0.5]]
    return PreferenceProblem(
        features=[[[1, 0], [0, 0]], [[0, 0.1], [0, 0]]], preferences=[tie, win],
        base=[None, [1, 99]], beta=0.1, radius=0.1,
    )  # fmt: skip


def _wrong(name: str, says: str, problem: PreferenceProblem, claimed: Threshold) -> Falsehood:
    """A problem whose γ* is above a claimed threshold, sup λ_max bounded above."""

    def check(context: Context) -> Iterator[Evidence]:
        gamma = claimed(problem, max(top_above(problem), 0.0))
        yield against(SAIL(problem), lambda theta: gamma, says, context)

    return Falsehood(name, says, check)


def _at_center(problem: PreferenceProblem, top: float) -> float:
    center = problem.center.astype(float)
    here, _ = largest_curvature(SAIL(problem), Domain(problem), center)
    return float(threshold(problem, float(here)))


def _top_fisher(problem: PreferenceProblem, top: float) -> float:
    values = center_spectrum(problem)[0]
    return float(threshold(problem, top)) * float(values[0] / values[-1])


def _no_exponential(problem: PreferenceProblem, top: float) -> float:
    return float(threshold(problem, top)) * float(
        np.exp(-problem.feature_diameter * float(problem.radius))
    )


def _not_loose(context: Context) -> Iterator[Evidence]:
    """γ* ≥ γ_abs/10: refuted, as γ* ≤ K_B < γ_abs/10 on one problem."""
    problem = bradley_terry(context.rng("C10 loose"), beta=0.1, radius=4.0)
    ratio = looseness(problem, context)

    def excess() -> Ball:
        return arb(looseness(problem, context)) - 10

    center = problem.center.astype(float)
    yield refute(problem, center, "γ_abs above 10 K_B ≥ 10 γ*", ratio, excess)


CLAIMS: list[Claim] = [
    claim(
        "C10",
        title="absolute threshold: γ > sup λ_max(∇²J) e^{DB}/λ⁺_min(F̄(c)) suffices, and is loose",
        statement=r"\gamma_{abs} = \sup_C \lambda_{\max}(\nabla^2 J)\,"
        r"e^{DB}/\lambda^+_{\min}(\bar F(c))",
        source="arXiv 2606.31524, as reconstructed",
        hypotheses=("strong concavity on C, meant on S",),
        check=_check,
        planted=(
            _wrong(
                "center-curvature",
                "λ_max(∇²J(c)) in place of the supremum",
                examples.load("c08-kl-policy-ref"),
                _at_center,
            ),
            _wrong(
                "top-fisher", "λ_max(F̄(c)) in place of λ⁺_min(F̄(c))", _anisotropic(), _top_fisher
            ),
            _wrong(
                "no-exponential",
                "γ_abs without e^{DB}",
                skewed(0.2, beta=0.1, radius=3.0),
                _no_exponential,
            ),
            Falsehood("within-ten", "γ* ≥ γ_abs/10: the threshold is not loose", _not_loose),
        ),
    )
]
