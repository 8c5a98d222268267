"""C03: the Hessian of SAIL at the reference."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from proofs_check.arguments.derivative_steps import hessian
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
from sailtheory.objectives.sail import SAIL
from sailtheory.verdict import Evidence


def preferred(x: Prompt, k: int) -> Any:
    """p̄(y) = E_{y₂~π_ref}[p*(y ≻ y₂)]."""
    return x.mean_ref(lambda j: x.p(k, j))


def weight(x: Prompt, k: int) -> Any:
    """w(y) = p̄(y) − ½ − β/8."""
    return preferred(x, k) - (4 + x.beta) / 8


def stated(x: Prompt, w: Callable[[Prompt, int], Any] = weight) -> Array:
    """4βE[w ssᵀ]."""
    return x.mean(lambda k: outer(x.scores[k], x.scores[k]) * w(x, k)) * (4 * x.beta)


def reference_hessian(term: Callable[[Prompt], Array]) -> Sides:
    """The production ∇²J(θ_ref) against a right-hand side."""
    return lambda at: (at.objective(SAIL).hessian(at.theta), at.expect(term))


def no_score_term(at: Setting) -> tuple[Array, Array]:
    """The score term at θ_ref: there g is the constant −log 2."""
    sail: Any = at.objective(SAIL)
    score = sail.hessian_terms(at.theta).score
    return score, at.expect(stated) * 0


STEPS = (
    Identity("the Hessian formula is the second derivative of J", hessian(SAIL)),
    Identity("A = 0 at θ_ref", no_score_term, at_reference=True),
    Identity("∇²J(θ_ref) = 4βE[(p̄ − ½ − β/8)ssᵀ]", reference_hessian(stated), at_reference=True),
)


def check(context: Context) -> Generator[Evidence, None, None]:
    """The Hessian formula, then its value at the reference."""
    if (yield from establish(STEPS, context, "C03")):
        yield conclude_by("∇²J(θ_ref) = 4βE[(p̄ − ½ − β/8)ssᵀ], on the formulas that run")


# --- planted falsehoods ------------------------------------------------------------------


def planted(name: str, says: str, term: Callable[[Prompt], Array]) -> Any:
    """A wrong right-hand side at θ_ref."""
    return false_identity(name, says, reference_hessian(term), at_reference=True)


def uniform_mean(x: Prompt, k: int) -> Any:
    """The mean preference over responses, not over π_ref."""
    total = sum((x.p(k, j) for j in x.responses[1:]), x.p(k, 0))
    return total / len(x.responses) - (4 + x.beta) / 8


PLANTED = (
    planted(
        "beta-quarter", "∇²J(θ_ref) = 4βE[(p̄ − ½ − β/4)ssᵀ]",
        lambda x: stated(x, lambda x, k: weight(x, k) - x.beta / 8),
    ),
    planted(
        "no-half", "∇²J(θ_ref) = 4βE[(p̄ − β/8)ssᵀ]",
        lambda x: stated(x, lambda x, k: preferred(x, k) - x.beta / 8),
    ),
    planted("factor-two", "∇²J(θ_ref) = 2βE[(p̄ − ½ − β/8)ssᵀ]", lambda x: stated(x) / 2),
    planted(
        "uniform-opponent", "p̄ averages over responses, not over π_ref",
        lambda x: stated(x, uniform_mean),
    ),
    planted(
        "dropped-beta", "∇²J(θ_ref) = 4E[(p̄ − ½ − β/8)ssᵀ]", lambda x: stated(x) / x.beta
    ),
)  # fmt: skip


CLAIMS = [
    claim(
        "C03",
        title="Hessian of SAIL at the reference",
        statement=(
            r"\nabla^2J(\theta_{\rm ref}) = "
            r"4\beta\,E[(\bar p(y)-\tfrac12-\tfrac\beta8)\,ss^\top]"
        ),
        source="new",
        check=check,
        planted=PLANTED,
    )
]
