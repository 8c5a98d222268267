"""C22: what estimators found in published code estimate."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.derivative_steps import gradient
from proofs_check.claims.c01_gradient import sampling_shift
from proofs_check.evidence.argument import Step, argue
from proofs_check.expected import claim
from proofs_check.symbolic.identities import Identity, establish, false_identity
from proofs_check.symbolic.settings import Prompt, Setting
from sailtheory import examples
from sailtheory.claims import Context
from sailtheory.numeric.numbers import Array, sympy_numbers
from sailtheory.objectives.sail import KLPolicyRef, KLRefPolicy
from sailtheory.theory import formulas
from sailtheory.verdict import Evidence

Chances = Callable[[Setting], list[Array]]
"""The distribution y is drawn from, one (m,) a prompt."""


def at_policy(at: Setting) -> list[Array]:
    """π_θ, held fixed when derivatives are taken."""
    return [x.policy for x in at.prompts]


def at_other(at: Setting) -> list[Array]:
    """An arbitrary q."""
    return [h / h.sum() for h in at.other]


def log_policies(at: Setting, theta: Array) -> list[Array]:
    """log π_θ of every prompt, in a form that can be differentiated."""
    moving = at.objective_in_motion(KLPolicyRef)
    return [row for point in moving.points(theta) for row in point.log_policy]


# --- estimates of a divergence ---------------------------------------------------------------


def detached(at: Setting, chances: Chances) -> Array:
    """E_x E_y ∇k, y from fixed chances: derivatives of k = log π_ref(y) − log π_θ(y) alone."""

    def k_of_all(theta: Array) -> Array:
        logs = log_policies(at, theta)
        each = [x.log_ref - log for x, log in zip(at.prompts, logs, strict=True)]
        return np.concatenate(each)

    weights = [q * x.weight for x, q in zip(at.prompts, chances(at), strict=True)]
    return np.concatenate(weights) @ at.gradient(k_of_all)


def differentiated(at: Setting) -> Array:
    """∇ E_x E_{y~π_θ} k, through the sampling too."""

    def mean(theta: Array) -> Any:
        together = zip(at.prompts, log_policies(at, theta), strict=True)
        xp = at.objective_in_motion(KLPolicyRef).points(theta)[0].xp
        terms = [(xp.exp(log) * (x.log_ref - log)).sum() * x.weight for x, log in together]
        return np.array(sum(terms[1:], terms[0]))

    return at.gradient(mean)


def other_divergence_gradient(at: Setting) -> Array:
    """∇ E_x KL(q‖π_θ), of its value."""

    def mean(theta: Array) -> Any:
        terms = []
        for x, q, h, log in zip(
            at.prompts, at_other(at), at.other, log_policies(at, theta), strict=True
        ):
            log_q = at.xp.log(h) - at.xp.log(h.sum())
            terms.append((q * (log_q - log)).sum() * x.weight)
        return np.array(sum(terms[1:], terms[0]))

    return at.gradient(mean)


def feature_mean(at: Setting, chances: list[Array]) -> Array:
    """E_x E_y φ."""
    terms = [(q @ x.phi) * x.weight for x, q in zip(at.prompts, chances, strict=True)]
    return sum(terms[1:], terms[0])


def detached_value(at: Setting) -> tuple[Array, Array]:
    """E_θ k = −KL(π_θ‖π_ref)."""
    stated = at.expect(lambda x: x.mean(lambda k: x.log_ref[k] - x.log_policy[k]))
    return stated, -at.objective(KLPolicyRef).value(at.theta)


def detached_gradient(at: Setting) -> tuple[Array, Array]:
    """Its expected gradient is 0."""
    found = detached(at, at_policy)
    return found, found * 0


def backwards(at: Setting) -> tuple[Array, Array]:
    """Fully differentiated: −∇KL(π_θ‖π_ref) by the production formula."""
    return differentiated(at), -at.objective(KLPolicyRef).gradient(at.theta)


def drawn_elsewhere(at: Setting) -> tuple[Array, Array]:
    """y~q: ∇KL(q‖π_θ)."""
    return detached(at, at_other), other_divergence_gradient(at)


def discrepancy(at: Setting) -> tuple[Array, Array]:
    """What y~q misses: E_x E_ref φ − E_x E_q φ."""
    intended = at.objective(KLRefPolicy).gradient(at.theta)
    means = feature_mean(at, [x.ref for x in at.prompts]) - feature_mean(at, at_other(at))
    return detached(at, at_other) - intended, means


IDENTITIES = (
    Identity("y~π_θ: E k = −KL(π_θ‖π_ref)", detached_value),
    Identity("y~π_θ, sampling detached: E∇k = 0", detached_gradient),
    Identity("∇KL(π_θ‖π_ref), as it runs, is the derivative of the value", gradient(KLPolicyRef)),
    Identity("y~π_θ, fully differentiated: ∇E k = −∇KL(π_θ‖π_ref)", backwards),
    Identity("y~q: E∇k = ∇KL(q‖π_θ)", drawn_elsewhere),
    Identity("∇KL(π_ref‖π_θ), as it runs, is the derivative of the value", gradient(KLRefPolicy)),
    Identity("y~q: E∇k − ∇KL(π_ref‖π_θ) = E_xE_refφ − E_xE_qφ", discrepancy),
)


# --- g/log π in place of g ---------------------------------------------------------------------


def score_terms(policy: Array, log_policy: Array, payoff: Array) -> tuple[Array, Array]:
    """E[g(s₁ + s₂)] and E[(g/log π(y₁))s₁ + (g/log π(y₂))s₂], tabular φ: each (m,)."""
    m = len(policy)
    score = np.eye(m, dtype=int) - policy[None, :]
    true, found = policy * 0, policy * 0
    for k in range(m):
        for j in range(m):
            chance, g = policy[k] * policy[j], payoff[k, j]
            true = true + chance * g * (score[k] + score[j])
            ratio = score[k] / log_policy[k] + score[j] / log_policy[j]
            found = found + chance * g * ratio
    return true, found


def at_the_instance() -> tuple[Array, Array]:
    """Both at θ_ref, π = (½, ¼, ¼), φ = I, in SymPy; p and β stay free symbols.

    z = 0 there, so g = −log 2 whatever they are.
    """
    xp = sympy_numbers()
    block = examples.load("c22-score-weight").blocks(xp)[0]
    q = np.array([[sp.Symbol(f"q{k}{j}") for j in range(3)] for k in range(3)])
    z = formulas.margins(sp.Symbol("beta"), block.ref_params * 0, block.features)[0]
    payoff = formulas.log_likelihood_payoff(xp, q, z).value - xp.log_2()
    policy = xp.asarray([sp.Rational(1, 2), sp.Rational(1, 4), sp.Rational(1, 4)])
    return score_terms(policy, xp.log(policy), payoff)


def _same(found: Array, stated: tuple[Any, ...]) -> bool:
    pairs = zip(found, stated, strict=True)
    return all(sp.simplify(sp.expand_log(a - b, force=True)) == 0 for a, b in pairs)


def _is_the_reference() -> bool:
    """The built-in problem has φ = I and π_ref = (½, ¼, ¼)."""
    problem = examples.load("c22-score-weight")
    block = problem.blocks(sympy_numbers())[0]
    identity = bool((problem.features[0] == np.eye(3, dtype=int)).all())
    policy = [sp.simplify(sp.exp(e)) for e in block.log_ref[0]]
    return identity and _same(np.array(policy), (sp.Rational(1, 2), *[sp.Rational(1, 4)] * 2))


STEPS = (
    Step("exact", "the instance: φ = I, π_ref = (½, ¼, ¼)", _is_the_reference),
    Step("exact", "E[g(s₁ + s₂)] = (0, 0, 0) at θ_ref, every p and β",
         lambda: _same(at_the_instance()[0], (0, 0, 0))),
    Step("exact", "with g/log π for g: (+¼, −⅛, −⅛), every p and β",
         lambda: _same(at_the_instance()[1], (sp.Rational(1, 4), *[-sp.Rational(1, 8)] * 2))),
)  # fmt: skip


def check(context: Context) -> Generator[Evidence, None, None]:
    """Identities for the divergences, then the exact instance."""
    if (yield from establish(IDENTITIES, context, "C22")):
        yield from argue(
            "each estimator estimates what is stated; y~q gives ∇KL(π_ref‖π_θ) if and only if "
            "E_xE_qφ = E_xE_refφ; g/log π is not the SAIL term", STEPS, ("the identities above",),
        )  # fmt: skip


# --- planted falsehoods ------------------------------------------------------------------


def detached_as_reversed(at: Setting) -> tuple[Array, Array]:
    """Sampling detached, against −∇KL(π_θ‖π_ref)."""
    return detached(at, at_policy), -at.objective(KLPolicyRef).gradient(at.theta)


def differentiated_as_penalty(at: Setting) -> tuple[Array, Array]:
    """Fully differentiated, against +∇KL(π_θ‖π_ref)."""
    return differentiated(at), at.objective(KLPolicyRef).gradient(at.theta)


def any_draw(at: Setting) -> tuple[Array, Array]:
    """y~q against ∇KL(π_ref‖π_θ)."""
    return detached(at, at_other), at.objective(KLRefPolicy).gradient(at.theta)


def divided(x: Prompt) -> Array:
    """E[(g/log π(y₁))s₁ + (g/log π(y₂))s₂]."""
    s, log = x.scores, x.log_policy
    return x.pairs(lambda k, j: (s[k] / log[k] + s[j] / log[j]) * x.g(k, j))


def divided_as_score(at: Setting) -> tuple[Array, Array]:
    """That against E[g(s₁ + s₂)]."""
    return at.expect(divided), at.expect(sampling_shift)


PLANTED = (
    false_identity("detached", "sampling detached: E∇k = −∇KL(π_θ‖π_ref)", detached_as_reversed),
    false_identity("penalty", "fully differentiated: +∇KL(π_θ‖π_ref)", differentiated_as_penalty),
    false_identity("any-draw", "y~q: ∇KL(π_ref‖π_θ) for every q", any_draw),
    false_identity("score-weight", "g/log π in place of g is the SAIL term", divided_as_score),
)


CLAIMS = [
    claim(
        "C22",
        title="estimators found in published code",
        statement=(
            r"k=\log\pi_{\rm ref}(y)-\log\pi_\theta(y):\;E_{\pi_\theta}\nabla k=0,\;"
            r"\nabla E_{\pi_\theta}k=-\nabla\mathrm{KL}(\pi_\theta\|\pi_{\rm ref}),\;"
            r"E_q\nabla k=\nabla\mathrm{KL}(q\|\pi_\theta)"
        ),
        source="new",
        check=check,
        planted=PLANTED,
    )
]
