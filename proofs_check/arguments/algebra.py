"""Free symbols for the production formulas, and exact zero tests in SymPy.

The steps of C09–C20 are identities between rational functions of π, g, u, σ', φ and
β, whatever these are functions of; so the formulas are evaluated on free symbols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from sailtheory.numeric.numbers import Array
from sailtheory.theory.formulas import fisher
from sailtheory.theory.payoff import Payoff

SIZES = (2, 3)
"""Numbers of responses for which a step is shown symbolically."""


def vanishes(*expressions: Any) -> bool:
    """Whether rational functions of free symbols are identically zero."""
    return all(sp.expand(sp.fraction(sp.together(e))[0]) == 0 for e in expressions)


def split_logs(expression: Any) -> Any:
    """Write every log of a rational function of positive symbols by its factors."""

    def split(argument: Any) -> Any:
        out = sp.Integer(0)
        for part, sign in zip(sp.fraction(sp.together(argument)), (1, -1), strict=True):
            content, powers = sp.factor_list(part)
            out += sign * (sp.log(content) + sum(k * sp.log(base) for base, k in powers))
        return sp.expand_log(out, force=True)

    return sp.expand(expression.replace(sp.log, split))


def law(name: str, m: int) -> Array:
    """m probabilities that sum to 1, the last expressed by the others: (m,)."""
    free = list(sp.symbols(f"{name}:{m - 1}", positive=True))
    return np.array([*free, 1 - sum(free)], dtype=object)


def vector(name: str, m: int) -> Array:
    """m free real symbols: (m,)."""
    return np.array(sp.symbols(f"{name}:{m}", real=True), dtype=object)


def leads(m: int) -> Array:
    """q_kl = P(k ≻ l) − ½, free and antisymmetric: (m, m)."""
    q = np.empty((m, m), dtype=object)
    for k in range(m):
        for j in range(k, m):
            q[k, j] = sp.Symbol(f"q{k}{j}") if k != j else sp.Integer(0)
            q[j, k] = -q[k, j]
    return q


def mean(weights: Array, values: Array) -> Any:
    """Σ weights · values."""
    return (weights * values).sum()


@dataclass(frozen=True)
class OnePrompt:
    """One prompt seen along a direction v: t = vᵀφ; g, u, G'' free with their symmetries.

    Attributes:
        policy: π, (m,).
        along: t, (m,).
        payoff: g, u and their derivatives, each (m, m).
        beta: β.
    """

    policy: Array
    along: Array
    payoff: Payoff
    beta: Any

    @property
    def variance(self) -> Any:
        """vᵀFv by the production formula."""
        return fisher(self.policy[None], self.along[None, :, None])[0, 0, 0]

    @property
    def pairs(self) -> Array:
        """π_kπ_l, (m, m)."""
        return self.policy[:, None] * self.policy[None, :]

    @property
    def total(self) -> Array:
        """P = t₁ + t₂ for the centred scores, (m, m)."""
        score = self.along - mean(self.policy, self.along)
        return np.asarray(score[:, None] + score[None, :])

    @property
    def spread(self) -> Array:
        """M = t₁ − t₂, (m, m)."""
        return np.asarray(self.along[:, None] - self.along[None, :])

    @property
    def value(self) -> Any:
        """J_x = E g."""
        return (self.pairs * self.payoff.value).sum()


def one_prompt(m: int) -> OnePrompt:
    """A generic prompt with m responses."""
    g, u, w, third = (np.empty((m, m), dtype=object) for _ in range(4))
    for k in range(m):
        for j in range(k, m):
            g[k, j] = g[j, k] = sp.Symbol(f"g{k}{j}")
            w[k, j] = w[j, k] = sp.Symbol(f"w{k}{j}")
            u[k, j] = sp.Symbol(f"u{k}{j}") if k != j else sp.Integer(0)
            third[k, j] = third[j, k] = sp.Integer(0)
            u[j, k] = -u[k, j]
    return OnePrompt(law("p", m), vector("t", m), Payoff(g, u, w, third), sp.Symbol("beta"))


def exponential() -> bool:
    """e^{−x} − (1 − x) has value and slope 0 at 0 and is convex, so 1 − x ≤ e^{−x}."""
    x = sp.Symbol("x", real=True)
    f = sp.exp(-x) - 1 + x
    return f.subs(x, 0) == 0 == f.diff(x).subs(x, 0) and bool(f.diff(x, 2).is_positive)


def taylor() -> bool:
    """∫₀¹ (1 − s) K ds = K/2: a bound K of the second derivative costs K/2."""
    s, k = sp.symbols("s K")
    return vanishes(sp.integrate((1 - s) * k, (s, 0, 1)) - k / 2)
