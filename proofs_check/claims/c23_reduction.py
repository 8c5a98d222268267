"""C23: γ* is at most the largest threshold of a single prompt, which does not see d."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from proofs_check.arguments.prompt_steps import C23_ASSUMES, C23_STEPS
from proofs_check.claims.c11_relative_curvature import against, compare, spectrum
from proofs_check.evidence.argument import Tally, argue
from proofs_check.evidence.battery import battery, points
from proofs_check.expected import claim
from sailtheory import SAIL, BradleyTerry, PreferenceProblem
from sailtheory.certificates.prompts import Plan, certify_prompts
from sailtheory.certificates.prompts.points import curvature
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, largest_relative_curvature_on
from sailtheory.problem.reduced import ProblemPrompts, PromptSource, reduced
from sailtheory.verdict import Evidence

_SIZES = {"quick": 12, "full": 90}
_WIDTH = Plan(tolerance=0.05)


@dataclass(frozen=True, eq=False)
class _Around(ProblemPrompts):
    """The same prompts with another centre of the ball."""

    middle: Any = None

    @property
    def center(self) -> np.ndarray:
        """The centre in place of c."""
        return np.asarray(self.middle)


def threshold(source: PromptSource) -> float:
    """The certified upper bound of ḡ."""
    found = certify_prompts(source, _WIDTH).gamma
    assert found is not None
    return found


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then the certified ḡ against points, and points that a search finds."""
    yield from argue("γ* ≤ ḡ = max_x γ*_x, whatever L with LLᵀ ⪰ B²DDᵀ", C23_STEPS, C23_ASSUMES)
    rng = context.rng("C23")
    tried = Tally("∇²J ⪯ ḡF̄ at random points, ḡ certified")
    searched = Tally("∇²J ⪯ ḡF̄ at the worst points that the search finds")
    for problem in battery(rng, _SIZES[context.effort]):
        if problem.span.dimension == 0 or max(problem.responses) > 4:
            continue
        level = threshold(ProblemPrompts(problem))
        compare(tried, spectrum(SAIL(problem), points(rng, problem)), level)
        worst = largest_relative_curvature_on(
            SAIL(problem), Search(Domain(problem), "quick", context.seed)
        )
        compare(searched, spectrum(SAIL(problem), worst.theta[None]), level)
    yield tried.evidence()
    yield searched.evidence()


# --- wrong variants ---------------------------------------------------------------------


def _away() -> PreferenceProblem:
    """θ_ref and 0 are far from c: the first response wins, the policy begins elsewhere."""
    return PreferenceProblem(
        features=[[[0.5], [-0.5]]], preferences=[[[0.5, 1], [0, 0.5]]], beta=1, radius=2,
        center=[-4], ref_params=[-2.5], base=[[250, 1]],
    )  # fmt: skip


def _other_centre(name: str, says: str, middle: Any) -> Falsehood:
    problem = _away()

    def wrong(context: Context) -> Iterator[Evidence]:
        level = threshold(_Around(problem, middle=middle(problem)))
        yield against(SAIL(problem), lambda t: level, says, context)

    return Falsehood(name, says, wrong)


def _grid(context: Context) -> Iterator[Evidence]:
    """Five points of each ball in place of an enclosure."""
    problem = PreferenceProblem(
        features=[[[0.5], [-0.5]]], preferences=[[[0.5, 0.5], [0.5, 0.5]]], beta=0.1, radius=20,
        base=[[1000, 1]],
    )  # fmt: skip
    (data,) = reduced(ProblemPrompts(problem))
    points_ = np.linspace(-1, 1, 5).reshape(1, 5, 1)
    best = float(curvature(data, float(problem.beta), points_).max())
    yield against(SAIL(problem), lambda t: best, "grid: five points of each ball bound it", context)


def _mean(context: Context) -> Iterator[Evidence]:
    """The mean of the prompts' thresholds, two prompts in directions of their own."""
    one, other = np.eye(2)
    problem = PreferenceProblem(
        features=[[one / 2, -one / 2], [other / 2, -other / 2]],
        preferences=[BradleyTerry([3, 0]), BradleyTerry([0, 0])], beta=0.1, radius=1,
        base=[[1, 50], [1, 1]],
    )  # fmt: skip
    alone = [
        threshold(ProblemPrompts(problem.replace(
            features=[problem.features[x]], preferences=[problem.preferences[x]],
            weights=None, base=[problem.base[x]],
        )))
        for x in range(2)
    ]  # fmt: skip
    level = float(np.mean(alone))
    yield against(SAIL(problem), lambda t: level, "mean: E_x γ*_x bounds γ*", context)


PLANTED = (
    _other_centre("wrong-ball", "wrong-ball: γ*_x over the ball around 0", lambda p: np.zeros(1)),
    _other_centre(
        "dropped-offset", "dropped-offset: z from w alone, without (c − θ_ref)·D",
        lambda p: p.ref_params,
    ),
    Falsehood("grid", "five points of each ball bound the curvature on it", _grid),
    Falsehood("mean", "the mean of the γ*_x bounds γ*", _mean),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C23",
        title="reduction to single prompts: γ* ≤ ḡ, the largest γ*_x, in any dimension",
        statement=r"\gamma^* \le \bar g := \max_x \sup_{w \in S_x,\ \|w\| \le B}"
        r"\lambda_{\max}(\nabla^2 J_x, F_x)(P_x c + w)",
        source="new; proof in docs/theory.md",
        hypotheses=("S_x the span of prompt x's differences", "C the ball around c in c + S"),
        check=check,
        planted=PLANTED,
    )
]
