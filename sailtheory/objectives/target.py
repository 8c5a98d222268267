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

from sailtheory.objectives.algebra import Objective
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["CurvatureBounds", "Target", "nothing_moves"]

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
    """

    objective: Objective
    name: str
    title: str
    symbol: str
    measure: str

    @property
    def problem(self) -> PreferenceProblem:
        """The problem."""
        return self.objective.problem

    @abstractmethod
    def on(self, problem: PreferenceProblem) -> Target:
        """The same of another problem."""

    @abstractmethod
    def worth(self, theta: np.ndarray) -> np.ndarray:
        """What policies are worth: θ (..., d) to (...)."""

    @abstractmethod
    def bounds(self) -> CurvatureBounds | None:
        """What is certain of its curvature; None where S = {0}."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Its options, as the registry takes them and JSON holds them."""


def nothing_moves(problem: PreferenceProblem) -> bool:
    """Whether no policy depends on θ."""
    return problem.span.dimension == 0
