"""Exact arithmetic at the reference, and refutations by curvature.

At θ = θ_ref every margin z is 0, so the production Hessian needs no transcendental
function: it is evaluated on rationals, or on SymPy symbols, as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, cast

import numpy as np
from flint import arb, arb_mat, fmpq, fmpq_mat

from proofs_check.evidence.argument import refute
from proofs_check.symbolic.jets import curvature_along
from proofs_check.symbolic.settings import Balls
from sailtheory.numeric.numbers import Array, NumberSystem, arb_numbers, sympy_numbers
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.expectation import Point
from sailtheory.objectives.sail import SAIL
from sailtheory.problem.blocks import Block
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence, Outcome, Strength


def _at_zero(value: Fraction) -> Callable[[Array], Array]:
    def function(z: Any) -> Any:
        if z != 0:
            raise ValueError(f"a margin {z} other than 0 at the reference")
        return value

    lifted: Callable[[Array], Array] = np.frompyfunc(function, 1, 1)
    return lifted


def _unknown(_: Array) -> Array:
    raise ValueError("a transcendental function that the reference does not need")


REFERENCE = NumberSystem(
    name="reference",
    asarray=lambda data: np.asarray(data, dtype=object),
    exp=_unknown,
    log=_unknown,
    tanh=_at_zero(Fraction(0)),
    sigmoid=_at_zero(Fraction(1, 2)),
    log_sigmoid=_unknown,
    log_cosh_half=_at_zero(Fraction(0)),
    log_softmax=_unknown,
    log_2=lambda: 0,
)
"""The values at 0 of what a pair payoff needs; any other argument is refused."""


def hessian_at_reference(policy: Array, features: Array, centred: Array, beta: Any) -> Array:
    """The production ∇²J(θ_ref) of one prompt in exact arithmetic: (d, d).

    Args:
        policy: π_ref, (m,), rationals or symbols.
        features: φ, (m, d).
        centred: q = p − ½, (m, m).
        beta: β.
    """
    d = features.shape[1]
    zero, one = np.zeros(d, dtype=object), np.array([1], dtype=object)
    block = Block(
        np.zeros(1, dtype=int), features[None], zero, centred[None], one, zero, beta, zero
    )
    point = Point(REFERENCE, block, zero, zero, policy[None])
    sail = SAIL(cast(PreferenceProblem, None))
    return sail._hessian(point)[0]


def rationals(data: Any) -> Array:
    """Nested numbers as an object array of fractions."""
    return np.asarray(np.frompyfunc(Fraction, 1, 1)(np.array(data, dtype=object)), dtype=object)


def exact_hessian(objective: Objective, theta: Sequence[Any]) -> Array:
    """A production Hessian in SymPy at an exact point, simplified."""
    import sympy

    values = objective.hessian(sympy_numbers().asarray(np.array(theta, dtype=object)))
    return np.asarray(np.frompyfunc(sympy.simplify, 1, 1)(values), dtype=object)


def compare(says: str, found: Any, expected: Any, shown: str = "") -> Evidence:
    """Evidence that an exact number is the one stated; weak if it is not."""
    import sympy

    shown = shown or str(expected)
    if sympy.simplify(found - expected) == 0:
        return Evidence("exact", f"{says} = {shown}", Outcome.UNDECIDED, Strength.PROVED)
    detail = f"{says} = {found}, not {shown} as stated"
    return Evidence("exact", detail, Outcome.UNDECIDED, Strength.SUPPORTED)


def curves_up(
    objective: Objective, theta: np.ndarray, statement: str, direction: np.ndarray | None = None
) -> Evidence:
    """Refute concavity: vᵀ∇²v > 0 at θ.

    The sign is that of the second derivative of the objective's value along v, by
    power series over balls: the Hessian formula is not used.
    """
    v = np.eye(len(theta))[0] if direction is None else direction
    return refute(
        objective.problem, np.asarray(theta, dtype=float), statement,
        float(v @ objective.hessian(np.asarray(theta, dtype=float)) @ v),
        lambda: curvature_along(objective, theta, v), direction=v.tolist(),
    )  # fmt: skip


def two_responses(
    first: Any, *, beta: Any, p: Any = 1, radius: float = 1, phi: Any = ((1,), (0,))
) -> PreferenceProblem:
    """Two responses, π_ref = (first, 1 − first), the first preferred with probability p."""
    share, chance = Fraction(first), Fraction(p)
    half = Fraction(1, 2)
    return PreferenceProblem(
        features=[[list(row) for row in phi]],
        preferences=[[[half, chance], [1 - chance, half]]],
        base=[[share, 1 - share]],
        beta=beta,
        radius=radius,
    )


# --- definiteness on S ---------------------------------------------------------------------


def is_negative_definite(matrix: Array) -> bool:
    """Whether a matrix of fractions is negative definite: leading minors of −M."""
    size = len(matrix)
    for k in range(1, size + 1):
        entries = [fmpq(-x.numerator, x.denominator) for x in matrix[:k, :k].flat]
        if not fmpq_mat(k, k, entries).det() > 0:
            return False
    return True


def tabular_basis(m: int) -> Array:
    """A basis of 1^⊥, e_k − e_0: (m, m − 1)."""
    return np.concatenate([-np.ones((1, m - 1), dtype=int), np.eye(m - 1, dtype=int)])


def definite_in_balls(problem: PreferenceProblem, basis: Array) -> bool | None:
    """Negative definiteness at θ_ref of second derivatives of J by power series.

    Returns:
        None when a minor's sign is not certain.
    """
    setting = Balls(problem, None, 0)
    hessian = setting.value_hessian(SAIL)
    b = arb_numbers().asarray(basis)
    reduced = -(b.T @ hessian @ b)
    signs = []
    for k in range(1, len(reduced) + 1):
        minor: arb = arb_mat(k, k, list(reduced[:k, :k].flat)).det()
        signs.append(1 if minor > 0 else -1 if minor < 0 else 0)
    if any(s < 0 for s in signs):
        return False
    return True if all(s > 0 for s in signs) else None
