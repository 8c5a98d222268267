"""Falsehoods that sampling does not see: a supremum over C, wrong in its last digit.

Each states that a quantity stays below a constant on C. The constant lies below the
true supremum by less than what 1,000 random points come near to, so sampling
supports the statement; the worst-point search then refutes it, and ball arithmetic
confirms the point it found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from flint import arb

from proofs_check.evidence.argument import curvature_ball, refute, square
from proofs_check.evidence.instances import random_points
from proofs_check.trials.disguised import gain
from sailtheory import (
    SAIL,
    KLPolicyRef,
    KLRefPolicy,
    Objective,
    PreferenceProblem,
    SAILRevKL,
    SelfPreferenceSAIL,
    examples,
)
from sailtheory.claims import Context, Falsehood
from sailtheory.landscape import Domain, Search, largest_curvature, largest_relative_curvature
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.verdict import Evidence, Outcome, Strength

SAMPLES = 1000
_INSIDE = 1 - 1e-12  # moves a point found on the sphere into the ball


@dataclass(frozen=True)
class Quantity:
    """A function on C with an enclosure of how far it exceeds a constant.

    Attributes:
        says: In words.
        measure: (problem, θ (k, d)) to (k,).
        excess: (problem, θ (d,), constant) to a ball that is positive only if the
            quantity exceeds the constant at θ.
    """

    says: str
    measure: Callable[[PreferenceProblem, np.ndarray], np.ndarray]
    excess: Callable[[PreferenceProblem, np.ndarray, float], arb]


def _value(says: str, value: Callable[[PreferenceProblem, Array], Array]) -> Quantity:
    return Quantity(
        says,
        value,
        lambda p, t, bound: arb(value(p, arb_numbers().asarray(t)) - arb(bound)),
    )


def _curvature(says: str, objective: Callable[[PreferenceProblem], Objective]) -> Quantity:
    def excess(p: PreferenceProblem, t: np.ndarray, bound: float) -> arb:
        v = largest_curvature(objective(p), Domain(p), t)[1]
        return arb(curvature_ball(objective(p), t, v) - arb(bound) * square(v))

    return Quantity(says, lambda p, t: largest_curvature(objective(p), Domain(p), t)[0], excess)


def _relative(says: str, objective: Callable[[PreferenceProblem], Objective]) -> Quantity:
    def excess(p: PreferenceProblem, t: np.ndarray, bound: float) -> arb:
        v = largest_relative_curvature(objective(p), Domain(p), t)[1]
        return arb(curvature_ball(objective(p) - bound * KLRefPolicy(p), t, v))

    return Quantity(
        says, lambda p, t: largest_relative_curvature(objective(p), Domain(p), t)[0], excess
    )


def _slope(p: PreferenceProblem, t: Array) -> Array:
    g = SAIL(p).gradient(t)
    return (g * g).sum(-1)


QUANTITIES = {
    "relative": _relative("the relative curvature of J", SAIL),
    "self-relative": _relative("the relative curvature of J_self", SelfPreferenceSAIL),
    "curvature": _curvature("λ_max(∇²J)", SAIL),
    "divergence-curvature": _curvature("λ_max(−∇²KL(π_θ‖π_ref))", lambda p: -1.0 * KLPolicyRef(p)),
    "fisher": _curvature("−λ_min(F̄)", lambda p: -1.0 * KLRefPolicy(p)),
    "value": _value("J", lambda p, t: SAIL(p).value(t)),
    "regularised": _value("J − 0.1 KL(π_ref‖π_θ)", lambda p, t: SAILRevKL(p, 0.1).value(t)),
    "kl-ref-policy": _value("KL(π_ref‖π_θ)", lambda p, t: KLRefPolicy(p).value(t)),
    "kl-policy-ref": _value("KL(π_θ‖π_ref)", lambda p, t: KLPolicyRef(p).value(t)),
    "gain": _value("the gain in win rate", gain),
    "slope": _value("‖∇J‖²", _slope),
}

TABLE: tuple[tuple[str, str, str, float], ...] = (
    # claim, quantity, problem, constant
    ("C11", "relative", "ragged", 0.18823),
    ("C06", "self-relative", "ragged", 0.0276),
    ("C04", "curvature", "ragged", 0.0568),
    ("C08b", "divergence-curvature", "ragged", 0.1838),
    ("C09", "fisher", "ragged", -0.04532),
    ("C14", "value", "ragged", -0.66886),
    ("C12", "regularised", "ragged", -0.6808),
    ("C07", "kl-ref-policy", "ragged", 0.669),
    ("C08", "kl-policy-ref", "ragged", 0.502),
    ("C20", "gain", "ragged", 0.074),
    ("C01", "slope", "ragged", 0.0018),
    ("C11", "relative", "tabular", 0.13013),
    ("C06", "self-relative", "tabular", 0.00734),
    ("C04", "curvature", "tabular", 0.03197),
    ("C08b", "divergence-curvature", "tabular", 0.1964),
    ("C09", "fisher", "tabular", -0.013626),
    ("C14", "value", "tabular", -0.67098),
    ("C12", "regularised", "tabular", -0.68953),
    ("C07", "kl-ref-policy", "tabular", 1.3014),
    ("C08", "kl-policy-ref", "tabular", 0.99916),
    ("C20", "gain", "tabular", 0.1771),
    ("C01", "slope", "tabular", 0.00077),
    ("C06", "self-relative", "bradley-terry", 0.005184),
    ("C14", "value", "bradley-terry", -0.676383),
    ("C12", "regularised", "bradley-terry", -0.68832),
    ("C01", "slope", "bradley-terry", 0.000272),
)


def falsehoods(claim_id: str) -> tuple[Falsehood, ...]:
    """The hidden falsehoods planted in one claim."""
    return tuple(
        Falsehood(
            f"hidden-{name}-{problem}",
            f"{QUANTITIES[name].says} ≤ {bound} on C of {problem}",
            partial(_check, name=name, example=problem, bound=bound),
        )
        for owner, name, problem, bound in TABLE
        if owner == claim_id
    )


def _check(context: Context, name: str, example: str, bound: float) -> Iterator[Evidence]:
    """Sample, then search; only the search is expected to refute."""
    problem, quantity = examples.load(example), QUANTITIES[name]
    says = f"{quantity.says} > {bound} at θ"
    sampled = random_points(context.rng(name + example), problem, SAMPLES)
    values = quantity.measure(problem, sampled)
    if values.max() <= bound:
        detail = f"{SAMPLES} random points, largest value {values.max():.6g}"
        yield Evidence("sampled", detail, Outcome.HOLDS, Strength.SUPPORTED)
    else:
        yield _refutation(problem, quantity, sampled[int(values.argmax())], bound, says)
    found = Search(Domain(problem), context.effort, context.seed).maximise(
        lambda theta: quantity.measure(problem, theta)
    )
    center = problem.center.astype(float)
    yield _refutation(problem, quantity, center + _INSIDE * (found.theta - center), bound, says)


def _refutation(
    problem: PreferenceProblem, quantity: Quantity, theta: np.ndarray, bound: float, says: str
) -> Evidence:
    value = float(quantity.measure(problem, theta[None, :])[0])
    return refute(problem, theta, says, value, lambda: quantity.excess(problem, theta, bound))


def survives_sampling(evidence: list[Evidence]) -> bool:
    """Whether the 1,000 random points supported the falsehood."""
    return bool(evidence) and evidence[0].outcome is Outcome.HOLDS
