"""C06: self-preference. The reference is the global minimiser, not a maximiser."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

import numpy as np
from flint import arb

from proofs_check.arguments.derivative_steps import curvature_slope, gradient, hessian, payoff_chain
from proofs_check.arguments.self_preference_steps import (
    along_direction,
    asymmetry,
    field,
    first_derivative,
    jacobian,
    quarter_at_zero,
    quarter_beyond,
    quarter_tail,
    reference_hessian,
    relative_excess,
    rotating,
    square_completed,
    stationary,
    value,
)
from proofs_check.evidence.argument import Step, argue, certain_sign, refute
from proofs_check.evidence.instances import random_points, random_problem
from proofs_check.expected import claim
from proofs_check.symbolic.identities import Identity, establish, false_identity
from sailtheory.claims import Context, Falsehood
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.sail import SelfPreferenceSAIL, StopGradientSelfPreference
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence, Outcome, Strength

STEPS = (
    Identity("g = −H_b(σ(z))", value),
    Identity("G' = σ'(z)z, of the sign of z", first_derivative),
    Identity("G', G'', G''' are successive derivatives of G", payoff_chain(SelfPreferenceSAIL)),
    Identity("the gradient formula is the derivative of J_self", gradient(SelfPreferenceSAIL)),
    Identity("the Hessian formula is the second derivative of J_self", hessian(SelfPreferenceSAIL)),
    Identity(
        "∇(vᵀ∇²v) is the derivative of the Hessian formula", curvature_slope(SelfPreferenceSAIL),
        quick=((2, 2, 2),), full=((2, 2, 2), (1, 3, 2)),
    ),
    Identity(
        "∇²J_self(θ_ref) = (β²/2)F", reference_hessian(lambda x: x.beta * x.beta / 2),
        at_reference=True,
    ),
    Identity(
        "∇J_self, ∇KL(π_ref‖π_θ), the stop-gradient field and its Jacobian vanish at θ_ref",
        stationary, at_reference=True,
    ),
    Identity("the stop-gradient field is E[g(s₁ + s₂)]", field),
    Identity("its Jacobian formula is its derivative", jacobian),
    Identity(
        "vᵀ∇²J_self,x v = E[gP² + 2βG'PM + β²G''M²] − 2J_self,x vᵀFv; E P² = E M² = 2vᵀFv",
        along_direction,
    ),
)  # fmt: skip


# --- the check ------------------------------------------------------------------------------


def try_bound(context: Context, trials: int) -> Generator[Evidence, None, bool]:
    """The relative bound on random single prompts, many points each."""
    rng, least = context.rng("C06-bound"), np.inf
    for _ in range(trials):
        problem = random_problem(rng, prompts=1)
        objective, theta = SelfPreferenceSAIL(problem), random_points(rng, problem, 32)
        found, v = largest_relative_curvature(objective, Domain(problem), theta)
        slack = -2 * objective.value(theta) + float(problem.beta) ** 2 / 2 - found
        worst = int(np.nanargmin(slack))
        least = min(least, float(slack[worst]))
        if slack[worst] < 0:
            refuted = refute(
                problem, theta[worst], "vᵀ∇²J_self,x v > (−2J_self,x + β²/2)vᵀFv",
                -float(slack[worst]),
                partial(relative_excess, problem, theta[worst], v[worst]),
            )  # fmt: skip
            yield refuted
            if refuted.outcome is Outcome.REFUTED:
                return False
    detail = f"relative bound at {32 * trials} points of {trials} problems, least slack {least:.2g}"
    yield Evidence("sampled", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    return True


def check(context: Context) -> Generator[Evidence, None, None]:
    """Identities, then the supremum and the argument."""
    if not (yield from establish(STEPS, context, "C06")):
        return
    if not (yield from try_bound(context, 200 if context.full else 20)):
        return
    yield from argue(
        "θ_ref is J_self's global minimiser; ∇²J_self,x ⪯ (−2J_self,x + β²/2)F_x; for "
        "γ > 2 log 2 + β²/2 the unique maximiser of J_self − γKL(π_ref‖π_θ) is π_ref",
        (
            Step("symbolic", "the square is completed: gP² + 2βuPM ≤ β²u²M²/H", square_completed),
            Step("certified", "h = u²/H + G'': h(0) = ¼, h'' < 0 on [0, ½]", quarter_at_zero),
            Step("certified", "h < ¼ on [½, 6]", quarter_beyond),
            Step("certified", "h ≤ (2z + 1)e^{−z} < ¼ beyond", quarter_tail),
            Step("certified", "the stop-gradient Jacobian is not symmetric for m = 3, d = 2",
                 lambda: certain_sign(lambda: asymmetry(*rotating())) > 0),
        ),
        assumes=(
            "the identities above",
            "G' has the sign of z, so G ≥ G(0): J_self ≥ −log 2, with equality only where every "
            "z = 0, which is δ ∈ S^⊥",
            "h is even; for z > 0: σ' ≤ e^{−z} and H ≥ zσ(−z) ≥ ze^{−z}/2",
            "−J_self,x ≤ log 2; a strictly concave function has one stationary point",
        ),
    )  # fmt: skip


# --- planted falsehoods ------------------------------------------------------------------


def sharp_quarter(_: Context) -> Generator[Evidence, None, None]:
    """β = 27 at θ_ref: β²/2 exceeds 2 log 2 + 0.498β²."""
    problem = PreferenceProblem(
        features=[[[1], [0]]], preferences=[np.full((2, 2), 0.5)], beta=27, radius=1
    )
    yield refute(
        problem, np.zeros(1), "∇²J_self > (−2J_self + 0.498β²)F", 0.0179,
        lambda: relative_excess(problem, np.zeros(1), np.ones(1), "0.498"),
    )  # fmt: skip


def symmetric_jacobian(_: Context) -> Generator[Evidence, None, None]:
    """The Jacobian of three responses in the plane."""
    problem, theta = rotating()
    found = StopGradientSelfPreference(problem).jacobian(theta)
    yield refute(
        problem, theta, "∂₁field₂ ≠ ∂₂field₁", abs(float(found[0, 1] - found[1, 0])),
        lambda: asymmetry(problem, theta),
    )  # fmt: skip


def reference_maximises(_: Context) -> Generator[Evidence, None, None]:
    """Any other policy has a larger J_self."""
    problem, theta = rotating()
    gain = SelfPreferenceSAIL(problem).value(theta) + np.log(2)
    yield refute(
        problem, theta, "J_self(θ) > J_self(θ_ref)", float(gain),
        lambda: SelfPreferenceSAIL(problem).value(arb_numbers().asarray(theta)) + arb.const_log2(),
    )  # fmt: skip


PLANTED = (
    false_identity(
        "reference-sign", "∇²J_self(θ_ref) = −(β²/2)F",
        reference_hessian(lambda x: -x.beta * x.beta / 2), at_reference=True,
    ),
    false_identity(
        "reference-beta", "∇²J_self(θ_ref) = (β/2)F", reference_hessian(lambda x: x.beta / 2),
        at_reference=True,
    ),
    Falsehood(
        "quarter-0.249", "∇²J_self,x ⪯ (−2J_self,x + 2·0.249β²)F_x", sharp_quarter
    ),
    Falsehood(
        "gradient-field", "the stop-gradient field is a gradient field", symmetric_jacobian
    ),
    Falsehood("reference-maximises", "θ_ref maximises J_self", reference_maximises),
)  # fmt: skip


CLAIMS = [
    claim(
        "C06",
        title="self-preference: π_ref is the global minimiser; curvature bound",
        statement=(
            r"J_{\rm self}\ge-\log2,\quad\nabla^2J_{\rm self}(\theta_{\rm ref})="
            r"\tfrac{\beta^2}2F,\quad\nabla^2J_{\rm self,x}\preceq"
            r"(-2J_{\rm self,x}+\tfrac{\beta^2}2)F_x"
        ),
        source="new",
        hypotheses=("the last bound is per prompt",),
        check=check,
        planted=PLANTED,
    )
]
