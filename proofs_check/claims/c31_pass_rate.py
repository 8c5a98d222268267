"""C31: binary rewards by method: what dividing by the group's deviation does to the threshold."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from proofs_check.arguments.reward_steps import C31_STEPS
from proofs_check.claims.c11_relative_curvature import against, compare, spectrum
from proofs_check.evidence.argument import Ball, Tally, argue, refute
from proofs_check.evidence.battery import SIZES, points
from proofs_check.evidence.reward_battery import ABOVE, reward_battery, superlevel, tabular, tied
from proofs_check.expected import claim
from sailtheory import KLRefPolicy, PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain
from sailtheory.landscape.pencil import largest_relative_curvature
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.rewards import RewardObjective
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.theory.reward_methods import METHODS, reward_method
from sailtheory.theory.reward_slopes import RewardMethod
from sailtheory.verdict import Evidence, Outcome, Strength

GROUP = 8
_CLOSED = ("reward", "grpo", "log", "pass-at-k", "maxrl")
"""Methods whose f has a closed form: values are compared, also in balls."""


def rates(objective: RewardObjective, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V_x and 1 − V_x at θ (k, d), neither by subtraction: (k, n) each."""
    problem = objective.problem
    wrong = [1 - r for r in problem.response_rewards or ()]
    missed = RewardObjective(problem.replace(response_rewards=wrong), reward_method("reward"))
    return objective.pass_rates(theta), missed.pass_rates(theta)


def highest(method: RewardMethod, hit: np.ndarray, miss: np.ndarray) -> np.ndarray:
    """The largest of (1 − V)f' and w', over prompts: (k, n) to (k,)."""
    path, turn = (form(FLOAT64, hit, miss) for form in (method.path, method.turn))
    return np.asarray(np.maximum(path, turn).max(-1))


def lowest(method: RewardMethod, hit: np.ndarray, miss: np.ndarray) -> np.ndarray:
    """The largest of Vf' and −w', over prompts: (k, n) to (k,)."""
    back = hit * method.slope(FLOAT64, hit, miss)
    return np.asarray(np.maximum(back, -method.turn(FLOAT64, hit, miss)).max(-1))


def tabular_agreement(context: Context, count: int) -> Evidence:
    """λ_max and λ_min of (∇²f(V), F) against the closed-form spectrum on tabular problems."""
    rng, worst, compared = context.rng("C31 tabular"), 0.0, 0
    while compared < count:
        correct, wrong = (int(rng.integers(1, 5)) for _ in range(2))
        problem = tabular(rng, correct, wrong)
        theta = points(rng, problem, 16)
        for name in METHODS:
            method = reward_method(name, GROUP)
            objective = RewardObjective(problem, method)
            hit, miss = (each[:, 0] for each in rates(objective, theta))
            spread = np.stack(
                [np.broadcast_to(e, hit.shape)
                 for e in method.spectrum(FLOAT64, hit, miss, correct, wrong)]
            )  # fmt: skip
            domain, size = Domain(problem), abs(spread).max(0)
            top = largest_relative_curvature(objective, domain, theta)[0]
            low = -largest_relative_curvature(-1.0 * objective, domain, theta)[0]
            gaps = np.maximum(abs(top - spread.max(0)), abs(low - spread.min(0))) / size
            worst = max(worst, float(gaps[np.isfinite(gaps)].max()))
            compared += int(np.isfinite(gaps).sum())
    detail = (
        f"tabular: λ_max and λ_min are (1 − V)f', −Vf' or w' at {compared} policies, by "
        f"{len(METHODS)} methods in turn, largest relative difference {worst:.1g}"
    )
    outcome = Outcome.HOLDS if worst < 1e-6 else Outcome.UNDECIDED
    return Evidence("sampled", detail, outcome, Strength.SUPPORTED)


def check(context: Context) -> Generator[Evidence, None, None]:
    """The argument; then every method at points of log-linear problems, and superlevel sets."""
    yield from argue(
        "for E f(V_x): −K⁻F̄ ⪯ ∇² ⪯ KF̄ with K = sup (1 − V)f' = √(G − 1) for GRPO, (G − 1)/√G with "
        "the sample's deviation, and the rest of the table; γ > K gives what C12–C17 give, "
        "γ > (1 − p)f'(p) C30's path version; tabular maximisers are where V − p = V(1 − V)f'/γ",
        C31_STEPS,
        ("C30", "C07", "C12–C17 need −K⁻F̄ ⪯ ∇² ⪯ KF̄ alone", "on-policy groups of one prompt",
         "a size-biased binomial rises with V, so means of what falls in k fall"),
    )  # fmt: skip
    rng = context.rng("C31")
    tallies = {
        "upper": Tally("∇²f(V) ⪯ max((1 − V)f', w')F̄, every method"),
        "lower": Tally("∇²f(V) ⪰ −max(Vf', −w')F̄, every method"),
        "K": Tally("max((1 − V)f', w') ≤ K at these points"),
        "convex": Tally("midpoints of {J_γ ≥ J_γ(θ_ref)}, one prompt, lie in it, γ > (1 − p)f'(p)"),
    }
    for number, problem in enumerate(reward_battery(rng, SIZES[context.effort])):
        if problem.span.dimension == 0:
            continue
        theta = points(rng, problem)
        names = METHODS if context.full else [METHODS[number % len(METHODS)], "grpo"]
        for name in names:
            _tried(tallies, rng, problem, theta, name)
    for tally in tallies.values():
        yield tally.evidence()
    yield tabular_agreement(context, 40_000 if context.full else 5_000)


def _tried(
    tallies: dict[str, Tally], rng: np.random.Generator, problem: PreferenceProblem,
    theta: np.ndarray, name: str,
) -> None:  # fmt: skip
    method = reward_method(name, GROUP, ("population", "sample")[int(rng.integers(2))])
    objective = RewardObjective(problem, method)
    hit, miss = rates(objective, theta)
    top = highest(method, hit, miss)
    compare(tallies["upper"], spectrum(objective, theta), top * ABOVE + 1e-13)
    low = lowest(method, hit, miss)
    compare(tallies["lower"], spectrum(-1.0 * objective, theta), low * ABOVE + 1e-13)
    k = method.threshold(FLOAT64)
    if k is not None:
        tallies["K"].add(top, np.full(top.shape, float(k) * ABOVE), _unexpected)
    if problem.prompts == 1 and name in _CLOSED:
        start, rest = rates(objective, problem.ref_params[None])
        gamma = float(method.path(FLOAT64, start, rest)[0, 0]) * (1 + 10 ** rng.uniform(-4, 0))
        superlevel(tallies["convex"], rng, objective - gamma * KLRefPolicy(problem))


def _unexpected(_: int) -> Evidence:
    raise ArithmeticError("a pass rate needs more than K: look at the constants of the methods")


# --- wrong variants ---------------------------------------------------------------------


def _bounded(
    name: str, says: str, level: float | Callable[[np.ndarray], Any], method: RewardMethod,
    problem: PreferenceProblem, sign: int = 1,
) -> Falsehood:  # fmt: skip
    def wrong(context: Context) -> Iterator[Evidence]:
        bound = level if callable(level) else lambda t: level
        yield against(sign * RewardObjective(problem, method), bound, says, context)

    return Falsehood(name, says, wrong)


def _root_of_the_group(_: Context) -> Iterator[Evidence]:
    """(1 − V)f'_G as V → 0: √8 for G = 8, against √7, at V = 10⁻⁹."""
    problem, theta, xp = tied("5e-10"), np.zeros(1), arb_numbers()
    objective = RewardObjective(problem, reward_method("grpo", GROUP))

    def excess() -> Ball:
        at = xp.asarray(theta)
        curvature, fisher = objective.hessian(at), KLRefPolicy(problem).hessian(at)
        return abs(curvature[0, 0] / fisher[0, 0] - xp.exp(xp.log(xp.asarray([8])) / 2)[0]) - 0.1

    found = float(objective.hessian(theta)[0, 0] / KLRefPolicy(problem).hessian(theta)[0, 0])
    yield refute(problem, theta, "|∇²f/F − √G| > .1 at V = 10⁻⁹, G = 8", found, excess)


def _no_learning(_: Context) -> Iterator[Evidence]:
    """At γ = 1 J_γ is larger where V = √p than at θ_ref, p = .01: the maximiser is not π_ref."""
    problem = reward_problem(
        features=[[[1], [0]]], response_rewards=[[1, 0]], radius=5, base=[["0.01", "0.99"]]
    )
    objective = RewardObjective(problem, reward_method("reward")) - 1.0 * KLRefPolicy(problem)
    theta, xp = np.array([np.log(11.0)]), arb_numbers()  # odds 1/9, V = .1

    def excess() -> Ball:
        start = objective.value(xp.asarray(problem.ref_params))
        return objective.value(xp.asarray(theta)) - start

    found = float(objective.value(theta) - objective.value(problem.ref_params))
    yield refute(problem, theta, "J_1 > J_1(θ_ref) at V = √p", found, excess)


def _planted() -> Iterator[Falsehood]:
    rare, certain = tied("1e-5"), tied("1e-5").replace(response_rewards=[[0, 0, 1]])
    grpo, sample = (reward_method("grpo", GROUP, std) for std in ("population", "sample"))
    yield Falsehood("root-of-the-group", "GRPO's (1 − V)f' → √G as V → 0", _root_of_the_group)
    yield _bounded("std-nothing", "the deviation changes nothing: K = 1", 1.0, grpo, rare)
    yield _bounded("sample-for-population", "(G − 1)/√G for the population's deviation", 2.475,
                   grpo, rare)  # fmt: skip
    yield _bounded("sample-short", "√(G − 2) for the sample's deviation", 6**0.5, sample, rare)
    yield _bounded("lower-std", "K⁻ = 1 for GRPO", 1.0, grpo, certain, -1)
    yield _bounded("dynamic", "dynamic sampling needs no more than GRPO, √(G − 1)", 7**0.5,
                   reward_method("dynamic-sampling", GROUP), rare)  # fmt: skip
    yield _bounded("log", "training on correct samples needs no more than 100", 100.0,
                   reward_method("log"), rare)  # fmt: skip
    yield _bounded("maxrl", "MaxRL: T − 1 is enough", 7.0, reward_method("maxrl", GROUP), rare)
    pair = reward_problem(features=[[[1], [0]]], response_rewards=[[1, 0]], radius=3)
    passed = reward_method("pass-at-k", GROUP)
    yield _bounded("pass-at-k-lower", "pass@8: ∇²f(V) ⪰ −1.37F", 1.37, passed, pair, -1)
    yield _bounded(
        "turn-left-out", "∇²f(V) ⪰ −Vf'F, without w'",
        lambda t: np.asarray(_back(passed, pair, t)), passed, pair, -1,
    )  # fmt: skip
    yield Falsehood("no-learning", "at the threshold γ = 1 the maximiser is π_ref: p for √p",
                    _no_learning)  # fmt: skip


def _back(method: RewardMethod, problem: PreferenceProblem, theta: np.ndarray) -> np.ndarray:
    """Vf' at points (k, d): (k,)."""
    hit, miss = rates(RewardObjective(problem, method), theta)
    return np.asarray((hit * method.slope(FLOAT64, hit, miss)).max(-1))


CLAIMS: list[Claim] = [
    claim(
        "C31",
        title="binary rewards: dividing by the group's deviation raises the threshold to √(G − 1)",
        statement=r"-K^-\bar F \preceq \nabla^2 E f(V_x) \preceq K\bar F,\;"
        r" K = \sup_V (1-V)f'(V):\; 1\ \text{(RLOO)},\ (G-1)^{1/2}\ \text{(GRPO)},"
        r"\ (G-1)G^{-1/2}\ \text{(sample deviation)}",
        source="new; proof in docs/theory.md",
        hypotheses=("r is 0 or 1, V_x = E_π r, one softmax over responses, log-linear",
                    "groups of G on-policy samples of one prompt; f' as tabulated"),
        check=check,
        planted=tuple(_planted()),
    )
]  # fmt: skip
