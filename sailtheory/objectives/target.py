"""What training ascends on one problem, and what is certain of its curvature.

Every command that speaks of an objective speaks of a :class:`Target`: of its value, gradient and
Hessian (its objective), of what a policy is worth by it, and of bounds of its Hessian relative to
F̄ that hold for sure. :mod:`sailtheory.objectives.registry` makes one by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import KLRefPolicy, regularised
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["CurvatureBounds", "Target", "no_certain_gamma", "nothing_moves"]

_WORST = 8


@dataclass(frozen=True)
class CurvatureBounds:
    """−lower·F̄ ⪯ ∇² ⪯ K·F̄ on C, K each of the others; None where infinite or not known.

    Attributes:
        relative: For every problem of its kind, proved.
        data: For this problem, certified, rounded up; never above ``relative``.
        prompts: For each prompt alone, rounded up, (n,): the largest holds for their average. 0
            where no policy of the prompt depends on θ. None where not told one by one.
        lower: K⁻.
        path: The γ that each prompt needs alone from θ_ref, along a path that does not fall, (n,);
            None where no such theorem is known.
        seen: What each prompt's bound rests on, in words, by position; the worst prompts only.
        claims: What proves ``relative``.
        scope: The problems for which it does.
        data_claims: What proves ``data``, and by what.
        convexity: c, with c·F̄ ⪯ ∇²D for the penalty D. K and K⁻ above are relative to ∇²D, that
            is, those relative to F̄ over c; 1 for KL(π_ref‖π_θ).
        stiffness: C, with ∇²D ⪯ C·F̄.
        why: Why no γ is certain, where none is.
    """

    relative: float | None
    data: float | None
    prompts: np.ndarray | None
    lower: float | None
    path: np.ndarray | None = None
    seen: Mapping[int, str] | None = None
    claims: str = ""
    scope: str = "whatever the problem and B"
    data_claims: str = ""
    convexity: float = 1.0
    stiffness: float = 1.0
    why: str = ""

    @property
    def least(self) -> float | None:
        """The least γ that is certain to suffice."""
        known = [bound for bound in (self.relative, self.data) if bound is not None]
        return min(known) if known else None

    @property
    def worst(self) -> list[tuple[int, float]]:
        """The prompts that set ``data``, and their bounds."""
        if self.prompts is None:
            return []
        return [(int(x), float(self.prompts[x])) for x in np.argsort(-self.prompts)[:_WORST]]


class Target(ABC):
    """An objective of a problem, by its name.

    Attributes:
        objective: It, without a KL term.
        name: As it is asked for.
        title: What tables call it.
        symbol: What it is in a formula.
        measure: What :meth:`worth` is.
        subtracted: What :meth:`penalised` takes from it, in a formula.
    """

    objective: Objective
    name: str
    title: str
    symbol: str
    measure: str
    subtracted: str = "γKL(π_ref‖π_θ)"

    @property
    def problem(self) -> PreferenceProblem:
        """The problem."""
        return self.objective.problem

    @abstractmethod
    def on(self, problem: PreferenceProblem) -> Target:
        """The same of another problem."""

    @property
    def penalty(self) -> Objective:
        """D, which γ weighs: KL(π_ref‖π_θ), unless it is a :class:`Penalised`."""
        return KLRefPolicy(self.problem)

    def penalised(self, gamma: float) -> Objective:
        """The objective less γD; what every command looks at.

        Raises:
            InputError: γ is negative or not finite.
        """
        return regularised(self.objective, gamma, self.penalty)

    @abstractmethod
    def worth(self, theta: np.ndarray) -> np.ndarray:
        """What policies are worth: θ (..., d) to (...)."""

    @abstractmethod
    def bounds(self) -> CurvatureBounds | None:
        """What is certain of its curvature; None where S = {0}."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Its options, as the registry takes them and JSON holds them."""


def no_certain_gamma(target: Target, known: CurvatureBounds | None) -> InputError:
    """What to raise where finite constants are needed and a target has none.

    Args:
        target: The target.
        known: Its bounds.
    """
    divergence = target.settings().get("divergence")
    if known is not None and known.why and divergence is not None:
        return InputError("divergence", divergence, f"one with a γ that is certain: {known.why}")
    found = "S = {0}" if known is None else "infinite constants"
    return InputError("objective", f"{target.name}, {found}", "one whose K and K⁻ are finite")


def nothing_moves(problem: PreferenceProblem) -> bool:
    """Whether no policy depends on θ."""
    return problem.span.dimension == 0
