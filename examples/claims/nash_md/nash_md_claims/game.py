"""Regularised preference games with a known equilibrium, and the steps of Nash-MD on them.

A game is chosen by its equilibrium: for any P, τ and π* > 0 the reference
μ ∝ π* exp(−P(· ≻ π*)/τ) makes π* the equilibrium. The problem has π* for its base measure and τ
for β, so that θ = 0 is π*, and every number is as exact as those that were chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from proofs_check.evidence.cases import tabular
from proofs_check.evidence.instances import random_preferences
from sailtheory import KLRefPolicy, PreferenceProblem
from sailtheory.claims import Context
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.objectives.expectation import Point
from sailtheory.theory import formulas

XP = arb_numbers()
COUNT = {"quick": 9, "full": 300}
"""Random games a claim is tried on."""


@dataclass(frozen=True)
class Game:
    """P_τ(π ≻ π') = P(π ≻ π') − τKL(π‖μ) + τKL(π'‖μ) with equilibrium π*.

    Attributes:
        problem: One prompt, P, β = τ, base measure π*.
    """

    problem: PreferenceProblem

    @property
    def tau(self) -> float:
        """τ."""
        return float(self.problem.beta)

    def at(self, theta: Array) -> Point:
        """The policy at θ, (m,)."""
        (found,) = KLRefPolicy(self.problem).points(theta)
        return found

    def lead(self, theta: Array) -> Array:
        """P(· ≻ π_θ) − ½: (m,)."""
        at = self.at(theta)
        return formulas.expectation(at.policy[..., None, :], at.block.preference)[0]

    def mu(self, like: Array) -> Array:
        """θ of the reference, in the number system of another θ."""
        return -self.lead(0 * like) / self.tau

    def kl(self, theta: Array, other: Array) -> Any:
        """KL(π_θ‖π_other)."""
        here, there = self.at(theta), self.at(other)
        return formulas.kl_policy_ref(here.policy, here.log_policy - there.log_policy)[0]

    def distance(self, theta: Array) -> Any:
        """KL(π*‖π_θ), by the objective that runs."""
        return KLRefPolicy(self.problem).value(theta)

    def advantage(self, theta: Array, other: Array) -> Any:
        """P_τ(π_θ ≻ π_other) − ½."""
        mu = self.mu(theta)
        wins = formulas.expectation(self.at(theta).policy[0], self.lead(other))
        return wins - self.tau * (self.kl(theta, mu) - self.kl(other, mu))

    def mixture(self, theta: Array, eta: float) -> Array:
        """θ of π^{1−ητ}μ^{ητ}/Z."""
        share = eta * self.tau
        return (1 - share) * theta + share * self.mu(theta)

    def step(self, theta: Array, eta: float) -> Array:
        """θ after argmax_π ηP(π ≻ q) − KL(π‖q), q the mixture."""
        q = self.mixture(theta, eta)
        return q + eta * self.lead(q)


def game(preferences: Any, star: Any, tau: float) -> Game:
    """The game with that equilibrium.

    Args:
        preferences: P, (m, m), or a model.
        star: π* up to a factor, (m,).
        tau: τ, a power of two, so that it is exact.
    """
    return Game(tabular([preferences], [star], tau))


def games(context: Context, name: str) -> Iterator[tuple[Game, np.ndarray, float]]:
    """Random ones, 2 to 4 responses, with a θ and an η up to 1/τ."""
    rng = context.rng(name)
    for i in range(COUNT[context.effort]):
        m, tau = 2 + i % 3, 2.0 ** (i % 7 - 5)
        made = game(random_preferences(rng, m), rng.integers(1, 9, m), tau)
        yield made, rng.normal(size=m) * 4, float(2.0 ** rng.integers(-6, 1)) / tau


TIES = np.full((2, 2), 0.5)
CYCLE = np.array([[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]])


def tied() -> Game:
    """Two responses that tie, τ = 1: π* = μ is uniform, and only the regulariser moves π."""
    return game(TIES, [1, 1], 1.0)


def cycle(tau: float, star: Any = (1, 1, 1)) -> Game:
    """Rock, paper, scissors."""
    return game(CYCLE, star, tau)


def ladder(rungs: int = 32) -> tuple[Game, np.ndarray]:
    """y₀ ties with all, the others are in order; π* nearly y₀, and θ nearly uniform on the others.

    The win rates of the others spread as far as any can, and π* gains nothing on them.
    """
    p = np.full((rungs + 1, rungs + 1), 0.5)
    p[1:, 1:] = np.triu(np.ones((rungs, rungs)), 1) + np.eye(rungs) / 2
    star = np.full(rungs + 1, 2.0**-40)
    star[0] = 1.0
    theta = np.zeros(rungs + 1)
    theta[0] = -60.0
    return game(p, star, 2.0**-20), theta
