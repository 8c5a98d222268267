"""C05: strong concavity near the reference. As told it is false; the criterion is exact."""

from __future__ import annotations

from collections.abc import Callable, Generator
from fractions import Fraction
from functools import partial

import numpy as np
import sympy
from flint import arb

from proofs_check.arguments.tabular_rule import (
    Rule,
    complement,
    diagonal_form,
    tabular_rule,
    try_rule,
)
from proofs_check.claims.c03_reference_hessian import STEPS as C03_STEPS
from proofs_check.claims.c04_concavity import WITNESSES
from proofs_check.evidence.argument import Step, argue, refute
from proofs_check.expected import claim
from proofs_check.symbolic.identities import establish
from proofs_check.symbolic.jets import curvature_along
from proofs_check.trials.witnesses import (
    compare,
    curves_up,
    exact_hessian,
    hessian_at_reference,
    rationals,
    two_responses,
)
from sailtheory import examples
from sailtheory.claims import Context, Falsehood
from sailtheory.objectives.sail import SAIL, KLRefPolicy
from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence

# --- C05: as told --------------------------------------------------------------------------


def check_as_told(context: Context) -> Generator[Evidence, None, None]:
    """Near a point of positive curvature nothing is concave, let alone strongly."""
    for name, (make, curvature, _) in WITNESSES.items():
        problem = make()
        yield compare(f"{name}: J''(θ_ref)", exact_hessian(SAIL(problem), [0])[0, 0], curvature)
        yield curves_up(SAIL(problem), np.zeros(1), f"{name}: J''(θ_ref) > 0")


def still_false(
    name: str, says: str, make: Callable[[], PreferenceProblem], gamma: float = 0.0
) -> Falsehood:
    """A weaker statement that a problem refutes by curvature at θ_ref."""

    def refuted(_: Context) -> Generator[Evidence, None, None]:
        problem = make()
        objective = SAIL(problem) - gamma * KLRefPolicy(problem)
        yield curves_up(objective, np.zeros(1), f"not so: {says}")

    return Falsehood(name, says, refuted)


def bradley_terry() -> PreferenceProblem:
    """Rewards (2, 0), π_ref = (¼, ¾)."""
    return PreferenceProblem(
        features=[[[1], [0]]], preferences=[BradleyTerry([2, 0])], base=[[1, 3]],
        beta=Fraction(1, 10), radius=1,
    )  # fmt: skip


TOLD_PLANTED = (
    still_false(
        "bradley-terry", "J is strongly concave near θ_ref for Bradley–Terry preferences",
        bradley_terry,
    ),
    still_false(
        "uniform-reference", "J is strongly concave near θ_ref if π_ref is uniform",
        lambda: examples.load("c04-one-winner"),
    ),
    still_false(
        "small-gamma", "J − 0.06 KL(π_ref‖π_θ) is strongly concave near θ_ref, m = 3, uniform",
        lambda: examples.load("c04-one-winner"), 0.06,
    ),
    still_false(
        "beta-one", "J is strongly concave near θ_ref if β ≥ 1",
        lambda: two_responses(Fraction(1, 4), beta=1),
    ),
)  # fmt: skip


# --- C05b: the criterion ---------------------------------------------------------------------


def beta_below_four() -> bool:
    """π₁ = (4 − β)/16, p₁₂ = 1: J''(θ_ref) = 4β(4 − β)/16 F > 0 for every 0 < β < 4."""
    beta = sympy.symbols("beta", positive=True)
    first = (4 - beta) / 16
    found = hessian_at_reference(
        np.array([first, 1 - first]),
        rationals([[1], [0]]),
        rationals([[0, 0.5], [-0.5, 0]]),
        beta,
    )
    return bool(sympy.cancel(found[0, 0] - beta * (4 - beta) / 4 * first * (1 - first)) == 0)


def one_winner(m: int) -> bool:
    """Hessian of one winner among m, features its indicator, uniform π_ref."""
    beta, p = sympy.symbols("beta p", positive=True)
    centred = np.zeros((m, m), dtype=object)
    centred[0, 1:], centred[1:, 0] = p - sympy.Rational(1, 2), sympy.Rational(1, 2) - p
    share = sympy.Rational(1, m)
    features = np.array([[sympy.Integer(int(k == 0))] for k in range(m)], dtype=object)
    found = hessian_at_reference(np.array([share] * m, dtype=object), features, centred, beta)
    lean = sympy.Rational(m - 2, m)
    stated = (4 * beta * (p - sympy.Rational(1, 2)) * lean - beta**2 / 2) * share * (1 - share)
    return bool(sympy.expand(found[0, 0] - stated) == 0)


def check_criterion(context: Context) -> Generator[Evidence, None, None]:
    """C03, the quantified cases, and the tabular rule with its argument."""
    if not (yield from establish(C03_STEPS, context, "C05b")):
        return
    trials = 2000 if context.full else 150
    if not (yield from try_rule(tabular_rule, context, "C05b-rule", trials)):
        return
    yield from argue(
        "J is strongly concave near θ_ref iff E_xE[(p̄ − ½ − β/8)ssᵀ] ≺ 0 on S",
        (
            Step("symbolic", "β < 4 is not enough: p₁₂ = 1, π₁ = (4 − β)/16 has "
                 "J''(θ_ref) = (β/4)(4 − β)F > 0", beta_below_four),
            *(
                Step("symbolic", f"one winner among m = {m}: "
                     "[4β(p − ½)(1 − 2/m) − β²/2]F",
                     partial(one_winner, m))
                for m in (2, 3, 4, 6)
            ),
            *(
                Step("symbolic", f"tabular, m = {m}: vᵀ∇²J(θ_ref)v = 4βΣ π w (v − E v)²",
                     partial(diagonal_form, m))
                for m in (2, 3, 4)
            ),
            *(
                Step("symbolic", f"m = {m}: 1/w spans the complement of {{Σ πt = 0}} in the "
                     "form Σ π w t², with value Σ π/w", partial(complement, m))
                for m in (2, 3, 4)
            ),
        ),
        assumes=(
            "C03 (identity above) and continuity of ∇²J: definite at θ_ref iff nearby",
            "p̄(y) ≤ 1 − π_ref(y)/2 < 1, so β ≥ 4 makes every w < 0; every w < 0 suffices as "
            "Σ π w t² < 0 unless φ is constant along v",
            "Sylvester's law of inertia: negative index on {Σ πt = 0} = #{w < 0} − [Σ π/w < 0]",
        ),
    )  # fmt: skip


# --- planted falsehoods of the criterion -------------------------------------------------------


def false_rule(name: str, says: str, rule: Rule) -> Falsehood:
    """A wrong rule for tabular features."""

    def check(context: Context) -> Generator[Evidence, None, None]:
        yield from try_rule(rule, context, name, 2000)

    return Falsehood(name, says, check)


def false_winner(context: Context) -> Generator[Evidence, None, None]:
    """1 − 1/m for 1 − 2/m: at m = 2, p = 1, β = 1/10 the curvature is −β²/2 F, not above 0."""
    problem = two_responses(Fraction(1, 2), beta=Fraction(1, 10))
    yield refute(
        problem, np.zeros(1), "[4β(p − ½)(1 − 1/m) − β²/2]F > 0 exceeds J''(θ_ref)", 0.025,
        lambda: arb("0.095") / 4 - curvature_along(SAIL(problem), np.zeros(1), np.ones(1)),
    )  # fmt: skip


def per_prompt(_: Context) -> Generator[Evidence, None, None]:
    """Strongly concave on average, though not for the first prompt alone."""
    first = examples.load("c04-weighted-reference")
    half, one = Fraction(1, 2), Fraction(1)
    problem = PreferenceProblem(
        features=[[[1], [0]]] * 2, preferences=[[[half, one], [0, half]]] * 2,
        base=[[1, 3], [1, 1]], weights=[0.01, 0.99], beta=Fraction(1, 10), radius=1,
    )  # fmt: skip
    at, along = np.zeros(1), np.ones(1)
    yield refute(
        problem, at, "J''(θ_ref) < 0 although the first prompt's J'' > 0",
        float(-SAIL(problem).hessian(at)[0, 0]),
        lambda: (-curvature_along(SAIL(problem), at, along)).min(
            curvature_along(SAIL(first), at, along)
        ),
    )  # fmt: skip


CRITERION_PLANTED = (
    still_false(
        "beta-3.99", "β ≥ 3.99 makes J strongly concave near θ_ref for all p*, m, π_ref",
        lambda: two_responses(Fraction(1, 1600), beta=Fraction(399, 100)),
    ),
    false_rule(
        "no-sum-condition", "tabular: iff at most one w > 0",
        lambda policy, w: sum(x > 0 for x in w) <= 1,
    ),
    false_rule(
        "all-negative", "tabular: only if all w < 0", lambda policy, w: all(x < 0 for x in w)
    ),
    false_rule(
        "unweighted-sum", "tabular: Σ 1/w > 0 in place of Σ π_ref/w > 0",
        lambda policy, w: tabular_rule([Fraction(1)] * len(w), w),
    ),
    Falsehood(
        "every-prompt", "J is strongly concave near θ_ref only if every J_x is",
        per_prompt,
    ),
    Falsehood(
        "winner-factor", "one winner among m: [4β(p − ½)(1 − 1/m) − β²/2]F", false_winner
    ),
)  # fmt: skip


CLAIMS = [
    claim(
        "C05",
        title="J is strongly concave near the reference",
        statement=r"\nabla^2J(\theta_{\rm ref})\prec0\ \text{on }S",
        source="arXiv 2606.31524, as told in second-hand accounts",
        check=check_as_told,
        planted=TOLD_PLANTED,
    ),
    claim(
        "C05b",
        title="exact criterion of strong concavity near the reference",
        statement=(
            r"\nabla^2J(\theta_{\rm ref})\prec0 \iff"
            r" E_xE[(\bar p-\tfrac12-\tfrac\beta8)ss^\top]\prec0\ \text{on }S"
        ),
        source="new",
        hypotheses=("definiteness is meant on S",),
        check=check_criterion,
        planted=CRITERION_PLANTED,
    ),
]
