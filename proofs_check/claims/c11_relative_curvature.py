"""C11: curvature relative to the Fisher matrix, and the corollaries that make it usable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from proofs_check.arguments.preference_step import preference_tally
from proofs_check.arguments.relative_path import path_falsehood, path_tally
from proofs_check.arguments.relative_steps import ASSUMES, STEPS
from proofs_check.evidence.argument import Ball, Tally, argue, curvature_ball, refute
from proofs_check.evidence.battery import POINTS, SIZES, battery, points, single, skewed
from proofs_check.expected import claim
from proofs_check.trials.certified import enclosures
from sailtheory import SAIL, Objective, PreferenceProblem, examples
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import (
    Domain,
    Search,
    largest_relative_curvature,
    largest_relative_curvature_on,
)
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence

_SEARCHED = {"quick": 8, "full": 60}
_ABOVE = 1 + 1e-12  # bounds in float64 carry a few units of rounding

Bound = Callable[[np.ndarray], np.ndarray | float]
"""θ (k, d) to K(θ) (k,), claimed to satisfy ∇² ⪯ K(θ) F̄(θ)."""


def exceeds(
    objective: Objective, theta: np.ndarray, direction: np.ndarray, bound: float, says: str
) -> Evidence:
    """Decide vᵀ(∇² − K F̄)v > 0 at θ in ball arithmetic."""
    problem = objective.problem
    difference = objective - float(bound) * KLRefPolicy(problem)
    statement = f"vᵀ(∇² − K F̄)v > 0 at θ along v, K = {bound:.6g} from {says}"
    return refute(
        problem, theta, statement, float(direction @ difference.hessian(theta) @ direction),
        lambda: curvature_ball(difference, theta, direction),
        direction=np.asarray(direction).tolist(), bound=float(bound),
    )  # fmt: skip


Spectrum = tuple[Objective, np.ndarray, np.ndarray, np.ndarray]
"""An objective, points θ (k, d), largest generalised eigenvalues (k,), directions (k, d)."""


def spectrum(objective: Objective, theta: np.ndarray) -> Spectrum:
    """The largest generalised eigenvalues of (∇², F̄) at points θ (k, d)."""
    return (
        objective,
        theta,
        *largest_relative_curvature(objective, Domain(objective.problem), theta),
    )


def compare(tally: Tally, at: Spectrum, bound: np.ndarray | float) -> None:
    """Compare generalised eigenvalues with a bound K(θ), (k,) or one number."""
    objective, theta, values, v = at
    right = np.broadcast_to(bound, values.shape)
    tally.add(
        values, right, lambda i: exceeds(objective, theta[i], v[i], float(right[i]), "the bound")
    )


def prompt_bound(
    problem: PreferenceProblem, offset: float | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """K_x of a problem with one prompt, at any θ of its domain: K_x is affine in J_x."""
    z = problem.z_max_above
    at_zero = bounds.pointwise_relative_bound(float(problem.beta), z, 0.0, offset)
    return lambda theta: np.asarray(at_zero - 2 * SAIL(problem).value(theta))


def constants(problem: PreferenceProblem) -> dict[str, float]:
    """Bounds of the whole problem by name, each rounded up."""
    beta, z = float(problem.beta), problem.z_max_above
    least = min(float(np.log(ref).min()) for ref in problem.policy(problem.ref_params))
    offset = float(np.linalg.norm(problem.center.astype(float) - problem.ref_params))
    closed = bounds.closed_form_threshold(
        beta, problem.feature_diameter, float(problem.radius), offset
    )
    return {
        "∇²J ⪯ K_B F̄": bounds.relative_bound(beta, z),
        "(i) sharp closed form": bounds.sharp_curvature(FLOAT64, beta, z) * _ABOVE,
        "(i) 1.5Z + 4β": bounds.linear_curvature(beta, z) * _ABOVE,
        "(i) β(1.5D(B+‖θ_ref−c‖)+4)": closed * _ABOVE,
        "(iii) K_∞": bounds.limit_curvature(FLOAT64, beta, -least) * _ABOVE,
    }


def check_c11(context: Context) -> Iterator[Evidence]:
    """The argument; then every bound against random, extremal and searched points."""
    yield from argue("∇²J_x ⪯ K_x F_x, ∇²J ⪯ (max_x K_x)F̄, corollaries (i)–(iv)", STEPS, ASSUMES)
    rng = context.rng("C11")
    per_prompt = Tally("∇²J_x ⪯ K_x F_x for single prompts, b optimal and random")
    pointwise = Tally("(ii) ∇²J_x ⪯ (−2J_x + 2c₀β²)F_x for single prompts")
    largest = Tally("∇²J ⪯ (max_x K_x)F̄ over several prompts")
    searched = Tally("∇²J ⪯ K_B F̄ at the worst points that the search finds")
    lower = Tally("∇²J ⪰ −K⁻F̄")
    value = Tally("−J_x ≤ ½(log 2 + log(1+e^Z))")
    whole: dict[str, Tally] = {}
    for number, problem in enumerate(battery(rng, SIZES[context.effort])):
        theta, beta = points(rng, problem), float(problem.beta)
        levels = []
        for alone in (single(problem, x) for x in range(problem.prompts)):
            z = alone.z_max_above
            start = float(np.log1p(np.exp(-z)))
            offset = float(10 ** rng.uniform(-2, 1)) * (beta + start) - start
            levels.append(prompt_bound(alone, offset if number % 2 else None)(theta))
            if alone.span.dimension:
                at = spectrum(SAIL(alone), theta)
                compare(per_prompt, at, levels[-1])
                minus_value = np.maximum(-SAIL(alone).value(theta), 0.0)
                compare(pointwise, at, bounds.pointwise_curvature(beta, minus_value))
            floor = bounds.value_floor(FLOAT64, z) * _ABOVE
            value.add(-SAIL(alone).value(theta), floor, partial(_floor_fails, alone, theta, floor))
        if problem.span.dimension == 0:
            continue
        at = spectrum(SAIL(problem), theta)
        compare(largest, at, np.max(np.stack(levels), axis=0))
        for name, bound in constants(problem).items():
            compare(whole.setdefault(name, Tally(name)), at, bound)
        minus = bounds.lower_curvature(FLOAT64, beta, problem.z_max_above) * _ABOVE
        compare(lower, spectrum(-SAIL(problem), theta), minus)
        if number < _SEARCHED[context.effort]:
            search = Search(Domain(problem), context.effort, context.seed)
            worst = largest_relative_curvature_on(SAIL(problem), search).theta[None]
            compare(searched, spectrum(SAIL(problem), worst), constants(problem)["∇²J ⪯ K_B F̄"])
    for tally in (per_prompt, largest, *whole.values(), searched, pointwise, lower, value):
        yield tally.evidence()
    if context.full:
        yield from enclosures(lambda p: constants(p)["∇²J ⪯ K_B F̄"], "K_B")
    yield path_tally(context).evidence()
    yield preference_tally(context).evidence()


def _floor_fails(problem: PreferenceProblem, theta: np.ndarray, floor: float, i: int) -> Evidence:
    def excess() -> Ball:
        return -SAIL(problem).value(arb_numbers().asarray(theta[i])) - floor

    return refute(problem, theta[i], "−J_x above its ceiling", floor, excess)


# --- wrong variants ---------------------------------------------------------------------


def against(objective: Objective, bound: Bound, says: str, context: Context) -> Evidence:
    """Search C for a point where a claimed bound fails, and confirm it."""
    domain = Domain(objective.problem)

    def excess(theta: np.ndarray) -> np.ndarray:
        return np.asarray(largest_relative_curvature(objective, domain, theta)[0] - bound(theta))

    theta = Search(domain, context.effort, context.seed).maximise(excess).theta
    _, v = largest_relative_curvature(objective, domain, theta)
    k = float(np.ravel(bound(theta[None]))[0])
    return exceeds(objective, theta, v, k, says)


def _averaged(context: Context) -> Iterator[Evidence]:
    """C11b: K_x with E_x J_x for J_x, on the instance of theory.md, section 4."""
    problem = examples.load("falsehood-averaged-value")
    yield against(SAIL(problem), prompt_bound(problem), "the averaged J", context)


def _constant(problem: PreferenceProblem, bound: Bound, says: str, sign: int = 1) -> Falsehood:
    def check(context: Context) -> Iterator[Evidence]:
        yield against(sign * SAIL(problem), bound, says, context)

    return Falsehood(says.split(":")[0], says, check)


def _tight_c_zero() -> tuple[PreferenceProblem, float]:
    """Two responses on which (ii) is almost an equality: βσ(−z) = −log σ(z), π₁ → 0.

    t = −log σ(z) maximises the function under c₀.
    """
    t = np.linspace(0.5, 3, 100_001)
    s = np.exp(-t)
    best = float(t[((1 - s) ** 2 / t - s * (1 - s)).argmax()])
    beta = best / -np.expm1(-best)
    reach = abs(np.log(np.expm1(best))) / beta
    return skewed(1e-7, beta=float(beta), radius=float(1.1 * reach)), float(beta)


def _planted() -> Iterator[Falsehood]:
    small = skewed(1e-6, beta=0.1, radius=1e-3)
    flat = float(FLOAT64.sigmoid(small.z_max_above))
    sharp = bounds.sharp_curvature(FLOAT64, 0.1, small.z_max_above)
    yield _constant(small, lambda t: 0.1 * (1.5 * 1e-3 + 1), "small-constant: β(3LB + 1) suffices")
    yield _constant(small, lambda t: sharp - 0.01 * 0.1 * flat, "third-digit: 3.99βσ(Z) in (i)")
    loser = skewed(1e-6, beta=0.1, radius=1e-3, wins=False)
    minus = bounds.lower_curvature(FLOAT64, 0.1, small.z_max_above) - 0.01 * 0.1 * flat
    yield _constant(loser, lambda t: minus, "lower-third-digit: 3.99βσ(Z) in K⁻", -1)
    tight, beta = _tight_c_zero()
    yield _constant(
        tight, lambda t: -2 * SAIL(tight).value(t) + 2 * 0.2619 * beta**2,
        "c-zero: (ii) with c₀ = 0.2619",
    )  # fmt: skip
    far = skewed(0.02, beta=0.1, radius=20.0, scale=2.0)
    yield _constant(far, lambda t: 0.4, "radius-dropped: 4β suffices for every B")

    def sampled(context: Context) -> Iterator[Evidence]:
        problem = examples.load("bradley-terry")
        theta = points(context.rng("C11 sampled"), problem, 4 * POINTS)
        best = float(largest_relative_curvature(SAIL(problem), Domain(problem), theta)[0].max())
        yield against(SAIL(problem), lambda t: best, "the best of 256 random points", context)

    yield Falsehood("sampled-bound", "the largest curvature of 256 random points bounds C", sampled)
    yield path_falsehood()


CLAIMS: list[Claim] = [
    claim(
        "C11",
        title="relative curvature: ∇²J ⪯ (max_x K_x) F̄, with K_B, closed forms and K⁻",
        statement=r"\nabla^2 J_x \preceq K_x F_x,\; K_x = 2(b - J_x) + 2\beta^2"
        r"\sup_{|z|\le Z}[\sigma(-z)^2/(b-\log\sigma(z)) - \sigma'(z)]_+",
        source="new; proof in docs/theory.md",
        hypotheses=("b > log σ(Z), Z at least the range of βδᵀφ on C", "matrix order on S"),
        check=check_c11,
        planted=tuple(_planted()),
    ),
    claim(
        "C11b",
        title="relative curvature with the averaged J in place of each prompt's J_x",
        statement=r"\nabla^2 J \preceq K(\mathbb{E}_x J_x)\,\bar F",
        source="a first draft of C11",
        hypotheses=("several prompts",),
        check=_averaged,
    ),
]
