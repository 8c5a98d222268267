"""vᵀ∇²J(θ)v is affine in the preferences, so γ* is convex in p and largest at 0 and 1."""

from __future__ import annotations

from functools import partial

import numpy as np
from flint import arb

from proofs_check.evidence.argument import Tally, refute
from proofs_check.evidence.instances import random_points, random_preferences, random_problem
from sailtheory import SAIL, PreferenceProblem
from sailtheory.claims import Context
from sailtheory.numeric.numbers import Array, arb_numbers, numbers_of
from sailtheory.theory import formulas, pair_form
from sailtheory.verdict import Evidence

_PROBLEMS = {"quick": 12, "full": 100}


def preference_tally(context: Context) -> Tally:
    """The change of vᵀ∇²Jv between two preferences against its slope in p, both ways."""
    rng = context.rng("affine in p")
    tally = Tally("vᵀ∇²Jv is affine in p with the stated slope")
    for _ in range(_PROBLEMS[context.effort]):
        problem = random_problem(rng, prompts=1, responses=4, deterministic=False)
        other = problem.replace(preferences=[random_preferences(rng, 4, deterministic=False)])
        theta = np.asarray(random_points(rng, problem, 1)[0])
        v = np.asarray(rng.normal(size=(problem.dimension,)))
        change, predicted = _sides(problem, other, theta, v)
        for sign in (1, -1):
            confirm = partial(_confirm, problem, other, theta, v, sign)
            tally.add(np.array([sign * change]), np.array([sign * predicted]), confirm)
    return tally


def _sides(
    problem: PreferenceProblem, other: PreferenceProblem, theta: Array, v: Array
) -> tuple[Array, Array]:
    """The change from one problem to the other, and what the slope predicts."""
    xp = numbers_of(theta)
    change = (v @ (SAIL(other).hessian(theta) - SAIL(problem).hessian(theta))) @ v
    (at,) = SAIL(problem).points(theta)
    along = pair_form.logits(v, at.block.features)
    slope = formulas.preference_gradient(at.block.beta, at.policy, at.z, along)
    step = other.blocks(xp)[0].preference - at.block.preference
    return change, (slope * step).sum() / 2


def _confirm(
    problem: PreferenceProblem,
    other: PreferenceProblem,
    theta: np.ndarray,
    v: np.ndarray,
    sign: int,
    _: int,
) -> Evidence:
    def excess() -> arb:
        xp = arb_numbers()
        change, predicted = _sides(problem, other, xp.asarray(theta), xp.asarray(v))
        return arb(sign * (change - predicted))

    says = "the change of vᵀ∇²Jv between two preferences is not its slope times the step"
    return refute(problem, theta, says, float(np.subtract(*_sides(problem, other, theta, v))),
                  excess, direction=v.tolist())  # fmt: skip
