"""C02: the Hessian of SAIL in three terms, and as a weighted Laplacian over pairs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from proofs_check.arguments.derivative_steps import (
    curvature_slope,
    fisher_pairs,
    fourth_derivative,
    hessian,
    pair_form,
    payoff_chain,
    preference_slope,
)
from proofs_check.evidence.argument import Step, argue, certain_sign
from proofs_check.evidence.instances import random_problem
from proofs_check.expected import claim
from proofs_check.symbolic.identities import Identity, Sides, establish, false_identity
from proofs_check.symbolic.settings import Prompt, Setting, outer
from sailtheory.claims import Context
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.objectives.sail import DPO, IPO, SAIL
from sailtheory.verdict import Evidence

# --- the statement -------------------------------------------------------------------


def score_term(x: Prompt, b: Any) -> Array:
    """A = E[(g − b)((s₁ + s₂)(s₁ + s₂)ᵀ − 2F)]."""
    s, fisher = x.scores, x.fisher

    def each(k: int, j: int) -> Array:
        both = s[k] + s[j]
        return (outer(both, both) - 2 * fisher) * (x.g(k, j) - b)

    return x.pairs(each)


def cross_term(x: Prompt) -> Array:
    """C = 2βE[u(s₁s₁ᵀ − s₂s₂ᵀ)]."""
    s = x.scores
    return x.pairs(lambda k, j: (outer(s[k], s[k]) - outer(s[j], s[j])) * (2 * x.beta * x.u(k, j)))


def advantage(x: Prompt, k: int) -> Any:
    """a(y) = E_{y₂}[p − σ(z)]."""
    return x.mean(lambda j: x.u(k, j))


def cross_term_by_advantage(x: Prompt) -> Array:
    """C = 4βE_y[a(y)ssᵀ]."""
    s = x.scores
    return x.mean(lambda k: outer(s[k], s[k]) * (4 * x.beta * advantage(x, k)))


def dpo_term(x: Prompt) -> Array:
    """D = −β²E[σ'(z)ΔΔᵀ]."""
    return x.pairs(
        lambda k, j: outer(x.gap(k, j), x.gap(k, j)) * (-x.beta * x.beta * x.slope(k, j))
    )


def eta(x: Prompt, k: int, j: int) -> Any:
    """η_kl = 4(f_k + f_l) − 6f̄ − 2g̃_kl − 2β²σ'(z_kl)."""

    def lifted(k: int, j: int) -> Any:
        return x.g(k, j) + x.xp.log_2()

    def effect(k: int) -> Any:
        return x.mean(lambda j: lifted(k, j) + x.beta * x.u(k, j))

    own = 4 * (effect(k) + effect(j)) - 6 * x.mean(effect) - 2 * lifted(k, j)
    return own - 2 * x.beta * x.beta * x.slope(k, j)


# --- its steps ---------------------------------------------------------------------------


def stated(term: Callable[[Setting, Prompt], Array]) -> Sides:
    """The production Hessian of SAIL against a right-hand side."""
    return lambda at: (
        at.objective(SAIL).hessian(at.theta),
        at.expect(lambda x: term(at, x)),
    )


def three_terms(at: Setting, x: Prompt) -> Array:
    """A + C + D, b arbitrary."""
    return score_term(x, at.constant) + cross_term(x) + dpo_term(x)


def each_term(at: Setting) -> tuple[Array, Array]:
    """The production terms against the stated ones."""
    sail: Any = at.objective(SAIL)
    terms = [lambda x: score_term(x, at.constant), cross_term, dpo_term]
    return np.stack(sail.hessian_terms(at.theta)), np.stack([at.expect(t) for t in terms])


def advantage_form(at: Setting) -> tuple[Array, Array]:
    """Both forms of C, and E_y a(y) = 0."""
    mean = at.expect(lambda x: x.mean(lambda k: advantage(x, k)))
    left = [*at.expect(cross_term).ravel(), mean]
    right = [*at.expect(cross_term_by_advantage).ravel(), mean * 0]
    return np.array(left, dtype=object), np.array(right, dtype=object)


def one_pair(at: Setting) -> tuple[Array, Array]:
    """With two responses η is the curvature relative to F."""

    def relative(x: Prompt) -> Array:
        return x.fisher * eta(x, 0, 1)

    return at.objective(SAIL).hessian(at.theta), at.expect(relative)


SMALL = ((2, 2, 2), (1, 3, 1))
STEPS = (
    Identity("SAIL: G', G'', G''' are successive derivatives of G", payoff_chain(SAIL)),
    Identity("SAIL: the fourth derivative of G, for certificates", fourth_derivative),
    Identity("IPO: G', G'', G''' are successive derivatives of G", payoff_chain(IPO)),
    Identity("the Hessian formula is the second derivative of J", hessian(SAIL)),
    Identity("∇²J = A + C + D for any constant b", stated(three_terms)),
    Identity("each of A, C, D is the term that runs", each_term),
    Identity("C = 4βE_y[a(y)ssᵀ] and E_y a = 0", advantage_form),
    Identity("F = E ssᵀ = ½ Σ π_kπ_l ΔΔᵀ", fisher_pairs),
    Identity(
        "∇²J_x = ½ Σ π_kπ_l η_kl ΔΔᵀ",
        stated(lambda at, x: pair_form(x, lambda k, j: eta(x, k, j))),
    ),
    Identity(
        "vᵀ∇²J_x v is affine in p with the slope that runs", preference_slope,
        quick=((1, 3, 2), (2, 2, 2)), full=((2, 3, 2),),
    ),
    Identity("m = 2: ∇²J_x = η₁₂F_x", one_pair, quick=((2, 2, 2),), full=((2, 2, 3),), trial=2),
    Identity("DPO's Hessian formula is its second derivative", hessian(DPO)),
    Identity("IPO's Hessian formula is its second derivative", hessian(IPO)),
    Identity(
        "SAIL: ∇(vᵀ∇²v) is the derivative of the Hessian formula",
        curvature_slope(SAIL), quick=SMALL, full=((2, 3, 2),),
    ),
    Identity(
        "DPO: ∇(vᵀ∇²v) is the derivative of the Hessian formula",
        curvature_slope(DPO), quick=SMALL, full=((2, 3, 2),),
    ),
)  # fmt: skip


def indefinite(term: str, rng: np.random.Generator) -> Callable[[], bool]:
    """Whether a term of two-dimensional problems has both signs somewhere: det < 0."""

    def shown() -> bool:
        for _ in range(50):
            problem = random_problem(rng, prompts=1, responses=3, dimension=2)
            theta = problem.ref_params + rng.normal(size=2)

            def determinant(problem: Any = problem, theta: Any = theta) -> Any:
                at = arb_numbers().asarray(theta)
                h = getattr(SAIL(problem).hessian_terms(at), term)
                return h[0, 0] * h[1, 1] - h[0, 1] * h[1, 0]

            if certain_sign(determinant) < 0:
                return True
        return False

    return shown


def check(context: Context) -> Generator[Evidence, None, None]:
    """The three terms, the pair form, the signs, and the scalar condition."""
    if not (yield from establish(STEPS, context, "C02")):
        return
    rng = context.rng("C02-signs")
    yield from argue(
        "∇²J = A + C + D = ½ Σ π_kπ_l η_kl ΔΔᵀ; max η ≤ γ implies ∇²J ⪯ γF̄",
        (
            Step("certified", "A is indefinite somewhere: det A < 0", indefinite("score", rng)),
            Step("certified", "C is indefinite somewhere: det C < 0", indefinite("cross", rng)),
        ),
        assumes=(
            "the identities above",
            "D ⪯ 0 as a sum of −β²σ'(z)π_kπ_l ≤ 0 times squares ΔΔᵀ",
            "γF_x − ∇²J_x = ½ Σ π_kπ_l(γ − η_kl)ΔΔᵀ is such a sum with coefficients ≥ 0",
        ),
    )


# --- planted falsehoods ------------------------------------------------------------------


def planted(name: str, says: str, term: Callable[[Setting, Prompt], Array]) -> Any:
    """A wrong right-hand side for ∇²J."""
    return false_identity(name, says, stated(term))


PLANTED = (
    planted(
        "score-without-fisher", "∇²J = E[(g − b)(s₁ + s₂)(s₁ + s₂)ᵀ] + C + D",
        lambda at, x: three_terms(at, x)
        + x.pairs(lambda k, j: x.fisher * (2 * (x.g(k, j) - at.constant))),
    ),
    planted(
        "cross-halved", "∇²J = A + βE[u(s₁s₁ᵀ − s₂s₂ᵀ)] + D",
        lambda at, x: three_terms(at, x) - cross_term(x) / 2,
    ),
    planted(
        "dpo-beta", "∇²J = A + C − βE[σ'(z)ΔΔᵀ]",
        lambda at, x: three_terms(at, x) + dpo_term(x) * (1 / x.beta - 1),
    ),
    planted(
        "dpo-sigma", "∇²J = A + C − β²E[σ(z)ΔΔᵀ]",
        lambda at, x: three_terms(at, x) - dpo_term(x) - x.pairs(
            lambda k, j: outer(x.gap(k, j), x.gap(k, j)) * (x.beta * x.beta * x.sigma(k, j))
        ),
    ),
    planted(
        "pair-mean", "∇²J_x = ½ Σ π_kπ_l[η_kl + 2f̄]ΔΔᵀ: 4 f̄ for 6 f̄",
        lambda at, x: pair_form(
            x, lambda k, j: eta(x, k, j) + 2 * x.pairs(
                lambda a, c: x.g(a, c) + x.xp.log_2() + x.beta * x.u(a, c)
            ),
        ),
    ),
)  # fmt: skip


CLAIMS = [
    claim(
        "C02",
        title="Hessian of SAIL: score, cross and DPO term; pair form",
        statement=(
            r"\nabla^2 J = E[(g-b)((s_1+s_2)(s_1+s_2)^\top-2F)]"
            r" + 2\beta E[u(s_1s_1^\top-s_2s_2^\top)] - \beta^2E[\sigma'(z)\Delta\Delta^\top]"
            r" = \tfrac12\sum_{kl}\pi_k\pi_l\eta_{kl}\Delta_{kl}\Delta_{kl}^\top"
        ),
        source="arXiv 2606.31524, in a form that is new",
        check=check,
        planted=PLANTED,
    )
]
