"""C04: SAIL's objective is concave. It is not: exact rational witnesses."""

from __future__ import annotations

from collections.abc import Callable, Generator
from fractions import Fraction
from typing import Any

import numpy as np
from sympy import Rational

from proofs_check.expected import claim
from proofs_check.symbolic.identities import Identity, establish
from proofs_check.symbolic.settings import Setting
from proofs_check.trials.witnesses import compare, curves_up, exact_hessian
from sailtheory import examples
from sailtheory.claims import Context, Falsehood
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import SAIL, KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence


def one_winner(p: Fraction) -> PreferenceProblem:
    """C04 (ii) with another chance of the winner."""
    half = Fraction(1, 2)
    return PreferenceProblem(
        features=[[[1], [0], [0]]],
        preferences=[[[half, p, p], [1 - p, half, half], [1 - p, half, half]]],
        beta=Fraction(1, 10),
        radius=1,
    )


WITNESSES: dict[str, tuple[Callable[[], PreferenceProblem], Any, Any]] = {
    "m=2, π_ref=(¼,¾), p₁₂=1": (
        lambda: examples.load("c04-weighted-reference"), Rational(57, 3200), Rational(3, 16)
    ),
    "m=3, uniform, one winner": (
        lambda: examples.load("c04-one-winner"), Rational(37, 2700), Rational(2, 9)
    ),
    "m=3, uniform, one winner with p=11/20": (
        lambda: one_winner(Fraction(11, 20)), Rational(1, 2700), Rational(2, 9)
    ),
}  # fmt: skip
"""Problem, J''(θ_ref), F(θ_ref); β = 1/10 and θ_ref = 0."""


def two_responses(at: Setting) -> tuple[Array, Array]:
    """J''(θ_ref) for m = 2."""

    def relative(x: Any) -> Array:
        lean = (2 * x.p(0, 1) - 1) * (x.ref[1] - x.ref[0]) / 2
        return x.fisher * (4 * x.beta * (lean - x.beta / 8))

    return at.objective(SAIL).hessian(at.theta), at.expect(relative)


STEPS = (
    Identity(
        "m = 2: ∇²J_x(θ_ref) = 4β[(p₁₂ − ½)(π₂ − π₁) − β/8]F_x, so −(β²/2)F_x if π_ref is uniform",
        two_responses, at_reference=True, quick=((2, 2, 2),), full=((2, 2, 2),), trial=2,
    ),
)  # fmt: skip


def check(context: Context) -> Generator[Evidence, None, None]:
    """Exact values of J'' at the reference, each confirmed from J alone."""
    yield from establish(STEPS, context, "C04")
    for name, (make, curvature, fisher) in WITNESSES.items():
        problem = make()
        yield compare(f"{name}: F", exact_hessian(KLRefPolicy(problem), [0])[0, 0], fisher)
        yield compare(f"{name}: J''", exact_hessian(SAIL(problem), [0])[0, 0], curvature)
        yield curves_up(SAIL(problem), np.zeros(1), f"{name}: J''(θ_ref) > 0, J is not concave")


# --- planted falsehoods ------------------------------------------------------------------


def planted(name: str, says: str, witness: str, gamma: float = 0.0) -> Falsehood:
    """A weakened claim that a witness of the list still refutes."""

    def refuted(_: Context) -> Generator[Evidence, None, None]:
        problem = WITNESSES[witness][0]()
        objective: Objective = SAIL(problem)
        if gamma:
            objective = objective - gamma * KLRefPolicy(problem)
        yield curves_up(objective, np.zeros(1), f"not so: {says}")

    return Falsehood(name, says, refuted)


FIRST, SECOND, THIRD = WITNESSES
PLANTED = (
    planted("uniform-reference", "J is concave if π_ref is uniform", SECOND),
    planted("two-responses", "J is concave if m = 2", FIRST),
    planted("weak-preferences", "J is concave if every p lies in [9/20, 11/20]", THIRD),
    planted("little-regularisation", "J − 0.0949 KL(π_ref‖π_θ) is concave", FIRST, 0.0949),
)


CLAIMS = [
    claim(
        "C04",
        title="J is concave",
        statement=r"\nabla^2 J(\theta)\preceq0\ \text{for all }\theta",
        source="the contrary is in arXiv 2606.31524; witnesses new",
        check=check,
        planted=PLANTED,
    )
]
