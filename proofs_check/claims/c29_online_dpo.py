"""C29: without its score term SAIL needs γ > 2β only: one solution, and steps that reach it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import numpy as np
from flint import arb

from proofs_check.arguments.derivative_steps import curvature_slope
from proofs_check.arguments.field_steps import C29_BOUNDS, C36_STEPS
from proofs_check.arguments.monotone_steps import MIRROR, PROJECTED, SOLUTION
from proofs_check.claims.c09_fisher_floor import STEPS as FISHER
from proofs_check.claims.c10_absolute_threshold import resolved
from proofs_check.claims.c11_relative_curvature import against, compare, spectrum
from proofs_check.claims.c12_strong_concavity import STEPS as CONCAVE
from proofs_check.claims.c36_payoff_field import ABOVE, k_v
from proofs_check.evidence.argument import Ball, Tally, argue, deferred, refute
from proofs_check.evidence.battery import SIZES, battery, points, skewed
from proofs_check.expected import claim
from proofs_check.symbolic.identities import Identity, establish
from proofs_check.symbolic.settings import Prompt, Setting, outer
from sailtheory import SAIL, KLPolicyRef, KLRefPolicy, OnlineDPO, OnlineDPORevKL, PreferenceProblem
from sailtheory.ascent import bregman_divergence, mirror_ascent, projected_ascent
from sailtheory.ascent.constants import field_constants
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain
from sailtheory.landscape.solution import inequality_gap, solve
from sailtheory.numeric.numbers import FLOAT64, Array, arb_numbers
from sailtheory.theory import field_bound
from sailtheory.theory.averaged_bound import path_factor
from sailtheory.verdict import Evidence

# --- the field and its Jacobian -----------------------------------------------------------


def field_term(x: Prompt) -> Array:
    """βE[uΔ]."""
    return x.pairs(lambda k, j: x.gap(k, j) * (x.beta * x.u(k, j)))


def _stated(at: Setting) -> tuple[Array, Array]:
    return at.objective(OnlineDPO).gradient(at.theta), at.expect(field_term)


def _less_the_score(at: Setting) -> tuple[Array, Array]:
    """V = ∇J − E[g(s₁ + s₂)], both production."""
    score = at.expect(
        lambda x: x.pairs(lambda k, j: (x.scores[k] + x.scores[j]) * (x.g(k, j) + x.xp.log_2()))
    )
    return at.objective(OnlineDPO).gradient(at.theta), at.objective(SAIL).gradient(at.theta) - score


def _derivative(at: Setting) -> tuple[Array, Array]:
    moving = at.objective_in_motion(OnlineDPO)
    return at.objective(OnlineDPO).jacobian(at.theta), at.gradient(moving.gradient)


def _two_parts(at: Setting) -> tuple[Array, Array]:
    """DV = βE[uΔ(s₁ + s₂)ᵀ] − β²E[σ'ΔΔᵀ], and the Hessian is its symmetric part."""

    def stated(x: Prompt) -> Array:
        def each(k: int, j: int) -> Array:
            gap, both = x.gap(k, j), x.scores[k] + x.scores[j]
            return outer(gap, both) * (x.beta * x.u(k, j)) - outer(gap, gap) * (
                x.beta * x.beta * x.slope(k, j)
            )

        return x.pairs(each)

    found, exact = at.objective(OnlineDPO), at.expect(stated)
    left = np.stack([found.jacobian(at.theta), 2 * found.hessian(at.theta)])
    return left, np.stack([exact, exact + exact.T])


def _one_pair(at: Setting) -> tuple[Array, Array]:
    """With two responses DV = ηF, η = 2βu(π₂ − π₁) − 2β²σ'(z)."""

    def stated(x: Prompt) -> Array:
        lead = 2 * x.beta * x.u(0, 1) * (x.policy[1] - x.policy[0])
        return x.fisher * (lead - 2 * x.beta * x.beta * x.slope(0, 1))

    return at.objective(OnlineDPO).jacobian(at.theta), at.expect(stated)


IDENTITIES = (
    Identity("V = βE[uΔ]", _stated),
    Identity("V = ∇J − E[g(s₁ + s₂)]", _less_the_score, full=((2, 3, 2), (1, 4, 1))),
    Identity("DV, as it runs, is the derivative of V", _derivative, full=((2, 3, 2), (1, 4, 1))),
    Identity("DV = βE[uΔ(s₁ + s₂)ᵀ] − β²E[σ'ΔΔᵀ]; the Hessian that runs is its symmetric part",
             _two_parts, full=((2, 3, 2), (1, 4, 1))),
    Identity("∇(vᵀDVv) is the derivative of that part", curvature_slope(OnlineDPO),
             quick=((1, 3, 2), (2, 2, 2)), full=((2, 3, 2),)),
    Identity("m = 2: DV = ηF, η = 2βu(π₂ − π₁) − 2β²σ'(z)", _one_pair, quick=((2, 2, 2),),
             full=((2, 2, 3),), trial=2),
)  # fmt: skip


# --- instances -----------------------------------------------------------------------------


def turning_above(
    problem: PreferenceProblem, theta: np.ndarray, v: np.ndarray, w: np.ndarray, bound: float,
    says: str,
) -> Evidence:  # fmt: skip
    """Decide |vᵀ(DV − DVᵀ)w| > a(vᵀF̄v + wᵀF̄w) in ball arithmetic."""
    xp = arb_numbers()

    def excess() -> Ball:
        at, left, right = xp.asarray(theta), xp.asarray(v), xp.asarray(w)
        jacobian, fisher = OnlineDPO(problem).jacobian(at), KLRefPolicy(problem).hessian(at)
        odd = left @ (jacobian - jacobian.T) @ right
        return abs(odd) - arb(bound) * (left @ fisher @ left + right @ fisher @ right)

    return refute(
        problem, theta, f"DV turns more than {says}", float(excess()), excess,
        direction=v.tolist(), other=w.tolist(),
    )  # fmt: skip


def worst_turn(problem: PreferenceProblem, theta: np.ndarray) -> tuple[float, Array, Array]:
    """The norm of the antisymmetric part of DV relative to F̄ at θ, and v, w that attain it."""
    domain = Domain(problem)
    jacobian = domain.reduce_matrix(OnlineDPO(problem).jacobian(theta))
    values, vectors = np.linalg.eigh(domain.reduce_matrix(KLRefPolicy(problem).hessian(theta)))
    keep = values > 1e-9 * values[-1]
    root = vectors[:, keep] / np.sqrt(values[keep])
    left, size, right = np.linalg.svd(root.T @ ((jacobian - jacobian.T) / 2) @ root)
    return float(size[0]), domain.lift(root @ left[:, 0]), domain.lift(root @ right[0])


def _turns(tally: Tally, problem: PreferenceProblem, theta: np.ndarray) -> None:
    beta, z = float(problem.beta), problem.z_max_above
    bound = float(field_bound.field_turning_bound(FLOAT64, beta, z, np.pi)) * ABOVE
    for point in theta:
        size, v, w = worst_turn(problem, point)
        confirm = partial(turning_above, problem, point, v, w, bound, "(4/π)βσ(Z)")
        tally.add(np.array([size]), np.array([bound]), deferred(confirm))


def _unexpected(_: int) -> Evidence:
    raise ArithmeticError("a run does worse than the rate allows: look at constants or solver")


def _runs(rng: np.random.Generator, problem: PreferenceProblem, tallies: dict[str, Tally]) -> None:
    """Rates, and the gap as a bound of both divergences, at one γ > K_V."""
    at = field_constants(problem, max(k_v(problem), 0.0) + float(10 ** rng.uniform(-1.5, 1)))
    if at.modulus is None or at.smooth is None:
        return
    field, domain = OnlineDPORevKL(problem, at.gamma), Domain(problem)
    found = solve(field, domain)
    if not found.found:
        return
    best, start = found.theta, points(rng, problem, 8)
    both = bregman_divergence(problem, best, start)
    back = np.array([float(bregman_divergence(problem, row, best)) for row in start])
    gap = inequality_gap(field, domain, start)
    room = 1e-9 * (1 + abs(gap)) + found.gap
    tallies["gap"].add(at.relative_modulus * (both + back), gap + room, _unexpected)
    path = projected_ascent(field, start, steps=12).path
    distance = ((path - best) ** 2).sum(-1)
    rate = 1 - at.modulus / at.smooth
    for k in (1, 3, 12):
        right = rate**k * distance[0] + 1e-12
        tallies["projected"].add(distance[k], right, _unexpected)
    _mirror(problem, at, best, start, tallies["mirror"])


def _mirror(
    problem: PreferenceProblem, at: Any, best: np.ndarray, start: np.ndarray, tally: Tally
) -> None:
    """One explicit step with the ℒ that C29 asks for at the range that the step then has."""
    field = OnlineDPORevKL(problem, at.gamma)
    size, reach = 0.5, 2 * problem.feature_diameter * float(problem.radius)
    factor = float(path_factor(FLOAT64, max(reach, 1e-3)))
    kappa = float(field_bound.explicit_mirror_constant(
        FLOAT64, at.relative_modulus, at.lower, size, factor
    ))  # fmt: skip
    after = mirror_ascent(field, start, step=1 / (at.gamma + kappa), steps=1).path[1]
    moved = np.array([_range(problem, a - b) for a, b in zip(after, start, strict=True)])
    before, now = (bregman_divergence(problem, best, theta) for theta in (start, after))
    shrink = float(field_bound.implicit_contraction(at.relative_modulus / 2, kappa))
    right = np.where(moved <= size, shrink * before + 1e-12, np.nan)
    tally.add(now, right, _unexpected)


def _range(problem: PreferenceProblem, move: np.ndarray) -> float:
    return max(float(np.ptp(phi.astype(float) @ move)) for phi in problem.features)


def check(context: Context) -> Generator[Evidence, None, None]:
    """The Jacobian, the bounds, the solution, the rates; then instances of each."""
    if not (yield from establish(IDENTITIES, context, "C29")):
        return
    steps = (*C36_STEPS[:9], C36_STEPS[10], *C29_BOUNDS, *FISHER[:2], *SOLUTION, CONCAVE[4],
             *PROJECTED, *MIRROR)  # fmt: skip
    yield from argue(
        "sym DV ⪯ 2βσ(Z)F̄ ⪯ 2βF̄; for γ > K_V, so for γ > 2β, −(V − γ∇KL) is strongly monotone on "
        "C along S, has one solution, and projected and mirror steps approach it linearly",
        steps,
        ("the identities above", "C07 (∇²A = F̄)", "C09", "C27 (ϕ)",
         "Hartman and Stampacchia: a continuous field has a solution on a compact convex set",
         "|u| ≤ σ(Z), |h| ≤ ¼ and Cauchy–Schwarz", "a projection is nonexpansive"),
    )  # fmt: skip
    rng = context.rng("C29")
    whole, lower = Tally("sym DV ⪯ 2βσ(Z)F̄"), Tally("−sym DV ⪯ (2βσ(Z) + β²/2)F̄")
    turning = Tally("the antisymmetric part of DV is at most (4/π)βσ(Z) relative to F̄")
    runs = {
        "gap": Tally("m[D_A(θ*, θ) + D_A(θ, θ*)] ≤ max over C of ⟨V_γ(θ), y − θ⟩"),
        "projected": Tally("‖θ_k − θ*‖² ≤ (1 − μ/Λ_V)^k‖θ_0 − θ*‖²"),
        "mirror": Tally("D_A(θ*, θ⁺) ≤ D_A(θ*, θ)/(1 + m/(2κ)) for explicit steps, r ≤ ½"),
    }
    for problem in battery(rng, SIZES[context.effort] // 2):
        if problem.span.dimension == 0:
            continue
        theta, beta, z = points(rng, problem), float(problem.beta), problem.z_max_above
        at = spectrum(OnlineDPO(problem), theta)
        compare(whole, at, 2 * beta * float(FLOAT64.sigmoid(z)) * ABOVE)
        low = float(field_bound.field_lower(FLOAT64, beta, z)) * ABOVE
        compare(lower, spectrum(-1.0 * OnlineDPO(problem), theta), low)
        _turns(turning, problem, theta[:8])
    for problem in filter(resolved, battery(rng, SIZES[context.effort] // 8)):
        _runs(rng, problem, runs)
    for tally in (whole, lower, turning, *runs.values()):
        yield tally.evidence()


# --- wrong variants ---------------------------------------------------------------------


def _bounded(
    name: str, says: str, level: Callable[[PreferenceProblem], float],
    field: Callable[[PreferenceProblem], Any] = OnlineDPO, problem: PreferenceProblem | None = None,
) -> Falsehood:  # fmt: skip
    chosen = problem or skewed("1e-4", beta=0.1, radius=30.0)

    def wrong(context: Context) -> Iterator[Evidence]:
        yield against(field(chosen), lambda t: level(chosen), says, context)

    return Falsehood(name, says, wrong)


def _cycle(scale: str = "1") -> PreferenceProblem:
    """Rock, paper, scissors in the plane: at θ_ref V vanishes and turns."""
    return PreferenceProblem(
        features=[[[scale, 0], [0, scale], [0, 0]]],
        preferences=[[[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]], beta="0.5", radius=1,
    )  # fmt: skip


def _is_gradient(_: Context) -> Iterator[Evidence]:
    problem, theta = _cycle(), np.zeros(2)
    found = OnlineDPO(problem).jacobian(theta)

    def excess() -> Ball:
        exact = OnlineDPO(problem).jacobian(arb_numbers().asarray(theta))
        return abs(exact[0, 1] - exact[1, 0])

    yield refute(problem, theta, "∂₁V₂ ≠ ∂₂V₁", float(abs(found[0, 1] - found[1, 0])), excess)


def _small_turn(_: Context) -> Iterator[Evidence]:
    """Three responses reach √3/3 of 2βU; 3.6/π is .5730 of it, 4/π is .6366."""
    problem, theta = _cycle(), np.zeros(2)
    v, w = worst_turn(problem, theta)[1:]
    small = problem.replace(radius="1e-6")
    bound = float(field_bound.field_turning_bound(FLOAT64, 0.5, small.z_max_above, np.pi)) * 0.9
    yield turning_above(small, theta, v, w, bound, "(3.6/π)βσ(Z)")


def _other_kl(_: Context) -> Iterator[Evidence]:
    """V − γ∇KL(π_θ‖π_ref) at γ = 10β: KL(π_θ‖π_ref) is not convex."""
    problem, theta = skewed("0.5", beta=0.1, radius=4.0), np.array([3.0])
    field = OnlineDPO(problem) - 1.0 * KLPolicyRef(problem)

    def excess() -> Ball:
        return field.hessian(arb_numbers().asarray(theta))[0, 0]

    says = "D(V − γ∇KL(π_θ‖π_ref)) > 0 at γ = 10β"
    yield refute(problem, theta, says, float(field.hessian(theta)[0, 0]), excess)


def _no_decay(_: Context) -> Iterator[Evidence]:
    """Modulus (γ − 2β)λ⁺_min(F̄(c)), as if F̄ stayed what it is at c."""
    problem, theta = skewed("0.5", beta=0.1, radius=4.0), np.array([4.0])
    gamma, xp = 2.0, arb_numbers()
    field = OnlineDPORevKL(problem, gamma)

    def excess() -> Ball:
        least = KLRefPolicy(problem).hessian(xp.asarray(np.zeros(1)))[0, 0]
        return field.hessian(xp.asarray(theta))[0, 0] + (arb(gamma) - arb("0.2")) * least

    says = "vᵀDTv < (γ − 2β)λ⁺_min(F̄(c))‖v‖²"
    yield refute(problem, theta, says, float(field.hessian(theta)[0, 0]), excess)


def _twice_the_rate(_: Context) -> Iterator[Evidence]:
    """1 − 2μ/Λ_V on ties, whose solution is θ_ref exactly: one step from near it."""
    tie = [[0.5, 0.5], [0.5, 0.5]]
    problem = PreferenceProblem(
        features=[[["0.5"], ["-0.5"]]], preferences=[tie], beta="0.1", radius="0.01",
        base=[["0.1", "0.9"]],
    )  # fmt: skip
    at, theta, xp = field_constants(problem, 100.0), np.array([0.005]), arb_numbers()
    assert at.modulus is not None and at.smooth is not None
    rate = 1 - 2 * at.modulus / at.smooth
    field = OnlineDPORevKL(problem, 100.0)

    def excess() -> Ball:
        start = xp.asarray(theta)
        after = start + field.gradient(start) / arb(at.smooth)
        return (after * after).sum() - arb(rate) * (start * start).sum()

    says = "‖θ⁺ − θ*‖² > (1 − 2μ/Λ_V)‖θ − θ*‖²"
    yield refute(problem, theta, says, float(excess()), excess)


PLANTED = (
    _bounded("beta", "beta: γ > β is enough", lambda p: 0.1),
    _bounded("half-range", "half-range: 2βσ(Z/2) for 2βσ(Z)",
             lambda p: 0.2 * float(FLOAT64.sigmoid(p.z_max_above / 2)),
             problem=skewed("1e-4", beta=0.1, radius=10.0)),
    _bounded("score-kept", "score-kept: γ > 2β is enough for J itself", lambda p: 0.2, SAIL,
             skewed("0.02", beta=0.1, radius=20.0, scale=2.0)),
    Falsehood("other-kl", "γ = 10β is enough with KL(π_θ‖π_ref)", _other_kl),
    Falsehood("gradient", "V is the gradient of a function", _is_gradient),
    Falsehood("small-turn", "the antisymmetric part is at most (3.6/π)βσ(Z)", _small_turn),
    Falsehood("no-decay", "the modulus is (γ − 2β)λ⁺_min(F̄(c))", _no_decay),
    Falsehood("twice-the-rate", "projected steps contract by 1 − 2μ/Λ_V", _twice_the_rate),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C29",
        title="online DPO with KL: γ > 2β is enough, for every B, m, p* and π_ref",
        statement=r"V=\beta E[u\Delta]:\; \mathrm{sym}\,DV \preceq 2\beta\sigma(Z)\bar F \preceq"
        r" 2\beta\bar F;\; \gamma>2\beta: -(V-\gamma\nabla KL(\pi_{ref}\|\pi_\theta))"
        r"\ \text{strongly monotone on}\ C",
        source="new; proof in docs/theory.md",
        hypotheses=("C = ball ∩ (c + S)", "F̄(c) ≻ 0 on S", "one step, not sequences"),
        check=check,
        planted=PLANTED,
    )
]
