"""A target with another divergence than KL(π_ref‖π_θ) (C38)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from sailtheory.numeric.enclose import float_above, float_below
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.algebra import LinearCombination, Objective
from sailtheory.objectives.divergence import DivergenceObjective
from sailtheory.objectives.target import CurvatureBounds, Target
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory.divergences import (
    Divergence,
    divergence_smoothness,
    divergence_terms,
    divergence_threshold,
)

__all__ = ["Penalised"]

_UP = 1 + 2.0**-50


class Penalised(Target):
    """An objective whose penalty is γD, D a divergence or a weighted sum of some.

    Attributes:
        inner: The objective as a target, with KL(π_ref‖π_θ).
        divergence: The name of D.
        terms: Its weights and divergences.
        reach: R of each, the largest range of (θ − θ_ref)ᵀφ on C, rounded up; of log π_θ for
            −entropy.
        convexity: c, with ∇²D ⪰ c·F̄ on C, rounded down; None where no c(R) is known.

    Args:
        inner: The objective as a target.
        divergence: Of :func:`~sailtheory.theory.divergences.divergence_terms`.

    Raises:
        InputError: An unknown divergence.
    """

    subtracted = "γD"

    def __init__(self, inner: Target, divergence: str) -> None:
        self.inner, self.divergence = inner, divergence
        self.terms = divergence_terms(divergence)
        self.objective, self.name = inner.objective, inner.name
        self.symbol, self.measure = inner.symbol, inner.measure
        shown = " + ".join(
            each.title if weight == 1 else f"{weight:g}·[{each.title}]"
            for weight, each in self.terms
        )
        self.title = f"{inner.title}; D = {shown}"
        self.reach = [_reach(self.problem, each) for _, each in self.terms]
        self.convexity = self._convexity()

    def on(self, problem: PreferenceProblem) -> Penalised:
        """The same objective and divergence on another problem."""
        return Penalised(self.inner.on(problem), self.divergence)

    @property
    def penalty(self) -> Objective:
        """D."""
        return LinearCombination(
            [(1.0, DivergenceObjective(self.problem, made, weight)) for weight, made in self.terms]
        )

    @property
    def proved(self) -> bool:
        """Whether c is proved; else it is a numerical finding."""
        return all(each.proved for _, each in self.terms)

    def _convexity(self) -> float | None:
        """Σ w c(R): ∇²D ⪰ c F̄ adds up."""
        xp = arb_numbers()
        total: Any = 0
        for (weight, made), reach in zip(self.terms, self.reach, strict=True):
            if reach > made.up_to:
                return None
            total = total + weight * made.convexity(xp, xp.asarray(reach)[()])
        return float_below(total)

    def _stiffness(self) -> float:
        xp = arb_numbers()
        return float_above(sum(
            weight * divergence_smoothness(made, xp, xp.asarray(reach)[()])
            for (weight, made), reach in zip(self.terms, self.reach, strict=True)
        ))  # fmt: skip

    def worth(self, theta: np.ndarray) -> np.ndarray:
        """As without a penalty."""
        return self.inner.worth(theta)

    def bounds(self) -> CurvatureBounds | None:
        """Those of the objective, relative to ∇²D."""
        known = self.inner.bounds()
        return None if known is None else self.relative_to_penalty(known)

    def relative_to_penalty(self, known: CurvatureBounds) -> CurvatureBounds:
        """Bounds relative to F̄ as bounds relative to ∇²D: K/c and K⁻/c, which γ has to pass.

        Args:
            known: Of the objective, relative to F̄.
        """
        c = self.convexity
        why = known.why or self._why(known)
        if c is None or why:
            return replace(
                known, relative=None, data=None, prompts=None, lower=None, path=None, seen=None,
                claims=f"{known.claims}, C38", data_claims="", why=why,
            )  # fmt: skip

        def over(bound: float | None) -> float | None:
            return None if bound is None else divergence_threshold(bound, c) * _UP

        prompts = known.prompts
        if prompts is not None:
            prompts = np.array([divergence_threshold(float(each), c) for each in prompts]) * _UP
        return replace(
            known, relative=over(known.relative), data=over(known.data), prompts=prompts,
            lower=over(known.lower), path=None, claims=f"{known.claims}, C38",
            data_claims=known.data_claims and f"{known.data_claims}, over c(R) (C38)",
            convexity=c, stiffness=self._stiffness(),
        )  # fmt: skip

    def _why(self, known: CurvatureBounds) -> str:
        """Why no γ is certain, or nothing."""
        if known.least is None:
            return "no bound of ∇²J relative to F̄ is certain"
        at = " and ".join(dict.fromkeys(f"{reach:.4g}" for reach in self.reach))
        if self.convexity is None:
            return f"no c(R) of {self.divergence} is known at R = {at} (C38)"
        if not self.proved:
            return (
                f"{self.divergence} has c(R) = {self.convexity:.4g} by numbers, not by proof (C38)"
            )
        if self.convexity <= 0:
            return f"C moves logits by R = {at}, where c(R) of {self.divergence} is not > 0 (C38)"
        return ""

    def settings(self) -> dict[str, Any]:
        """The options of the objective, and D."""
        return {**self.inner.settings(), "divergence": self.divergence}

    def facts(self) -> dict[str, Any]:
        """D, R and c(R), as JSON holds them."""
        return {
            "name": self.divergence,
            "terms": [
                {
                    "divergence": each.name,
                    "weight": weight,
                    "range": reach,
                    "radius": each.radius if math.isfinite(each.radius) else None,
                }
                for (weight, each), reach in zip(self.terms, self.reach, strict=True)
            ],
            "convexity": self.convexity,
            "convexity_is_proved": self.proved,
        }


def _reach(problem: PreferenceProblem, made: Divergence) -> float:
    moved = problem.z_max_above / float(problem.beta) * _UP
    if made.by_reference:
        return moved
    spread = max(float(np.ptp(np.log(ref))) for ref in problem.policy(problem.ref_params))
    return (moved + spread) * (1 + 2.0**-40)
