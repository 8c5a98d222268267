"""C25: C11's constant with each prompt's own preferences and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from proofs_check.arguments.prompt_steps import C25_ASSUMES, C25_STEPS
from proofs_check.claims.c11_relative_curvature import against, compare, constants, spectrum
from proofs_check.evidence.argument import Tally, argue
from proofs_check.evidence.battery import battery, points, single, skewed
from proofs_check.expected import claim
from sailtheory import SAIL, PreferenceProblem
from sailtheory.certificates.prompts.check import all_below
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, largest_relative_curvature_on
from sailtheory.problem.reduced import ROUNDING, ProblemPrompts, Reduced, ranges, reduced
from sailtheory.theory.data_bound import data_bound, inner_bound
from sailtheory.verdict import Evidence

_SIZES = {"quick": 18, "full": 180}
_Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


def _pairs(data: Reduced, beta: float) -> _Pairs:
    k, l = np.triu_indices(data.responses, 1)  # noqa: E741
    low, high = ranges(data, beta)
    return data.preference[:, k, l], low[:, k, l], high[:, k, l]


def _bound(beta: float, pairs: _Pairs, responses: int) -> np.ndarray:
    return data_bound(beta, *pairs, responses)


def k_data(problem: PreferenceProblem) -> float:
    """K_data of a problem."""
    beta = float(problem.beta)
    parts = [data for data in reduced(ProblemPrompts(problem)) if data.moves.any()]
    found = [_bound(beta, _pairs(data.take(data.moves), beta), data.responses) for data in parts]
    return float(np.concatenate(found).max())


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then K_data of prompts and of whole problems against points of C."""
    yield from argue(
        "∇²J_x ⪯ K F_x, K_data = max over prompts, ∇²J ⪯ K_data F̄", C25_STEPS, C25_ASSUMES
    )
    rng = context.rng("C25")
    alone_ = Tally("∇²J_x ⪯ K F_x for single prompts")
    searched = Tally("∇²J ⪯ K_data F̄ at the worst points that the search finds")
    below = Tally("K_data is no more than C11's closed form (i)")
    agrees = Tally("ball arithmetic shows γ*_x ≤ K, K as computed in float64")
    for problem in battery(rng, _SIZES[context.effort]):
        if problem.span.dimension == 0:
            continue
        for alone in (single(problem, x) for x in range(problem.prompts)):
            if alone.span.dimension:
                level = k_data(alone)
                compare(alone_, spectrum(SAIL(alone), points(rng, alone)), level)
                right = constants(alone)["(i) sharp closed form"] * (1 + 1e-9) + 1e-9
                below.add(np.array([level]), np.array([right]), partial(_above, "K_data"))
                agrees.add(np.array([float(not _shown(alone, level))]), np.zeros(1),
                           partial(_above, "ball arithmetic"))  # fmt: skip
        search = Search(Domain(problem), "quick", context.seed)
        worst = largest_relative_curvature_on(SAIL(problem), search).theta[None]
        compare(searched, spectrum(SAIL(problem), worst), k_data(problem))
    for tally in (alone_, searched, below, agrees):
        yield tally.evidence()


def _shown(problem: PreferenceProblem, level: float) -> bool:
    beta = float(problem.beta)
    (data,) = reduced(ProblemPrompts(problem))
    return bool(all_below(data, (beta, 2 * ROUNDING * beta), np.array([level])).all())


def _above(says: str, _: int) -> Evidence:
    """No witness in C stands for it: a defect of the code, not of the statement."""
    raise ArithmeticError(f"{says} disagrees")


# --- wrong variants ---------------------------------------------------------------------

Wrong = Callable[[PreferenceProblem], float]


def _wrong(name: str, says: str, problem: PreferenceProblem, bound: Wrong) -> Falsehood:
    def against_it(context: Context) -> Iterator[Evidence]:
        level = bound(problem)
        yield against(SAIL(problem), lambda t: level, says, context)

    return Falsehood(name, says, against_it)


def _parts(problem: PreferenceProblem) -> _Pairs:
    (data,) = reduced(ProblemPrompts(problem))
    return _pairs(data, float(problem.beta))


def _no_value(problem: PreferenceProblem) -> float:
    q, low, high = _parts(problem)
    return float(inner_bound(float(problem.beta), q, low, high, np.zeros(1))[0])


def _no_offset(problem: PreferenceProblem) -> float:
    q, low, high = _parts(problem)
    half = (high - low) / 2
    return float(data_bound(float(problem.beta), q, -half, half, problem.responses[0])[0])


def _no_preference(problem: PreferenceProblem) -> float:
    q, low, high = _parts(problem)
    return float(data_bound(float(problem.beta), 0 * q, low, high, problem.responses[0])[0])


def _grid(problem: PreferenceProblem) -> float:
    """The inner supremum at the ends and the middle of the interval, v at the middle."""
    q, low, high = _parts(problem)
    beta, z = float(problem.beta), np.stack([low, (low + high) / 2, high])
    t = np.tanh(z / 2) / 2
    g, u = q * z - np.log(np.cosh(z / 2)), q - t
    b = max(float(g[1].max()), 0.0) + beta * np.geomspace(0.05, 2, 200)
    inner = (u[1] ** 2 / (b - g[1]) + t[1] ** 2 - 0.25).max(0)
    return float((2 * b + 2 * beta**2 * inner).min())


def _ties(radius: float) -> PreferenceProblem:
    return PreferenceProblem(
        features=[[[1.0], [-1.0]]], preferences=[[[0.5, 0.5], [0.5, 0.5]]], beta=1, radius=radius
    )


def _shifted() -> PreferenceProblem:
    """Ties, and c far from θ_ref: z runs over [−.04, .76], not over [−.4, .4]."""
    return PreferenceProblem(
        features=[[[0.5], [-0.5]]], preferences=[[[0.5, 0.5], [0.5, 0.5]]], beta=0.1, radius=4,
        center=[3.6], ref_params=[0], base=[[1, 1000]],
    )  # fmt: skip


PLANTED = (
    _wrong("value-dropped", "value-dropped: K without v_x", _shifted(), _no_value),
    _wrong(
        "offset-dropped", "offset-dropped: |z| ≤ βB‖D‖ whatever c − θ_ref", _shifted(), _no_offset
    ),
    _wrong(
        "preference-dropped", "preference-dropped: q = 0 for every pair",
        skewed(1e-6, beta=0.1, radius=0.1), _no_preference,
    ),
    _wrong("grid", "grid: the middle of the interval for the suprema over it", _ties(3.0), _grid),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C25",
        title="data-dependent relative curvature: K_data from each pair's preference and interval",
        statement=r"\nabla^2 J_x \preceq K F_x,\; K = 2(b + v_x) + 2\beta^2 \max_{k<l}"
        r"\sup_z[u^2/(b - \tilde g) - \sigma'(z)]",
        source="new; proof in docs/theory.md",
        hypotheses=(
            "b ≥ 0, b > sup g̃ on every pair's interval over C",
            "v_x ≥ −(J_x + log 2) on C",
        ),
        check=check,
        planted=PLANTED,
    )
]
