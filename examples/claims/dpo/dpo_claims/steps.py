"""The arguments of DPO01, DPO02, DPO04 and DPO05, on the formulas that run."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import SIZES, vanishes, vector
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import Array, sympy_numbers
from sailtheory.theory import formulas

_XP = sympy_numbers()
_HALF = sp.Rational(1, 2)


def _zero(*expressions: Any) -> bool:
    return all(sp.simplify(sp.expand_log(e.rewrite(sp.exp), force=True)) == 0 for e in expressions)


def _payoff(rewards: Any, z: Any) -> Any:
    """The pair payoff of two responses whose rewards differ by ``rewards``."""
    return formulas.log_likelihood_payoff(_XP, _XP.tanh(rewards / 2) / 2, z)


def _injective() -> bool:
    """log σ(x) − log σ(−x) = x: preferences tell every difference of rewards."""
    x = sp.Symbol("x", real=True)
    share = _XP.sigmoid(x)
    return _zero(sp.simplify(sp.log(sp.simplify(share / (1 - share)))) - x)


def _one_hot(m: int) -> Array:
    """One prompt with a parameter for each response: (1, m, m)."""
    return _XP.asarray(np.eye(m)[None])


def _best(rewards: Array, beta: Any, level: Array) -> Array:
    """log π* by the production policy, logits r/β."""
    return formulas.log_policy(_XP, rewards / beta, _one_hot(len(rewards)), level)[0]


def _unmoved() -> bool:
    """π* of r + c is π* of r (m ≤ 3)."""
    beta, c = sp.Symbol("beta", positive=True), sp.Symbol("c", real=True)
    for m in SIZES:
        r, level = vector("r", m), vector("n", m)
        policies = [_XP.exp(_best(each, beta, level)) for each in (r, r + c)]
        if not all(sp.simplify(e) == 0 for e in policies[0] - policies[1]):
            return False
    return True


def _represented() -> bool:
    """β log π*/π_ref less r is the same for all responses, so it has r's preferences (m ≤ 3)."""
    beta = sp.Symbol("beta", positive=True)
    for m in SIZES:
        r, level = vector("r", m), vector("n", m)
        implicit = beta * (_best(r, beta, level) - _best(0 * r, beta, level)) - r
        if not vanishes(*(implicit - implicit[0])):
            return False
    return True


def _one_policy() -> bool:
    """log π − log π' constant: π = e^c π', both sum to 1, so c = 0."""
    c = sp.Symbol("c", real=True)
    return bool(sp.solve(sp.exp(c) - 1, c) == [0])


def _stationary() -> bool:
    """g' = p − σ(z) vanishes at z = r₁ − r₂, g'' = −σ(z)σ(−z)."""
    a, z = sp.symbols("a z", real=True)
    first, second = _payoff(a, z).first, _payoff(a, z).second
    at_rewards = first.subs(z, a)
    return _zero(at_rewards, second + 1 / (2 + sp.exp(z) + sp.exp(-z)), sp.diff(first, z) - second)


def _realised() -> bool:
    """At θ = r/β, one parameter a response, the margins are z_kl = r_k − r_l (m ≤ 3)."""
    beta = sp.Symbol("beta", positive=True)
    for m in SIZES:
        r = vector("r", m)
        z = formulas.margins(beta, r / beta, _one_hot(m))[0]
        if not vanishes(*(z - (r[:, None] - r[None])).ravel()):
            return False
    return True


def _one_minimiser() -> bool:
    """η_kl = β²G'' < 0 off the diagonal: J's curvature along v vanishes only if v is constant."""
    beta = sp.Symbol("beta", positive=True)
    a, z = sp.symbols("a z", real=True)
    eta = formulas.dpo_curvature(beta, _payoff(a, z))
    share = sp.exp(z) / (1 + sp.exp(z)) ** 2
    ratio = sp.simplify(sp.simplify(eta / (beta**2 * share)).rewrite(sp.exp))
    return bool(ratio.is_number and ratio < 0)


def _rises() -> bool:
    """p₁₂ = 1: G' = 1 − σ(z) = σ(−z) > 0 at every z, and G → 0 = sup G, never reached."""
    z = sp.Symbol("z", real=True)
    at = formulas.log_likelihood_payoff(_XP, _HALF, z)
    whole = -sp.log(1 + sp.exp(-z))
    reached = sp.limit(whole, z, sp.oo) == 0 and bool(sp.log(1 + sp.exp(-z)).is_positive)
    slope = sp.exp(-z) / (1 + sp.exp(-z))
    shown = _zero(at.first - slope, sp.diff(at.value - sp.log(2) - whole, z))
    return shown and at.value.subs(z, 0) == 0 and reached and bool(slope.is_positive)


def _nothing_left() -> bool:
    """π(loser) = ν₂/(ν₁e^t + ν₂) → 0 as the log-ratio t grows, whatever π_ref and β."""
    t, ours, theirs = sp.symbols("t a b", positive=True)
    return bool(sp.limit(theirs / (ours * sp.exp(t) + theirs), t, sp.oo) == 0)


def _label_noise() -> bool:
    """p₁₂ < 1: G' = p − σ(z) vanishes at z = log p/(1 − p), h = z/β, which grows as p → 1."""
    p = sp.Symbol("p", positive=True)
    z = sp.log(p / (1 - p))
    first = formulas.log_likelihood_payoff(_XP, p - _HALF, z).first
    return bool(sp.simplify(first) == 0 and sp.limit(z, p, 1, "-") == sp.oo)


DPO02_STEPS = (
    Step("symbolic", "log σ(x) − log σ(−x) = x: preferences tell r_k − r_l, and only that",
         _injective),
    Step("symbolic", "r + c(x) has the same π*, whatever π_ref and β (m ≤ 3)", _unmoved),
    Step("symbolic", "β log π*/π_ref = r − β log Z(x), so it has r's preferences (m ≤ 3)",
         _represented),
    Step("symbolic", "two policies whose implicit rewards differ by c(x) are one, as both sum to 1",
         _one_policy),
)  # fmt: skip

DPO04_STEPS = (
    Step("symbolic", "p log σ(z) + (1 − p) log σ(−z), p = σ(r₁ − r₂): slope 0 at z = r₁ − r₂, "
         "second derivative −σ(z)σ(−z)", _stationary),
    Step("symbolic", "at θ = r/β every margin is z_kl = r_k − r_l (m ≤ 3)", _realised),
    Step("symbolic", "every pair of two responses curves J down: the minimiser is one policy",
         _one_minimiser),
)  # fmt: skip

DPO05_STEPS = (
    Step("symbolic", "p₁₂ = 1: G' = σ(−z) > 0 at every z = βh, and sup G = 0 is not reached",
         _rises),
    Step("symbolic", "as h → ∞ the loser's probability goes to 0, whatever π_ref and β",
         _nothing_left),
    Step("symbolic", "p₁₂ < 1: the optimum is h = log(p/(1 − p))/β, which grows without bound",
         _label_noise),
)  # fmt: skip
