"""The variational identity of KL-regularised choice, with the formulas that run."""

from __future__ import annotations

import sympy as sp

from proofs_check.arguments.algebra import SIZES, law, vanishes, vector
from proofs_check.evidence.argument import Step
from sailtheory.theory import formulas


def _variational() -> bool:
    """E_π r − βKL(π‖ν) = β log Z − βKL(π‖π*) for log π*/ν = r/β − log Z and any Z (m ≤ 3)."""
    beta, log_z = sp.Symbol("beta", positive=True), sp.Symbol("Z", real=True)
    for m in SIZES:
        policy, r, ratio = law("p", m), vector("r", m), vector("L", m)
        value = formulas.expectation(policy, r) - beta * formulas.kl_policy_ref(policy, ratio)
        left = formulas.kl_policy_ref(policy, ratio - r / beta + log_z)
        if not vanishes(value - beta * log_z + beta * left):
            return False
    return True


def _gibbs() -> bool:
    """KL(π‖ρ) = Σ ρ f(π/ρ) for f(x) = x log x − x + 1: f(1) = f'(1) = 0, f'' = 1/x > 0 (m ≤ 3)."""
    x = sp.Symbol("x", positive=True)
    f = x * sp.log(x) - x + 1
    shown = f.subs(x, 1) == 0 == f.diff(x).subs(x, 1) and bool(f.diff(x, 2).is_positive)
    for m in SIZES:
        policy, other, ratio = law("p", m), law("q", m), vector("L", m)
        terms = other * (policy / other * ratio - policy / other + 1)  # log π/ρ = L
        shown = shown and vanishes(formulas.kl_policy_ref(policy, ratio) - terms.sum())
    return shown


GIBBS_STEPS = (
    Step("symbolic", "E_π r − βKL(π‖ν) = β log Z − βKL(π‖π*), π* = ν e^{r/β}/Z (m ≤ 3)",
         _variational),
    Step("symbolic", "KL(π‖π*) = Σ π* f(π/π*), f(x) = x log x − x + 1 ≥ 0, and 0 only at x = 1",
         _gibbs),
)  # fmt: skip
"""So ν e^{r/β}/Z is the only maximiser of E_π r − βKL(π‖ν), and the maximum is β log Z."""
