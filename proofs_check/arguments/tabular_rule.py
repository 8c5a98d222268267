"""C05b for tabular features: the sign rule, its algebra, and exact trials of any rule."""

from __future__ import annotations

from collections.abc import Callable, Generator
from fractions import Fraction

import numpy as np
import sympy

from proofs_check.trials.witnesses import (
    definite_in_balls,
    hessian_at_reference,
    is_negative_definite,
    rationals,
    tabular_basis,
)
from sailtheory.claims import Context
from sailtheory.numeric.numbers import Array
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence, Outcome, Strength, Witness

Rule = Callable[[list[Fraction], list[Fraction]], bool]
"""(π_ref, w) of one tabular prompt to whether J is strongly concave near θ_ref on S."""


def diagonal_form(m: int) -> bool:
    """Tabular: vᵀ∇²J(θ_ref)v = 4βΣ π w t², t = v − E v; π, q, β, v symbols."""
    pi = sympy.symbols(f"pi:{m - 1}")
    policy = np.array([*pi, 1 - sum(pi)], dtype=object)
    beta, v = sympy.symbols("beta"), np.array(sympy.symbols(f"v:{m}"), dtype=object)
    upper = np.triu(np.array(sympy.symbols(f"q:{m * m}"), dtype=object).reshape(m, m), 1)
    centred = upper - upper.T
    features = np.array(sympy.eye(m).tolist(), dtype=object)
    found = v @ hessian_at_reference(policy, features, centred, beta) @ v
    w, t = centred @ policy - beta / 8, v - policy @ v
    return bool(sympy.expand(found - 4 * beta * (policy * w * t * t).sum()) == 0)


def complement(m: int) -> bool:
    """1/w is orthogonal to {Σπt = 0} in the form Σ π w t², where it takes the value Σ π/w."""
    pi, w, t = (np.array(sympy.symbols(f"{s}:{m}"), dtype=object) for s in "pwt")
    pairing = sympy.expand((pi * w * t / w).sum() - (pi * t).sum()) == 0
    return bool(pairing and sympy.expand((pi * w / w / w).sum() - (pi / w).sum()) == 0)


def tabular_rule(policy: list[Fraction], w: list[Fraction]) -> bool:
    """All w < 0, or exactly one w > 0 and Σ π_ref/w > 0."""
    positive = sum(x > 0 for x in w)
    total = sum(pi / x for pi, x in zip(policy, w, strict=True))
    return positive == 0 or (positive == 1 and total > 0)


def try_rule(
    rule: Rule, context: Context, name: str, trials: int
) -> Generator[Evidence, None, bool]:
    """Compare a rule with exact definiteness on random rational tabular prompts."""
    rng = context.rng(name)
    counts = {True: 0, False: 0}
    for _ in range(trials):
        m = int(rng.integers(2, 6))
        raw = [Fraction(int(k)) for k in rng.integers(1, 30, m)]
        policy = [x / sum(raw) for x in raw]
        upper = np.triu(rationals(rng.integers(0, 11, (m, m)).tolist()) / 10 - Fraction(1, 2), 1)
        centred = np.asarray(upper - upper.T)
        beta = Fraction(int(rng.integers(1, 41)), 10)
        w = list(centred @ np.array(policy) - beta / 8)
        if any(x == 0 for x in w):
            continue
        features, basis = rationals(np.eye(m, dtype=int).tolist()), tabular_basis(m)
        hessian = hessian_at_reference(np.array(policy), features, centred, beta)
        definite = is_negative_definite(basis.T @ hessian @ basis)
        if definite is not rule(policy, w):
            yield _mismatch(policy, centred, beta, definite, basis)
            return False
        counts[definite] += 1
    detail = f"{counts[True]} rational tabular prompts definite, {counts[False]} not, as the rule"
    yield Evidence("exact", f"{detail} says", Outcome.UNDECIDED, Strength.SUPPORTED)
    return True


def _mismatch(
    policy: list[Fraction], centred: Array, beta: Fraction, definite: bool, basis: Array
) -> Evidence:
    m = len(policy)
    problem = PreferenceProblem(
        features=[np.eye(m)], preferences=[(centred + Fraction(1, 2)).tolist()],
        base=[policy], beta=beta, radius=1,
    )  # fmt: skip
    says = "∇²J(θ_ref) is " + ("" if definite else "not ") + "negative definite on S"
    witness = Witness(
        problem, np.zeros(m), f"{says}; the rule says the contrary", float(definite),
        lambda: definite_in_balls(problem, basis) is definite,
    )  # fmt: skip
    detail = f"{says}, exactly, for π_ref = {[str(x) for x in policy]}, β = {beta}"
    return Evidence("exact", detail, Outcome.REFUTED, Strength.PROVED, witness)
