"""C35: ∇²J ⪯ K F̄ for any pair payoff that is Lipschitz and semiconcave, K one supremum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from proofs_check.arguments.payoff_steps import C35_STEPS
from proofs_check.claims.c11_relative_curvature import against, compare, exceeds, spectrum
from proofs_check.evidence.argument import Ball, Tally, argue, refute
from proofs_check.evidence.battery import points, skewed
from proofs_check.evidence.payoff_battery import CASES, payoff_problems, three_responses
from proofs_check.expected import claim
from sailtheory import PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.payoff import PayoffObjective
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.theory.payoff_bound import PayoffBounds, loss_ceiling, payoff_bounds
from sailtheory.theory.payoffs import PairPayoff, custom_payoff, named_payoff
from sailtheory.verdict import Evidence

_PROBLEMS = {"quick": 4, "full": 80}
_POINTS = 48
_LEADS = ("growth", "uniform-floor", "exponential")


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then K, K⁻ and N of ten payoffs at random and extremal points."""
    yield from argue(
        "∇²J_x ⪯ K_xF_x and −∇²J ⪯ K⁻F̄ for any Lipschitz, semiconcave G, K enclosed; IPO at Z = 1 "
        "and the exponential at β = 1 reach it", C35_STEPS,
        ("C02 (the three terms)", "convex functions are largest at ends", "limits of instances"),
    )  # fmt: skip
    rng = context.rng("C35")
    above, below = Tally("∇²J ⪯ K F̄, ten payoffs"), Tally("∇²J ⪰ −K⁻F̄, those without a kink")
    floor, reached = Tally("−J_x ≤ N"), Tally("∇²J ⪯ K F̄ where a rare response nearly reaches K")
    for name, (beta, z) in CASES.items():
        payoff, wide = named_payoff(name), z * (1 + 1e-6)
        known, most = payoff_bounds(payoff, beta, wide), loss_ceiling(payoff, beta, wide)
        for problem in payoff_problems(rng, beta, z, _PROBLEMS[context.effort]):
            theta = points(rng, problem, _POINTS)
            objective = PayoffObjective(problem, payoff)
            if problem.span.dimension:
                compare(above, spectrum(objective, theta), known.relative)
                if known.lower is not None:
                    compare(below, spectrum(-objective, theta), known.lower)
            floor.add(-objective.value(theta), np.asarray(most),
                      partial(_floor_fails, objective, theta, most))  # fmt: skip
        for third in (*rng.uniform(0, z, 3), 0.5 - 2 * beta):
            height = float(np.clip(third, 0, z))
            problem, at, _ = three_responses(beta, z, height, leads=name in _LEADS)
            compare(reached, spectrum(PayoffObjective(problem, payoff), at[None]), known.relative)
    for tally in (above, below, floor, reached):
        yield tally.evidence()


def _floor_fails(objective: PayoffObjective, theta: np.ndarray, most: float, i: int) -> Evidence:
    def excess() -> Ball:
        return -objective.value(arb_numbers().asarray(theta[i])) - most

    return refute(objective.problem, theta[i], "−J_x above N", most, excess)


# --- wrong variants ---------------------------------------------------------------------

Level = Callable[[], float]
"""The wrong constant, found when it is asked for."""


def _at(
    name: str, says: str, payoff: PairPayoff, bound: Level, beta: float, z: float, third: float
) -> Falsehood:
    """Refuted at three responses, the third rare."""

    def check(_: Context) -> Iterator[Evidence]:
        problem, theta, v = three_responses(beta, z, third, leads=name in _LEADS)
        yield exceeds(PayoffObjective(problem, payoff), theta, v, bound(), f"{name}: {says}")

    return Falsehood(name, says, check)


def _searched(
    name: str, says: str, problem: PreferenceProblem, payoff: PairPayoff, bound: Level,
    sign: int = 1,
) -> Falsehood:  # fmt: skip
    def check(context: Context) -> Iterator[Evidence]:
        objective, level = sign * PayoffObjective(problem, payoff), bound()
        yield against(objective, lambda t: level, f"{name}: {says}", context)

    return Falsehood(name, says, check)


def _kinked(_: Context) -> Iterator[Evidence]:
    """A convex kink at z = −1: J − γKL bends up there by any factor of the step."""
    payoff, gamma, step = custom_payoff("max(-(z - 1)**2, -4)"), 1e6, 1e-9
    problem = skewed("0.5", beta=1.0, radius=2.0)
    objective = PayoffObjective(problem, payoff) - gamma * KLRefPolicy(problem)

    def excess() -> Ball:
        xp = arb_numbers()
        ends = [objective.value(xp.asarray([-1.0 + s * step])) for s in (-1, 0, 1)]
        return ends[0] + ends[2] - 2 * ends[1]

    says = "J − 10⁶KL is not concave at the kink of a truncated square"
    yield refute(problem, np.array([-1.0]), says, float(excess()), excess, step=step)


def _chord_of_sigma(_: Context) -> Iterator[Evidence]:
    """σ is not concave: four responses at equal margins lose more than the mean of the ends."""
    payoff, z = named_payoff("sigmoid"), 12.0
    heights = np.linspace(0, z, 4)
    wins = np.triu(np.ones((4, 4)), 1) + np.eye(4) / 2  # what is ahead loses
    problem = PreferenceProblem(
        features=[heights[:, None]], preferences=[wins.tolist()], beta=1.0, radius=1.0,
        base=[np.exp(-heights)],
    )  # fmt: skip
    theta = np.array([1.0])

    def excess() -> Ball:
        xp = arb_numbers()
        top = xp.sigmoid(xp.asarray(-z)[()])
        chord = -(xp.asarray(0.5)[()] + top) / 2
        return -PayoffObjective(problem, payoff).value(xp.asarray(theta)) - chord

    yield refute(problem, theta, "−J > ½(ψ(0) + ψ(Z)) for σ", float(excess()), excess)


def _population(_: Context) -> Iterator[Evidence]:
    """Three that beat each other in turn: win rates are ½, so the population form has q = 0."""
    payoff, phi = named_payoff("ipo"), [[[0.0], [0.4], [1.0]]]
    turns = [[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]
    even = [[0.5] * 3] * 3
    pairwise, pooled = (
        PreferenceProblem(features=phi, preferences=[p], beta=1.0, radius=1.0)
        for p in (turns, even)
    )
    theta = np.array([0.5])

    def excess() -> Ball:
        at = arb_numbers().asarray(theta)
        one, two = (PayoffObjective(p, payoff).hessian(at)[0, 0] for p in (pairwise, pooled))
        return abs(one - two)

    says = "IPO's pairwise and population forms have other Hessians"
    yield refute(pairwise, theta, says, float(excess()), excess)


def _planted() -> Iterator[Falsehood]:
    ipo, exponential, hinge = (named_payoff(n) for n in ("ipo", "exponential", "hinge"))
    square, late = named_payoff("squared"), named_payoff("margin", margin=2.0)
    beta, small = 0.1, skewed("1e-6", beta=1.0, radius=0.5)
    third = 0.5 - 2 * beta

    def known(payoff: PairPayoff, b: float, z: float) -> PayoffBounds:
        return payoff_bounds(payoff, b, z)

    for name, says, bound in (
        ("supremum-halved", "β² sup for 2β² sup", lambda: known(ipo, beta, 1.0).relative - 2),
        ("third-digit", ".999K", lambda: 0.999 * known(ipo, beta, 1.0).relative),
        ("floor-once", "N for 2N",
         lambda: known(ipo, beta, 1.0).relative - loss_ceiling(ipo, beta, 1.0)),
        ("score-term-free", "K_V for J itself", lambda: known(ipo, beta, 1.0).field),
        ("half-range", "K at Z/2", lambda: known(ipo, beta, 0.5).relative),
    ):  # fmt: skip
        yield _at(name, f"{says} (IPO, β = .1, Z = 1)", ipo, bound, beta, 1, third)
    yield _at("growth", "the exponential's K grows like a square, 1 + Z + Z² (Z = 4)", exponential,
              lambda: 21.0, 1, 4, 2.0)  # fmt: skip
    yield _at("uniform-floor", "−J ≤ ψ(0), as at θ_ref (exponential)", exponential,
              lambda: 2.0, 1, 2.0, 1.0)  # fmt: skip
    yield _searched("hinge-slope", "2N + 2β for the hinge", small, hinge,
                    lambda: 2 * loss_ceiling(hinge, 1.0, 0.5) + 2)  # fmt: skip
    loser = skewed("1e-6", beta=1.0, radius=0.5, wins=False)
    yield _searched("lower-is-upper", "−∇²J ⪯ K F̄ (squared)", loser, square,
                    lambda: known(square, 1.0, 0.5).relative, -1)  # fmt: skip
    yield _searched("margin-free", "a margin of 2 changes nothing", small, late,
                    lambda: known(named_payoff("logistic"), 1.0, 0.5).relative)  # fmt: skip
    yield Falsehood("convex-kink", "a truncated square has a K", _kinked)
    yield Falsehood("chord-of-sigma", "−J ≤ ½(ψ(0) + ψ(Z)) without concavity", _chord_of_sigma)
    yield Falsehood("population", "on-policy IPO's two forms have one Hessian", _population)


CLAIMS: list[Claim] = [
    claim(
        "C35",
        title="relative curvature for any payoff: ∇²J ⪯ K F̄, K one supremum, enclosed",
        statement=r"\nabla^2 J_x \preceq K_x F_x,\; K_x = 2(b - J_x) + 2\beta^2"
        r"\sup_{|z|\le Z}[(G')^2/(b-G) + G''],\; b > \max G",
        source="new; proof in docs/theory.md",
        hypotheses=("G Lipschitz and semiconcave (no convex kink) on |z| ≤ Z",
                    "Z at least the range of βδᵀφ on C", "p₁₂ + p₂₁ = 1", "one step"),
        check=check,
        planted=tuple(_planted()),
    )
]  # fmt: skip
