"""C16: projected stochastic ascent with step 1/Λ contracts down to a noise floor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
from flint import arb

from proofs_check.arguments.estimator_moments import estimates
from proofs_check.arguments.first_order import inward, moduli
from proofs_check.arguments.stochastic_steps import STEPS, TAKEN, WEAKER, as_stated
from proofs_check.claims.c10_absolute_threshold import resolved
from proofs_check.evidence.argument import Ball, Step, Tally, argue, deferred, refute
from proofs_check.evidence.battery import SIZES, battery, points, skewed
from proofs_check.expected import claim
from sailtheory import SAIL, Objective, PreferenceProblem, SAILRevKL
from sailtheory.claims import Check, Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.numeric.numbers import Array, arb_numbers, numbers_of
from sailtheory.theory import bounds, formulas
from sailtheory.verdict import Evidence

ROUNDING = 1e-10  # bounds below this times 1 + |J| are not resolved in float64
LEAVES = 1024  # end points of the tree of outcomes of one run

Bound = Callable[..., Any]
"""(μ, Λ, T, Λd₀², σ², N) to a bound of E gap_T, in float64, balls or symbols."""


# --- runs with every outcome enumerated -------------------------------------------------

Noise = Callable[[PreferenceProblem, Array], tuple[Array, Array]]
"""At θ (k, d): the chances (k, a) of the outcomes of one sample, and their ξ (k, a, d)."""


def pair_noise(problem: PreferenceProblem, theta: Array) -> tuple[Array, Array]:
    """ĝ − E ĝ for the estimator of C18 with b = −log 2, one prompt and pair a sample."""
    chances, gradients = [], []
    for at in SAIL(problem).points(theta):
        each = np.moveaxis(estimates(at, -at.xp.log_2()), -3, -1)  # (k, n, m, m, d)
        chance = formulas.pair_probability(at.policy) * at.block.weights[:, None, None]
        chances.append(chance.reshape(len(theta), -1))
        gradients.append(each.reshape(len(theta), -1, each.shape[-1]))
    chance, gradient = np.concatenate(chances, 1), np.concatenate(gradients, 1)
    return chance, gradient - (chance[..., None] * gradient).sum(1)[:, None]


def coin(v: np.ndarray, problem: PreferenceProblem, theta: Array) -> tuple[Array, Array]:
    """2v with chance 1/5, else −v/2: mean 0, variance ‖v‖²."""
    xp = numbers_of(theta)
    chance, each = xp.asarray([1, 4]) / 5, xp.asarray(np.outer([2, -0.5], v))
    k = len(theta)
    return np.broadcast_to(chance, (k, 2)), np.broadcast_to(each, (k, *each.shape))


@dataclass(frozen=True)
class Run:
    """Projected stochastic ascent from one point.

    Attributes:
        start: θ_0, (d,). noise: Outcomes of one sample. smooth: 1/step.
        steps: T. batch: N.
    """

    start: np.ndarray
    noise: Noise
    smooth: float
    steps: int
    batch: int = 1

    def expect(self, objective: Objective, start: Array) -> tuple[Any, Any]:
        """E J(θ_T) and the largest variance σ² met, in float64 or balls as ``start`` is."""
        xp, problem = numbers_of(start), objective.problem
        theta, weight, met = start[None], xp.asarray([1]), [xp.asarray(0)[()]]
        for _ in range(self.steps):
            chance, xi = self.noise(problem, theta)
            met += list((chance * (xi * xi).sum(-1)).sum(-1))
            chance, xi = _batched(chance, xi, self.batch)
            ascent = objective.gradient(theta)[:, None] + xi
            moved = theta[:, None] + ascent / xp.asarray(self.smooth)[()]
            theta = land(problem, moved.reshape(-1, theta.shape[-1]))
            weight = (weight[:, None] * chance).reshape(-1)
        return (weight * objective.value(theta)).sum(), reduce(_larger, met)


def _larger(a: Any, b: Any) -> Any:
    return a.max(b) if isinstance(a, arb) else max(a, b)


def _batched(chance: Array, xi: Array, batch: int) -> tuple[Array, Array]:
    """The mean of ``batch`` independent samples: chances (k, a^N), ξ (k, a^N, d)."""
    k, _, d = xi.shape
    chances, total = chance, xi
    for _ in range(batch - 1):
        chances = (chances[:, :, None] * chance[:, None]).reshape(k, -1)
        total = (total[:, :, None] + xi[:, None]).reshape(k, -1, d)
    return chances, total / batch


def land(problem: PreferenceProblem, theta: Array) -> Array:
    """The nearest points of the ball ‖θ − c‖ ≤ B, (k, d); on c + S that is Proj_C."""
    xp = numbers_of(theta)
    center, radius = xp.asarray(problem.center), xp.asarray(float(problem.radius))[()]
    move = theta - center
    reach = np.frompyfunc(lambda n: radius / _larger(n**0.5, radius), 1, 1)((move * move).sum(-1))
    return center + move * (reach if xp.name == "arb" else reach.astype(float))[:, None]


def displacement(problem: PreferenceProblem, y: np.ndarray, slope: Array, modulus: Ball) -> Ball:
    """An upper bound of e = ‖y* − y‖, y in C, y* the maximiser on C of a concave function.

    With g its gradient at y and ν ≥ 0, μe² ≤ ⟨g, y* − y⟩ ≤ ‖g − ν(y − c)‖e + ντ, where
    τ = ‖y − c‖(B − ‖y − c‖) ≥ ⟨y − c, y* − y⟩; so e ≤ ‖g − ν(y − c)‖/μ + √(ντ/μ).

    Args:
        problem: The problem.
        y: A point of C, (d,).
        slope: g, balls, (d,).
        modulus: μ > 0, of strong concavity on C.
    """
    xp = arb_numbers()
    out = xp.asarray(y) - xp.asarray(problem.center)
    reach = length(out)
    free = length(slope) / modulus  # ν = 0
    outward = float((slope * out).sum())
    if not (reach > 0 and outward > 0):
        return free
    nu = arb(outward / float(reach) ** 2)
    slack = (reach * (arb(float(problem.radius)) - reach)).abs_upper()
    return free.min(length(slope - nu * out) / modulus + (nu * slack / modulus).sqrt())


def length(v: Array) -> Ball:
    """‖v‖ rounded up, for balls around 0 too."""
    return sum((e.abs_upper() ** 2 for e in v), arb(0)).sqrt()


# --- instances --------------------------------------------------------------------------


def gap_above(
    objective: Objective, run: Run, best: np.ndarray, mu: float, bound: Bound, says: str
) -> Evidence:
    """Decide E gap_T > bound in ball arithmetic, every outcome and θ* enclosed."""
    problem, xp = objective.problem, arb_numbers()
    better = inward(problem, best)

    def excess() -> Ball:
        value, variance = run.expect(objective, xp.asarray(run.start))
        at = xp.asarray(better)
        off = displacement(problem, better, objective.gradient(at), arb(mu))
        distance = length(xp.asarray(run.start) - at) + off
        initial = arb(run.smooth) * distance**2
        limit = bound(arb(mu), arb(run.smooth), run.steps, initial, variance, run.batch)
        return objective.value(at) - value - limit

    return refute(
        problem, run.start, f"E gap_T above the bound from θ, T = {run.steps}, N = {run.batch}: "
        f"{says}", float(excess()), excess, better=better.tolist(), smoothness=run.smooth,
    )  # fmt: skip


def runs(rng: np.random.Generator, problem: PreferenceProblem, smooth: float) -> Iterator[Run]:
    """From a few points of C: the estimator's noise, and coins of all sizes along S."""
    outcomes = sum(m * m for m in problem.responses)
    basis = problem.span.basis
    for start in points(rng, problem, 4):
        for steps, batch in ((1, 1), (2, 1), (3, 1), (1, 2)):
            if outcomes ** (steps * batch) <= LEAVES:
                yield Run(start, pair_noise, smooth, steps, batch)
        for steps, batch in ((1, 3), (2, 2), (6, 1)):
            size = smooth * float(problem.radius) * float(10 ** rng.uniform(-3, 1))
            v = basis @ rng.normal(size=basis.shape[1])
            noise = partial(coin, size * v / np.linalg.norm(v))
            yield Run(start, noise, smooth, steps, batch)


def _check(bound: Bound, says: str, steps: tuple[Step, ...]) -> Check:
    """The check of E gap_T ≤ bound."""

    def check(context: Context) -> Iterator[Evidence]:
        yield from argue(says, steps, TAKEN)
        rng, tally = context.rng("C16"), Tally(f"{says}, at γ > K_B, all outcomes enumerated")
        for problem in filter(resolved, battery(rng, SIZES[context.effort] // 12)):
            at = moduli(problem, float(10 ** rng.uniform(-2, 1)))
            objective = SAILRevKL(problem, at.gamma)
            best = maximise(objective, Search(Domain(problem), "quick", context.seed))
            for run in runs(rng, problem, at.smooth):
                value, variance = run.expect(objective, run.start)
                initial = at.smooth * float(((run.start - best.theta) ** 2).sum())
                right = np.array(
                    [bound(at.mu, at.smooth, run.steps, max(initial, 1e-300), variance, run.batch)]
                )
                right[right < ROUNDING * (1 + abs(best.value))] = np.nan
                confirm = deferred(gap_above, objective, run, best.theta, at.mu, bound, "C16")
                tally.add(np.array([best.value - value]), right, confirm)
        yield tally.evidence()

    return check


# --- wrong variants ---------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One problem with two responses where a wrong bound fails.

    Attributes:
        problem: θ in R. excess: γ − K_B. size: σ. start: θ_0 less the maximiser.
        steps: T. batch: N. scale: The step is 1/(scale · Λ).
    """

    problem: PreferenceProblem
    excess: float
    size: float
    start: float = 0.0
    steps: int = 1
    batch: int = 1
    scale: float = 1.0


def _wrong(name: str, says: str, case: Case, bound: Bound) -> Falsehood:
    """A smaller bound, or a step of another size."""

    def check(context: Context) -> Iterator[Evidence]:
        at = moduli(case.problem, case.excess)
        objective = SAILRevKL(case.problem, at.gamma)
        search = Search(Domain(case.problem), context.effort, context.seed)
        best = maximise(objective, search).theta
        noise = partial(coin, np.array([case.size]))
        start = inward(case.problem, best + case.start)
        run = Run(start, noise, case.scale * at.smooth, case.steps, case.batch)
        yield gap_above(objective, run, best, at.mu, bound, says)

    return Falsehood(name, says, check)


def decay_plus(noise: Callable[[Any, Any, int], Any], rate: float = 1.0) -> Bound:
    """½(1 − rate·μ/Λ)^T Λd₀² + noise(μ, σ², N), also at T = 0."""

    def bound(mu: Any, smooth: Any, steps: int, initial: Any, variance: Any, batch: int) -> Any:
        return bounds.linear_gap(rate * mu, smooth, steps, initial) / 2 + noise(mu, variance, batch)

    return bound


def _floor(mu: Any, variance: Any, batch: int) -> Any:
    return variance / (mu * batch)


_EVEN = skewed("0.5", beta=0.1, radius=0.05)
_TINY = skewed("0.5", beta=0.1, radius=1e-4)
_WIDE = skewed("0.5", beta=0.1, radius=1.0)
_FLAT = skewed("0.14", beta=0.1, radius=0.02)  # curvature near μ, far below Λ
_NARROW = skewed("0.1", beta=0.1, radius=0.001)  # its maximiser lies on the boundary

HYPOTHESES = (
    "γ > K_B",
    "C = ball ∩ (c + S), θ_0 ∈ C",
    "T ≥ 1 steps of size 1/Λ",
    "N independent samples a step, E ξ = 0 and E‖ξ‖² ≤ σ² for each",
)

PLANTED = (
    _wrong("no-step", "the bound at T = 0", Case(_NARROW, 20.0, 1e-6, -1e-5, steps=0),
           decay_plus(_floor)),
    _wrong("quarter-floor", "noise floor σ²/(4μN)", Case(_EVEN, 200.0, 0.01),
           decay_plus(lambda mu, v, n: v / (4 * mu * n))),
    _wrong("twice-the-rate", "the rate (1 − 2μ/Λ)^T", Case(_FLAT, 20.0, 1e-6, -0.01, steps=2),
           decay_plus(_floor, 2.0)),
    _wrong("half-smoothness", "Λ = (γ+K⁻)D²/8", Case(_WIDE, 20.0, 1e-6, 0.1, scale=0.5),
           as_stated),
)  # fmt: skip
SHARP = (
    _wrong("under-half", "noise floor 0.499σ²/(μN)", Case(_TINY, 1e4, 1e-3),
           decay_plus(lambda mu, v, n: 0.499 * v / (mu * n))),
    _wrong("batch-squared", "noise floor σ²/(μN²)", Case(_EVEN, 200.0, 0.01, batch=3),
           decay_plus(lambda mu, v, n: v / (mu * n**2))),
    _wrong("deviation", "noise floor σ/(μN)", Case(_EVEN, 1e3, 5.0),
           decay_plus(lambda mu, v, n: v**0.5 / (mu * n))),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C16",
        title="projected stochastic ascent: rate 1 − μ/Λ down to a noise floor 2σ²/(μN)",
        statement=r"E[J_\gamma^*-J_\gamma(\theta_T)]\le\tfrac\Lambda2(1-\mu/\Lambda)^Td_0^2"
        r"+2\sigma^2/(\mu N)",
        source="arXiv 2606.31524; constants new",
        hypotheses=HYPOTHESES,
        check=_check(
            as_stated, "E gap_T ≤ (Λ/2)(1−μ/Λ)^T d₀² + 2σ²/(μN) for T ≥ 1", (*STEPS, WEAKER)
        ),
        planted=PLANTED,
    ),
    claim(
        "C16b",
        title="projected stochastic ascent: half that noise floor, σ²/(μN)",
        statement=r"E[J_\gamma^*-J_\gamma(\theta_T)]\le\tfrac\Lambda2(1-\mu/\Lambda)^Td_0^2"
        r"+\sigma^2/(\mu N)",
        source="new; proof in docs/theory.md",
        hypotheses=HYPOTHESES,
        check=_check(
            bounds.stochastic_gap, "E gap_T ≤ (Λ/2)(1−μ/Λ)^T d₀² + σ²/(μN) for T ≥ 1", STEPS
        ),
        planted=SHARP,
    ),
]
