"""C17: mirror ascent with A contracts by 1 − (γ − K_B)/(γ + K⁻) a step: no e^{−DB}, no λ_min."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from flint import arb

from proofs_check.arguments.algebra import SIZES as RESPONSES
from proofs_check.arguments.algebra import law, mean, taylor, vanishes, vector
from proofs_check.arguments.first_order import inward, moduli
from proofs_check.claims.c10_absolute_threshold import resolved
from proofs_check.claims.c15_projected_ascent import recursion
from proofs_check.claims.c16_stochastic_ascent import displacement
from proofs_check.evidence.argument import Ball, Step, Tally, argue, refute
from proofs_check.evidence.battery import SIZES, battery, points, skewed
from proofs_check.expected import claim
from sailtheory import KLRefPolicy, Objective, PreferenceProblem, SAILRevKL
from sailtheory.ascent import Constants, bregman_divergence, constants, mirror_ascent
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.theory import bounds, formulas
from sailtheory.verdict import Evidence

STEPS_RUN = 5
STARTS = 16
ROUNDING = 1e-10  # gaps below this times 1 + |J| are not resolved in float64


def bregman(value: Any, other: Any, slope: Any, move: Any) -> Any:
    """D(x, y) = k(x) − k(y) − ⟨∇k(y), x − y⟩ from k(x), k(y), ∇k(y) and x − y."""
    return value - other - (slope * move).sum(-1)


# --- the argument -----------------------------------------------------------------------


def _affine() -> bool:
    """KL(π_ref‖π_θ) = A(θ) − A(θ_ref) − E_ref a, a = δᵀφ: A plus an affine function (m ≤ 3)."""
    grown = sp.Symbol("A")  # A(θ) − A(θ_ref), so that log π_θ/π_ref = a − grown
    shown = []
    for m in RESPONSES:
        ref, a = law("p", m), vector("a", m)
        kl = formulas.kl_ref_policy(ref[None], (a - grown)[None])[0]
        shown.append(kl - grown + mean(ref, a))
    return vanishes(*shown)


def _three_points() -> bool:
    """D(x, θ) − D(x, y) − D(y, θ) = ⟨∇A(y) − ∇A(θ), x − y⟩ for free A and ∇A."""
    at_x, at_y, at_theta = sp.symbols("Ax Ay At")
    slope_y, slope, x, y, theta = (vector(name, 2) for name in ("p", "q", "x", "y", "t"))
    left = bregman(at_x, at_theta, slope, x - theta) - bregman(at_x, at_y, slope_y, x - y)
    left -= bregman(at_y, at_theta, slope, y - theta)
    return vanishes(left - ((slope_y - slope) * (x - y)).sum())


def _one_step() -> bool:
    """What smoothness, concavity and optimality leave over is what the recursion leaves.

    With y = θ⁺, h = y − θ, d = θ* − θ, g = ∇J_γ(θ) and s = ∇A(y) − ∇A(θ): J_γ(y) − J_γ(θ)
    ≥ ⟨g, h⟩ − ℒD(y, θ); J* − J_γ(θ) ≤ ⟨g, d⟩ − mD(θ*, θ); ⟨g − ℒs, θ* − y⟩ ≤ 0.
    """
    m, smooth, rise, lead, before, moved = sp.symbols("m L rise lead D Dy", positive=True)
    g, s, h, d = (vector(name, 2) for name in "gshd")
    after = before - moved - (s * (d - h)).sum()  # D(θ*, y), by the three points
    smoothness = rise - (g * h).sum() + smooth * moved
    concavity = (g * d).sum() - m * before - lead
    optimality = -((g - smooth * s) * (d - h)).sum()
    left = lead - rise + smooth * after
    right = bounds.contraction(m, smooth) * smooth * before
    return vanishes(right - left - smoothness - concavity - optimality)


def _last_step() -> bool:
    """(ℒ − m)q^{k−1}D_0 = ℒq^kD_0, the production bound."""
    m, smooth, start, k = sp.symbols("m L D k", positive=True)
    before = bounds.linear_gap(m, smooth, k - 1, start)
    bound = bounds.linear_gap(m, smooth, k, smooth * start)
    return vanishes(sp.powsimp((smooth - m) * before / bound) - 1)


STEPS = (
    Step("symbolic", "D_A is the Bregman divergence of k = KL(π_ref‖π_θ), A plus an affine one",
         _affine),
    Step("symbolic", "(γ−K_B)F̄ ⪯ −∇²J_γ ⪯ ℒF̄ on C: J_γ lies between models with mD_A and ℒD_A",
         taylor),
    Step("symbolic", "D(θ*,θ) − D(θ*,θ⁺) − D(θ⁺,θ) = ⟨∇A(θ⁺) − ∇A(θ), θ*−θ⁺⟩", _three_points),
    Step("symbolic", "⟨∇J_γ − ℒ(∇A(θ⁺)−∇A(θ)), θ*−θ⁺⟩ ≤ 0: gap⁺ + ℒD(θ*,θ⁺) ≤ (ℒ−m)D(θ*,θ)",
         _one_step),
    Step("symbolic", "so D_A(θ*, θ_k) ≤ (1 − m/ℒ)^k D_A(θ*, θ_0)", recursion),
    Step("symbolic", "and gap_k ≤ (ℒ−m)D_A(θ*, θ_{k−1}) ≤ ℒ(1 − m/ℒ)^k D_A(θ*, θ_0), k ≥ 1",
         _last_step),
)  # fmt: skip
TAKEN = (
    "C12 (m = γ−K_B and ℒ = γ+K⁻, relative to A)", "C07 (∇²A = F̄)",
    "first-order condition of a maximum on a convex set; an equality for the free step, whose "
    "iterates must lie in C",
)  # fmt: skip

# --- instances --------------------------------------------------------------------------

Bound = Callable[[Any, Any, int, Any], Any]
"""(m, ℒ, k, D_0) to a bound of gap_k, in float64 or balls."""
Distance = Callable[[PreferenceProblem, Array, Array], Any]
"""D(x, θ_0), in float64 or balls."""


def bound(relative: Any, smooth: Any, steps: int, start: Any) -> Any:
    """ℒ(1 − m/ℒ)^k D_0, the production bound."""
    return bounds.linear_gap(relative, smooth, steps, smooth * start)


def enclosed(objective: Objective, path: np.ndarray, smooth: float, modulus: Ball) -> Array:
    """Balls around the last exact iterate, from approximate ones.

    θ⁺ maximises ⟨∇J, y⟩ − ℒD_A(y, θ), concave with modulus ℒ·``modulus``: its distance
    from the approximate iterate follows from the gradient there.

    Args:
        objective: J_γ.
        path: Approximate iterates, (T + 1, d), the first exact.
        smooth: ℒ.
        modulus: F̄ ⪰ modulus on C and S.
    """
    xp, problem = arb_numbers(), objective.problem
    kl, scale, now = KLRefPolicy(problem), arb(smooth), xp.asarray(path[0])
    for row in path[1:]:
        y = inward(problem, row)
        at = xp.asarray(y)
        slope = objective.gradient(now) + scale * (kl.gradient(now) - kl.gradient(at))
        off = displacement(problem, y, slope, scale * modulus)
        around = arb(0, float(off.upper()) * (1 + 1e-15))
        now = at + np.array([around for _ in at], dtype=object)
    return now


def gap_above(
    objective: Objective, path: np.ndarray, best: np.ndarray, at: Constants, smooth: float,
    limit: Bound, distance: Distance, says: str,
) -> Evidence:  # fmt: skip
    """Decide gap_k > limit in ball arithmetic, with iterates and θ* enclosed.

    D_A(·, θ_0) has the gradient E_xE_·φ − E_xE_θ0φ, of length D at most.
    """
    problem, xp = objective.problem, arb_numbers()
    better, steps = inward(problem, best), len(path) - 1
    mu = float(at.modulus or np.nan)

    def excess() -> Ball:
        top, first = xp.asarray(better), xp.asarray(path[0])
        last = enclosed(objective, path, smooth, arb(mu) / arb(at.relative_modulus))
        off = displacement(problem, better, objective.gradient(top), arb(mu))
        start = distance(problem, top, first) + arb(problem.feature_diameter) * off
        claimed = limit(arb(at.relative_modulus), arb(smooth), steps, start)
        return objective.value(top) - objective.value(last) - claimed

    return refute(
        problem, path[0], f"gap_k above the bound from θ, k = {steps}: {says}", float(excess()),
        excess, better=better.tolist(), smoothness=smooth,
    )  # fmt: skip


def _check(context: Context) -> Iterator[Evidence]:
    yield from argue(
        "gap_k ≤ ℒ(1 − (γ−K_B)/ℒ)^k D_A(θ*, θ_0) for mirror ascent, k ≥ 1", STEPS, TAKEN
    )
    rng = context.rng("C17")
    tally = Tally("gap_k ≤ ℒ(1 − (γ−K_B)/ℒ)^k D_A(θ*, θ_0) at γ > K_B")
    for problem in filter(resolved, battery(rng, SIZES[context.effort] // 12)):
        gamma = moduli(problem, float(10 ** rng.uniform(-2, 1))).gamma
        objective = SAILRevKL(problem, gamma)
        at = constants(objective)
        start = points(rng, problem, STARTS)
        path = mirror_ascent(objective, start, steps=STEPS_RUN).path
        best = maximise(objective, Search(Domain(problem), "quick", context.seed), path[-1])
        gap = best.value - objective.value(path)
        first = np.maximum(bregman_divergence(problem, best.theta, path[0]), 1e-300)
        for k in (1, 2, 3, STEPS_RUN):
            right = bound(at.relative_modulus, at.relative_smooth, k, first)
            right = np.where(right > ROUNDING * (1 + abs(best.value)), right, np.nan)

            def confirm(i: int, run: Callable[..., Evidence], path: np.ndarray) -> Evidence:
                return run(path=path[:, i])

            run = partial(
                gap_above, objective, best=best.theta, at=at, smooth=at.relative_smooth,
                limit=bound, distance=bregman_divergence, says="C17",
            )  # fmt: skip
            tally.add(gap[k], right, partial(confirm, run=run, path=path[: k + 1]))
    yield tally.evidence()


# --- wrong variants ---------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One problem with two responses where a wrong bound fails.

    Attributes:
        problem: θ in R. excess: γ − K_B. start: θ_0 less the maximiser. steps: k.
        constant: The ℒ that is claimed.
    """

    problem: PreferenceProblem
    excess: float
    start: float
    steps: int = 1
    constant: Callable[[Constants], float] = lambda at: at.relative_smooth


def _wrong(
    name: str, says: str, case: Case, limit: Bound = bound, distance: Distance = bregman_divergence
) -> Falsehood:
    """A smaller bound, or a step of another size."""

    def check(context: Context) -> Iterator[Evidence]:
        problem = case.problem
        objective = SAILRevKL(problem, moduli(problem, case.excess).gamma)
        at = constants(objective)
        smooth = case.constant(at)
        best = maximise(objective, Search(Domain(problem), context.effort, context.seed)).theta
        start = inward(problem, best + case.start)
        path = mirror_ascent(objective, start, step=1 / smooth, steps=case.steps).path[:, 0]
        yield gap_above(objective, path, best, at, smooth, limit, distance, says)

    return Falsehood(name, says, check)


def _euclid(problem: PreferenceProblem, x: Array, y: Array) -> Any:
    """½‖x − y‖², whose gradient is of length D at most where 2B ≤ D."""
    return ((x - y) * (x - y)).sum() / 2


def _twice(relative: Any, smooth: Any, steps: int, start: Any) -> Any:
    """ℒ(1 − 2m/ℒ)^k D_0."""
    return bounds.linear_gap(2 * relative, smooth, steps, smooth * start)


# Rare responses come near K_B and K⁻: the first wins, or loses, against the other.
_RARE = skewed("1e-3", beta=0.1, radius=0.25)
_LOSER = skewed("1e-3", beta=2.0, radius=0.4, wins=False)
_EVEN = skewed("0.5", beta=0.1, radius=1.0)
_LONG = skewed("0.5", beta=0.1, radius=0.05, scale=8.0)
_NARROW = skewed("0.1", beta=0.1, radius=1e-3)  # its maximiser lies on the boundary

PLANTED = (
    _wrong("no-step", "the bound at k = 0", Case(_NARROW, 20.0, -1e-5, 0)),
    _wrong("twice-the-rate", "ℒ(1 − 2(γ−K_B)/ℒ)^k D_A(θ*, θ_0)", Case(_RARE, 0.45, 0.02, 2),
           _twice),
    _wrong("no-lower-bound", "ℒ = γ", Case(_LOSER, 0.5, 0.1, 1, lambda at: at.gamma)),
    _wrong("modulus", "ℒ = γ − K_B", Case(_EVEN, 0.3, 0.1, 1, lambda at: at.relative_modulus)),
    _wrong("euclid", "½‖θ* − θ_0‖² in place of D_A", Case(_LONG, 0.3, 0.01), distance=_euclid),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C17",
        title="mirror ascent with A and ℒ = γ+K⁻: linear rate free of e^{−DB} and λ_min",
        statement=r"J_\gamma^*-J_\gamma(\theta_k)\le"
        r"\mathcal L(1-(\gamma-K_B)/\mathcal L)^kD_A(\theta^*,\theta_0)",
        source="new; proof in docs/theory.md",
        hypotheses=("γ > K_B", "C = ball ∩ (c + S)", "θ_0 ∈ C; free steps stay in C", "k ≥ 1"),
        check=_check,
        planted=PLANTED,
    ),
]
