"""C36: without the score term curvature is at most K_V F̄, for any payoff; K_V is sharp."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from proofs_check.arguments.field_steps import C36_STEPS
from proofs_check.claims.c11_relative_curvature import against, compare, spectrum
from proofs_check.evidence.argument import Tally, argue
from proofs_check.evidence.battery import SIZES, battery, points, single, skewed
from proofs_check.expected import claim
from sailtheory import OnlineDPO, PreferenceProblem
from sailtheory.analysis.online import field_thresholds
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, largest_relative_curvature_on
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.expectation import Point
from sailtheory.theory import field_bound, formulas
from sailtheory.theory.payoff import Payoff
from sailtheory.verdict import Evidence

ABOVE = 1 + 1e-12  # closed forms in float64 carry a few units of rounding
_SEARCHED = {"quick": 8, "full": 60}


class OnlineIPO(OnlineDPO):
    """The same field for IPO's payoff, whose population form is quadratic in z."""

    def _payoff(self, at: Point) -> Payoff:
        return formulas.squared_payoff(at.block.preference, at.z, at.block.beta)


def k_v(problem: PreferenceProblem) -> float:
    """K_V at Z_max, rounded up; it may be negative."""
    found = float(field_bound.field_bound(FLOAT64, float(problem.beta), problem.z_max_above))
    return found + (ABOVE - 1) * (float(problem.beta) + float(problem.beta) ** 2)


def k_v_data(problem: PreferenceProblem) -> float:
    """What `check` calls certified: the largest of the prompts' own bounds."""
    found = field_thresholds(problem).data
    assert found is not None
    return found


def ipo_bound(beta: float, z_range: float, offset: float) -> float:
    """2b + 2β² sup[G'²/(4b) + G''] for G = −(z − ½)²/β²: G' = (1 − 2z)/β², G'' = −2/β²."""
    steepest = (1 + 2 * z_range) / beta**2
    inner = steepest**2 / (4 * offset) - 2 / beta**2
    return float(field_bound.payoff_field_bound(beta, offset, inner))


def best_ipo_bound(problem: PreferenceProblem, share: float = 1.0) -> float:
    """At b = β·sup|G'|/2, which minimises it, times ``share``."""
    beta, z = float(problem.beta), problem.z_max_above
    return ipo_bound(beta, z, share * (1 + 2 * z) / (2 * beta)) * ABOVE


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then the bounds at random, extremal and searched points."""
    yield from argue(
        "sym DV ⪯ K_V F̄ for any payoff; for log σ K_V = 2βσ(Z) − 2β²σ'(Z), and no smaller "
        "constant holds for every problem of that β and Z", C36_STEPS,
        ("convex functions are largest at ends", "a limit of instances, π₁ → 0"),
    )  # fmt: skip
    rng = context.rng("C36")
    sharp, own = Tally("sym DV ⪯ K_V F̄, log σ"), Tally("the same with each prompt's own K_V")
    ipo, order = Tally("sym DV ⪯ K_V F̄, IPO"), Tally("own K_V ≤ K_V ≤ 2β")
    searched = Tally("sym DV ⪯ own K_V F̄ at the worst points that the search finds")
    for number, problem in enumerate(battery(rng, SIZES[context.effort])):
        if problem.span.dimension == 0:
            continue
        theta = points(rng, problem)
        at = spectrum(OnlineDPO(problem), theta)
        compare(sharp, at, k_v(problem))
        compare(own, at, k_v_data(problem))
        compare(ipo, spectrum(OnlineIPO(problem), theta), best_ipo_bound(problem))
        for alone in (single(problem, x) for x in range(problem.prompts)):
            if alone.span.dimension:
                compare(own, spectrum(OnlineDPO(alone), theta), k_v_data(alone))
        limit = 2 * float(problem.beta)
        levels = np.array([k_v_data(problem), k_v(problem)])
        order.add(levels, np.array([levels[1], limit]) + 1e-11 * (limit + limit**2), _disagrees)
        if number < _SEARCHED[context.effort]:
            search = Search(Domain(problem), "quick", context.seed)
            worst = largest_relative_curvature_on(OnlineDPO(problem), search).theta[None]
            compare(searched, spectrum(OnlineDPO(problem), worst), k_v_data(problem))
    for tally in (sharp, own, searched, ipo, order):
        yield tally.evidence()


def _disagrees(_: int) -> Evidence:
    raise ArithmeticError("the bounds are not ordered")


# --- wrong variants ---------------------------------------------------------------------

Bound = Callable[[float, float, float], float]
"""β, σ(Z) and σ(−Z) to a constant."""


def _wrong(
    name: str, says: str, bound: Bound, field: Callable[[PreferenceProblem], OnlineDPO] = OnlineDPO,
    *, chance: str = "1e-4", beta: float = 1.0, radius: float = 1.0, wins: bool = True,
) -> Falsehood:  # fmt: skip
    problem = skewed(chance, beta=beta, radius=radius, wins=wins)

    def check(context: Context) -> Iterator[Evidence]:
        z = problem.z_max_above
        level = bound(beta, float(FLOAT64.sigmoid(z)), float(FLOAT64.sigmoid(-z)))
        yield against(field(problem), lambda t: level, says, context)

    return Falsehood(name, says, check)


def _ipo(name: str, says: str, bound: Callable[[PreferenceProblem], float]) -> Falsehood:
    problem = skewed("1e-4", beta=0.5, radius=1.0)

    def check(context: Context) -> Iterator[Evidence]:
        yield against(OnlineIPO(problem), lambda t: bound(problem), says, context)

    return Falsehood(name, says, check)


def _swapped(context: Context) -> Iterator[Evidence]:
    """Each pair's interval with the preference of the other order."""
    problem = skewed("1e-4", beta=1.0, radius=1.0).replace(ref_params=[0.9])
    flipped = problem.replace(preferences=[[[0.5, 0], [1, 0.5]]])
    says = "swapped: own K_V with p₂₁ for p₁₂"
    yield against(OnlineDPO(problem), lambda t: k_v_data(flipped), says, context)


PLANTED = (
    _wrong("third-digit", "third-digit: 1.99βσ(Z) − 2β²σ'(Z)",
           lambda b, up, down: 1.99 * b * up - 2 * b * b * up * down),
    _wrong("slope-tripled", "slope-tripled: 2βσ(Z) − 3β²σ'(Z)",
           lambda b, up, down: 2 * b * up - 3 * b * b * up * down),
    _wrong("slope-at-zero", "slope-at-zero: 2βσ(Z) − 2β²σ'(0)",
           lambda b, up, down: 2 * b * up - b * b / 2),
    _wrong("sigma-dropped", "sigma-dropped: 2βσ(0) − 2β²σ'(Z)",
           lambda b, up, down: b - 2 * b * b * up * down),
    Falsehood("swapped", "own K_V with p₂₁ for p₁₂ on each pair's interval", _swapped),
    _ipo("other-offset", "other-offset: IPO, sup[G'²/(8b) + G''] in place of G'²/(4b)",
         lambda p: ipo_bound(0.5, p.z_max_above, (1 + 2 * p.z_max_above))
         - (1 + 2 * p.z_max_above)),
    _ipo("curvature-twice", "curvature-twice: IPO, 2β²·2 sup G''",
         lambda p: best_ipo_bound(p) - 4),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C36",
        title="without the score term: sym DV ⪯ K_V F̄ for any payoff, sharp for log σ",
        statement=r"\mathrm{sym}\,DV \preceq K_V\bar F,\; K_V = \min_{b>0}2b + 2\beta^2"
        r"\sup_{|z|\le Z}[(G')^2/(4b)+G''],\; G=\log\sigma:\;"
        r" K_V=2\beta\sigma(Z)-2\beta^2\sigma'(Z)",
        source="new; proof in docs/theory.md",
        hypotheses=("G in C^{1,1}", "Z at least the range of βδᵀφ on C", "one step, not sequences"),
        check=check,
        planted=PLANTED,
    )
]
