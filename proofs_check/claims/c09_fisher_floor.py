"""C09: the Fisher matrix at θ is at least e^{−R'} times the one at θ'."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import SIZES, law, mean, vanishes, vector
from proofs_check.evidence.argument import Ball, Step, Tally, argue, curvature_ball, refute
from proofs_check.evidence.battery import SIZES as BATTERY
from proofs_check.evidence.battery import battery, points, skewed
from proofs_check.expected import claim
from sailtheory import KLRefPolicy, PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search
from sailtheory.numeric.numbers import (
    FLOAT64,
    Array,
    NumberSystem,
    arb_numbers,
    numbers_of,
    sympy_numbers,
)
from sailtheory.theory import bounds, formulas, pair_form
from sailtheory.verdict import Evidence

_XP = sympy_numbers()

Factor = Callable[[NumberSystem, Array], Any]
"""Maps R' to a factor c with F̄(θ) ⪰ c F̄(θ')."""


# --- the argument -----------------------------------------------------------------------


def _density() -> bool:
    """π_θ(k)/π_θ'(k) = e^{a_k}/E_θ' e^a with a = (θ − θ')ᵀφ, from the production policy."""
    shown = []
    for m in SIZES:
        growth, weight = (np.array(sp.symbols(f"{x}:{m}", positive=True)) for x in "ew")
        phi = np.stack([_XP.log(growth), 0 * growth], axis=1)[None]  # θ = (1, 0), θ' = 0
        base = _XP.log(weight)[None]
        new, ref = (
            _XP.exp(formulas.log_policy(_XP, np.array(theta, dtype=object), phi, base)[0])
            for theta in ((1, 0), (0, 0))
        )
        shown += [new[k] - ref[k] * growth[k] / mean(ref, growth) for k in range(m)]
    return vanishes(*shown)


def _variance() -> bool:
    """E(t − c)² = Var(t) + (E t − c)² ≥ Var(t), with the production Fisher matrix."""
    c = sp.Symbol("c")
    shown = []
    for m in SIZES:
        p, t = law("p", m), vector("t", m)
        fisher = formulas.fisher(p[None], t[None, :, None])[0, 0, 0]
        shown.append(mean(p, (t - c) ** 2) - fisher - (mean(p, t) - c) ** 2)
    return vanishes(*shown)


def _uniform() -> bool:
    """e^{min}/(mean of e^a) ≥ m/(1 + (m−1)e^R): all other responses at the top."""
    r = sp.Symbol("R", positive=True)
    return all(
        sp.simplify(bounds.uniform_fisher_factor(_XP, r, m) - m / (1 + (m - 1) * sp.exp(r))) == 0
        for m in range(2, 7)
    )


def _optimal() -> bool:
    """Two responses, π' = (1 − ε, ε), a = (R, 0): F(θ)/F(θ') → e^{−R} as ε → 0."""
    e, r = sp.symbols("epsilon R", positive=True)
    before = np.array([1 - e, e], dtype=object)
    after = before * np.array([sp.exp(r), 1], dtype=object)
    phi = np.array([[[sp.Integer(1)], [sp.Integer(0)]]], dtype=object)
    new = formulas.fisher((after / after.sum())[None], phi)[0, 0, 0]
    old = formulas.fisher(before[None], phi)[0, 0, 0]
    ratio = sp.limit(sp.cancel(sp.together(new / old)), e, 0)
    return bool(sp.simplify(ratio - bounds.fisher_floor(_XP, r)) == 0)


STEPS = (
    Step("symbolic", "dπ_θ/dπ_θ' = e^a/E_θ' e^a ≥ e^{−R'}, a = (θ−θ')ᵀφ (m ≤ 3)", _density),
    Step(
        "symbolic",
        "vᵀF(θ)v = E_θ(t−c)² ≥ e^{−R'}E_θ'(t−c)² ≥ e^{−R'}vᵀF(θ')v, c = E_θ t",
        _variance,
    ),
    Step("symbolic", "uniform base: e^a/E_θ' e^a ≥ m/(1+(m−1)e^{R'}) (m ≤ 6)", _uniform),
    Step("symbolic", "e^{−R'} is optimal over base measures: attained as ε → 0", _optimal),
)


# --- instances --------------------------------------------------------------------------


def span_range(problem: PreferenceProblem, theta: Array, other: Array) -> Array:
    """R' = max_x range((θ − θ')ᵀφ): (..., d) to (...)."""
    blocks = problem.blocks(numbers_of(theta))
    moved = [pair_form.logits(theta - other, block.features) for block in blocks]
    if moved[0].dtype != object:
        return np.max([(a.max(-1) - a.min(-1)).max(-1) for a in moved], axis=0)
    gaps = [gap for a in moved for gap in np.ravel(pair_form.pairwise(a))]
    return reduce(lambda largest, gap: largest.max(gap), gaps)  # floats would not tell them apart


def least_ratio(problem: PreferenceProblem, theta: Array, other: Array) -> tuple[Array, Array]:
    """The least vᵀF̄(θ)v/vᵀF̄(θ')v over S and its v: (k,), (k, d); nan where unresolved."""
    domain, fisher = Domain(problem), KLRefPolicy(problem)
    values, vectors = np.linalg.eigh(domain.reduce_matrix(fisher.hessian(other)))
    known = values[..., :1] > 1e-10 * values[..., -1:]  # else eigh cannot resolve its root
    root = vectors / np.sqrt(np.where(known, values, 1.0))[..., None, :]
    new = domain.reduce_matrix(fisher.hessian(theta))
    small, ways = np.linalg.eigh(root.mT @ new @ root)
    direction = domain.lift((root @ ways[..., :1])[..., 0])
    return np.where(known[..., 0], small[..., 0], np.nan), direction


def falls_below(
    problem: PreferenceProblem,
    points: np.ndarray,
    others: np.ndarray,
    directions: np.ndarray,
    factor: Factor,
    says: str,
    i: int,
) -> Evidence:
    """Decide vᵀF̄(θ)v < factor(R') vᵀF̄(θ')v for the i-th θ, θ' and v in ball arithmetic."""
    fisher = KLRefPolicy(problem)
    theta, other, v = points[i], others[i], directions[i]

    def excess() -> Ball:
        xp = arb_numbers()
        reach = span_range(problem, xp.asarray(theta), xp.asarray(other))
        old, new = curvature_ball(fisher, other, v), curvature_ball(fisher, theta, v)
        return factor(xp, reach) * old - new

    value = float(v @ fisher.hessian(theta) @ v / (v @ fisher.hessian(other) @ v))
    return refute(
        problem, theta, f"vᵀF̄(θ)v/vᵀF̄(θ')v below {says}", value, excess,
        other=other.tolist(), direction=v.tolist(),
    )  # fmt: skip


def _check(context: Context) -> Iterator[Evidence]:
    yield from argue("F̄(θ) ⪰ e^{−R'}F̄(θ') for all θ, θ', and e^{−DB} over C", STEPS)
    rng = context.rng("C09")
    tally = Tally("F̄(θ) ⪰ e^{−R'}F̄(θ') at pairs of points of C")
    for problem in battery(rng, BATTERY[context.effort] // 2):
        if problem.span.dimension == 0:
            continue
        theta, other = points(rng, problem), points(rng, problem)[::-1]
        ratio, v = least_ratio(problem, theta, other)
        floor = bounds.fisher_floor(FLOAT64, span_range(problem, theta, other))
        confirm = partial(falls_below, problem, theta, other, v, bounds.fisher_floor, "e^{−R'}")
        tally.add(floor, ratio, confirm)
    yield tally.evidence()


def tabular(m: int, radius: float) -> PreferenceProblem:
    """One prompt, m one-hot responses, uniform base: the general case, as t = v is free."""
    half = np.full((m, m), 0.5)
    return PreferenceProblem(features=[np.eye(m)], preferences=[half], beta=1, radius=radius)


def _worst_ratio(
    problem: PreferenceProblem, factor: Factor, context: Context, says: str
) -> Evidence:
    """Search C for F(θ) below factor(R)·F(θ_ref), θ_ref uniform."""
    domain, other = Domain(problem), problem.ref_params

    def badness(theta: np.ndarray) -> np.ndarray:
        ratio, _ = least_ratio(problem, theta, np.broadcast_to(other, theta.shape))
        return np.asarray(factor(FLOAT64, span_range(problem, theta, other)) / ratio)

    found = Search(domain, context.effort, context.seed).maximise(badness)
    _, v = least_ratio(problem, found.theta[None], other[None])
    return falls_below(problem, found.theta[None], other[None], v, factor, says, 0)


def _conjecture(context: Context) -> Iterator[Evidence]:
    rng = context.rng("C09b")
    tally = Tally("F(θ) ⪰ e^{−R}m²/(e^{−R}+m−1)² F(θ_ref), uniform base, m = 2..8")
    for m in range(2, 9):
        problem = tabular(m, 8.0)
        a = rng.random((4000 if context.full else 800, m))
        a[::2] = np.round(a[::2])  # corners
        theta = rng.uniform(0.1, 6, (len(a), 1)) * (a - a.mean(1, keepdims=True))
        theta = theta[np.linalg.norm(theta, axis=1) > 0]
        other = np.broadcast_to(problem.ref_params, theta.shape)
        ratio, v = least_ratio(problem, theta, other)
        factor = _conjectured(m)
        confirm = partial(falls_below, problem, theta, other, v, factor, "the conjectured factor")
        tally.add(factor(FLOAT64, span_range(problem, theta, other)), ratio, confirm)
    yield tally.evidence()
    for m in (3, 4) if context.full else (3,):
        found = _worst_ratio(tabular(m, 3.0), _conjectured(m), context, "the conjectured factor")
        if found.witness is not None:
            yield found


def _conjectured(m: int, scale: float = 1.0) -> Factor:
    return lambda xp, r: bounds.uniform_fisher_factor(xp, r, m, conjectured=True) * scale


# --- wrong variants ---------------------------------------------------------------------


def _wrong(name: str, says: str, problem: PreferenceProblem, factor: Factor) -> Falsehood:
    return Falsehood(
        name, says, lambda context: iter([_worst_ratio(problem, factor, context, says)])
    )


_RARE = skewed("1e-6", beta=1.0, radius=3.0)

PLANTED = (
    _wrong("half-exponent", "e^{−R'/2}", _RARE, lambda xp, r: xp.exp(-r / 2)),
    _wrong("third-digit", "e^{−0.998R'}", _RARE, lambda xp, r: xp.exp(-r * 0.998)),
    _wrong("uniform-elsewhere", "m/(1+(m−1)e^{R'}) for any base", _RARE,
           lambda xp, r: bounds.uniform_fisher_factor(xp, r, 2)),
    _wrong("linear", "1 − R'/4 in place of e^{−R'}", _RARE, lambda xp, r: 1 - r / 4),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C09",
        title="Fisher floor: F̄(θ) ⪰ e^{−R'} F̄(θ'), R' = range((θ−θ')ᵀφ)",
        statement=r"F(\theta) \succeq e^{-R'} F(\theta'),\; R' \le D\|\theta-\theta'\|",
        source="standard (exponential families), constants new",
        hypotheses=("any base measure",),
        check=_check,
        planted=PLANTED,
    ),
    claim(
        "C09b",
        title="uniform base: the exact floor is e^{−R}m²/(e^{−R}+m−1)² (conjecture for m ≥ 3)",
        statement=r"F(\theta) \succeq \frac{e^{-R}m^2}{(e^{-R}+m-1)^2} F(\theta_{ref})",
        source="new; a conjecture for m ≥ 3",
        hypotheses=("uniform base measure and θ_ref = 0",),
        check=_conjecture,
        planted=(
            _wrong("above-floor", "1.001 times the conjectured floor, m = 3", tabular(3, 2.0),
                   _conjectured(3, 1.001)),
            _wrong("fewer-responses", "the floor of m = 2 at m = 3", tabular(3, 2.0),
                   _conjectured(2)),
            _wrong("any-base", "the floor of m = 2 for any base", _RARE, _conjectured(2)),
        ),
    ),
]  # fmt: skip
