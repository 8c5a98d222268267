"""C26: a threshold of the average over prompts, from a quadratic minorant of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from proofs_check.arguments.averaged_steps import C26_ASSUMES, C26_STEPS
from proofs_check.claims.c11_relative_curvature import against, compare, spectrum
from proofs_check.evidence.argument import Tally, argue
from proofs_check.evidence.battery import points, single
from proofs_check.expected import claim
from sailtheory import SAIL, BradleyTerry, PreferenceProblem
from sailtheory.certificates.averaged import AveragedCertificate, certify_averaged, replay_averaged
from sailtheory.certificates.averaged.minorants import Minorants
from sailtheory.certificates.averaged.pairs import Rotated, read_pairs, rotate
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, largest_relative_curvature_on
from sailtheory.problem.reduced import ProblemPrompts
from sailtheory.theory.averaged_bound import shortfall
from sailtheory.verdict import Evidence

_SIZES = {"quick": 6, "full": 60}


def pairs_problem(rng: np.random.Generator) -> PreferenceProblem:
    """Several prompts of two responses, the centre away from θ_ref, hard and soft preferences."""
    n, d = int(rng.integers(4, 30)), int(rng.integers(1, 4))
    radius = float(10 ** rng.uniform(-0.5, 0.6))
    ref = rng.normal(size=d) * (rng.random() < 0.7)
    ref *= 0.8 * radius * rng.random() / max(float(np.linalg.norm(ref)), 1e-9)
    middle = rng.normal(size=d)
    scale = (0.1, 1.0, 30.0)[int(rng.integers(3))]
    return PreferenceProblem(
        features=rng.normal(size=(n, 2, d)) / np.sqrt(2 * d),
        preferences=[BradleyTerry(scale * r) for r in rng.normal(size=(n, 2))],
        beta=float(10 ** rng.uniform(-2, 0.5)), radius=radius,
        base=rng.dirichlet(np.ones(2), n) + 1e-3, weights=rng.dirichlet(np.ones(n)) + 1e-3,
        center=middle, ref_params=middle + ref,
    )  # fmt: skip


def certificate(problem: PreferenceProblem) -> AveragedCertificate:
    """The certificate of a problem."""
    return certify_averaged(ProblemPrompts(problem))


def _refused(_: int) -> Evidence:
    raise ArithmeticError("replay does not accept a certificate")


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then certified thresholds against points of C and worst points."""
    yield from argue("γF̄ ⪰ ∇²J on C for the γ of the certificate (m = 2)", C26_STEPS, C26_ASSUMES)
    rng = context.rng("C26")
    tried = Tally("∇²J ⪯ γF̄ at random points, γ certified for the average")
    searched = Tally("∇²J ⪯ γF̄ at the worst points that the search finds")
    again = Tally("replay accepts the certificate")
    for _ in range(_SIZES[context.effort]):
        problem = pairs_problem(rng)
        made = certificate(problem)
        if made.gamma is None:
            continue
        compare(tried, spectrum(SAIL(problem), points(rng, problem)), made.gamma)
        search = Search(Domain(problem), "quick", context.seed)
        worst = largest_relative_curvature_on(SAIL(problem), search).theta[None]
        compare(searched, spectrum(SAIL(problem), worst), made.gamma)
        accepted = replay_averaged(made, ProblemPrompts(problem)).valid
        again.add(np.array([float(not accepted)]), np.zeros(1), _refused)
    for tally in (tried, searched, again):
        yield tally.evidence()


# --- wrong variants ---------------------------------------------------------------------


Needed = Callable[[Rotated, np.ndarray, float], float]
"""What λ_min(E Aỹỹᵀ) is said to need, from the coordinates, ℓ and κ."""


_BENDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0)


def least(problem: PreferenceProblem, needed: Needed) -> float:
    """The least γ that a version of the inequality accepts, one dimension, in float64."""
    return min(_least(problem, needed, share, bend) for share in (0.0, 1.0) for bend in _BENDS)


def _least(problem: PreferenceProblem, needed: Needed, share: float, bend: float) -> float:
    pairs = read_pairs(ProblemPrompts(problem))
    rotated = rotate(pairs)
    assert rotated is not None and rotated.rows.shape[1] == 1
    minorants = Minorants(pairs.data, pairs.beta)
    square = rotated.weights * rotated.white[:, 0] ** 2

    def accepts(gamma: float) -> bool:
        slope = minorants.slopes.at(gamma, share)
        lowest = minorants.constant(gamma, slope, bend)
        return bool(square @ lowest >= needed(rotated, slope, bend))

    low, high = 0.0, 64.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if accepts(middle) else (middle, high)
    return high


def moments(rotated: Rotated, slope: np.ndarray, bend: float) -> tuple[float, float]:
    """T₃ and T₄ in one dimension: absolute moments."""
    square = rotated.weights * rotated.white[:, 0] ** 2
    rows = rotated.rows[:, 0]
    return abs(float(square @ (slope * rows))), float(square @ rows**2)


def _full(rotated: Rotated, slope: np.ndarray, bend: float) -> float:
    third, fourth = moments(rotated, slope, bend)
    return float(shortfall(rotated.radius, third, bend, fourth))


def _no_trace(rotated: Rotated, slope: np.ndarray, bend: float) -> float:
    """The traceless part of T₃ alone, which is 0 in one dimension."""
    return float(shortfall(rotated.radius, 0.0, bend, moments(rotated, slope, bend)[1]))


def _no_eigenmatrix(rotated: Rotated, slope: np.ndarray, bend: float) -> float:
    """λ_max(T − t·mmᵀ) without t‖M‖²: 0 in one dimension."""
    return float(shortfall(rotated.radius, moments(rotated, slope, bend)[0], bend, 0.0))


def _falls() -> PreferenceProblem:
    """Three prompts of one kind, whose curvature rises on one side of c."""
    return PreferenceProblem(
        features=[[["0.5"], ["-0.5"]], [["0.45"], ["-0.45"]], [["0.4"], ["-0.4"]]],
        preferences=[[[0.5, 1], [0, 0.5]]] * 3, beta=1, radius=2, base=[[1, 20]] * 3,
    )  # fmt: skip


def _ties() -> PreferenceProblem:
    """The curvature rises on both sides of c."""
    return PreferenceProblem(
        features=[[["0.5"], ["-0.5"]]], preferences=[[[0.5, 0.5], [0.5, 0.5]]], beta=1, radius=4
    )  # fmt: skip


def _away() -> PreferenceProblem:
    """θ_ref and 0 are far from c."""
    return PreferenceProblem(
        features=[[[0.5], [-0.5]]], preferences=[[[0.5, 1], [0, 0.5]]], beta=1, radius=2,
        center=[-4], ref_params=[-2.5], base=[[250, 1]],
    )  # fmt: skip


def _planted(
    name: str, says: str, problem: PreferenceProblem, level: Callable[[], float]
) -> Falsehood:
    def wrong(context: Context) -> Iterator[Evidence]:
        bound = level()
        yield against(SAIL(problem), lambda t: bound, says, context)

    return Falsehood(name, says, wrong)


def _around_reference() -> float:
    """The certificate of the ball of the same radius around θ_ref."""
    problem = _away()
    moved = problem.replace(center=problem.ref_params)
    return least(moved, _full)


def _each_prompt(context: Context) -> Iterator[Evidence]:
    """The averaged γ as a bound of a single prompt, as ḡ is."""
    features = [[["0.5"], ["-0.5"]]] * 8
    wins = [[[0.5, 1], [0, 0.5]]] + [[[0.5, 0], [1, 0.5]]] * 7
    problem = PreferenceProblem(
        features=features, preferences=wins, beta="0.1", radius=1, base=[[1, 20]] * 8
    )
    made = certificate(problem)
    assert made.gamma is not None
    level = made.gamma
    says = "per-prompt: the averaged γ bounds each γ*_x"
    yield against(SAIL(single(problem, 0)), lambda t: level, says, context)


PLANTED = (
    _planted("around-reference", "around-reference: θ − θ_ref for θ − c", _away(),
             _around_reference),
    _planted("no-trace", "no-trace: T₃ without its trace part", _falls(),
             partial(least, _falls(), _no_trace)),
    _planted("no-eigenmatrix", "no-eigenmatrix: T₄ without t‖M‖²", _falls(),
             partial(least, _falls(), _no_eigenmatrix)),
    _planted("half-interval", "half-interval: |t| ≤ B‖φ̃‖ = B‖D‖/2", _ties(),
             partial(least, _ties().replace(radius=2), _full)),
    Falsehood("per-prompt", "the averaged γ bounds each γ*_x", _each_prompt),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C26",
        title="averaged certificate: γ* of the average from quadratic minorants and moments",
        statement=r"f_x(t) \ge A + \ell t - \kappa t^2,\ \lambda_{\min}(E A \tilde y \tilde y^\top)"
        r"\ge B T_3 + \kappa B^2 T_4 \Rightarrow \gamma \bar F \succeq \nabla^2 J \text{ on } C",
        source="new; proof in docs/theory.md",
        hypotheses=("two responses a prompt", "|t| ≤ B‖D‖ with t = (θ − c)·D", "κ ≥ 0"),
        check=check,
        planted=PLANTED,
    )
]
