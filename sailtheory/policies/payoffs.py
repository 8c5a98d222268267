"""What a policy over candidates is given: J's payoff of pairs, or a function of the pass rate.

A payoff sees the prompts of a batch through π_θ and log π_θ/π_ref, as closed forms do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor

from sailtheory.errors import InputError, require
from sailtheory.numeric.numbers import FLOAT64, numbers_of
from sailtheory.objectives.registry import kind
from sailtheory.policies.data import Batch, CandidateData
from sailtheory.theory import formulas, pair_form
from sailtheory.theory.bounds import pointwise_relative_bound, relative_bound
from sailtheory.theory.reward_methods import METHODS, reward_method
from sailtheory.theory.reward_slopes import RewardMethod

__all__ = ["CandidatePayoff", "RewardPayoff", "SAILPayoff", "candidate_payoff"]


class CandidatePayoff(ABC):
    """The part of an objective that is not a divergence.

    Attributes:
        name: As the registry has it.
        bound_name: The key of :meth:`bound` in reports.
    """

    name: str
    bound_name: str

    @abstractmethod
    def expect(self, data: CandidateData) -> None:
        """Refuse data that do not state what it needs."""

    @abstractmethod
    def value(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> Tensor:
        """Of each prompt: (n, m), (n, m) to (n,)."""

    @abstractmethod
    def worth(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> dict[str, Tensor]:
        """What is averaged over the prompts, by name, (n,) each."""

    @abstractmethod
    def extremes(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> dict[str, float]:
        """What is the least (``lowest_…``) or the largest over the prompts, by name."""

    @abstractmethod
    def bound(self, at: dict[str, float]) -> float | None:
        """A bound of the curvature relative to F, given the summary; None where infinite."""

    @abstractmethod
    def pointwise(self, at: dict[str, float]) -> float:
        """A bound of it at these very policies, given the summary."""


class SAILPayoff(CandidatePayoff):
    """J.

    Args:
        beta: β > 0.
    """

    name, bound_name = "sail", "bound_K_B_at_this_range"

    def __init__(self, beta: float) -> None:
        require(">", beta=beta)
        self.beta = beta

    def expect(self, data: CandidateData) -> None:
        """Preferences."""
        if not data.states_preferences:
            raise InputError("preferences", "missing", "preferences, rewards or a judge")

    def value(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> Tensor:
        """J_x."""
        xp = numbers_of(policy)
        z = pair_form.pairwise(log_ratio) * self.beta
        payoff = formulas.log_likelihood_payoff(xp, batch.preference, z)
        value: Tensor = formulas.pair_mean(policy, payoff.value) - xp.log_2()
        return value

    def worth(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> dict[str, Tensor]:
        """J_x and the win rate against π_ref."""
        ref = batch.log_ref.exp()
        beaten = formulas.expectation(ref[:, None, :], batch.preference)
        return {
            "sail": self.value(policy, log_ratio, batch),
            "win_rate": formulas.expectation(policy, beaten) + 0.5,
        }

    def extremes(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> dict[str, float]:
        """The least J_x and the largest |z|."""
        spread = log_ratio.amax(-1) - log_ratio.amin(-1)
        return {
            "lowest_prompt_sail": float(self.value(policy, log_ratio, batch).min()),
            "z_range": self.beta * float(spread.max()),
        }

    def bound(self, at: dict[str, float]) -> float:
        """K_B at the range (C11)."""
        return relative_bound(self.beta, at["z_range"])

    def pointwise(self, at: dict[str, float]) -> float:
        """max_x K_x from the largest |z| and the least J_x (C11)."""
        return pointwise_relative_bound(self.beta, at["z_range"], at["lowest_prompt_sail"])


class RewardPayoff(CandidatePayoff):
    """f(V), V the pass rate (C31).

    Args:
        method: f.
    """

    bound_name = "bound_K"

    def __init__(self, method: RewardMethod) -> None:
        self.method, self.name = method, method.name

    def expect(self, data: CandidateData) -> None:
        """Rewards of responses, of 0 and 1 unless f is linear; both where f' is infinite."""
        rewards = data.all.rewards
        if rewards is None:
            raise InputError("response_rewards", "missing", "a reward for each candidate, (n, m)")
        odd = rewards[(rewards != 0) & (rewards != 1)]
        if len(odd) and not self.method.linear:
            raise InputError("response_rewards", float(odd[0]), f"0 or 1, as {self.name} has it")
        ends = (self.method.finite_at_zero or bool(rewards.any(-1).all())) and (
            self.method.finite_at_one or bool((rewards != 1).any(-1).all())
        )
        if not ends:
            accepted = f"a correct and a wrong candidate a prompt, as {self.name} needs"
            raise InputError("response_rewards", "all alike", accepted)

    def _rates(self, policy: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        assert batch.rewards is not None
        return tuple(formulas.expectation(policy, r) for r in (batch.rewards, 1 - batch.rewards))

    def value(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> Tensor:
        """f(V_x)."""
        found: Tensor = self.method.value(numbers_of(policy), *self._rates(policy, batch))
        return found

    def worth(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> dict[str, Tensor]:
        """f(V_x) and V_x."""
        value = self.value(policy, log_ratio, batch)
        return {"objective": value, "mean_reward": self._rates(policy, batch)[0]}

    def extremes(self, policy: Tensor, log_ratio: Tensor, batch: Batch) -> dict[str, float]:
        """The largest (1 − V)f', times the range of the rewards where f is linear."""
        hit, miss = self._rates(policy, batch)
        if self.method.linear:  # C30: (max − V)f'
            assert batch.rewards is not None
            miss = batch.rewards.amax(-1) - hit
        path: Any = self.method.slope(numbers_of(policy), hit, 1 - hit) * miss
        return {"largest_prompt_bound": float(path.max())}

    def bound(self, at: dict[str, float]) -> float | None:
        """K where rewards are 0 and 1 (C31)."""
        found = self.method.threshold(FLOAT64)
        return None if found is None else float(found)

    def pointwise(self, at: dict[str, float]) -> float:
        """max_x (1 − V_x)f'(V_x) (C31)."""
        return at["largest_prompt_bound"]


def candidate_payoff(
    objective: str = "sail", beta: float | None = None, **options: Any
) -> CandidatePayoff:
    """A payoff by the name of its objective.

    Args:
        objective: ``sail``, or a method of rewards.
        beta: β > 0, for ``sail`` alone.
        options: ``group``, ``std`` and ``epsilon`` of a method of rewards; None as not given.

    Raises:
        InputError: An objective that networks do not have, a β or an option that it does not take.
    """
    given = {name: value for name, value in options.items() if value is not None}
    taken = kind(objective).options
    for name, value in given.items():
        if name not in taken:
            raise InputError(name, value, f"none is expected with {objective}")
    if objective == "sail":
        if beta is None:
            raise InputError("beta", "missing", "a number > 0 is expected by sail")
        return SAILPayoff(beta)
    if objective not in METHODS:
        accepted = f"one that networks have: sail, {', '.join(METHODS)}"
        raise InputError("objective", objective, accepted)
    if beta is not None:
        raise InputError("beta", beta, f"none is expected with {objective}")
    return RewardPayoff(reward_method(objective, **{**taken, **given}))
