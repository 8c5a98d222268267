"""C18: the estimator (g − b)(s₁ + s₂) + βuΔ: unbiased, its second moment, its best baseline."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import vanishes
from proofs_check.arguments.estimator_moments import (
    computed,
    estimator,
    expectation_of,
    numerator,
    parabola,
    second_moment,
    spread,
    squared,
)
from proofs_check.evidence.argument import Ball, Step, Tally, argue, refute
from proofs_check.evidence.battery import battery, points, skewed
from proofs_check.expected import claim
from proofs_check.symbolic.identities import Identity, establish, false_identity
from proofs_check.symbolic.jets import points_in
from proofs_check.symbolic.settings import Prompt
from sailtheory.claims import Context, Falsehood
from sailtheory.numeric.numbers import Array, arb_numbers, sympy_numbers
from sailtheory.objectives.expectation import Point
from sailtheory.objectives.sail import SAIL
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds, formulas
from sailtheory.verdict import Evidence, Outcome

_XP = sympy_numbers()

# --- the bounds ----------------------------------------------------------------------------


def middle(xp: Any, z_range: Any) -> Any:
    """The middle of the range of g where |z| ≤ Z."""
    return (xp.log_sigmoid(z_range) + xp.log_sigmoid(-z_range)) / 2


def both_sides(point: Point, reach: Any, with_baseline: bool, centred: bool) -> tuple[Array, Array]:
    """E‖ĝ‖² and the production bound, |z| ≤ ``reach`` (..., n)."""
    b = middle(point.xp, reach)[..., None, None] if with_baseline else 0
    trace = formulas.fisher(point.policy, point.block.features)
    trace = sum(trace[..., i, i] for i in range(trace.shape[-1]))
    limit = bounds.second_moment_bound(point.xp, point.block.beta, reach, trace, centred=centred)
    return second_moment(point, b), limit


def above(
    problem: PreferenceProblem, theta: np.ndarray, where: tuple[int, int],
    with_baseline: bool, centred: bool, scale: float = 1.0,
) -> Evidence:  # fmt: skip
    """Decide E‖ĝ‖² > scale · bound, at a prompt (block, place), in ball arithmetic."""
    block, place = where

    def excess() -> Ball:
        xp = arb_numbers()
        point = points_in(xp, problem.blocks(xp), xp.asarray(theta))[block]
        reach = np.empty(point.z.shape[:-2], dtype=object)
        for i, z in enumerate(point.z):
            reach[i] = z.flat[0]
            for entry in z.flat:
                reach[i] = reach[i].max(entry)
        found, limit = both_sides(point, reach, with_baseline, centred)
        return found[place] - scale * limit[place]

    return refute(problem, theta, f"E‖ĝ‖² above {scale:g} × the bound", float(excess()), excess)


def try_bounds(context: Context) -> Generator[Evidence, None, bool]:
    """Both bounds on a battery of problems, every prompt at its own Z."""
    rng, alive = context.rng("C18"), True
    tallies = {False: Tally("E‖ĝ‖² ≤ 2 tr F (log(1 + e^Z) + βσ(Z))²"),
               True: Tally("b mid-range: E‖ĝ‖² ≤ 2 tr F (Z/2 + βσ(Z))²")}  # fmt: skip
    for problem in battery(rng, 360 if context.full else 48):
        theta = points(rng, problem, 32)
        for i, point in enumerate(SAIL(problem).points(theta)):
            for centred, tally in tallies.items():
                found, limit = both_sides(point, point.z.max((-2, -1)), centred, centred)

                def confirm(at: int, i: int = i, centred: bool = centred, p: Any = problem,
                            theta: Any = theta, n: int = found.shape[-1]) -> Evidence:  # fmt: skip
                    return above(p, theta[at // n], (i, at % n), centred, centred)

                tally.add(found.ravel(), limit.ravel(), confirm)
    for tally in tallies.values():
        found_evidence = tally.evidence()
        yield found_evidence
        alive &= found_evidence.outcome is not Outcome.REFUTED
    return alive


# --- the argument ------------------------------------------------------------------------


def _range_of_payoff() -> bool:
    """log σ(±Z) = ±Z/2 − log(2 cosh(Z/2)), so g has width Z; −log σ(−Z) = log(1 + e^Z)."""
    z = sp.Symbol("Z", positive=True)
    up, down = (sp.exp(_XP.log_sigmoid(s * z)).rewrite(sp.exp) for s in (1, -1))
    return bool(sp.simplify(up / down - sp.exp(z)) == 0
                and sp.simplify(1 / down - 1 - sp.exp(z)) == 0)  # fmt: skip


def _dpo_factor() -> bool:
    """U = p − σ = p(1 − σ) − (1 − p)σ, between −σ(z) and σ(−z)."""
    p, s = sp.symbols("p s")
    return vanishes(p - s - (p * (1 - s) - (1 - p) * s))


def _sum_of_squares() -> bool:
    """(1 + t)‖A‖² + (1 + 1/t)‖C‖² − ‖A + C‖² = ‖tA − C‖²/t; t = c/w makes (w + c)²."""
    t, w, c, a, e = sp.symbols("t w c a e", positive=True)
    square = (1 + t) * a**2 + (1 + 1 / t) * e**2 - (a + e) ** 2 - (t * a - e) ** 2 / t
    best = ((1 + t) * w**2 + (1 + 1 / t) * c**2).subs(t, c / w) - (w + c) ** 2
    return vanishes(square, best)


def _production_bound() -> bool:
    """The production bound is 2 tr F (w + βσ(Z))² for both w."""
    b, z, f = sp.symbols("beta Z f", positive=True)
    widths = {True: z / 2, False: -_XP.log_sigmoid(-z)}
    return vanishes(*(
        bounds.second_moment_bound(_XP, b, z, f, centred=mid)
        - 2 * f * (w + b * _XP.sigmoid(z)) ** 2
        for mid, w in widths.items()
    ))  # fmt: skip


STEPS = (
    Step("symbolic", "g lies in [log σ(−Z), log σ(Z)], of width Z; −log σ(−Z) = log(1 + e^Z)",
         _range_of_payoff),
    Step("symbolic", "|u| ≤ max(σ(z), σ(−z)) ≤ σ(Z)", _dpo_factor),
    Step("symbolic", "E‖A + C‖² ≤ (w + c)²·2 tr F where E‖A‖² ≤ w²·2 tr F, E‖C‖² ≤ c²·2 tr F",
         _sum_of_squares),
    Step("symbolic", "the production bound is 2 tr F (w + βσ(Z))²", _production_bound),
)  # fmt: skip

IDENTITIES = (
    Identity("E ĝ = ∇J for every b(x)", expectation_of(estimator)),
    Identity("E‖s₁ + s₂‖² = E‖Δ‖² = 2 tr F", spread),
    Identity("E‖ĝ‖² is a parabola in b with vertex b*", parabola(numerator),
             quick=((1, 3, 2),), full=((2, 3, 2), (1, 3, 3))),
    Identity("the second moment of the instances is E‖ĝ‖²", computed,
             quick=((1, 3, 2),), full=((2, 3, 2), (1, 3, 3))),
)  # fmt: skip


def check(context: Context) -> Generator[Evidence, None, None]:
    """Identities, instances of the bounds, then their argument."""
    if not (yield from establish(IDENTITIES, context, "C18")):
        return
    if not (yield from try_bounds(context)):
        return
    yield from argue(
        "ĝ is unbiased; both bounds of E‖ĝ‖²; b* minimises it where tr F > 0", STEPS,
        assumes=(
            "the identities above",
            "log σ and σ increase; g is a mean of log σ(±z)",
            "A = (g − b)(s₁ + s₂), |g − b| ≤ w; C = βuΔ, c = βσ(Z); w = 0 leaves C alone",
        ),
    )  # fmt: skip


# --- planted falsehoods ------------------------------------------------------------------


def one_score(x: Prompt, b: Any, k: int, j: int) -> Array:
    """(g − b)s₁ + βuΔ."""
    return estimator(x, b, k, j) - x.scores[j] * (x.g(k, j) - b)


def response_baseline(x: Prompt, b: Any, k: int, j: int) -> Array:
    """The baseline b + log π_ref(y₁), which depends on a response."""
    return estimator(x, b + x.log_ref[k], k, j)


def without_dpo(x: Prompt) -> Any:
    """E[g‖s₁ + s₂‖²]."""
    return x.pairs(lambda k, j: squared(x.scores[k] + x.scores[j]) * x.g(k, j))


def bound_fails(name: str, says: str, centred: bool, scale: float) -> Falsehood:
    """A smaller bound for the estimator without baseline, at θ_ref."""

    def check(_: Context) -> Generator[Evidence, None, None]:
        problem = skewed("0.5", beta=0.125, radius=1.0)
        yield above(problem, np.zeros(1), (0, 0), False, centred, scale)

    return Falsehood(name, says, check)


PLANTED = (
    false_identity("one-score", "E[(g − b)s₁ + βuΔ] = ∇J", expectation_of(one_score)),
    false_identity("response-baseline", "b may depend on y₁", expectation_of(response_baseline)),
    false_identity("baseline-without-dpo", "b* = E[g‖s₁ + s₂‖²]/(2 tr F)", parabola(without_dpo)),
    bound_fails("factor-two", "E‖ĝ‖² ≤ tr F (log(1 + e^Z) + βσ(Z))²", False, 0.5),
    bound_fails("no-baseline", "E‖ĝ‖² ≤ 2 tr F (Z/2 + βσ(Z))² with b = 0", True, 1.0),
)  # fmt: skip


CLAIMS = [
    claim(
        "C18",
        title="estimator of ∇J: unbiased, second moment, best baseline",
        statement=(
            r"E\hat g=\nabla J,\;\hat g=(g-b)(s_1+s_2)+\beta u\Delta;\quad "
            r"E\|\hat g\|^2\le2\,\mathrm{tr}F\,(\log(1+e^Z)+\beta\sigma(Z))^2,\;"
            r"2\,\mathrm{tr}F\,(Z/2+\beta\sigma(Z))^2\text{ with }b\text{ mid-range}"
        ),
        source="standard; constants new",
        hypotheses=("b depends on x alone", "|z| ≤ Z"),
        check=check,
        planted=PLANTED,
    )
]
