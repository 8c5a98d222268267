"""True statements in disguise: the machinery must not refute them.

Each rewrites something true (an identity, a convexity, a symmetry, a bound of
docs/theory.md) so that it does not look like it. ``left ≤ right``, or equality, is
tried on the battery of problems at random points and at the worst point that the
search finds; what float64 sees fail is decided in ball arithmetic, with the same
functions. A refutation here is a defect of the machinery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from flint import arb

from proofs_check.evidence.argument import Tally, refute
from proofs_check.evidence.battery import battery, points
from sailtheory import (
    DPO,
    IPO,
    SAIL,
    KLPolicyRef,
    KLRefPolicy,
    PreferenceProblem,
    SelfPreferenceSAIL,
)
from sailtheory.claims import Context
from sailtheory.landscape import Domain, Search
from sailtheory.numeric.numbers import FLOAT64, Array, arb_numbers, numbers_of
from sailtheory.objectives.sail import fisher
from sailtheory.problem.preferences import PreferenceMatrix, probabilities
from sailtheory.theory import bounds, formulas, pair_form
from sailtheory.verdict import Evidence

Side = Callable[[PreferenceProblem, Array], Array]
"""(problem, θ (..., d) in float64 or Arb) to (...)."""

_PROBLEMS = {"quick": 12, "full": 120}
_ABOVE = 1 + 1e-12  # constants computed in float64 carry a few units of rounding


@dataclass(frozen=True)
class Truth:
    """A true statement in disguise.

    Attributes:
        name: Short identifier.
        statement: What is claimed, one line.
        left: Left side.
        right: Right side.
        equal: Whether equality is claimed, not just left ≤ right.
    """

    name: str
    statement: str
    left: Side
    right: Side
    equal: bool = False


def attempt(truth: Truth, context: Context) -> Iterator[Evidence]:
    """Try to refute a truth; yields the evidence of each direction."""
    directions = [(truth.left, truth.right)]
    if truth.equal:
        directions.append((truth.right, truth.left))
    for left, right in directions:
        rng = context.rng(truth.name)
        tally = Tally(truth.statement)
        for problem in battery(rng, _PROBLEMS[context.effort]):
            theta = points(rng, problem)
            search = Search(Domain(problem), "light", context.seed)
            worst = search.maximise(partial(_excess, left, right, problem))
            theta = np.concatenate([theta, worst.theta[None, :]])
            confirm = partial(_decide, truth, left, right, problem, theta)
            tally.add(left(problem, theta), right(problem, theta), confirm)
        yield tally.evidence()


def _excess(left: Side, right: Side, problem: PreferenceProblem, theta: Array) -> Array:
    return left(problem, theta) - right(problem, theta)


def _decide(
    truth: Truth, left: Side, right: Side, problem: PreferenceProblem, theta: np.ndarray, i: int
) -> Evidence:
    def excess() -> arb:
        return arb(_excess(left, right, problem, arb_numbers().asarray(theta[i])))

    value = float(_excess(left, right, problem, theta[i]))
    return refute(problem, theta[i], truth.statement, value, excess)


# --- pieces ---------------------------------------------------------------------


_remembered = lru_cache(maxsize=4)
"""Of a rewritten problem: its truths are evaluated thousands of times on one problem."""


@_remembered
def _fair(problem: PreferenceProblem) -> PreferenceProblem:
    return problem.replace(preferences=[np.full((m, m), 0.5) for m in problem.responses])


@_remembered
def _mirrored(problem: PreferenceProblem) -> PreferenceProblem:
    matrices = [
        model.matrix if isinstance(model, PreferenceMatrix) else probabilities(model)
        for model in problem.preferences
    ]
    return problem.replace(preferences=[p.T for p in matrices])


@_remembered
def _matrix(problem: PreferenceProblem) -> PreferenceProblem:
    """The same preferences as a matrix of the float64 probabilities."""
    return _mirrored(_mirrored(problem))


def _fixed(problem: PreferenceProblem) -> np.ndarray:
    """A direction that depends on the dimension alone."""
    return np.asarray(np.cos(1.0 + np.arange(problem.dimension)))


def _form(problem: PreferenceProblem, theta: Array, hessian: Array) -> Array:
    """vᵀHv along the fixed direction."""
    v = numbers_of(theta).asarray(_fixed(problem))
    return (hessian @ v) @ v


def _trace(matrix: Array) -> Array:
    return sum(matrix[..., i, i] for i in range(matrix.shape[-1]))


def _dot(a: Array, b: Array) -> Array:
    return (a * b).sum(-1)


def _ref(problem: PreferenceProblem, theta: Array) -> Array:
    """θ_ref, repeated for every point."""
    return theta * 0 + problem.blocks(numbers_of(theta))[0].ref_params


def _delta(problem: PreferenceProblem, theta: Array) -> Array:
    return theta - _ref(problem, theta)


def _squared_drifts(problem: PreferenceProblem, theta: Array) -> Array:
    """E_x Σ_{k<l} (δᵀΔ_kl)², at least E_x R_x²."""
    total: Array = 0
    for at in KLRefPolicy(problem).points(theta):
        squares = pair_form.pairwise(pair_form.logits(at.delta, at.block.features)) ** 2 / 2
        total = total + (squares.sum(-1).sum(-1) * at.block.weights).sum(-1)
    return total


def _second_moments(problem: PreferenceProblem, theta: Array) -> Array:
    """E_x (E‖φ‖² − ‖Eφ‖²), features shifted by the first response's."""
    total: Array = 0
    for at in KLRefPolicy(problem).points(theta):
        phi = at.block.features
        mean = pair_form.combine(at.policy, phi)
        spread = (at.policy * (phi * phi).sum(-1)).sum(-1) - (mean * mean).sum(-1)
        total = total + (spread * at.block.weights).sum(-1)
    return total


def gain(problem: PreferenceProblem, theta: Array) -> Array:
    """Win rate of π_θ against π_ref, less ½."""
    total: Array = 0
    for at in KLRefPolicy(problem).points(theta):
        beaten = formulas.expectation(at.ref[..., None, :], at.block.preference)
        ahead = formulas.expectation(at.policy, beaten)
        total = total + (ahead * at.block.weights).sum(-1)
    return total


@_remembered
def _halved(problem: PreferenceProblem) -> PreferenceProblem:
    """Features doubled, parameters halved: the same policies at θ/2."""
    return problem.replace(
        features=[2 * phi for phi in problem.features],
        ref_params=problem.given_ref_params / 2,
        center=problem.center / 2,
        radius=problem.radius / 2,
    )


@_remembered
def _doubled(problem: PreferenceProblem) -> PreferenceProblem:
    """Every response twice: the same distribution over features and preferences."""
    problem = _matrix(problem)
    return problem.replace(
        features=[np.concatenate([phi, phi]) for phi in problem.features],
        preferences=[np.tile(model.matrix, (2, 2)) for model in problem.preferences],  # type: ignore[attr-defined]
        base=[None if nu is None else np.concatenate([nu, nu]) for nu in problem.base],
    )


def _below_floor(problem: PreferenceProblem) -> float:
    return -float(bounds.value_floor(FLOAT64, problem.z_max_above)) * _ABOVE


def _upper(problem: PreferenceProblem) -> float:
    return float(bounds.linear_curvature(float(problem.beta), problem.z_max_above)) * _ABOVE


def _lower(problem: PreferenceProblem) -> float:
    return float(bounds.lower_curvature(FLOAT64, float(problem.beta), problem.z_max_above)) * _ABOVE


def _self_upper(problem: PreferenceProblem) -> float:
    return float(bounds.self_preference_curvature(FLOAT64, float(problem.beta))) * _ABOVE


def _half_diameter(problem: PreferenceProblem) -> float:
    v = _fixed(problem)
    return float(problem.feature_diameter**2 / 4 * (v @ v)) * _ABOVE


def _log_2(theta: Array) -> Array:
    return numbers_of(theta).log_2()


def _beta(theta: Array, problem: PreferenceProblem) -> Array:
    """β exactly as the blocks of this number system hold it."""
    return problem.blocks(numbers_of(theta))[0].beta


# --- the truths -------------------------------------------------------------------


TRUTHS = (
    Truth("bregman-sum", "δᵀ∇KL(π_ref‖π_θ) = KL(π_ref‖π_θ) + KL(π_θ‖π_ref)",
          lambda p, t: _dot(_delta(p, t), KLRefPolicy(p).gradient(t)),
          lambda p, t: KLRefPolicy(p).value(t) + KLPolicyRef(p).value(t), equal=True),
    Truth("bregman-convex", "KL(π_ref‖π_θ) ≤ δᵀ∇KL(π_ref‖π_θ)",
          lambda p, t: KLRefPolicy(p).value(t),
          lambda p, t: _dot(_delta(p, t), KLRefPolicy(p).gradient(t))),
    Truth("jeffreys", "δᵀ∇KL(π_θ‖π_ref) = δᵀF̄δ",
          lambda p, t: _dot(_delta(p, t), KLPolicyRef(p).gradient(t)),
          lambda p, t: _dot((fisher(p, t) @ _delta(p, t)[..., None])[..., 0], _delta(p, t)),
          equal=True),
    Truth("mirror", "J of p and J of pᵀ sum to twice J of fair coins",
          lambda p, t: SAIL(_matrix(p)).value(t) + SAIL(_mirrored(p)).value(t),
          lambda p, t: 2 * SAIL(_fair(p)).value(t), equal=True),
    Truth("fair-ceiling", "J of fair coins ≤ −log 2",
          lambda p, t: SAIL(_fair(p)).value(t), lambda p, t: t[..., 0] * 0 - _log_2(t)),
    Truth("self-floor", "J_self ≥ −log 2",
          lambda p, t: t[..., 0] * 0 - _log_2(t), lambda p, t: SelfPreferenceSAIL(p).value(t)),
    Truth("self-above-fair", "J of fair coins ≤ J_self",
          lambda p, t: SAIL(_fair(p)).value(t), lambda p, t: SelfPreferenceSAIL(p).value(t)),
    Truth("fisher-trace", "tr F̄ = E_x(E‖φ‖² − ‖Eφ‖²)",
          lambda p, t: _trace(fisher(p, t)), _second_moments, equal=True),
    Truth("popoviciu", "vᵀF̄v ≤ ¼D²‖v‖²",
          lambda p, t: _form(p, t, fisher(p, t)),
          lambda p, t: t[..., 0] * 0 + _half_diameter(p)),
    Truth("hoeffding", "KL(π_ref‖π_θ) ≤ ⅛ E_x Σ_{k<l} (δᵀΔ_kl)²",
          lambda p, t: KLRefPolicy(p).value(t), lambda p, t: _squared_drifts(p, t) / 8),
    Truth("hoeffding-reversed", "KL(π_θ‖π_ref) ≤ ⅛ E_x Σ_{k<l} (δᵀΔ_kl)²",
          lambda p, t: KLPolicyRef(p).value(t), lambda p, t: _squared_drifts(p, t) / 8),
    Truth("first-step", "vᵀ∇J = vᵀ∇DPO at θ_ref",
          lambda p, t: _dot(SAIL(p).gradient(_ref(p, t)), numbers_of(t).asarray(_fixed(p))),
          lambda p, t: _dot(DPO(p).gradient(_ref(p, t)), numbers_of(t).asarray(_fixed(p))),
          equal=True),
    Truth("dpo-curvature", "−½β² vᵀF̄v ≤ vᵀDv for the DPO term D",
          lambda p, t: _form(p, t, fisher(p, t)) * (-_beta(t, p) * _beta(t, p) / 2),
          lambda p, t: _form(p, t, SAIL(p).hessian_terms(t).dpo)),
    Truth("three-terms", "vᵀ(A + C + D)v = vᵀ∇²Jv",
          lambda p, t: sum(_form(p, t, term) for term in SAIL(p).hessian_terms(t)),
          lambda p, t: _form(p, t, SAIL(p).hessian(t)), equal=True),
    Truth("ipo-quadratic", "vᵀ∇²IPO v = −4 vᵀF̄(θ_ref)v at every θ",
          lambda p, t: _form(p, t, IPO(p).hessian(t)),
          lambda p, t: -4 * _form(p, t, fisher(p, _ref(p, t))), equal=True),
    Truth("dpo-concave", "vᵀ∇²DPO v ≤ 0",
          lambda p, t: _form(p, t, DPO(p).hessian(t)), lambda p, t: t[..., 0] * 0),
    Truth("value-floor", "−½(log 2 + log(1 + e^Z)) ≤ J",
          lambda p, t: t[..., 0] * 0 + _below_floor(p), lambda p, t: SAIL(p).value(t)),
    Truth("pinsker", "2 · gain² ≤ KL(π_ref‖π_θ)",
          lambda p, t: 2 * gain(p, t) * gain(p, t), lambda p, t: KLRefPolicy(p).value(t)),
    Truth("units", "doubling φ and halving θ, θ_ref changes no J",
          lambda p, t: SAIL(_halved(p)).value(t / 2), lambda p, t: SAIL(p).value(t), equal=True),
    Truth("twins", "listing every response twice changes no J",
          lambda p, t: SAIL(_doubled(p)).value(t),
          lambda p, t: SAIL(_matrix(p)).value(t), equal=True),
    Truth("upper-curvature", "vᵀ∇²Jv ≤ (1.5 Z_max + 4β) vᵀF̄v",
          lambda p, t: _form(p, t, SAIL(p).hessian(t)),
          lambda p, t: _form(p, t, fisher(p, t)) * _upper(p)),
    Truth("lower-curvature", "−K⁻ vᵀF̄v ≤ vᵀ∇²Jv",
          lambda p, t: _form(p, t, fisher(p, t)) * (-_lower(p)),
          lambda p, t: _form(p, t, SAIL(p).hessian(t))),
    Truth("self-curvature", "vᵀ∇²J_self v ≤ (2 log 2 + ½β²) vᵀF̄v",
          lambda p, t: _form(p, t, SelfPreferenceSAIL(p).hessian(t)),
          lambda p, t: _form(p, t, fisher(p, t)) * _self_upper(p)),
)  # fmt: skip
