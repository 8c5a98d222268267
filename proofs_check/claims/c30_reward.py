"""C30: with rewards and KL(π_ref‖π_θ) the range of the reward is a threshold."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
from flint import arb

from proofs_check.arguments.reward_steps import C30_STEPS
from proofs_check.claims.c11_relative_curvature import against, compare, spectrum
from proofs_check.evidence.argument import Ball, Tally, argue, refute
from proofs_check.evidence.battery import SIZES, points
from proofs_check.evidence.reward_battery import (
    ABOVE,
    alternating,
    not_convex,
    reward_battery,
    superlevel,
    tied,
)
from proofs_check.expected import claim
from sailtheory import KLPolicyRef, KLRefPolicy, Objective, PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.rewards import RewardObjective
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.theory.reward_methods import reward_method
from sailtheory.verdict import Evidence

REWARD = reward_method("reward")


def reward_of(problem: PreferenceProblem) -> RewardObjective:
    """V = E_x E_π r."""
    return RewardObjective(problem, REWARD)


def best_less_mean(problem: PreferenceProblem, theta: np.ndarray) -> np.ndarray:
    """max_x (r_max − V_x) at points θ (k, d): (k,)."""
    rates = reward_of(problem).pass_rates(theta)
    assert problem.response_rewards is not None
    best = np.array([float(max(rewards)) for rewards in problem.response_rewards])
    return np.asarray((best - rates).max(-1))


def regularised(problem: PreferenceProblem, gamma: float) -> Objective:
    """V − γKL(π_ref‖π_θ)."""
    return reward_of(problem) - gamma * KLRefPolicy(problem)


def check(context: Context) -> Generator[Evidence, None, None]:
    """The argument; then its bounds at points, and superlevel sets of single prompts."""
    yield from argue(
        "−(V_x − r_min)F_x ⪯ ∇²V_x ⪯ (r_max − V_x)F_x, so every γ above the range of r gives what "
        "C12–C17 give; for one prompt and γ > r_max − V(θ_ref) the whole {J_γ ≥ J_γ(θ_ref)} is "
        "convex; over sequences range·sup ρ is enough", C30_STEPS,
        ("C07 (∇²KL(π_ref‖π_θ) = F̄)", "C12–C17 need ∇² ⪯ KF̄ and ⪰ −K⁻F̄ alone", "KL ≥ 0",
         "a convex function's sublevel sets are convex"),
    )  # fmt: skip
    rng = context.rng("C30")
    upper = Tally("∇²V ⪯ max_x(r_max − V_x)F̄")
    lower = Tally("∇²V ⪰ −max_x(V_x − r_min)F̄")
    convex = Tally("midpoints of {J_γ ≥ J_γ(θ_ref)}, one prompt, lie in it, γ > r_max − p")
    for number, problem in enumerate(reward_battery(rng, SIZES[context.effort], real=False)):
        if number % 2:
            real = [rng.normal(size=m) for m in problem.responses]
            problem = problem.replace(response_rewards=real)
        if problem.span.dimension == 0:
            continue
        theta, objective = points(rng, problem), reward_of(problem)
        room = best_less_mean(problem, theta)
        compare(upper, spectrum(objective, theta), room * ABOVE + 1e-13)
        turned = problem.replace(response_rewards=[-r for r in problem.response_rewards or ()])
        below = best_less_mean(turned, theta)
        compare(lower, spectrum(-1.0 * objective, theta), below * ABOVE + 1e-13)
        if problem.prompts == 1:
            start = float(best_less_mean(problem, problem.ref_params[None])[0])
            superlevel(convex, rng, regularised(problem, start * (1 + 10 ** rng.uniform(-4, 0))))
    for tally in (upper, lower, convex):
        yield tally.evidence()


# --- wrong variants ---------------------------------------------------------------------


def _bounded(
    name: str, says: str, level: Callable[[np.ndarray], Any], problem: PreferenceProblem,
    sign: int = 1,
) -> Falsehood:  # fmt: skip
    def wrong(context: Context) -> Iterator[Evidence]:
        yield against(sign * reward_of(problem), level, says, context)

    return Falsehood(name, says, wrong)


def two_prompts() -> PreferenceProblem:
    """Prompt 1: tied best responses pulled down by θ₁; prompt 2: θ₁ is all that counts."""
    return reward_problem(
        features=[[[-8, 1], [-8, -1], [0, 0]], [[1, 0], [0, 0]]],
        response_rewards=[[1, 1, 0], [1, 0]], base=[[1, 1, 2], None], radius=6,
        weights=["0.1", "0.9"],
    )  # fmt: skip


def _several(_: Context) -> Iterator[Evidence]:
    """γ = .505 > ½ = max_x(r_max − V_x(θ_ref)); ends (.36, ±3.5), midpoint (.36, 0)."""
    problem = two_prompts()
    yield not_convex(
        regularised(problem, 0.505), np.array([0.36, 3.5]), np.array([0.36, -3.5]),
        "two prompts: {J_γ ≥ J_γ(θ_ref)} is not convex at γ > max_x(r_max − V_x(θ_ref))",
    )  # fmt: skip


def _other_kl(_: Context) -> Iterator[Evidence]:
    """γ = 2, rewards 0 and 1: V − γKL(π_θ‖π_ref) is not concave far from θ_ref."""
    problem, theta = tied("0.005", radius=8.0), np.array([6.0])
    objective = reward_of(problem) - 2.0 * KLPolicyRef(problem)

    def excess() -> Ball:
        return objective.hessian(arb_numbers().asarray(theta))[0, 0]

    found = float(objective.hessian(theta)[0, 0])
    yield refute(problem, theta, "(V − 2KL(π_θ‖π_ref))″ > 0, rewards 0 and 1", found, excess)


def sequence_slope(xp: Any, gamma: Any, second: Any, theta: Any) -> Any:
    """d/dθ (V − γKL(π_ref‖π_θ)) of C30's two tokens.

    Token 1 has logit kθ + log(q/(1 − q)); after its first option token 2 has logit L₂(θ − 1)
    and reward 1 on its second option.
    """
    k, q = xp.asarray([6.059])[0], xp.asarray([0.001])[0]
    first = xp.sigmoid(k * theta + xp.log(q / (1 - q)))
    then, start = xp.sigmoid(second * (theta - 1)), xp.sigmoid(-second)
    rise = k * first * (1 - first) * then + first * second * then * (1 - then)
    return rise - gamma * (k * (first - q) + q * second * (then - start))


def _sequences(gamma: float, second: float, at: tuple[float, ...]) -> Callable[..., Any]:
    """The slope is positive, negative, positive, negative at four points: two maxima."""

    def wrong(_: Context) -> Iterator[Evidence]:
        problem = reward_problem(
            features=[[[6.059], [0]]],
            response_rewards=[[1, 0]],
            radius=3,
            base=[["0.001", "0.999"]],
        )
        xp = arb_numbers()

        def excess() -> Ball:
            slopes = (sequence_slope(xp, arb(gamma), arb(second), xp.asarray([t])[0]) for t in at)
            return alternating(slopes)

        found = float(sequence_slope(FLOAT64, gamma, second, np.array(at[2])))
        says = f"two tokens, reward in [0, 1], γ = {gamma:g}: two maxima, a minimum between them"
        yield refute(problem, np.array([at[2]]), says, found, excess, second_token=second, at=at)

    return wrong


def _planted() -> Iterator[Falsehood]:
    rare = tied("1e-4")
    yield _bounded("mean-reward", "γ > V(θ_ref), the mean reward, is enough",
                   lambda t: 2e-4, rare)  # fmt: skip
    yield _bounded("nine-tenths", ".99 of the range is enough", lambda t: 0.99, rare)
    yield _bounded("lower", "∇²V ⪰ −.99 range·F", lambda t: 0.99,
                   rare.replace(response_rewards=[[0, 0, 1]]), -1)  # fmt: skip
    yield _bounded("best-two", "∇²V ⪯ (r_max − V)²F", lambda t: best_less_mean(tied("0.2"), t) ** 2,
                   tied("0.2"))  # fmt: skip
    yield Falsehood("several-prompts", "the path version holds for several prompts", _several)
    yield Falsehood("other-kl", "γ above the range makes V − γKL(π_θ‖π_ref) concave", _other_kl)
    says = "over sequences the range of r is a threshold, without ρ"
    yield Falsehood(
        "sequences", f"{says}: γ = 2", _sequences(2.0, 100.0, (-0.5, 0.948, 1.001, 2.5))
    )
    yield Falsehood(
        "sequences-large", f"{says}: γ = 10", _sequences(10.0, 500.0, (-0.5, 0.986, 0.9999, 2.5))
    )


CLAIMS: list[Claim] = [
    claim(
        "C30",
        title="rewards with KL(π_ref‖π_θ): γ above the reward's range is enough, whatever B",
        statement=r"-(V_x - r_{\min})F_x \preceq \nabla^2 V_x \preceq (r_{\max} - V_x)F_x;\;"
        r" \gamma > r_{\max} - V(\theta_{ref}) \Rightarrow"
        r" \{J_\gamma \ge J_\gamma(\theta_{ref})\}\ \text{convex (one prompt)}",
        source="new; proof in docs/theory.md",
        hypotheses=("V_x = E_π r, one softmax over responses, log-linear",
                    "sequences: γ > range·sup_C ρ, ρ the largest ratio of prefix chances"),
        check=check,
        planted=tuple(_planted()),
    )
]  # fmt: skip
