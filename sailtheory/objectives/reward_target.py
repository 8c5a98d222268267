"""Training with rewards as a target: E f(V), by method (C30, C31)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.objectives.reward_bounds import reward_bounds
from sailtheory.objectives.rewards import RewardObjective
from sailtheory.objectives.target import CurvatureBounds, Target
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory.reward_methods import reward_method

__all__ = ["OPTIONS", "RewardTarget"]

_GROUPED = {"group": 8, "std": "sample", "epsilon": 0.0}
OPTIONS: dict[str, dict[str, Any]] = {
    "reward": {}, "dr-grpo": {"group": 8}, "grpo": _GROUPED, "dynamic-sampling": _GROUPED,
    "arcsine": {}, "log": {}, "pass-at-k": {"group": 8}, "maxrl": {"group": 8},
}  # fmt: skip
"""What each method takes, and its defaults."""


class RewardTarget(Target):
    """f of the pass rate.

    Args:
        problem: With ``response_rewards``.
        name: A method.
        group: G; k of pass@k, T of MaxRL.
        std: ``population`` or ``sample``, as TRL has it.
        epsilon: What is added to it.

    Raises:
        InputError: No rewards, or rewards that the method does not take; options outside their
            domain.
    """

    symbol, measure = "E f(V)", "mean reward"
    objective: RewardObjective

    def __init__(
        self, problem: PreferenceProblem, name: str, group: int = 8, std: str = "sample",
        epsilon: float = 0.0,
    ) -> None:  # fmt: skip
        self.method = reward_method(name, group, std, epsilon)
        self.name, self.title = name, self.method.title
        given: dict[str, Any] = {"group": group, "std": std, "epsilon": epsilon}
        self._settings = {option: given[option] for option in OPTIONS[name]}
        self.objective = RewardObjective(problem, self.method)

    def on(self, problem: PreferenceProblem) -> RewardTarget:
        """The same method on another problem."""
        return RewardTarget(problem, self.name, **self._settings)

    def worth(self, theta: np.ndarray) -> np.ndarray:
        """The mean reward, E_x V_x."""
        return np.asarray(self.objective.pass_rates(theta) @ self.problem.weights)

    def bounds(self) -> CurvatureBounds | None:
        """K and K⁻, and what each prompt can need on C (C31)."""
        return reward_bounds(self.objective)

    def settings(self) -> dict[str, Any]:
        """Group, standard deviation and ε, as far as the method has them."""
        return dict(self._settings)
