"""C07: KL(π_ref‖π_θ) is a Bregman divergence of the log-partition; its Hessian is F."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from proofs_check.arguments.derivative_steps import curvature_slope, fisher_pairs, gradient, hessian
from proofs_check.expected import claim
from proofs_check.symbolic.identities import (
    Identity,
    Sides,
    conclude_by,
    establish,
    false_identity,
)
from proofs_check.symbolic.settings import Prompt, Setting, outer
from sailtheory.claims import Context
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.verdict import Evidence


def divergence(at: Setting) -> tuple[Array, Array]:
    """The production value against E_ref log(π_ref/π_θ)."""
    stated = at.expect(lambda x: x.mean_ref(lambda k: x.log_ref[k] - x.log_policy[k]))
    return at.objective(KLRefPolicy).value(at.theta), stated


def bregman(at: Setting) -> tuple[Array, Array]:
    """The same against A(θ) − A(θ_ref) − ∇A(θ_ref)ᵀδ."""

    def stated(x: Prompt) -> Any:
        mean = x.mean_ref(lambda k: x.phi[k])
        return x.log_total - x.log_total_ref - mean @ x.delta

    return at.objective(KLRefPolicy).value(at.theta), at.expect(stated)


def gradient_is(term: Callable[[Prompt], Array]) -> Sides:
    """The production gradient against a right-hand side."""
    return lambda at: (at.objective(KLRefPolicy).gradient(at.theta), at.expect(term))


def hessian_is(term: Callable[[Prompt], Array]) -> Sides:
    """The production Hessian against a right-hand side."""
    return lambda at: (at.objective(KLRefPolicy).hessian(at.theta), at.expect(term))


def drift(x: Prompt) -> Array:
    """E_θ φ − E_ref φ."""
    return x.mean(lambda k: x.phi[k]) - x.mean_ref(lambda k: x.phi[k])


STEPS = (
    Identity("the value is E_ref log(π_ref/π_θ)", divergence),
    Identity("KL(π_ref‖π_θ) = A(θ) − A(θ_ref) − ∇A(θ_ref)ᵀδ", bregman),
    Identity("the gradient formula is the derivative of the value", gradient(KLRefPolicy)),
    Identity("∇KL(π_ref‖π_θ) = E_θ φ − E_ref φ", gradient_is(drift)),
    Identity("the Hessian formula is the second derivative of the value", hessian(KLRefPolicy)),
    Identity("∇²KL(π_ref‖π_θ) = F = E ssᵀ", hessian_is(lambda x: x.fisher)),
    Identity("F = ½ Σ π_kπ_l ΔΔᵀ", fisher_pairs),
    Identity("∇(vᵀFv) is the derivative of the Hessian formula", curvature_slope(KLRefPolicy)),
)


def check(context: Context) -> Generator[Evidence, None, None]:
    """Every step is an identity."""
    if (yield from establish(STEPS, context, "C07")):
        yield conclude_by("∇²KL(π_ref‖π_θ) = F exactly, on the formulas that run")


def moment(x: Prompt) -> Array:
    """E φφᵀ, which is not centred."""
    return x.mean(lambda k: outer(x.phi[k], x.phi[k]))


def reference_fisher(x: Prompt) -> Array:
    """The Fisher matrix of π_ref."""
    s = x.phi - x.ref @ x.phi
    return x.mean_ref(lambda k: outer(s[k], s[k]))


def other_divergence(x: Prompt) -> Array:
    """∇²KL(π_θ‖π_ref)."""
    advance = x.scores @ x.delta
    return x.mean(lambda k: outer(x.scores[k], x.scores[k]) * (1 + advance[k]))


PLANTED = (
    false_identity("second-moment", "∇²KL(π_ref‖π_θ) = E_θ φφᵀ", hessian_is(moment)),
    false_identity(
        "reference-fisher", "∇²KL(π_ref‖π_θ) = F(θ_ref)", hessian_is(reference_fisher)
    ),
    false_identity(
        "half-fisher", "∇²KL(π_ref‖π_θ) = F/2", hessian_is(lambda x: x.fisher / 2)
    ),
    false_identity(
        "other-divergence", "∇²KL(π_ref‖π_θ) = ∇²KL(π_θ‖π_ref)", hessian_is(other_divergence)
    ),
    false_identity(
        "gradient-sign", "∇KL(π_ref‖π_θ) = E_ref φ − E_θ φ", gradient_is(lambda x: -drift(x))
    ),
)  # fmt: skip


CLAIMS = [
    claim(
        "C07",
        title="Hessian of KL(π_ref‖π_θ) is the Fisher matrix",
        statement=r"\nabla^2\,\mathrm{KL}(\pi_{\rm ref}\|\pi_\theta)=F(\theta)",
        source="standard",
        check=check,
        planted=PLANTED,
    )
]
