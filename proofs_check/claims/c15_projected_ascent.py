"""C15: projected gradient ascent with step 1/Λ closes the gap by 1 − μ/Λ a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import sympy as sp
from flint import arb

from proofs_check.arguments.algebra import exponential, taylor, vanishes
from proofs_check.arguments.first_order import Moduli, gradient_ball, inward, moduli
from proofs_check.claims.c10_absolute_threshold import resolved
from proofs_check.claims.c12_strong_concavity import off_span
from proofs_check.evidence.argument import Ball, Step, Tally, argue, refute
from proofs_check.evidence.battery import SIZES, battery, points, skewed
from proofs_check.expected import claim
from sailtheory import Objective, SAILRevKL
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.numeric.numbers import arb_numbers, sympy_numbers
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence

STEPS_RUN = 40
STARTS = 8
ROUNDING = 1e-10  # gaps below this times 1 + |J| are not resolved in float64

# --- the argument -----------------------------------------------------------------------


def _projection() -> bool:
    """⟨g, h⟩ − (Λ/2)‖h‖² = ‖g‖²/(2Λ) − (Λ/2)‖h − g/Λ‖², in any dimension: here 2."""
    smooth = sp.Symbol("Lambda", positive=True)
    g, h = sp.Matrix(sp.symbols("g:2")), sp.Matrix(sp.symbols("h:2"))
    away = h - g / smooth
    bracket = g.dot(h) - smooth / 2 * h.dot(h)
    return vanishes(bracket - g.dot(g) / (2 * smooth) + smooth / 2 * away.dot(away))


def _one_step() -> bool:
    """gap − (μ/Λ)gap is the contraction times gap."""
    mu, smooth, gap = sp.symbols("mu Lambda gap", positive=True)
    return vanishes(gap - mu / smooth * gap - bounds.contraction(mu, smooth) * gap)


def recursion() -> bool:
    """The bound after t + 1 steps is the contraction of the bound after t; at 0 it is gap_0."""
    mu, smooth, gap, t = sp.symbols("mu Lambda gap t", positive=True)
    now, after = (bounds.linear_gap(mu, smooth, k, gap) for k in (t, t + 1))
    rest = after / now - bounds.contraction(mu, smooth)
    return vanishes(rest, bounds.linear_gap(mu, smooth, sp.Integer(0), gap) - gap)


def _steps() -> bool:
    """e^{−(μ/Λ)T} gap_0 = ε at T of ``linear_steps``."""
    mu, smooth, gap, eps = sp.symbols("mu Lambda gap epsilon", positive=True)
    steps = bounds.linear_steps(sympy_numbers(), mu, smooth, gap, eps)
    return vanishes(sp.simplify(sp.exp(-mu / smooth * steps) * gap - eps))


STEPS = (
    Step("symbolic", "θ⁺ = Proj_C(θ + ∇/Λ) maximises ⟨∇, y−θ⟩ − (Λ/2)‖y−θ‖² on C", _projection),
    Step("symbolic", "−∇²J_γ ⪯ Λ on [θ, θ⁺] ⊂ C: J_γ(θ⁺) − J_γ(θ) ≥ that maximum", taylor),
    Step("symbolic", "prox-PL: it is ≥ (μ/Λ)gap, so gap⁺ ≤ (1 − μ/Λ)gap", _one_step),
    Step("symbolic", "by induction gap_t ≤ (1 − μ/Λ)^t gap_0", recursion),
    Step("symbolic", "1 − x ≤ e^{−x}", exponential),
    Step("symbolic", "t ≥ (Λ/μ)log(gap_0/ε) steps bring the gap to ε", _steps),
)  # fmt: skip

# --- the algorithm ----------------------------------------------------------------------


def ascend(objective: Objective, x: np.ndarray, smooth: float, steps: int) -> np.ndarray:
    """Iterates of projected ascent in coordinates of S from x (k, r): θ, (steps + 1, k, d)."""
    domain = Domain(objective.problem)
    path = [domain.embed(x)]
    for _ in range(steps):
        x = domain.project(x + domain.reduce(objective.gradient(path[-1])) / smooth)
        path.append(domain.embed(x))
    return np.stack(path)


def step_ball(objective: Objective, theta: np.ndarray, smooth: float) -> np.ndarray:
    """One step in ball arithmetic, projected onto ‖θ − c‖ ≤ B; from C that is Proj_C."""
    center, radius = objective.problem.center, arb(float(objective.problem.radius))
    center = arb_numbers().asarray(center)
    move = theta + gradient_ball(objective, theta) / arb(smooth) - center
    norm = (move * move).sum().sqrt()
    shrink = arb(1) if norm < radius else radius / norm
    return np.asarray(center + move * shrink)


def rate_fails(
    objective: Objective,
    start: np.ndarray,
    best: np.ndarray,
    smooth: float,
    factor: float,
    steps: int,
    says: str,
) -> Evidence:
    """Decide gap_t > factor · gap_0 in ball arithmetic, the iterates included.

    With J(better) for J* the excess is only smaller, as factor < 1.
    """
    xp, better = arb_numbers(), inward(objective.problem, best)

    def excess() -> Ball:
        first = theta = xp.asarray(start)
        for _ in range(steps):
            theta = step_ball(objective, theta, smooth)
        top = objective.value(xp.asarray(better))
        return top - objective.value(theta) - arb(factor) * (top - objective.value(first))

    return refute(
        objective.problem, start, f"gap_t > {factor:.6g}·gap_0 from θ, t = {steps}: {says}",
        float(excess()), excess, better=better.tolist(), smoothness=smooth,
    )  # fmt: skip


def _check(context: Context) -> Iterator[Evidence]:
    yield from argue(
        "gap_t ≤ (1 − μ/Λ)^t gap_0 for projected ascent with step 1/Λ",
        STEPS, ("C12 (μ, Λ)", "C13 (prox-PL)", "Taylor's formula with integral remainder"),
    )  # fmt: skip
    rng, tally = context.rng("C15"), Tally("gap_t ≤ (1 − μ/Λ)^t gap_0 at γ > K_B")
    for problem in filter(resolved, battery(rng, SIZES[context.effort] // 4)):
        at = moduli(problem, float(10 ** rng.uniform(-2, 1)))
        objective, domain = SAILRevKL(problem, at.gamma), Domain(problem)
        x = domain.coordinates(points(rng, problem, STARTS))
        path = ascend(objective, x, at.smooth, STEPS_RUN)
        values = objective.value(path)
        best = maximise(objective, Search(domain, "quick", context.seed))
        gap = max(best.value, float(values.max())) - values
        for t in (1, 2, 5, 15, STEPS_RUN):
            factor = float(bounds.linear_gap(at.mu, at.smooth, t, 1.0))
            right = factor * gap[0]
            right = np.where(right > ROUNDING * (1 + abs(best.value)), right, np.nan)

            def confirm(i: int, run: Callable[..., Evidence], path: np.ndarray, t: int) -> Evidence:
                return run(path[0, i], steps=t)

            run = partial(
                rate_fails, objective, best=best.theta, smooth=at.smooth, factor=factor, says="C15"
            )
            tally.add(gap[t], right, partial(confirm, run=run, path=path, t=t))
    yield tally.evidence()


# --- wrong variants ---------------------------------------------------------------------


def _wrong(name: str, says: str, factor: Callable[[Moduli], float]) -> Falsehood:
    """One step where J_γ is almost quadratic with curvature just above μ, far below Λ."""

    def check(context: Context) -> Iterator[Evidence]:
        problem = skewed("0.1", beta=0.1, radius=0.02)
        at = moduli(problem, 20.0)
        objective = SAILRevKL(problem, at.gamma)
        best = maximise(objective, Search(Domain(problem), context.effort, context.seed)).theta
        start = np.array([-0.015])
        yield rate_fails(objective, start, best, at.smooth, factor(at), 1, says)

    return Falsehood(name, says, check)


def _whole_ball(context: Context) -> Iterator[Evidence]:
    """From the sphere off c + S, projecting onto the ball alone."""
    objective, at = off_span()
    best = maximise(objective, Search(Domain(objective.problem), context.effort)).theta
    angle = np.linspace(0, 2 * np.pi, 2001)
    start = float(objective.problem.radius) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    move = start + objective.gradient(start) / at.smooth
    norm = np.linalg.norm(move, axis=1, keepdims=True)
    move *= np.minimum(1.0, float(objective.problem.radius) / norm)
    factor, top = float(bounds.contraction(at.mu, at.smooth)), objective.value(best)
    worst = int((top - objective.value(move) - factor * (top - objective.value(start))).argmax())
    says = "the rate on the whole ball, off c + S"
    yield rate_fails(objective, start[worst], best, at.smooth, factor, 1, says)


PLANTED = (
    _wrong("twice-the-rate", "gap_t ≤ (1 − 2μ/Λ)^t gap_0", lambda at: 1 - 2 * at.mu / at.smooth),
    _wrong("cubed", "gap_t ≤ (1 − μ/Λ)^{3t} gap_0", lambda at: (1 - at.mu / at.smooth) ** 3),
    Falsehood("whole-ball", "C15's rate on the ball, off c + S", _whole_ball),
)

CLAIMS: list[Claim] = [
    claim(
        "C15",
        title="projected gradient ascent with step 1/Λ converges linearly on C",
        statement=r"J_\gamma^*-J_\gamma(\theta_t)\le(1-\mu/\Lambda)^t(J_\gamma^*-J_\gamma(\theta_0))",
        source="arXiv 2606.31524; constants new",
        hypotheses=("γ > K_B", "C = ball ∩ (c + S)", "θ_0 ∈ C"),
        check=_check,
        planted=PLANTED,
    ),
]
