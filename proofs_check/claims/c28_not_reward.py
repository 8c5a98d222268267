"""C28: J is not reward: the best policy ties with π_ref, and argmax J stops short of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from flint import arb

from proofs_check.arguments.algebra import SIZES, law, mean, one_prompt, vanishes, vector
from proofs_check.arguments.derivative_steps import curvature_slope, gradient, hessian
from proofs_check.claims.c08_kl_policy_ref import ROOT, root
from proofs_check.claims.c19_bias import best_of
from proofs_check.evidence.argument import Ball, Step, Tally, argue, certain_sign, refute
from proofs_check.evidence.battery import SIZES as PROBLEMS
from proofs_check.evidence.battery import battery, points, skewed
from proofs_check.expected import claim
from proofs_check.symbolic.identities import Identity, establish
from sailtheory import (
    SAIL,
    BradleyTerry,
    ExpectedReward,
    Gain,
    OnlineDPORevKL,
    PreferenceProblem,
    SAILRevKL,
)
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain
from sailtheory.landscape.solution import solve
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem, arb_numbers, sympy_numbers
from sailtheory.theory import formulas, pair_form
from sailtheory.verdict import Evidence, Outcome, Strength

_XP = sympy_numbers()
_RESOLVED = 1e-8  # J + log 2 and 2Cov cancel at 1e-16, and β ≥ .01

IDENTITIES = (
    Identity("the gradient of the win rate that runs is its derivative", gradient(Gain)),
    Identity("so is its Hessian, E[(p̄ − E p̄)ssᵀ] in pair form", hessian(Gain)),
    Identity("∇(vᵀ∇²v) is the derivative of that Hessian", curvature_slope(Gain),
             quick=((1, 3, 2), (2, 2, 2)), full=((2, 3, 2),)),
)  # fmt: skip


# --- the argument -----------------------------------------------------------------------


def _grows_at_most_linearly() -> bool:
    """0 ≤ h(z) = log cosh(z/2) ≤ |z|/2 and h ≤ z²/8: h(0) = h'(0) = 0, h' = ½tanh, h'' ≤ ¼."""
    z = sp.Symbol("z", real=True)
    h = -formulas.log_likelihood_value(_XP, sp.Integer(0), z)
    slope = sp.diff(h, z) - sp.tanh(z / 2) / 2
    bend = sp.Rational(1, 4) - sp.diff(h, z, 2) - sp.tanh(z / 2) ** 2 / 4
    flat = h.subs(z, 0) == 0 == sp.diff(h, z).subs(z, 0)
    return flat and all(sp.simplify(e.rewrite(sp.exp)) == 0 for e in (slope, bend))


def _apart() -> bool:
    """Σ_{k≠l} π_kπ_l(c_k + c_l) = 2Σ π_k(1 − π_k)c_k (m ≤ 3), and x(1 − x)log x → 0 at 0 and 1."""
    for m in SIZES:
        p, c = law("p", m), vector("c", m)
        pairs = [(k, j) for k in range(m) for j in range(m) if k != j]
        total = sum(p[k] * p[j] * (c[k] + c[j]) for k, j in pairs)
        if not vanishes(total - 2 * mean(p, (1 - p) * c)):
            return False
    x, ref = sp.symbols("x r", positive=True)
    weight = x * (1 - x) * sp.log(x / ref)
    return bool(sp.limit(weight, x, 0) == 0 == sp.limit(weight, x, 1))


def _covariance() -> bool:
    """E[q_kl(L_k − L_l)] = 2Cov(a, L), E a = 0, E(L_k − L_l)² = 2Var L (m ≤ 3)."""
    for m in SIZES:
        at = one_prompt(m)  # u is antisymmetric and free: q
        q, level = at.payoff.first, at.along
        gaps = level[:, None] - level[None]
        effect = (q * at.policy[None]).sum(1)
        both = mean(at.policy, effect * level) - mean(at.policy, effect) * mean(at.policy, level)
        found = (at.pairs * q * gaps).sum() - 2 * both
        spread = (at.pairs * gaps * gaps).sum() - 2 * at.variance
        if not vanishes(found, mean(at.policy, effect), spread):
            return False
    return True


def _two_values(t: Any, beta: Any) -> tuple[Any, Any]:
    """(J + log 2, V) along t for two responses, uniform π_ref, p₁₂ = 1: π₁ = σ(t), z = βt."""
    up = 1 / (1 + sp.exp(-t))
    half = sp.Rational(1, 2)
    q = np.array([[sp.Integer(0), half], [-half, sp.Integer(0)]], dtype=object)
    z = pair_form.pairwise(np.array([beta * t / 2, -beta * t / 2], dtype=object))
    at = formulas.log_likelihood_payoff(_XP, q, z)
    policy = np.array([up, 1 - up], dtype=object)
    by_logits = formulas.off_policy_gradient(beta, policy, at)
    return formulas.pair_mean(policy, at.value), (by_logits[0] - by_logits[1]) / 2


def _zero(*expressions: Any) -> bool:
    return all(sp.simplify(e.rewrite(sp.exp)) == 0 for e in expressions)


def _two_responses() -> bool:
    """J + log 2 = 2σ'(t)g̃(βt), V = 2βσ'(t)σ(−βt) > 0, and (tσ')' = σ'(1 − t tanh(t/2))."""
    t, beta = sp.Symbol("t", real=True), sp.Symbol("beta", positive=True)
    value, field = _two_values(t, beta)
    slope = sp.exp(t) / (1 + sp.exp(t)) ** 2
    g = formulas.log_likelihood_value(_XP, sp.Rational(1, 2), beta * t)
    return _zero(
        value - 2 * slope * g,
        field - 2 * beta * slope / (1 + sp.exp(beta * t)),
        sp.diff(t * slope, t) - slope * (1 - t * sp.tanh(t / 2)),
    )


def _score_against() -> bool:
    """J' = V − 2σ'(t) tanh(t/2) g̃(βt): the score term pulls back wherever g̃ > 0, that is t > 0.

    V_γ = 2βσ'σ(−βt) − γ(σ − ½) changes sign once there: (σ − ½)/σ' rises, σ(−βt) falls.
    """
    t, beta = sp.Symbol("t", real=True), sp.Symbol("beta", positive=True)
    value, field = _two_values(t, beta)
    slope = sp.exp(t) / (1 + sp.exp(t)) ** 2
    g = formulas.log_likelihood_value(_XP, sp.Rational(1, 2), beta * t)
    rising = sp.diff(g, t) - beta / (1 + sp.exp(beta * t))  # g̃(0) = 0, and g̃ rises
    lead = sp.exp(t) / (1 + sp.exp(t)) - sp.Rational(1, 2)
    once = sp.diff(lead / slope, t) - 1 - lead * sp.tanh(t / 2) / slope
    pulled = sp.diff(value, t) - field + 2 * slope * sp.tanh(t / 2) * g
    return _zero(pulled, rising, once) and g.subs(t, 0) == 0


def _past_the_root() -> bool:
    """tg' ≤ g for concave g with g(0) = 0: J' ≤ 2σ'g̃·(1/t − tanh(t/2)) < 0 past the root."""
    t = sp.Symbol("t", positive=True)
    g = sp.Function("g")
    tangent = vanishes(sp.diff(g(t) - t * sp.diff(g(t), t), t) + t * sp.diff(g(t), t, 2))
    s, value, rate = sp.symbols("s g r", positive=True)
    tanh = sp.Symbol("h")
    slope = 2 * s * rate - 2 * s * tanh * value
    slack = 2 * s * value * (1 / t - tanh) - slope
    return tangent and vanishes(slack - 2 * s * (value - t * rate) / t)


def _share() -> bool:
    """σ(1.5434…) = .8239…, from C08's root, and x tanh(x/2) rises: the only root."""

    def at(text: str, bound: str) -> Callable[[], Ball]:
        return lambda: 1 / (1 + (-2 * arb(text)).exp()) - arb(bound)

    below, above = at(ROOT[0], "0.8239"), at(ROOT[1], "0.8240")
    return root() and certain_sign(below) > 0 > certain_sign(above)


STEPS = (
    Step("symbolic", "|g̃| ≤ |z|, 0 ≤ h ≤ z²/8, g̃ = qz − h", _grows_at_most_linearly),
    Step("symbolic", "|J_x + log 2| ≤ E|z| ≤ 2βΣπ_k(1 − π_k)|log π_k/π_ref,k| → 0 at vertices",
         _apart),
    Step("symbolic", "0 ≤ 2 Cov_π(a_π, L) − (J_x + log 2)/β ≤ (β/4)Var_π L, L = log π/π_ref",
         _covariance),
    Step("symbolic", "m = 2, p₁₂ = 1, uniform π_ref: J + log 2 = 2σ'(t)g̃(βt), V > 0",
         _two_responses),
    Step("symbolic", "J' ≤ 2σ'g̃(1/t − tanh(t/2)) < 0 past the root of t tanh(t/2) = 1, any β",
         _past_the_root),
    Step("certified", "there π₁ = σ(1.5434…) ∈ (.8239, .8240); as β → 0 J/β has its maximum there",
         _share),
    Step("symbolic", "J_γ' = V_γ − 2σ'tanh(t/2)g̃ < V_γ for t > 0, and V_γ changes sign once: the "
         "field's solution is beyond J_γ's maximiser, or both are on the sphere", _score_against),
)  # fmt: skip


# --- instances --------------------------------------------------------------------------


class Parts(NamedTuple):
    """Of one problem at θ (..., d): J + log 2 over β, 2Cov, Var L, 2Σπ(1 − π)|L|."""

    rise: Array
    covariance: Array
    variance: Array
    reach: Array


def parts(problem: PreferenceProblem, theta: Array, xp: NumberSystem) -> Parts:
    """What the statements of C28 are about; a comes from π_θ."""
    covariance: Any = 0
    variance: Any = 0
    reach: Any = 0
    beta: Any = 1
    for at in SAIL(problem).points(theta):
        ratio, w, beta = at.log_ratio, at.block.weights, at.block.beta
        effect = formulas.expectation(at.policy[..., None, :], at.block.preference)
        spread = formulas.centred(at.policy, ratio)
        covariance = covariance + formulas.expectation(at.policy, effect * ratio) @ w * 2
        variance = variance + formulas.expectation(at.policy, spread * spread) @ w
        lone = at.policy * (1 - at.policy) * abs(ratio)
        reach = reach + lone.sum(-1) @ w * 2
    return Parts((SAIL(problem).value(theta) + xp.log_2()) / beta, covariance, variance, reach)


Sides = Callable[[PreferenceProblem, Array, NumberSystem], tuple[Any, Any]]
"""Both sides of an inequality left ≤ right at θ."""


def near_vertices(problem: PreferenceProblem, theta: Array, xp: NumberSystem) -> tuple[Any, Any]:
    """|J + log 2|/β and 2Σπ(1 − π)|L|."""
    found = parts(problem, theta, xp)
    return abs(found.rise), found.reach


def from_above(problem: PreferenceProblem, theta: Array, xp: NumberSystem) -> tuple[Any, Any]:
    """(J + log 2)/β and 2Cov."""
    found = parts(problem, theta, xp)
    return found.rise, found.covariance


def from_below(
    problem: PreferenceProblem, theta: Array, xp: NumberSystem, share: float = 0.25
) -> tuple[Any, Any]:
    """2Cov − (J + log 2)/β and β·share·Var."""
    found = parts(problem, theta, xp)
    beta = problem.blocks(xp)[0].beta
    return found.covariance - found.rise, beta * found.variance * share


def fails(problem: PreferenceProblem, theta: np.ndarray, sides: Sides, says: str) -> Evidence:
    """Decide in ball arithmetic whether an inequality fails at θ (d,)."""
    xp = arb_numbers()

    def excess(at: Array, numbers: NumberSystem) -> Any:
        left, right = sides(problem, at, numbers)
        return left - right

    return refute(
        problem, theta, says, float(excess(theta, FLOAT64)), lambda: excess(xp.asarray(theta), xp)
    )


STATEMENTS: dict[str, Sides] = {
    "|J + log 2| ≤ 2βΣπ(1 − π)|log π/π_ref|": near_vertices,
    "(J + log 2)/β ≤ 2 Cov_π(a_π, log π/π_ref)": from_above,
    "2 Cov_π(a_π, log π/π_ref) − (J + log 2)/β ≤ (β/4)Var_π log π/π_ref": from_below,
}


def tabular(rng: np.random.Generator, m: int, scale: float) -> PreferenceProblem:
    """One prompt, one-hot features, rewards N(0, 1) times ``scale``, logits of π_ref N(0, ¼)."""
    return PreferenceProblem(
        features=[np.eye(m)], preferences=[BradleyTerry(scale * rng.normal(size=m))],
        base=[np.exp(rng.normal(size=m) / 2)], beta=0.1, radius=20.0,
    )  # fmt: skip


def earns(context: Context, count: int) -> Evidence:
    """Reward against the best response's, at γ = 0: argmax J and the field's solution."""
    rng, shares = context.rng("C28 reward"), []
    for i in range(count):
        problem = tabular(rng, (2, 4, 8)[i % 3], (1.0, 4.0)[i % 2])
        field = solve(OnlineDPORevKL(problem, 0.0), Domain(problem)).theta
        where = np.stack([problem.ref_params, best_of(problem, 0.0, context).theta, field])
        reward = ExpectedReward(problem).value(where)
        models: list[Any] = list(problem.preferences)
        shares.append((reward[1:] - reward[0]) / (float(models[0].rewards.max()) - reward[0]))
    of_j, of_field = np.mean(shares, axis=0)
    more = sum(int(field > j) for j, field in shares)
    detail = (
        f"tabular, β = .1, B = 20, {count} Bradley–Terry problems: mean share of the best reward "
        f"{of_j:.2f} at argmax J, {of_field:.2f} at the field's solution, which is ahead in {more}"
    )
    return Evidence("search", detail, Outcome.UNDECIDED, Strength.SUPPORTED)


def check(context: Context) -> Generator[Evidence, None, None]:
    """The argument; then its inequalities at points, and what each solution earns."""
    if not (yield from establish(IDENTITIES, context, "C28")):
        return
    yield from argue(
        "J → −log 2 = J(θ_ref) at deterministic policies; (J + log 2)/β → 2 Cov_π(a_π, log π/π_ref)"
        " as β → 0; for m = 2, p₁₂ = 1, uniform π_ref every maximiser of J has π₁ ≤ .8240, and the "
        "field without the score term ends where C does", STEPS,
        ("the identities above", "L = log π/π_ref", "g̃ is concave and vanishes at 0"),
    )  # fmt: skip
    rng = context.rng("C28")
    tallies = {says: Tally(says) for says in STATEMENTS}
    for problem in battery(rng, PROBLEMS[context.effort] // 3):
        theta = points(rng, problem)
        found = parts(problem, theta, FLOAT64)
        size = 1 + abs(found.rise) + abs(found.covariance)
        for says, sides in STATEMENTS.items():
            confirm = partial(_confirm, problem, theta, sides, says)
            left, right = sides(problem, theta, FLOAT64)
            known = abs(left) + abs(right) > _RESOLVED * size  # at θ_ref both are 0
            tallies[says].add(np.where(known, left, np.nan), right, confirm)
    for tally in tallies.values():
        yield tally.evidence()
    yield earns(context, 36 if context.full else 6)


def _confirm(
    problem: PreferenceProblem, theta: np.ndarray, sides: Sides, says: str, i: int
) -> Evidence:
    return fails(problem, theta[i], sides, f"not so: {says}")


# --- wrong variants ---------------------------------------------------------------------

_EVEN = skewed("0.5", beta=0.01, radius=4.0)
_LEANING = PreferenceProblem(
    features=[[[1, 0], [0, 1], [0, 0]]],
    preferences=[[[0.5, 1, 1], [0, 0.5, 1], [0, 0, 0.5]]], beta="0.001", radius=4,
)  # fmt: skip


def _at(
    name: str, says: str, problem: PreferenceProblem, theta: list[float], sides: Sides
) -> Falsehood:
    def wrong(_: Context) -> Iterator[Evidence]:
        yield fails(problem, np.array(theta), sides, f"not so: {says}")

    return Falsehood(name, says, wrong)


def _best_is_highest(problem: PreferenceProblem, theta: Array, xp: NumberSystem) -> tuple[Any, Any]:
    """J at π₁ = σ(1.54), and at θ, where π₁ is larger."""
    mild = xp.asarray(np.array([1.54]))
    return SAIL(problem).value(mild), SAIL(problem).value(theta)


def _one_covariance(problem: PreferenceProblem, theta: Array, xp: NumberSystem) -> tuple[Any, Any]:
    found = parts(problem, theta, xp)
    return found.rise, found.covariance / 2


def _against_reference(
    problem: PreferenceProblem, theta: Array, xp: NumberSystem
) -> tuple[Any, Any]:
    """2Cov with p̄ against π_ref for a_π."""
    (at,) = SAIL(problem).points(theta)
    rate = formulas.expectation(at.ref[..., None, :], at.block.preference)
    ratio = formulas.centred(at.policy, at.log_ratio)
    covariance = formulas.expectation(at.policy, rate * ratio)[..., 0] * 2
    return parts(problem, theta, xp).rise, covariance


def _rises(problem: PreferenceProblem, theta: Array, xp: NumberSystem) -> tuple[Any, Any]:
    """0 ≤ J'."""
    slope = SAIL(problem).gradient(theta)[..., 0]
    return 0 * slope, slope


def _agrees(problem: PreferenceProblem, theta: Array, xp: NumberSystem) -> tuple[Any, Any]:
    """0 ≤ J_γ'V_γ."""
    slopes = (make(problem, 0.001).gradient(theta)[..., 0] for make in (SAILRevKL, OnlineDPORevKL))
    product = next(slopes) * next(slopes)
    return 0 * product, product


PLANTED = (
    _at("best-policy", "no policy has a larger J than the one that earns most", _EVEN, [4.0],
        _best_is_highest),
    _at("argmax-share", "J rises until π₁ = .83 (m = 2, p₁₂ = 1, uniform π_ref)", _EVEN,
        [float(np.log(0.83 / 0.17))], _rises),
    _at("one-covariance", "(J + log 2)/β ≤ Cov_π(a_π, log π/π_ref)", _EVEN, [1.0],
        _one_covariance),
    _at("against-reference", "(J + log 2)/β ≤ 2 Cov_π(p̄, log π/π_ref), p̄ against π_ref", _LEANING,
        [-1.0, -3.0], _against_reference),
    _at("half-error", "2Cov − (J + log 2)/β ≤ (β/8)Var_π log π/π_ref", _EVEN, [1.0],
        partial(from_below, share=0.125)),
    _at("same-way", "∇J_γ and V − γ∇KL point the same way, γ = .001", _EVEN, [1.7], _agrees),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C28",
        title="J is not reward: the best policy ties with π_ref, argmax J stops short of it",
        statement=r"J(\text{deterministic}) = -\log 2 = J(\theta_{ref});\;"
        r" (J+\log2)/\beta \to 2\,\mathrm{Cov}_\pi(a_\pi,\log\pi/\pi_{ref}),\;\beta\to0",
        source="new; proof in docs/theory.md",
        hypotheses=("a_π(y) = P(y beats π) − ½", "deterministic: the limit at a vertex"),
        check=check,
        planted=PLANTED,
    )
]
