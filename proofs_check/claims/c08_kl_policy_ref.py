"""C08: KL(π_θ‖π_ref): derivatives, convexity where R ≤ 1, and its failure beyond."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import sympy
from flint import arb

from proofs_check.arguments.derivative_steps import curvature_slope, gradient, hessian
from proofs_check.evidence.argument import Step, argue, certain_sign
from proofs_check.evidence.instances import random_problem
from proofs_check.expected import claim
from proofs_check.symbolic.identities import Identity, Sides, establish, false_identity
from proofs_check.symbolic.jets import curvature_along
from proofs_check.symbolic.settings import Prompt, Setting, outer
from proofs_check.trials.witnesses import compare, curves_up, exact_hessian
from sailtheory import examples
from sailtheory.claims import Context, Falsehood
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.sail import SAIL, KLPolicyRef, fisher
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence, Outcome, Strength

ROOT = ("0.771702", "0.771703")  # B L at which convexity for m = 2 ends

# --- C08: formulas -----------------------------------------------------------------------


def divergence(at: Setting) -> tuple[Array, Array]:
    """The production value against E_θ log(π_θ/π_ref)."""
    stated = at.expect(lambda x: x.mean(lambda k: x.log_policy[k] - x.log_ref[k]))
    return at.objective(KLPolicyRef).value(at.theta), stated


def gradient_is(term: Callable[[Prompt], Array]) -> Sides:
    """The production gradient against a right-hand side."""
    return lambda at: (at.objective(KLPolicyRef).gradient(at.theta), at.expect(term))


def hessian_is(term: Callable[[Prompt, Array], Any]) -> Sides:
    """The production Hessian against E[c ssᵀ], c a function of δᵀs."""

    def stated(x: Prompt) -> Array:
        c = term(x, x.scores @ x.delta)
        return x.mean(lambda k: outer(x.scores[k], x.scores[k]) * c[k])

    return lambda at: (at.objective(KLPolicyRef).hessian(at.theta), at.expect(stated))


def two_responses(at: Setting) -> tuple[Array, Array]:
    """m = 2: F[1 − δᵀΔ₁₂(π₁ − π₂)]."""

    def stated(x: Prompt) -> Array:
        lean = (x.delta @ x.gap(0, 1)) * (x.policy[0] - x.policy[1])
        return x.fisher * (1 - lean)

    return at.objective(KLPolicyRef).hessian(at.theta), at.expect(stated)


STEPS = (
    Identity("the value is E_θ log(π_θ/π_ref)", divergence),
    Identity("the gradient formula is the derivative of the value", gradient(KLPolicyRef)),
    Identity("∇KL(π_θ‖π_ref) = Fδ", gradient_is(lambda x: x.fisher @ x.delta)),
    Identity("the Hessian formula is the second derivative of the value", hessian(KLPolicyRef)),
    Identity("∇²KL(π_θ‖π_ref) = E[(1 + δᵀs)ssᵀ]", hessian_is(lambda x, a: 1 + a)),
    Identity(
        "∇(vᵀ∇²v) is the derivative of the Hessian formula", curvature_slope(KLPolicyRef)
    ),
    Identity(
        "m = 2: ∇²KL_x(π_θ‖π_ref) = F_x[1 − δᵀΔ₁₂(π₁ − π₂)]", two_responses,
        quick=((2, 2, 2),), full=((2, 2, 3),), trial=2,
    ),
)  # fmt: skip


def symmetric_pair() -> bool:
    """m = 2, φ = ±1, θ_ref = 0: KL'' = sech²θ(1 − 2θ tanh θ) for every θ."""
    t = sympy.symbols("t", real=True)
    found = exact_hessian(KLPolicyRef(examples.load("c08-kl-policy-ref")), [t])[0, 0]
    stated = sympy.sech(t) ** 2 * (1 - 2 * t * sympy.tanh(t))
    return bool(sympy.simplify((found - stated).rewrite(sympy.exp)) == 0)


def root() -> bool:
    """u tanh(u/2) = 1 between 2·ROOT; it increases, so the root is the only one."""

    def at(text: str) -> Callable[[], arb]:
        return lambda: 2 * arb(text) * arb(text).tanh() - 1

    return certain_sign(at(ROOT[0])) < 0 < certain_sign(at(ROOT[1]))


def no_gamma() -> bool:
    """β = .1, p₁₂ = 1, θ = −1: J'' > 0 and KL(π_θ‖π_ref)'' < 0 at one point."""
    problem, at, along = examples.load("c08-kl-policy-ref"), -np.ones(1), np.ones(1)
    upward = certain_sign(lambda: curvature_along(SAIL(problem), at, along))
    return upward > 0 > certain_sign(lambda: curvature_along(KLPolicyRef(problem), at, along))


def try_ranges(
    reach: float, context: Context, name: str, trials: int
) -> Generator[Evidence, None, bool]:
    """Look for negative curvature of KL(π_θ‖π_ref) where R = reach."""
    rng, least = context.rng(name), np.inf
    for _ in range(trials):
        problem = random_problem(rng, prompts=1, dimension=int(rng.integers(1, 3)), radius=1.0)
        direction = rng.normal(size=problem.dimension)
        advance = problem.features[0] @ direction
        theta = problem.ref_params + direction * (reach / np.ptp(advance))
        values, vectors = np.linalg.eigh(KLPolicyRef(problem).hessian(theta))
        scale = np.linalg.eigvalsh(fisher(problem, theta))[-1]
        least = min(least, float(values[0] / scale))
        if values[0] < 0:
            says = f"R = {reach}, and KL(π_θ‖π_ref) curves down"
            found = curves_up(-KLPolicyRef(problem), theta, says, vectors[:, 0])
            if found.outcome is Outcome.REFUTED:
                yield found
                return False
    detail = f"R = {reach}: least relative curvature {least:.2g} of {trials} random instances"
    yield Evidence("sampled", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    return True


def check(context: Context) -> Generator[Evidence, None, None]:
    """Formulas, convexity for R ≤ 1, sharpness, and the instance without any γ."""
    if not (yield from establish(STEPS, context, "C08")):
        return
    if not (yield from try_ranges(0.999, context, "C08-range", 2000 if context.full else 100)):
        return
    yield from argue(
        "∇KL(π_θ‖π_ref) = Fδ, ∇²KL(π_θ‖π_ref) = E[(1 + δᵀs)ssᵀ], PSD if R ≤ 1",
        (
            Step("symbolic", "m = 2, φ = ±1, θ_ref = 0: KL'' = sech²θ(1 − 2θ tanh θ)",
                 symmetric_pair),
            Step("certified", f"u tanh(u/2) = 1 has its root in 2·({ROOT[0]}, {ROOT[1]}): "
                 "convexity ends there for m = 2", root),
            Step("certified", "p₁₂ = 1, β = .1, θ = −1: J'' > 0 > KL(π_θ‖π_ref)'', so no γ ≥ 0 "
                 "makes J − γKL(π_θ‖π_ref) concave once LB ≥ 1", no_gamma),
        ),
        assumes=(
            "the identities above",
            "1 + δᵀs = 1 + Σ_l π_l δᵀΔ_kl ≥ 1 − R, so R ≤ 1 makes E[(1 + δᵀs)ssᵀ] ⪰ 0",
            "1 is optimal over m: with m − 1 equal responses and δᵀΔ = −R the m = 2 identity reads "
            "F[1 − R(1 − 2π₁)], and π₁ → 0 as m grows",
        ),
    )  # fmt: skip


# --- C08b: "KL(π_θ‖π_ref) is convex" --------------------------------------------------------


def check_convex(_: Context) -> Generator[Evidence, None, None]:
    """sech²(1)(1 − 2 tanh 1) < 0."""
    problem = examples.load("c08-kl-policy-ref")
    found = exact_hessian(KLPolicyRef(problem), [1])[0, 0]
    stated = sympy.sech(1) ** 2 * (1 - 2 * sympy.tanh(1))
    yield compare(
        "m = 2, φ = ±1, θ = 1: KL''", found, stated.rewrite(sympy.exp), "sech²(1)(1 − 2 tanh 1)"
    )
    yield curves_up(
        -KLPolicyRef(problem), np.ones(1), "sech²(1)(1 − 2 tanh 1) < 0: KL(π_θ‖π_ref) is not convex"
    )


# --- planted falsehoods ------------------------------------------------------------------


def lone_loser(m: int, reach: float) -> PreferenceProblem:
    """m responses, φ the indicator of the first, uniform at θ_ref = 0; θ = −R there."""
    return PreferenceProblem(
        features=[[[int(k == 0)] for k in range(m)]], preferences=[np.full((m, m), 0.5)],
        beta=1, radius=reach,
    )  # fmt: skip


def curving(
    name: str, says: str, make: Callable[[], PreferenceProblem], at: float, gamma: float = 0.0
) -> Falsehood:
    """A false convexity of KL(π_θ‖π_ref), or concavity of J − γKL(π_θ‖π_ref), with a point."""

    def refuted(_: Context) -> Generator[Evidence, None, None]:
        problem = make()
        divergence = KLPolicyRef(problem)
        objective = SAIL(problem) - gamma * divergence if gamma else -divergence
        yield curves_up(objective, np.array([at]), f"not so: {says}")

    return Falsehood(name, says, refuted)


def pair(radius: float) -> Callable[[], PreferenceProblem]:
    """m = 2, φ = ±1, θ_ref = 0."""
    return lambda: PreferenceProblem(
        features=[[[1], [-1]]], preferences=[[[0.5, 1], [0, 0.5]]], beta=0.1, radius=radius
    )


PLANTED = (
    false_identity(
        "hessian-sign", "∇²KL(π_θ‖π_ref) = E[(1 − δᵀs)ssᵀ]", hessian_is(lambda x, a: 1 - a)
    ),
    false_identity("hessian-fisher", "∇²KL(π_θ‖π_ref) = F", hessian_is(lambda x, a: 1 + a * 0)),
    false_identity(
        "other-gradient", "∇KL(π_θ‖π_ref) = E_θ φ − E_ref φ",
        gradient_is(lambda x: (x.policy - x.ref) @ x.phi),
    ),
    false_identity(
        "gradient-uncentred", "∇KL(π_θ‖π_ref) = E[φφᵀ]δ",
        gradient_is(lambda x: x.mean(lambda k: outer(x.phi[k], x.phi[k])) @ x.delta),
    ),
    curving(
        "range-1.02", "∇²KL(π_θ‖π_ref) ⪰ 0 whenever R ≤ 1.02", lambda: lone_loser(60, 1.02), -1.02
    ),
)  # fmt: skip

CONVEX_PLANTED = (
    curving(
        "radius-0.772", "m = 2, φ = ±1: KL(π_θ‖π_ref) is convex for |θ| ≤ 0.772", pair(0.772), 0.772
    ),
    curving("gamma-10", "J − 10 KL(π_θ‖π_ref) is concave", pair(1), -1.0, 10.0),
    curving("gamma-1000", "J − 1000 KL(π_θ‖π_ref) is concave", pair(1), -1.0, 1000.0),
    Falsehood("range-3", "∇²KL(π_θ‖π_ref) ⪰ 0 whenever R ≤ 3",
              lambda context: try_ranges(3.0, context, "C08-range-3", 500)),
)  # fmt: skip


CLAIMS = [
    claim(
        "C08",
        title="derivatives of KL(π_θ‖π_ref); convex where R ≤ 1",
        statement=(
            r"\nabla\,\mathrm{KL}(\pi_\theta\|\pi_{\rm ref})=F\delta,\quad"
            r"\nabla^2\,\mathrm{KL}(\pi_\theta\|\pi_{\rm ref})=E[(1+\delta^\top s)ss^\top]"
        ),
        source="new",
        check=check,
        planted=PLANTED,
    ),
    claim(
        "C08b",
        title="KL(π_θ‖π_ref) is convex",
        statement=r"\nabla^2\,\mathrm{KL}(\pi_\theta\|\pi_{\rm ref})\succeq0",
        source="the contrary is new",
        check=check_convex,
        planted=CONVEX_PLANTED,
    ),
]
