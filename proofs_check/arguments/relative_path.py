"""C11 (iv): the component of {J_γ ≥ −log 2} that contains θ_ref, for one prompt."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from flint import arb

from proofs_check.evidence.argument import Ball, Tally, curvature_ball, refute
from proofs_check.evidence.battery import SIZES, battery, single
from sailtheory import SAIL, Objective, PreferenceProblem, SAILRevKL
from sailtheory.claims import Context, Falsehood
from sailtheory.landscape import Domain, Search, largest_relative_curvature
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence

_RAYS, _STEPS = 24, 12
_NUDGE = 1 + 1e-9
_LOG_2 = float(np.log(2.0))


def component(objective: Objective, domain: Domain, rng: np.random.Generator) -> np.ndarray:
    """Points of the component of {J_γ ≥ −log 2} of θ_ref, along rays from it: (k, d)."""
    ways = rng.normal(size=(_RAYS, 1, domain.dimension))
    ways /= np.linalg.norm(ways, axis=-1, keepdims=True)
    reach = np.geomspace(1e-3, 1e2, 40 * _STEPS)[:, None]
    theta = domain.problem.ref_params + domain.lift(reach * ways)
    inside = np.logical_and.accumulate(objective.value(theta) > -_LOG_2, axis=1)
    chosen = [ray[keep] for ray, keep in zip(theta, inside, strict=True) if keep.any()]
    picked = [ray[np.linspace(0, len(ray) - 1, _STEPS).astype(int)] for ray in chosen]
    return np.concatenate(picked) if picked else np.zeros((0, domain.problem.dimension))


def path_tally(context: Context) -> Tally:
    """J_γ is concave on the component, and midpoints of its points stay in it."""
    rng = context.rng("C11 path")
    tally = Tally("(iv) J_γ strictly concave on the component of θ_ref, and its midpoints inside")
    for problem in battery(rng, SIZES[context.effort] // 3):
        alone = single(problem, 0)
        domain = Domain(alone)
        if domain.dimension == 0:
            continue
        gamma = bounds.path_threshold(FLOAT64, float(alone.beta)) * _NUDGE
        objective = SAILRevKL(alone, gamma)
        theta = component(objective, domain, rng)
        if not len(theta):
            continue
        values, v = largest_relative_curvature(SAIL(alone), domain, theta)
        limit = np.full(len(theta), gamma)
        tally.add(values, limit, partial(_convex_along, objective, theta, v))
        middle = (theta + theta[rng.permutation(len(theta))]) / 2
        floor = np.full(len(middle), -_LOG_2)
        tally.add(floor, objective.value(middle), partial(_below, objective, middle))
    return tally


def _convex_along(
    objective: Objective, points: np.ndarray, directions: np.ndarray, i: int
) -> Evidence:
    theta, v = points[i], directions[i]
    return refute(
        objective.problem, theta, "vᵀ∇²J_γ v > 0 where J_γ ≥ −log 2",
        float(v @ objective.hessian(theta) @ v), lambda: curvature_ball(objective, theta, v),
        direction=v.tolist(),
    )  # fmt: skip


def _below(objective: Objective, points: np.ndarray, i: int) -> Evidence:
    return refute(
        objective.problem, points[i], "a midpoint of two points of the component is below −log 2",
        float(objective.value(points[i])), lambda: -_level(objective, points[i]),
    )  # fmt: skip


def _level(objective: Objective, theta: np.ndarray) -> Ball:
    """J_γ + log 2 as a ball."""
    xp = arb_numbers()
    return objective.value(xp.asarray(theta)) + xp.log_2()


def two_prompts() -> PreferenceProblem:
    """A heavy prompt that gains from θ₁ > 0, and a light one that is lost there.

    The light prompt alone varies along θ₂. Its first response, rare under π_ref, is
    brought up by θ₁ > 0, where J_x falls far below −log 2.
    """
    return PreferenceProblem(
        features=[[[1, 0], [-1, 0]], [[40, 0], [-40, 0], [-40, "0.4"]]],
        preferences=[[[0.5, 1], [0, 0.5]], [[0.5, 1, 0], [0, 0.5, 0], [1, 1, 0.5]]],
        weights=["0.999", "0.001"], base=[[1, 1], ["1e-7", 1, 1]], beta=1, radius="0.4",
    )  # fmt: skip


_BOXES = 256


def segment_inside(objective: Objective, theta: np.ndarray) -> bool:
    """Whether J_γ ≥ −log 2 on the segment from θ_ref to θ, in ball arithmetic.

    J_γ(θ_ref) = −log 2, so on the first boxes its slope along the segment decides.
    """
    xp = arb_numbers()
    start = xp.asarray(objective.problem.ref_params)
    way = xp.asarray(theta) - start
    rising = True
    for k in range(_BOXES):
        part = arb(k).union(arb(k + 1)) / _BOXES
        box = start + way * part
        rising = rising and bool((objective.gradient(box) @ way) > 0)
        if not (rising or _level(objective, box) > 0):
            return False
    return True


def path_falsehood() -> Falsehood:
    """(iv) for an average over prompts: J_γ ≥ −log 2 does not bound each J_x."""

    def check(context: Context) -> Iterator[Evidence]:
        problem = two_prompts()
        gamma = bounds.path_threshold(FLOAT64, float(problem.beta)) * _NUDGE
        objective, domain = SAILRevKL(problem, gamma), Domain(problem)

        def curvature(theta: np.ndarray) -> np.ndarray:
            values = largest_relative_curvature(objective, domain, theta)[0]
            return np.where(objective.value(theta) > -_LOG_2 + 1e-6, values, np.nan)

        found = Search(domain, context.effort, context.seed).maximise(curvature)
        way = largest_relative_curvature(objective, domain, found.theta)[1]

        def excess() -> Ball:
            curved = curvature_ball(objective, found.theta, way)
            return curved if segment_inside(objective, found.theta) else -abs(curved)

        yield refute(
            problem, found.theta, "J_γ ≥ −log 2 on the segment from θ_ref to θ, yet vᵀ∇²J_γ v > 0",
            found.value, excess, direction=way.tolist(), gamma=gamma,
        )  # fmt: skip

    return Falsehood("path-averaged", "corollary (iv) for several prompts", check)
