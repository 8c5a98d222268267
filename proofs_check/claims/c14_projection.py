"""C14: plain PL and a projection do not give global convergence: an instance with a trap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from flint import arb
from scipy.stats import binomtest

from proofs_check.arguments.first_order import inward, plain_progress
from proofs_check.arguments.trapping_region import Trap, trapping_squares
from proofs_check.evidence.argument import Ball, refute
from proofs_check.expected import claim
from sailtheory import SAIL, Objective, PreferenceProblem, SAILRevKL, examples
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence, Outcome, Strength

_HALF_ARC = 1e-3
_CORNERS = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
_DOWNHILL = np.array([0.26, -0.9656])  # ∇J has a positive part along this on all of C


def instance() -> PreferenceProblem:
    """The instance of theory.md, C14: c = 0, B = 2, d = 2."""
    return examples.load("c14-spurious-stop")


class Stops(NamedTuple):
    """Where projected ascent from random starts ends.

    Attributes:
        trap: The worse point, (2,). best: The better one, (2,).
        trapped: Starts that end within .05 of the trap. starts: All starts.
        share: The share of them, with its exact 95 % interval.
    """

    trap: np.ndarray
    best: np.ndarray
    trapped: int
    starts: int
    share: tuple[float, float, float]


def ascend(objective: Objective, context: Context, starts: int, steps: int = 800) -> Stops:
    """Projected ascent with step 1/Λ from points uniform in the disc."""
    problem = objective.problem
    domain, rng = Domain(problem), context.rng("C14")
    x = rng.normal(size=(starts, 2))
    x *= domain.radius * np.sqrt(rng.random((starts, 1))) / np.linalg.norm(x, axis=1, keepdims=True)
    lower = bounds.lower_curvature(FLOAT64, float(problem.beta), problem.z_max)
    smooth = float(bounds.smoothness(0.0, lower, problem.feature_diameter))
    for _ in range(steps):
        x = domain.project(x + objective.gradient(x) / smooth)
    values = objective.value(x)
    trap, best = x[values.argmin()], x[values.argmax()]
    trapped = int((np.linalg.norm(x - trap, axis=1) < 0.05).sum())
    interval = binomtest(trapped, starts).proportion_ci(method="exact")
    return Stops(trap, best, trapped, starts, (trapped / starts, interval.low, interval.high))


def trap_margin(objective: Objective, angle: float, better: np.ndarray) -> Ball:
    """Positive when an arc of the circle around ``angle`` holds a spurious stop.

    The tangential derivative falls from plus to minus along the arc, so it vanishes
    inside; the radial one is positive there, so that point satisfies the first-order
    conditions on C; and J on the arc stays below J at ``better``.
    """
    xp, radius = arb_numbers(), arb(float(objective.problem.radius))

    def gradient(at: arb) -> tuple[arb, arb, np.ndarray]:
        theta = np.array([radius * at.cos(), radius * at.sin()], dtype=object)
        g = objective.gradient(theta)
        return g[1] * at.cos() - g[0] * at.sin(), g[0] * at.cos() + g[1] * at.sin(), theta

    first, last = arb(angle - _HALF_ARC), arb(angle + _HALF_ARC)
    _, radial, arc = gradient(first.union(last))
    above = objective.value(xp.asarray(better)) - objective.value(arc)
    return gradient(first)[0].min(-gradient(last)[0]).min(radial).min(above)


def stop_evidence(objective: Objective, stops: Stops, says: str) -> Evidence:
    """The spurious stop as a witness."""
    angle = float(np.arctan2(stops.trap[1], stops.trap[0]))
    better = inward(objective.problem, stops.best)
    return refute(
        objective.problem, stops.trap, f"projected ascent stops near θ, below its maximum: {says}",
        float(objective.value(stops.trap)), lambda: trap_margin(objective, angle, better),
        better=better.tolist(), best_value=float(objective.value(better)),
    )  # fmt: skip


# --- plain PL holds on the instance: ‖∇J‖ is bounded away from 0 on C --------------------


def gradient_floor(problem: PreferenceProblem, level: float) -> int:
    """Squares that cover C on which ‖∇J‖ ≥ level; 0 if a square cannot be settled.

    The gradient is Lipschitz with max(K_B, K⁻)D²/4 (C11, C12), here for the ball of
    radius 1.5B that contains all squares. Centres are float64.
    """
    objective, z = SAIL(problem), 1.5 * problem.z_max
    beta, radius = float(problem.beta), float(problem.radius)
    curved = max(bounds.relative_bound(beta, z), bounds.lower_curvature(FLOAT64, beta, z))
    lipschitz = curved * problem.feature_diameter**2 / 4
    centers, half, count = np.zeros((1, 2)), radius, 0
    for _ in range(14):
        centers = centers[np.linalg.norm(centers, axis=1) - half * 2**0.5 <= radius]
        norm = np.linalg.norm(objective.gradient(centers), axis=1)
        open_ = norm - lipschitz * half * 2**0.5 < level
        count += int((~open_).sum())
        if not open_.any():
            return count
        half /= 2
        centers = (centers[open_][:, None] + half * _CORNERS).reshape(-1, 2)
    return 0


def certified_floor(problem: PreferenceProblem) -> int:
    """Boxes that cover C on which wᵀ∇J > 0 in ball arithmetic; 0 if one is not settled."""
    objective, xp = SAIL(problem), arb_numbers()
    radius, w = float(problem.radius), arb_numbers().asarray(_DOWNHILL)
    boxes, count = [(np.zeros(2), radius)], 0
    while boxes:
        center, half = boxes.pop()
        if np.linalg.norm(center) - half * 1.4143 > radius:
            continue
        point, side = xp.asarray(center), arb(0, half)
        curved = objective.hessian(point + side) if half < 0.3 else None
        if curved is not None:
            part = w @ objective.gradient(point) + (w @ curved) @ np.array([side, side])
            if part > 0:
                count += 1
                continue
        half /= 2
        if half < 1e-3:
            return 0
        boxes += [(center + half * corner, half) for corner in _CORNERS]
    return count


def smallest_gradient(problem: PreferenceProblem, context: Context) -> tuple[float, np.ndarray]:
    """inf ‖∇J‖ over C, by search, and where."""
    objective = SAIL(problem)
    search = Search(Domain(problem), context.effort, context.seed)
    found = search.maximise(lambda t: -np.linalg.norm(objective.gradient(t), axis=-1))
    return -found.value, found.theta


def _check(context: Context) -> Iterator[Evidence]:
    problem = instance()
    objective = SAIL(problem)
    squares = gradient_floor(problem, 1e-3)
    detail = (
        f"plain PL holds: ‖∇J‖ ≥ .001 on {squares} squares that cover C, by C11's Lipschitz "
        "constant and float64 centres"
        if squares
        else "plain PL: the squares did not settle ‖∇J‖ ≥ .001"
    )
    yield Evidence("argument", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    if context.full:
        boxes = certified_floor(problem)
        detail = f"plain PL holds: a direction w with wᵀ∇J > 0 on {boxes} boxes that cover C"
        if boxes:
            yield Evidence("certified", detail, Outcome.UNDECIDED, Strength.CERTIFIED)
    least, theta = smallest_gradient(problem, context)
    detail = f"smallest ‖∇J‖ found on C {least:.6g} at {np.round(theta, 3).tolist()}"
    yield Evidence("search", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    stops = ascend(objective, context, 2000 if context.full else 300)
    share, low, high = stops.share
    detail = (
        f"{stops.trapped} of {stops.starts} random starts ({share:.1%}, 95 % interval "
        f"{low:.1%} to {high:.1%}) stop at {np.round(stops.trap, 3).tolist()}, "
        f"J = {objective.value(stops.trap):.5f}; best {objective.value(stops.best):.5f}"
    )
    yield Evidence("sampled", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    if context.full:
        better = inward(problem, stops.best)
        trapped = trapping_squares(objective, stops.trap, better)
        detail = (
            f"projected ascent from any point of C within {Trap().core} of it never leaves the "
            f"disc of radius {Trap().inner} about it, where J stays below its maximum: "
            f"{trapped} squares"
        )
        if trapped:
            yield Evidence("certified", detail, Outcome.UNDECIDED, Strength.CERTIFIED)
    if squares:
        yield stop_evidence(objective, stops, "on an arc of the circle, as first-order conditions")


# --- wrong variants ---------------------------------------------------------------------


def _gradient_third_digit(context: Context) -> Iterator[Evidence]:
    problem = instance()
    least, theta = smallest_gradient(problem, context)
    theta = inward(problem, theta)
    yield refute(
        problem, theta, "‖∇J‖ < .00349", least,
        lambda: arb("0.00349") ** 2 - plain_progress(SAIL(problem), theta),
    )  # fmt: skip


def _best_value(context: Context) -> Iterator[Evidence]:
    problem = instance()
    objective = SAIL(problem)
    search = Search(Domain(problem), context.effort, context.seed)
    best = inward(problem, maximise(objective, search).theta)
    yield refute(
        problem, best, "J > −.6688", float(objective.value(best)),
        lambda: objective.value(arb_numbers().asarray(best)) + arb("0.6688"),
    )  # fmt: skip


def _small_gamma(context: Context) -> Iterator[Evidence]:
    objective = SAILRevKL(instance(), 0.001)
    yield stop_evidence(objective, ascend(objective, context, 100), "γ = .001")


def _good_start(context: Context) -> Iterator[Evidence]:
    """The stop lies above J(θ_ref) = −log 2, and below the maximum all the same."""
    objective, xp = SAIL(instance()), arb_numbers()
    stops = ascend(objective, context, 100)
    angle = float(np.arctan2(stops.trap[1], stops.trap[0]))
    better = inward(objective.problem, stops.best)

    def excess() -> Ball:
        above: arb = objective.value(xp.asarray(stops.trap)) + xp.log_2()
        return above.min(trap_margin(objective, angle, better))

    value = float(objective.value(stops.trap))
    yield refute(objective.problem, stops.trap, "a spurious stop above J(θ_ref)", value, excess)


PLANTED = (
    Falsehood("gradient-third-digit", "‖∇J‖ ≥ .00349 on C", _gradient_third_digit),
    Falsehood("best-value", "J ≤ −.6688 on C", _best_value),
    Falsehood("any-gamma", "γ = .001 > 0 removes the spurious stop", _small_gamma),
    Falsehood("above-reference", "no stop above J(θ_ref) but the maximum", _good_start),
)

CLAIMS: list[Claim] = [
    claim(
        "C14",
        title="plain PL on C makes projected ascent converge to the maximum",
        statement=r"\|\nabla J\|^2\ge 2\mu(J^*-J)\text{ on }C \Rightarrow J(\theta_t)\to J^*",
        source="what plain PL gives without constraints; instance new",
        hypotheses=("plain PL on C, step 1/Λ, projection onto C",),
        check=_check,
        planted=PLANTED,
    )
]
