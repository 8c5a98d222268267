"""C21: the bilevel problem reduces to SAIL's single level."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from proofs_check.expected import claim
from proofs_check.symbolic.identities import (
    Identity,
    Sides,
    conclude_by,
    establish,
    false_identity,
)
from proofs_check.symbolic.settings import Prompt, Setting
from sailtheory.claims import Context
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.sail import SAIL
from sailtheory.verdict import Evidence

Reward = Callable[[Prompt, int, Any], Any]
"""(x, k, log Z) to r(x, y_k)."""


def implicit_reward(x: Prompt, k: int, log_z: Any) -> Any:
    """r_θ = β log(π_θ/π_ref) + β log Z(x), Z arbitrary."""
    return (x.log_policy[k] - x.log_ref[k] + log_z) * x.beta


def other_policy(x: Prompt, weights: Array) -> tuple[Array, Array]:
    """An arbitrary policy π' and its logarithm."""
    total = weights.sum()
    return weights / total, x.xp.log(weights) - x.xp.log(total)


def inner_objective(x: Prompt, reward: Reward, log_z: Any, weights: Array) -> Any:
    """E_π' r − β KL(π'‖π_ref)."""
    chance, log_chance = other_policy(x, weights)
    return sum(
        (reward(x, k, log_z) - (log_chance[k] - x.log_ref[k]) * x.beta) * chance[k]
        for k in x.responses
    )


def distance(x: Prompt, weights: Array) -> Any:
    """KL(π'‖π_θ)."""
    chance, log_chance = other_policy(x, weights)
    return sum((log_chance[k] - x.log_policy[k]) * chance[k] for k in x.responses)


def inner(gap: Callable[[Prompt, Any, Array], Any], reward: Reward = implicit_reward) -> Sides:
    """The inner objective at an arbitrary policy against a right-hand side, prompt by prompt."""

    def sides(at: Setting) -> tuple[Array, Array]:
        log_z = at.constant
        together = list(zip(at.prompts, at.other, strict=True))
        left = [inner_objective(x, reward, log_z, h) for x, h in together]
        return np.array(left), np.array([gap(x, log_z, h) for x, h in together])

    return sides


def gibbs(x: Prompt, log_z: Any, weights: Array) -> Any:
    """β log Z − β KL(π'‖π_θ)."""
    return (log_z - distance(x, weights)) * x.beta


def upper(reward: Reward, on_policy: bool = True) -> Sides:
    """J against E[p₁₂ log σ(r₁ − r₂) + p₂₁ log σ(r₂ − r₁)], responses from π*_r = π_θ."""

    def sides(at: Setting) -> tuple[Array, Array]:
        def each(x: Prompt) -> Any:
            def likelihood(k: int, j: int) -> Any:
                first, second = reward(x, k, at.constant), reward(x, j, at.constant)
                log = x.xp.log_sigmoid
                return log(first - second) * x.p(k, j) + log(second - first) * x.p(j, k)

            mean = x.mean if on_policy else x.mean_ref
            return mean(lambda k: mean(lambda j: likelihood(k, j)))

        return at.objective(SAIL).value(at.theta), at.expect(each)

    return sides


def linear_reward(at: Setting) -> tuple[Array, Array]:
    """r_θ differs from βδᵀφ by a constant of the prompt."""
    left, right = [], []
    for x in at.prompts:
        for k in x.responses[1:]:
            first = implicit_reward(x, 0, at.constant)
            left.append(implicit_reward(x, k, at.constant) - first)
            right.append((x.delta @ x.gap(k, 0)) * x.beta)
    return np.array(left), np.array(right)


STEPS = (
    Identity("E_π'r_θ − βKL(π'‖π_ref) = β log Z − βKL(π'‖π_θ) for every policy π'", inner(gibbs)),
    Identity("r_θ is βδᵀφ up to a constant of the prompt", linear_reward),
    Identity("J = E[p₁₂ log σ(r₁ − r₂) + p₂₁ log σ(r₂ − r₁)] at r = r_θ", upper(implicit_reward)),
)


def check(context: Context) -> Generator[Evidence, None, None]:
    """Gibbs' inequality makes π_θ the unique inner solution; then the values agree."""
    if (yield from establish(STEPS, context, "C21")):
        yield conclude_by(
            "π_θ is the unique inner solution for r_θ, as KL(π'‖π_θ) ≥ 0 with equality only at "
            "π' = π_θ (Gibbs), and J is the upper objective there"
        )


# --- planted falsehoods ------------------------------------------------------------------


def without_beta(x: Prompt, k: int, log_z: Any) -> Any:
    """log(π_θ/π_ref) + log Z."""
    return implicit_reward(x, k, log_z) / x.beta


def against_uniform(x: Prompt, log_z: Any, weights: Array) -> Any:
    """β log Z − β KL(π'‖π_ref)."""
    chance, log_chance = other_policy(x, weights)
    return sum((log_z - log_chance[k] + x.log_ref[k]) * x.beta * chance[k] for k in x.responses)


PLANTED = (
    false_identity(
        "reward-without-beta", "r_θ = log(π_θ/π_ref) + log Z: π_θ solves the inner problem",
        inner(gibbs, without_beta),
    ),
    false_identity(
        "gap-to-reference", "the inner objective is β log Z − βKL(π'‖π_ref)",
        inner(against_uniform),
    ),
    false_identity(
        "reversed-gap", "the inner objective is β log Z + βKL(π'‖π_θ)",
        inner(lambda x, log_z, h: (log_z + distance(x, h)) * x.beta),
    ),
    false_identity(
        "frozen-responses", "J is the upper objective with responses drawn from π_ref",
        upper(implicit_reward, on_policy=False),
    ),
    false_identity(
        "reversed-reward", "J is the upper objective at −r_θ",
        upper(lambda x, k, log_z: -implicit_reward(x, k, log_z)),
    ),
)  # fmt: skip


CLAIMS = [
    claim(
        "C21",
        title="the bilevel problem reduces to SAIL's single level",
        statement=(
            r"r_\theta=\beta\log\tfrac{\pi_\theta}{\pi_{\rm ref}}+\beta\log Z(x)\implies"
            r"\pi_\theta=\arg\max_\pi E_\pi r_\theta-\beta\,\mathrm{KL}(\pi\|\pi_{\rm ref}),\;"
            r"J(\theta)=E[\,p_{12}\log\sigma(r_1-r_2)+p_{21}\log\sigma(r_2-r_1)\,]"
        ),
        source="standard",
        check=check,
        planted=PLANTED,
    )
]
