"""C33: with KL(π_θ‖π_ref) there is no threshold free of B, but PL where the reward is linear."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import numpy as np
from flint import arb

from proofs_check.arguments.other_kl_steps import C33_STEPS
from proofs_check.evidence.argument import Ball, Tally, argue, refute
from proofs_check.evidence.battery import points
from proofs_check.evidence.reward_battery import alternating, reward_battery
from proofs_check.expected import claim
from sailtheory import KLPolicyRef, Objective, PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.rewards import RewardObjective
from sailtheory.objectives.sail import fisher
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.theory.reward_bounds import inverse_path_factor, realisable_modulus
from sailtheory.theory.reward_methods import reward_method
from sailtheory.verdict import Evidence

_PROBLEMS = {"quick": 40, "full": 400}


def regularised(problem: PreferenceProblem, gamma: float) -> Objective:
    """V − γKL(π_θ‖π_ref)."""
    return RewardObjective(problem, reward_method("reward")) - gamma * KLPolicyRef(problem)


def check(context: Context) -> Generator[Evidence, None, None]:
    """The argument; then PL and the gap at points of realisable problems."""
    yield from argue(
        "r = wᵀφ + c_x: ∇(V − γKL(π_θ‖π_ref)) = −γF̄(θ − θ*), the gap is γE KL(π_θ‖π_θ*), and PL "
        "holds for every γ > 0 with μ = γλ⁺_min(F̄)/(2κ(R)) wherever θ* ∈ C; where r is not linear "
        "no γ is enough for every B: rewards in [0, 1] leave two maxima whatever γ > ½ is",
        C33_STEPS,
        ("C08 (the gradient and Hessian of KL(π_θ‖π_ref))", "θ* = θ_ref + w/γ"),
    )  # fmt: skip
    rng = context.rng("C33")
    gradient = Tally("‖∇(V − γKL(π_θ‖π_ref)) + γF̄(θ − θ*)‖ ≤ rounding")
    pl = Tally("2μ(J* − J) ≤ ‖∇J‖², realisable rewards")
    for problem in reward_battery(rng, _PROBLEMS[context.effort]):
        if problem.span.dimension == 0:
            continue
        gamma = float(10 ** rng.uniform(-1, 1))
        best = points(rng, problem, 4)[3]
        made = problem.replace(
            response_rewards=[
                gamma * (phi.astype(float) @ (best - problem.ref_params)) + rng.normal()
                for phi in problem.features
            ]
        )
        _tried(made, gamma, best, points(rng, problem, 24), gradient, pl)
    yield gradient.evidence()
    yield pl.evidence()


def _tried(
    problem: PreferenceProblem, gamma: float, best: np.ndarray, theta: np.ndarray,
    gradient: Tally, pl: Tally,
) -> None:  # fmt: skip
    objective, domain = regularised(problem, gamma), Domain(problem)
    slopes, shift = objective.gradient(theta), theta - best
    stated = -gamma * np.einsum("kij,kj->ki", fisher(problem, theta), shift)
    size = gamma * (1 + abs(shift).max()) * (1 + problem.feature_diameter**2)
    gaps = np.linalg.norm(slopes - stated, axis=-1)
    gradient.add(gaps, np.full(gaps.shape, 1e-12 * size), _unexpected)
    top = float(objective.value(best))
    for at, slope, move in zip(theta, slopes, shift, strict=True):
        reach = max(float(np.ptp(phi.astype(float) @ move)) for phi in problem.features)
        least = float(np.linalg.eigvalsh(domain.reduce_matrix(fisher(problem, at)))[0])
        if reach < 0.05 or least < 1e-9:
            continue
        mu = realisable_modulus(gamma, least, float(inverse_path_factor(FLOAT64, reach)))
        gap = top - float(objective.value(at))
        room = 2 * mu * 1e-13 * (1 + abs(top)) * size
        pl.add(np.array([2 * mu * gap]), np.array([float(slope @ slope) + room]), _unexpected)


def _unexpected(_: int) -> Evidence:
    raise ArithmeticError("PL fails where the reward is linear: look at formulas or rounding")


# --- wrong variants ---------------------------------------------------------------------


def _two_maxima(
    problem: PreferenceProblem, gamma: float, at: tuple[float, ...], says: str, _: Context
) -> Iterator[Evidence]:
    """The slope is positive, negative, positive, negative at four points of a line."""
    objective, xp = regularised(problem, gamma), arb_numbers()

    def excess() -> Ball:
        return alternating(objective.gradient(xp.asarray([t]))[0] for t in at)

    middle = np.array([at[2]])
    yield refute(problem, middle, says, float(objective.gradient(middle)[0]), excess, at=at)


def _near_tie(inverse: int) -> PreferenceProblem:
    """Features 0, ε, 1, 1 + ε, reward 1 on the last: first 1 is found, then ε, far away."""
    return reward_problem(
        features=[[[0], [f"1/{inverse}"], [1], [f"{inverse + 1}/{inverse}"]]],
        response_rewards=[[0, 0, 0, 1]], radius=1000,
    )  # fmt: skip


def _each_alone() -> PreferenceProblem:
    """Each prompt's reward is linear in the feature, with θ* = 3 for one and −3 for the other."""
    far = "0.0024787521766663585"
    return reward_problem(
        features=[[[1], [-1]], [[1], [-1]]], response_rewards=[[30, -30], [-30, 30]],
        base=[[far, 1], [1, far]], weights=["0.6", "0.4"], radius=6,
    )  # fmt: skip


def _rare() -> PreferenceProblem:
    """r = 3φ, one response rare: γ = 1, θ* = 3."""
    return reward_problem(
        features=[[[1], [0]]], response_rewards=[[3, 0]], base=[["1e-6", "0.999999"]], radius=10
    )


def _wrong_factor(name: str, factor: Callable[[Any], Any]) -> Falsehood:
    """PL at θ_ref of the rare response with another κ(3)."""

    def wrong(_: Context) -> Iterator[Evidence]:
        problem, xp = _rare(), arb_numbers()
        objective, theta = regularised(problem, 1.0), np.zeros(1)

        def excess() -> Ball:
            at, best = xp.asarray(theta), xp.asarray([3])
            gap = objective.value(best) - objective.value(at)
            least = fisher(problem, at)[0, 0]
            slope = objective.gradient(at)[0]
            return 2 * realisable_modulus(1, least, factor(arb(3))) * gap - slope * slope

        yield refute(problem, theta, f"‖∇J‖² < 2μ(J* − J), {name}", float(excess()), excess)

    return Falsehood(name.split(":")[0], f"PL with {name}", wrong)


def _concave(_: Context) -> Iterator[Evidence]:
    """Beyond θ* the curvature is positive although the reward is linear."""
    problem, theta = _rare().replace(base=[[1, 1]]), np.array([8.0])
    objective = regularised(problem, 1.0)

    def excess() -> Ball:
        return objective.hessian(arb_numbers().asarray(theta))[0, 0]

    found = float(objective.hessian(theta)[0, 0])
    yield refute(problem, theta, "J″ > 0 at θ = 8, θ* = 3", found, excess)


def _planted() -> Iterator[Falsehood]:
    for gamma, inverse, at in (
        (2.0, 400, (-1.0, 8.08, 18.66, 600.0)), (10.0, 2000, (-1.0, 11.3, 21.88, 600.0)),
        (100.0, 30000, (-1.0, 16.3, 27.7, 900.0)),
    ):  # fmt: skip
        says = f"KL(π_θ‖π_ref) has a threshold: with rewards in [0, 1] γ = {gamma:g} is enough"
        found = f"two maxima at γ = {gamma:g}, rewards in [0, 1], one prompt"
        check_it = partial(_two_maxima, _near_tie(inverse), gamma, at, found)
        yield Falsehood(f"threshold-{gamma:g}", says, check_it)
    each = partial(_two_maxima, _each_alone(), 10.0, (-4.0, -2.0, 2.0, 4.0),
                   "two maxima, each prompt's reward linear on its own")  # fmt: skip
    yield Falsehood("prompt-by-prompt", "rewards linear prompt by prompt are enough", each)
    yield _wrong_factor("exponent: κ(R) = (e^R − 1 − R)/R³", lambda r: (r.exp() - 1 - r) / r**3)
    yield _wrong_factor("half: κ = ½, whatever R", lambda r: r * 0 + arb("0.5"))
    yield Falsehood("concave", "V − γKL(π_θ‖π_ref) is concave where r is linear", _concave)


CLAIMS: list[Claim] = [
    claim(
        "C33",
        title="with KL(π_θ‖π_ref) no γ is enough for every B; PL for every γ if r is linear in φ",
        statement=r"r = w^\top\phi + c_x:\; \nabla(V - \gamma KL(\pi_\theta\|\pi_{ref})) ="
        r" -\gamma\bar F(\theta-\theta^*),\; \mu = \gamma\lambda^+_{\min}(\bar F)/2\kappa(R),\;"
        r" \kappa(R) = (e^R-1-R)/R^2",
        source="new; proof in docs/theory.md",
        hypotheses=("PL: r linear in the features up to a constant a prompt, θ* = θ_ref + w/γ ∈ C",
                    "R the largest range of (θ − θ*)ᵀφ; one softmax over responses"),
        check=check,
        planted=tuple(_planted()),
    )
]  # fmt: skip
