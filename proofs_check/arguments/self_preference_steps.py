"""C06: its identities, the supremum ¼ of the curvature bound, and the instances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from flint import arb, arb_series, ctx

from proofs_check.arguments.derivative_steps import static
from proofs_check.evidence.argument import certain_sign
from proofs_check.symbolic.identities import Sides
from proofs_check.symbolic.jets import Jet, curvature_along, jet_numbers
from proofs_check.symbolic.settings import Balls, Prompt, Setting
from sailtheory.numeric.enclose import supremum
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.objectives.sail import KLRefPolicy, SelfPreferenceSAIL, _StopGradient
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas

# --- identities ----------------------------------------------------------------------------


def value(at: Setting) -> tuple[Array, Array]:
    """The production J_self against E[−H_b(σ(z))]."""
    stated = at.expect(lambda x: x.pairs(x.minus_entropy))
    return at.objective(SelfPreferenceSAIL).value(at.theta), stated


def first_derivative(at: Setting) -> tuple[Array, Array]:
    """G' = σ'(z)z."""
    stated = [
        x.slope(k, j) * x.z(k, j) for x in at.prompts for k in x.responses for j in x.responses
    ]
    return static(at, SelfPreferenceSAIL, ("first",)), np.array(stated, dtype=object)


def reference_hessian(factor: Callable[[Prompt], Any]) -> Sides:
    """∇²J_self(θ_ref) against a multiple of F."""
    return lambda at: (
        at.objective(SelfPreferenceSAIL).hessian(at.theta),
        at.expect(lambda x: x.fisher * factor(x)),
    )


def stationary(at: Setting) -> tuple[Array, Array]:
    """∇J_self, ∇KL(π_ref‖π_θ), the stop-gradient field and its Jacobian at θ_ref."""
    kinds = (SelfPreferenceSAIL, KLRefPolicy, _StopGradient)
    gradients = [at.objective(kind).gradient(at.theta) for kind in kinds]
    everything = np.concatenate([*gradients, at.objective(_StopGradient).hessian(at.theta).ravel()])
    return everything, everything * 0


def field(at: Setting) -> tuple[Array, Array]:
    """The stop-gradient field against E[g(s₁ + s₂)] with p₁₂ = σ(z)."""

    def stated(x: Prompt) -> Array:
        return x.pairs(lambda k, j: (x.scores[k] + x.scores[j]) * x.minus_entropy(k, j))

    return at.objective(_StopGradient).gradient(at.theta), at.expect(stated)


def jacobian(at: Setting) -> tuple[Array, Array]:
    """The Jacobian formula against the derivative of the field."""
    moving = at.objective_in_motion(_StopGradient)
    return at.objective(_StopGradient).hessian(at.theta), at.gradient(moving.gradient)


def along_direction(at: Setting) -> tuple[Array, Array]:
    """vᵀ∇²J_self v in P = t₁ + t₂ and M = t₁ − t₂, and the moments of P and M."""
    v = at.direction

    def form(x: Prompt) -> Any:
        t = x.scores @ v

        def pair(k: int, j: int) -> Any:
            p, m, z, slope = t[k] + t[j], t[k] - t[j], x.z(k, j), x.slope(k, j)
            second = slope * (1 - z * (2 * x.sigma(k, j) - 1))
            cross = 2 * x.beta * slope * z * p * m
            return x.minus_entropy(k, j) * p * p + cross + x.beta * x.beta * second * m * m

        mean = x.pairs(x.minus_entropy)
        return x.pairs(pair) - mean * 2 * (v @ x.fisher @ v)

    def moment(sign: int) -> Any:
        def square(x: Prompt, k: int, j: int) -> Any:
            along = (x.scores[k] + sign * x.scores[j]) @ v
            return along * along  # Arb's powers of balls that hold 0 are not finite

        return at.expect(lambda x: x.pairs(lambda k, j: square(x, k, j)))

    produced = v @ at.objective(SelfPreferenceSAIL).hessian(at.theta) @ v
    spread = at.expect(lambda x: v @ x.fisher @ v) * 2
    left, right = [produced, spread, spread], [at.expect(form), moment(1), moment(-1)]
    return np.array(left, dtype=object), np.array(right, dtype=object)


# --- the supremum ¼ --------------------------------------------------------------------------


def excess_series(z: arb, order: int) -> arb_series:
    """h(z) = G'²/H + G'' as a series at a ball of z, H = log 2 − G; from the production payoff."""
    xp = jet_numbers()
    payoff = formulas.self_preference_payoff(xp, Jet(arb_series([z, 1], prec=order + 1)))
    value, first = payoff.value.series, payoff.first.series
    excess: arb_series = first * first / (arb.const_log2() - value) + payoff.second.series
    return excess


def quarter_at_zero() -> bool:
    """h(0) = ¼ contained, and h'' < 0 on [0, ½]; h is even, so h < ¼ on (0, ½]."""
    with ctx.workprec(128):
        starts = (arb(k) / 64 for k in range(32))
        curved = all(2 * excess_series(a.union(a + arb(1) / 64), 2)[2] < 0 for a in starts)
        return bool(curved and excess_series(arb(0), 0)[0].overlaps(arb(1) / 4))


def quarter_beyond() -> bool:
    """h < ¼ on [½, 6] by branch and bound."""

    def oracle(a: arb, b: arb) -> tuple[arb, arb]:
        try:
            series = excess_series(a.union(b), 1)
        except ValueError:  # H is not separated from 0: the piece is too long to say anything
            return arb(0, "inf"), arb(0, "inf")
        return series[0], series[1]

    return bool(supremum(oracle, 0.5, 6.0, absolute=1e-3).upper < 0.25)


def quarter_tail() -> bool:
    """h ≤ (2z + 1)e^{−z} < ¼ for z ≥ 6: the bound decreases there."""
    return certain_sign(lambda: 13 * arb(-6).exp() - arb(1) / 4) < 0


def square_completed() -> bool:
    """−HP² + 2βuPM = −H(P − βuM/H)² + β²u²M²/H."""
    h, p, m, beta, u = sympy.symbols("H P M beta u")
    left = -h * p**2 + 2 * beta * u * p * m
    right = -h * (p - beta * u * m / h) ** 2 + beta**2 * u**2 * m**2 / h
    return bool(sympy.expand(left - right) == 0)


# --- instances ---------------------------------------------------------------------------------


def asymmetry(problem: PreferenceProblem, theta: np.ndarray) -> arb:
    """|∂₁field₂ − ∂₂field₁| as a ball, by series of the field."""
    setting = Balls(problem, theta, 0)
    found = setting.gradient(setting.objective_in_motion(_StopGradient).gradient)
    rotation: arb = found[0, 1] - found[1, 0]
    return abs(rotation)


def rotating() -> tuple[PreferenceProblem, np.ndarray]:
    """Three responses in the plane, at which the stop-gradient field rotates."""
    problem = PreferenceProblem(
        features=[[[0, 0], [1, 0], [0, 1]]], preferences=[np.full((3, 3), 0.5)], beta=1, radius=2
    )
    return problem, np.array([1.0, 0.5])


def relative_excess(
    problem: PreferenceProblem, theta: np.ndarray, v: np.ndarray, factor: str = "0.5"
) -> arb:
    """vᵀ∇²J_self v − (−2J_self + factor β²) vᵀFv of one prompt, derivatives by series."""
    xp = arb_numbers()
    value = SelfPreferenceSAIL(problem).value(xp.asarray(theta))
    beta = problem.blocks(xp)[0].beta
    bound: arb = -2 * value + arb(factor) * beta * beta
    fisher = curvature_along(KLRefPolicy(problem), theta, v)
    return curvature_along(SelfPreferenceSAIL(problem), theta, v) - bound * fisher
