"""The arguments of IPO01, IPO02 and IPO05, on the formulas that run."""

from __future__ import annotations

from typing import Any

import sympy as sp

from proofs_check.arguments.algebra import SIZES, law, leads, mean, vanishes, vector
from proofs_check.arguments.gibbs import GIBBS_STEPS
from proofs_check.evidence.argument import Step
from sailtheory.theory import formulas


def _win_rate() -> bool:
    """E_{y~π, y'~μ} P(y ≻ y') = E_π r for r = P(· ≻ μ), by the production mean (m ≤ 3)."""
    for m in SIZES:
        policy, other, q = law("p", m), law("o", m), leads(m)
        pairs = sum(policy[k] * other[j] * q[k, j] for k in range(m) for j in range(m))
        if not vanishes(formulas.expectation(policy, formulas.expectation(other, q)) - pairs):
            return False
    return True


def _variance() -> bool:
    """E_{μ⊗μ}(e_k − e_l)² = 2Var_μ e, and it is a sum of μ_kμ_l(e_k − e_l)² (m ≤ 3)."""
    for m in SIZES:
        law_of, e = law("p", m), vector("e", m)
        gaps = (e[:, None] - e[None]) ** 2
        whole = (law_of[:, None] * law_of[None] * gaps).sum()
        if not vanishes(whole - 2 * (mean(law_of, e**2) - mean(law_of, e) ** 2)):
            return False
    return True


def _bent() -> bool:
    """The loss is a square: every pair of two responses has η = −4 in ∇²(−L), whatever p."""
    beta = sp.Symbol("beta", positive=True)
    q, z = sp.symbols("q z", real=True)
    return vanishes(formulas.dpo_curvature(beta, formulas.squared_payoff(q, z, beta)) + 4)


def _slope() -> bool:
    """E_l G'_kl = 0 at z = p̄_k − p̄_l: the gradient that runs is 0 there (m ≤ 3)."""
    beta = sp.Symbol("beta", positive=True)
    for m in SIZES:
        data, q = law("p", m), leads(m)
        rate = q @ data
        payoff = formulas.squared_payoff(q, rate[:, None] - rate[None], beta)
        if not vanishes(*formulas.off_policy_gradient(beta, data, payoff)):
            return False
    return True


def _two() -> bool:
    """m = 2: p̄₁ − p̄₂ = p₁₂ − ½, whatever μ is."""
    data, q = law("p", 2), leads(2)
    rate = q @ data
    return vanishes(rate[0] - rate[1] - q[0, 1])


def _many() -> bool:
    """p̄_k − p̄_l = Σ_j μ_j(q_kj − q_lj) + (μ_k + μ_l)q_kl ≤ 1 − (μ_k + μ_l)/2 (m ≤ 4).

    Each q is at most ½ in size; y_k always winning and y_l always losing reaches the bound.
    """
    half = sp.Rational(1, 2)
    for m in (2, 3, 4):
        data, q = law("p", m), leads(m)
        rate = q @ data
        others: Any = sum((data[j] * (q[0, j] - q[1, j]) for j in range(2, m)), sp.S.Zero)
        split = others + (data[0] + data[1]) * q[0, 1]
        ends = {q[0, j]: half for j in range(1, m)} | {q[1, j]: -half for j in range(2, m)}
        bound = 1 - (data[0] + data[1]) / 2
        if not vanishes(rate[0] - rate[1] - split, split.subs(ends) - bound):
            return False
    return True


IPO01_STEPS = (
    Step("symbolic", "E_{π,μ}P(y ≻ y') = E_π r with r = P(· ≻ μ) (m ≤ 3)", _win_rate),
    *GIBBS_STEPS,
)

IPO02_STEPS = (
    Step("symbolic", "L(π) = 2Var_μ(log π/π_ref − p̄/τ) is a sum of squares over pairs (m ≤ 3)",
         _variance),
    Step("symbolic", "the gradient that runs is 0 where h = (p̄_k − p̄_l)/τ (m ≤ 3)", _slope),
    Step("symbolic", "every pair that is drawn curves L up, η = 4 whatever p: one policy is "
         "the minimiser",
         _bent),
)  # fmt: skip

IPO05_STEPS = (
    Step("symbolic", "m = 2: p̄₁ − p̄₂ = p₁₂ − ½, so h = (p₁₂ − ½)/τ, at most 1/(2τ)", _two),
    Step("symbolic", "p̄_k − p̄_l ≤ 1 − (μ_k + μ_l)/2 < 1, and it is reached (m ≤ 4)", _many),
)  # fmt: skip
