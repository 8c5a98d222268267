"""Pair payoffs by name, and those that a user brings (C35).

A payoff is G(z) for the preferred response with the margin z = β·(difference of log-ratios); the
loss that is published is −G(z). Given p₁₂, two responses are worth p₁₂G(z) + p₂₁G(−z). Derivatives
come from jets (:mod:`sailtheory.numeric.jets`), in every number system.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sailtheory.errors import InputError, one_line
from sailtheory.numeric.jets import FUNCTIONS, Jet, variable
from sailtheory.numeric.numbers import Array, NumberSystem
from sailtheory.theory.payoff import Payoff
from sailtheory.theory.payoff_expression import parsed

__all__ = [
    "PAYOFFS",
    "PairPayoff",
    "Recipe",
    "custom_payoff",
    "leaning",
    "named_payoff",
    "pair_payoff",
]

Made = Callable[[Jet, Any], Jet]
"""z and β to G."""

_EXP, _SIGMOID, _LOG_SIGMOID = (FUNCTIONS[name][1] for name in ("exp", "sigmoid", "log_sigmoid"))
_MAX, _MIN = FUNCTIONS["max"][1], FUNCTIONS["min"][1]


@dataclass(frozen=True, eq=False)
class PairPayoff:
    """A payoff G(z), which may depend on β.

    Attributes:
        name: Its name.
        formula: G in words.
        made: z and β to G, as jets.
        options: What it was made with.
    """

    name: str
    formula: str
    made: Made
    options: Mapping[str, Any] = field(default_factory=dict)

    def jet(self, xp: NumberSystem, z: Array, beta: Any) -> Jet:
        """G and three derivatives at an array z, or on a ball.

        Raises:
            InputError: A user's function failed, or gave no jet.
        """
        at = variable(xp, z)
        try:
            found = self.made(at, beta)
        except InputError:
            raise
        except Exception as error:
            raise InputError("payoff", self.name, f"G(z) over jets; {one_line(error)}") from error
        if not isinstance(found, Jet):
            found = at * 0 + found
        return found + at * 0

    def at_zero(self, xp: NumberSystem, beta: Any) -> Jet:
        """G and its derivatives at z = 0."""
        return self.jet(xp, xp.asarray(0)[()], beta)

    def __neg__(self) -> PairPayoff:
        """−G, whose upper bounds are G's lower ones."""
        return replace(self, name=f"-{self.name}", formula=f"−({self.formula})",
                       made=lambda z, beta: -self.made(z, beta))  # fmt: skip


def pair_payoff(payoff: PairPayoff, xp: NumberSystem, q: Array, z: Array, beta: Any) -> Payoff:
    """p₁₂G(z) + p₂₁G(−z) − G(0) and its derivatives in z, q = p₁₂ − ½ (C35).

    Args:
        payoff: G.
        xp: Number system.
        q: (..., m, m), or of its pairs; antisymmetric.
        z: Likewise.
        beta: β.
    """
    wins, loses = 2 * q + 1, 1 - 2 * q
    ahead, behind = (payoff.jet(xp, at, beta).parts for at in (z, -z))

    def part(order: int) -> Array:
        sign = -1 if order % 2 else 1
        return (wins * ahead[order] + sign * loses * behind[order]) / 2

    start = payoff.at_zero(xp, beta).value
    return Payoff(part(0) - start, part(1), part(2), part(3))


def leaning(payoff: PairPayoff, lean: float) -> PairPayoff:
    """(½ + lean)·G(z) + (½ − lean)·G(−z), what a pair is worth at q = ``lean`` in [0, ½].

    −J_x is at most its loss ceiling for every prompt with |q| ≤ ``lean`` (C35).
    """
    ahead, behind = 0.5 + lean, 0.5 - lean
    return replace(payoff, made=lambda z, beta: (
        payoff.made(z, beta) * ahead + payoff.made(-z, beta) * behind
    ))  # fmt: skip


# --- by name ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """How a payoff of a name is made.

    Attributes:
        formula: In words.
        make: Options to z, β ↦ G.
        options: Their defaults.
        source: Where the loss comes from.
    """

    formula: str
    make: Callable[..., Made]
    options: Mapping[str, float] = field(default_factory=dict)
    source: str = ""


def _smoothed(label_smoothing: float) -> Made:
    if not 0 <= label_smoothing < 0.5:
        raise InputError("label_smoothing", label_smoothing, "a number in [0, .5)")
    keep, flip = 1 - label_smoothing, label_smoothing
    return lambda z, b: _LOG_SIGMOID(z) * keep + _LOG_SIGMOID(-z) * flip


PAYOFFS: dict[str, Recipe] = {
    "logistic": Recipe("log σ(z)", lambda: lambda z, b: _LOG_SIGMOID(z), {}, "2305.18290"),
    "smoothed": Recipe(
        "(1 − ε) log σ(z) + ε log σ(−z)", _smoothed, {"label_smoothing": 0.1}, "cDPO"
    ),
    "margin": Recipe(
        "log σ(z − margin), SimPO's loss with a reference and without lengths",
        lambda margin: lambda z, b: _LOG_SIGMOID(z - margin), {"margin": 0.5}, "2405.14734",
    ),
    "ipo": Recipe(
        "−(z − ½)²/β², pairwise: the square of a drawn label",
        lambda: lambda z, b: -(((z - 0.5) / b) ** 2), {}, "2310.12036",
    ),
    "squared": Recipe(
        "−(z − margin)²", lambda margin: lambda z, b: -((z - margin) ** 2), {"margin": 1.0},
        "2402.05749",
    ),
    "truncated-squared": Recipe(
        "−max(0, margin − z)²", lambda margin: lambda z, b: -(_MAX(margin - z, 0) ** 2),
        {"margin": 1.0}, "2402.05749",
    ),
    "hinge": Recipe(
        "min(0, z − margin), SLiC's", lambda margin: lambda z, b: _MIN(z - margin, 0),
        {"margin": 1.0}, "2305.10425",
    ),
    "exponential": Recipe("−e^{−z}", lambda: lambda z, b: -_EXP(-z), {}, "2402.05749"),
    "savage": Recipe("−σ(−z)²", lambda: lambda z, b: -(_SIGMOID(-z) ** 2), {}, "2402.05749"),
    "sigmoid": Recipe("σ(z)", lambda: lambda z, b: _SIGMOID(z), {}, "ROPO and others"),
}  # fmt: skip
"""Payoffs by name."""


def named_payoff(name: str, **options: float) -> PairPayoff:
    """A payoff of :data:`PAYOFFS`.

    Args:
        name: Its name.
        options: Those of its recipe; the rest are as it has them.

    Raises:
        InputError: No such payoff, an option that it does not take, or one that is not finite.
    """
    if name not in PAYOFFS:
        raise InputError("payoff", name, f"one of {', '.join(PAYOFFS)}")
    recipe = PAYOFFS[name]
    for option, value in options.items():
        if option not in recipe.options:
            taken = ", ".join(recipe.options) or "none"
            raise InputError(option, value, f"an option of {name}: {taken}")
        if not math.isfinite(value):
            raise InputError(option, value, "a finite number")
    used = {**recipe.options, **options}
    return PairPayoff(name, recipe.formula, recipe.make(**used), used)


def custom_payoff(given: str | Callable[[Jet], Jet]) -> PairPayoff:
    """A user's own payoff.

    Args:
        given: An expression in z and beta, such as ``-max(0, 1 - z)**2``, which is parsed and
            never evaluated as code; or, in Python, a function of z as a jet, made of + − * / **
            and of :data:`sailtheory.numeric.jets.FUNCTIONS`.

    Raises:
        InputError: The expression holds what is not allowed; the line names it.
    """
    if callable(given):
        name = getattr(given, "__name__", "payoff")
        return PairPayoff("custom", name, lambda z, b: given(z), {"formula": name})
    return PairPayoff("custom", given, parsed(given), {"formula": given})
