"""Problems with rewards of responses on which C30–C33 are tried hard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from proofs_check.evidence.argument import Ball, Tally, deferred, refute
from proofs_check.evidence.battery import points
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.objectives.algebra import Objective
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.verdict import Evidence

ABOVE = 1 + 1e-12
"""Bounds in float64 carry a few units of rounding."""


def tied(chance: float | str, *, radius: float = 1.0) -> PreferenceProblem:
    """Two best responses of chance ``chance`` each, with opposite features, and one wrong.

    At θ_ref = 0 ∇²V = (1 − V)F: as the chance falls C30's bound becomes an equality.
    """
    rest = 1 - 2 * float(chance)
    return reward_problem(
        features=[[[1], [-1], [0]]], response_rewards=[[1, 1, 0]], radius=radius,
        base=[[chance, chance, rest]],
    )  # fmt: skip


def tabular(rng: np.random.Generator, correct: int, wrong: int) -> PreferenceProblem:
    """One prompt whose responses have a feature each."""
    m = correct + wrong
    return reward_problem(
        features=[np.eye(m)], response_rewards=[[1] * correct + [0] * wrong],
        radius=float(rng.uniform(1, 5)), base=[np.exp(2 * rng.normal(size=m))],
    )  # fmt: skip


def _random(rng: np.random.Generator, prompts: int, real: bool) -> PreferenceProblem:
    d = int(rng.integers(1, 5))
    sizes = [int(rng.integers(2, 8)) for _ in range(prompts)]
    scale = float(rng.choice([0.3, 1, 3]))
    return reward_problem(
        features=[rng.normal(size=(m, d)) for m in sizes],
        response_rewards=[rng.normal(size=m) if real else _hits(rng, m) for m in sizes],
        radius=float(rng.uniform(0.5, 6)),
        base=[np.exp(scale * rng.normal(size=m)) for m in sizes],
    )


def _hits(rng: np.random.Generator, m: int) -> list[int]:
    """At least one correct response and one wrong."""
    correct = rng.permutation(m)[: int(rng.integers(1, m))]
    return [int(k in correct) for k in range(m)]


def reward_battery(
    rng: np.random.Generator, count: int, *, real: bool = False
) -> Iterator[PreferenceProblem]:
    """Problems of four kinds in turn; ``real`` draws rewards from N(0, 1)."""
    for i in range(count):
        if i % 4 == 0:
            yield _random(rng, 1, real)
        elif i % 4 == 1:
            yield _random(rng, int(rng.integers(2, 5)), real)
        elif i % 4 == 2:
            m = int(rng.integers(3, 7))
            problem = tabular(rng, int(rng.integers(1, m)), 1)
            if real:
                rewards = [rng.normal(size=problem.responses[0])]
                problem = problem.replace(response_rewards=rewards)
            yield problem
        else:
            yield tied(float(10 ** rng.uniform(-6, -0.5)), radius=float(rng.uniform(0.1, 3)))


def alternating(slopes: Iterable[Ball]) -> Ball:
    """Positive if the numbers are > 0, < 0, > 0, … in turn: a slope that turns between maxima."""
    signed = [slope if i % 2 == 0 else -slope for i, slope in enumerate(slopes)]
    least = signed[0]
    for each in signed[1:]:
        least = least.min(each)
    return least


# --- superlevel sets ----------------------------------------------------------------------


def not_convex(objective: Objective, a: np.ndarray, b: np.ndarray, says: str) -> Evidence:
    """Decide that a and b lie in {J ≥ J(θ_ref)} and their midpoint does not, in balls."""
    problem, xp = objective.problem, arb_numbers()

    def excess() -> Ball:
        at: Array = np.stack([xp.asarray(a), xp.asarray(b)])
        start = objective.value(xp.asarray(problem.ref_params))
        ends = objective.value(at)
        middle = objective.value((at[0] + at[1]) / 2)
        return (start - middle).min(ends[0] - start).min(ends[1] - start)

    found = objective.value((a + b) / 2) - objective.value(problem.ref_params)
    return refute(problem, (a + b) / 2, says, float(found), excess, ends=[a.tolist(), b.tolist()])


def superlevel(tally: Tally, rng: np.random.Generator, objective: Objective) -> None:
    """Midpoints of pairs of points of {J ≥ J(θ_ref)}, near θ_ref and far from it."""
    problem = objective.problem
    shrink = 10.0 ** rng.uniform(-2, 0, size=(256, 1))
    at = problem.ref_params + shrink * (points(rng, problem, 256) - problem.ref_params)
    start = float(objective.value(problem.ref_params))
    inside = at[objective.value(at) > start]
    if len(inside) < 2:
        return
    a, b = inside, rng.permutation(inside)
    middle = objective.value((a + b) / 2)
    room = 1e-13 * (1 + abs(start))
    for i, value in enumerate(middle):
        tally.add(
            np.array([start]), np.array([value + room]),
            deferred(not_convex, objective, a[i], b[i], "the superlevel set is not convex"),
        )  # fmt: skip
