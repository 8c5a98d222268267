"""C38: which f-divergences make J − γD concave, from which γ, and beyond which R none does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from proofs_check.arguments.divergence_steps import C38_STEPS
from proofs_check.evidence.argument import Ball, Tally, argue, curvature_ball, refute, square
from proofs_check.evidence.battery import points
from proofs_check.evidence.payoff_battery import payoff_problems
from proofs_check.expected import claim
from sailtheory import SAIL, PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, largest_relative_curvature
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.divergence import DivergenceObjective
from sailtheory.objectives.registry import target
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.theory import bounds
from sailtheory.theory.divergences import divergence, divergence_threshold
from sailtheory.verdict import Evidence

_TRIED = (
    "kl-ref", "chi2-ref", "kl-policy", "chi2", "chipo", "alpha=-0.5", "alpha=0.5", "alpha=3",
)  # fmt: skip
_SEARCHED = ("js",)
_PROBLEMS = {"quick": 12, "full": 150}
_BETA, _RANGE = 0.25, 0.5  # R = .5 at most: within every radius tried


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then c(R) and the thresholds at random points."""
    yield from argue(
        "∇²D_f ⪰ c(R)F̄ and γ > K/c(R) is enough, for KL, χ² (both ways), α-divergences and sums",
        C38_STEPS, ("convex functions are largest at ends", "C11 and C35 for K"),
    )  # fmt: skip
    rng = context.rng("C38")
    convex, far = Tally("∇²D ⪰ c(R)F̄, R ≤ ½"), Tally("∇²D ⪰ c(R)F̄, R up to 3")
    searched = Tally("the same for Jensen–Shannon, where c is numerical")
    enough = Tally("∇²J ⪯ γ∇²D at γ = K/c(R)")
    for _ in range(_PROBLEMS[context.effort]):
        near = next(payoff_problems(rng, _BETA, _BETA * _RANGE, 1))
        wide = next(payoff_problems(rng, _BETA, _BETA * 3.0, 1))
        for problem, tally in ((near, convex), (wide, far)):
            if problem.span.dimension == 0:
                continue
            theta, reach = points(rng, problem, 24), problem.z_max_above / _BETA
            for name in (*_TRIED, *_SEARCHED):
                made = divergence(name)
                if reach > made.up_to:
                    continue
                c = float(made.convexity(FLOAT64, np.float64(reach)))
                into = tally if made.proved else searched
                _compare(into, problem, name, c, theta)
        if near.span.dimension:
            k, reach = bounds.relative_bound(_BETA, near.z_max_above), near.z_max_above / _BETA
            for name in ("chi2-ref", "kl-policy", "chi2"):
                c = float(divergence(name).convexity(FLOAT64, np.float64(reach)))
                _enough(enough, near, name, divergence_threshold(k, c), points(rng, near, 24))
    for tally in (convex, far, searched, enough):
        yield tally.evidence()


def _compare(
    tally: Tally, problem: PreferenceProblem, name: str, c: float, theta: np.ndarray
) -> None:
    """−c(R) against the largest eigenvalue of −∇²D relative to F̄."""
    negative = -1.0 * DivergenceObjective(problem, divergence(name))
    values, v = largest_relative_curvature(negative, Domain(problem), theta)

    def confirm(i: int) -> Evidence:
        excess = negative + c * KLRefPolicy(problem)
        return refute(problem, theta[i], f"∇²D < c(R)F̄, {name}", float(values[i]),
                      lambda: curvature_ball(excess, theta[i], v[i]))  # fmt: skip

    tally.add(values, np.full(values.shape, -c), confirm)


def _enough(
    tally: Tally, problem: PreferenceProblem, name: str, gamma: float, theta: np.ndarray
) -> None:
    whole = SAIL(problem) - gamma * DivergenceObjective(problem, divergence(name))
    values, v = largest_relative_curvature(whole, Domain(problem), theta)

    def confirm(i: int) -> Evidence:
        return refute(problem, theta[i], f"J − γD bends up at K/c(R), {name}", float(values[i]),
                      lambda: curvature_ball(whole, theta[i], v[i]))  # fmt: skip

    tally.add(values, np.zeros(values.shape), confirm)


# --- wrong variants ---------------------------------------------------------------------


def _pair(reach: float, wins: bool, beta: float, chance: str) -> PreferenceProblem:
    """Two responses, φ = 0 and 1; the first is rare and has lost e^{−R} of its chance at θ = R."""
    odds = float(chance)
    p = [[0.5, 1], [0, 0.5]] if wins else [[0.5, 0], [1, 0.5]]
    return PreferenceProblem(
        features=[[[0.0], [1.0]]], preferences=[p], beta=beta, radius=reach,
        base=[[odds, 1 - odds]],
    )  # fmt: skip


def _no_gamma(
    name: str, reach: float, *, wins: bool = True, beta: float = 0.125, chance: str = "1e-4"
) -> Falsehood:
    """At θ = R J″ > 0 and D″ < 0: whatever γ ≥ 0 is, J − γD is not concave."""
    problem, theta = _pair(reach, wins, beta, chance), np.array([reach])
    says = f"some γ makes SAIL − γD concave, D = {name}, R = {reach:g}"

    def check(_: Context) -> Iterator[Evidence]:
        sail, other = SAIL(problem), target(problem, "sail", divergence=name).penalty

        def excess() -> Ball:
            at = arb_numbers().asarray(theta)
            up, down = sail.hessian(at)[0, 0], -other.hessian(at)[0, 0]
            return up if up < down else down

        found = f"J″ > 0 > D″ at one point, D = {name}: no γ works"
        yield refute(problem, theta, found, float(excess()), excess)

    return Falsehood(f"no-gamma-{name}", says, check)


def _wrong(
    name: str, says: str, of: str, c: float, reach: float, *, mass: float = 0.0
) -> Falsehood:
    """c too large: a rare response whose chance fell most, beside ``mass`` that fell as well.

    With a negative ``reach`` it rose.
    """

    def check(_: Context) -> Iterator[Evidence]:
        rare, low = 1e-7, max(mass, 1e-9)
        height = np.array([0.0, 0.0, 1.0]) * reach
        law = np.array([rare, low, 1 - rare - low])
        problem = PreferenceProblem(
            features=[np.stack([height, [1e-3, 0.0, 0.0]], axis=-1)], beta=1.0, radius=1.0,
            preferences=[np.full((3, 3), 0.5).tolist()], base=[law * np.exp(-height)],
        )  # fmt: skip
        theta, v = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        excess = c * KLRefPolicy(problem) - DivergenceObjective(problem, divergence(of))

        def ball() -> Ball:
            return curvature_ball(excess, theta, v) / square(v)

        yield refute(problem, theta, f"∇²D < cF̄, {says}", float(ball()), ball)

    return Falsehood(name, says, check)


def _planted() -> Iterator[Falsehood]:
    yield _no_gamma("kl-policy", 1.2)
    yield _no_gamma("chi2", 0.8)
    yield _no_gamma("alpha=0.5", 1.5)
    yield _no_gamma("alpha=0.1", 3.0, wins=False)
    yield _no_gamma("alpha=3", 0.7)
    yield _no_gamma("chipo", 0.9)
    yield _no_gamma("js", 1.3)
    yield _no_gamma("entropy", 1.6, chance="0.5")
    yield _no_gamma("0.3*chi2+2*kl-policy", 1.0)
    yield _no_gamma("entropy+chi2", 1.0)
    e = float(np.exp(1))
    yield _wrong("chi2-ref-slower", "χ²(π_ref‖π_θ): 1 + e^{−R}", "chi2-ref", 1 + 1 / e, -1.0)
    yield _wrong("kl-half", "KL(π_θ‖π_ref): 1 − R/2", "kl-policy", 0.5, 1.0)
    yield _wrong("chi2-either-way", "χ²(π_θ‖π_ref) as χ²(π_ref‖π_θ), 1 + e^{−2R}", "chi2",
                 1 + 1 / e, 0.5)  # fmt: skip
    floor = (1 - np.exp(-2.0)) / 2  # a, of the bound that is attained
    chance = float((1 - floor) / (1 - np.exp(-2.0)))
    yield _wrong("chi2-past-log-3", "χ² at R = 2: 4e^{−R} − 2 beyond log 3", "chi2",
                 4 * float(np.exp(-2.0)) - 2, 2.0, mass=1 - chance)  # fmt: skip
    yield _wrong("alpha-power", "α = ½: (1 − αe^{αR/2})/(1 − α)", "alpha=0.5",
                 2 * (1 - e**0.25 / 2), 1.0)  # fmt: skip
    yield _wrong("alpha-past-radius", "α = 3 beyond its radius, R = 1.5: (1 − αe^{(1−α)R})/(1 − α)",
                 "alpha=3", (3 * float(np.exp(-3.0)) - 1) / 2, 1.5, mass=0.3)  # fmt: skip
    yield _wrong("js-like-kl", "Jensen–Shannon: ¼, as at R = 0, for every R", "js", 0.25, 1.0)


CLAIMS: list[Claim] = [
    claim(
        "C38",
        title="divergences: ∇²D_f ⪰ c(R)F̄, and γ > K/c(R) makes J − γD concave",
        statement=r"\nabla^2 D_f = \mathbb{E}_\theta[(k(w)-\mathbb{E}_\theta f')ss^\top]"
        r" \succeq c(R)\bar F,\; k = (wf')',\; \gamma > K/c(R)",
        source="new; proof in docs/theory.md",
        hypotheses=("R at least the range of (θ − θ_ref)ᵀφ on C", "c(R) > 0",
                    "one softmax over the responses, π_ref > 0"),
        check=check,
        planted=tuple(_planted()),
    )
]  # fmt: skip
