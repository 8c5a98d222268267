"""C01: the gradient of SAIL is a sampling-shift term plus a DPO term."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from proofs_check.expected import claim
from proofs_check.symbolic.identities import (
    Identity,
    conclude_by,
    establish,
    false_identity,
)
from proofs_check.symbolic.settings import Prompt, Setting
from sailtheory.claims import Context
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.sail import DPO, IPO, SAIL
from sailtheory.theory import formulas, pair_form
from sailtheory.verdict import Evidence

SidesOf = tuple[Array, Array]


# --- the statement -------------------------------------------------------------------


def sampling_shift(x: Prompt) -> Array:
    """E[g(s₁ + s₂)]."""
    s = x.scores
    return x.pairs(lambda k, j: (s[k] + s[j]) * x.g(k, j))


def dpo_term(x: Prompt) -> Array:
    """βE[uΔ]."""
    return x.pairs(lambda k, j: x.gap(k, j) * (x.u(k, j) * x.beta))


def stated(at: Setting) -> Array:
    """E[g(s₁ + s₂)] + βE[uΔ]."""
    return at.expect(lambda x: sampling_shift(x) + dpo_term(x))


# --- its steps -------------------------------------------------------------------------


def policy(at: Setting) -> SidesOf:
    """The production policy against π ∝ ν exp(θᵀφ)."""
    produced = [at.xp.exp(point.log_policy) for point in at.points()]
    return flat(produced), flat([x.policy for x in at.prompts])


def margin(at: Setting) -> SidesOf:
    """The partition functions cancel: z = βδᵀ(φ₁ − φ₂)."""
    by_definition = [[[x.z(k, j) for j in x.responses] for k in x.responses] for x in at.prompts]
    return flat([point.z for point in at.points()]), flat(by_definition)


def value(at: Setting) -> SidesOf:
    """The production J against its definition."""
    return at.objective(SAIL).value(at.theta), at.expect(lambda x: x.pairs(x.g))


def additivity(at: Setting) -> SidesOf:
    """The production expectation over prompts is Σ_x w_x, of whatever is averaged."""
    each = at.objective(SAIL)._expect(lambda point: point.policy * point.policy, at.theta)
    return each, at.expect(lambda x: x.policy * x.policy)


def production(at: Setting) -> SidesOf:
    """The production gradient against the derivative of the production value."""
    return at.objective(SAIL).gradient(at.theta), at.value_gradient(SAIL)


def two_terms(at: Setting) -> SidesOf:
    """The production gradient against the statement."""
    return at.objective(SAIL).gradient(at.theta), stated(at)


def frozen_sampling(at: Setting) -> SidesOf:
    """The DPO term is the gradient formula of a fixed sampling distribution, at π_θ."""
    terms = []
    for point in at.points():
        payoff = formulas.log_likelihood_payoff(point.xp, point.block.preference, point.z)
        each = formulas.off_policy_gradient(point.block.beta, point.policy, payoff)
        weighted = each * point.block.weights[:, None]
        terms.append(pair_form.combine_all(weighted, point.block.features))
    return sum(terms[1:], terms[0]), at.expect(dpo_term)


def off_policy(kind: type[DPO] | type[IPO]) -> Callable[[Setting], SidesOf]:
    """∇ of DPO or IPO against the derivative of its value."""
    return lambda at: (at.objective(kind).gradient(at.theta), at.value_gradient(kind))


def off_policy_value(at: Setting) -> SidesOf:
    """DPO and IPO against their definitions, pairs drawn from π_ref."""

    def dpo(x: Prompt) -> Any:
        return x.mean_ref(lambda k: x.mean_ref(lambda j: x.g(k, j)))

    def ipo(x: Prompt) -> Any:
        def loss(k: int, j: int) -> Any:
            return (x.z(k, j) / x.beta - 1 / (2 * x.beta)) ** 2 * x.p(k, j) * -2

        return x.mean_ref(lambda k: x.mean_ref(lambda j: loss(k, j)))

    produced = [at.objective(kind).value(at.theta) for kind in (DPO, IPO)]
    return np.array(produced), np.array([at.expect(dpo), at.expect(ipo)])


def flat(values: list[Any]) -> Array:
    """All entries in one row."""
    return np.concatenate([np.asarray(v, dtype=object).ravel() for v in values])


STEPS = (
    Identity("π_θ ∝ ν exp(θᵀφ)", policy),
    Identity("z = β(log-ratio difference) = βδᵀ(φ₁ − φ₂)", margin),
    Identity("J is E_x Σ_kl π_kπ_l[p log σ(z) + (1 − p) log σ(−z)]", value),
    Identity("averages over prompts are Σ_x w_x", additivity),
    Identity("the gradient formula is the derivative of the value", production),
    Identity("∇J = E[g(s₁ + s₂)] + βE[uΔ]", two_terms),
    Identity("βE[uΔ] is DPO's gradient with the sampling frozen at π_θ", frozen_sampling),
    Identity("DPO's and IPO's values are as defined", off_policy_value),
    Identity("DPO's gradient formula is its derivative", off_policy(DPO)),
    Identity("IPO's gradient formula is its derivative", off_policy(IPO)),
)


def check(context: Context) -> Generator[Evidence, None, None]:
    """Every step is an identity; the sixth is the claim."""
    if (yield from establish(STEPS, context, "C01")):
        yield conclude_by("∇J = E[g(s₁ + s₂)] + βE[uΔ], on the formulas that run")


# --- planted falsehoods ------------------------------------------------------------------


def instead(term: Callable[[Prompt], Array]) -> Callable[[Setting], SidesOf]:
    """The gradient against another right-hand side."""
    return lambda at: (at.objective(SAIL).gradient(at.theta), at.expect(term))


PLANTED = (
    false_identity(
        "dpo-sign", "∇J = E[g(s₁ + s₂)] − βE[uΔ]",
        instead(lambda x: sampling_shift(x) - dpo_term(x)),
    ),
    false_identity(
        "one-score", "∇J = E[g s₁] + βE[uΔ]",
        instead(lambda x: sampling_shift(x) / 2 + dpo_term(x)),
    ),
    false_identity(
        "dropped-beta", "∇J = E[g(s₁ + s₂)] + E[uΔ]",
        instead(lambda x: sampling_shift(x) + dpo_term(x) / x.beta),
    ),
    false_identity("dpo-only", "∇J = βE[uΔ]", instead(dpo_term)),
    false_identity(
        "slope-for-u", "∇J = E[g(s₁ + s₂)] + βE[σ'(z)Δ]",
        instead(
            lambda x: sampling_shift(x)
            + x.pairs(lambda k, j: x.gap(k, j) * (x.slope(k, j) * x.beta))
        ),
    ),
)  # fmt: skip


CLAIMS = [
    claim(
        "C01",
        title="gradient of SAIL: sampling shift plus DPO term",
        statement=r"\nabla J = E[g(s_1+s_2)] + \beta E[u\Delta]",
        source="standard",
        check=check,
        planted=PLANTED,
    )
]
