"""What training with rewards ascends: f(V) for a method of C31, and the field of a group (C32).

``RewardObjective(p, reward_method("grpo")) - gamma * KLRefPolicy(p)`` is what GRPO with
KL(π_ref‖π_θ) follows in expectation, for binary rewards and one softmax over the responses.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import lift
from sailtheory.numeric.numbers import FLOAT64, Array
from sailtheory.objectives.expectation import BlockObjective, Point
from sailtheory.problem.blocks import Block
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import fields, formulas, pass_rate
from sailtheory.theory.reward_methods import reward_method
from sailtheory.theory.reward_slopes import RewardMethod, Slopes

__all__ = ["GroupField", "RewardObjective", "group_field", "response_rewards"]

_MOST_GROUPS = 20_000
_ENTRIES, _KEPT = 1 << 20, 1 << 24  # of arrays of groups: at a time, and of those remembered


def response_rewards(problem: PreferenceProblem) -> tuple[np.ndarray, ...]:
    """The rewards of a problem's responses, n arrays (m_x,).

    Raises:
        InputError: It states none.
    """
    if problem.response_rewards is None:
        accepted = "a reward for each response; Bradley–Terry rewards are not taken for them"
        raise InputError("response_rewards", "missing", accepted)
    return problem.response_rewards


class _OfRewards(BlockObjective):
    """An objective that sees the rewards of responses."""

    def __init__(self, problem: PreferenceProblem) -> None:
        super().__init__(problem)
        self._rewards = response_rewards(problem)
        self._float64: dict[int, np.ndarray] = {}

    def _scores(self, at: Point) -> Array:
        """(n, m)."""
        first = int(at.block.prompts[0])
        if at.xp is FLOAT64 and first in self._float64:
            return self._float64[first]
        system = FLOAT64 if at.xp.name == "torch" else at.xp
        rows = np.stack([self._rewards[x] for x in at.block.prompts])
        scores = lift(system, rows)
        if at.xp is FLOAT64:
            self._float64[first] = scores
        return scores if system is at.xp else at.xp.asarray(scores)

    def _rows(self, block: Block, part: slice) -> np.ndarray:
        """The rewards of some prompts of a block, in float64: (k, m)."""
        return np.stack([self._rewards[x].astype(float) for x in block.prompts[part]])


class RewardObjective(_OfRewards):
    """E_x f(V_x), V_x = E_{π_θ} r the pass rate, for a method of C31.

    A prompt whose responses are all correct, or all wrong, is constant.

    Args:
        problem: With ``response_rewards`` of 0 and 1; any numbers where f is linear (C30).
        method: From :func:`~sailtheory.theory.reward_methods.reward_method`.

    Raises:
        InputError: No rewards; rewards that are not 0 or 1 under a method that needs them so; or
            a prompt without a correct (wrong) response where f' is infinite there.
    """

    def __init__(self, problem: PreferenceProblem, method: RewardMethod) -> None:
        super().__init__(problem)
        self.method = method
        for x, rewards in enumerate(self._rewards):
            _expect(method, rewards.astype(float), f"prompts[{x}].response_rewards")

    def on(self, problem: PreferenceProblem) -> RewardObjective:
        """The same method on another problem."""
        return RewardObjective(problem, self.method)

    def own_curvature(self, block: Block, part: slice, policy: np.ndarray, z: object) -> np.ndarray:
        """η of some prompts of a block at their policies (..., k, m): (..., k, m, m)."""
        hits = self._rows(block, part)
        rates = formulas.expectation(policy, hits), formulas.expectation(policy, 1 - hits)
        slope, bend, _ = self.method.slopes(FLOAT64, *rates)
        return np.asarray(pass_rate.pass_rate_curvature(slope, bend, policy, hits))

    def pass_rates(self, theta: Array) -> Array:
        """V_x of each prompt at θ (..., d): (..., n)."""
        return self._per_prompt(lambda at: self._rates(at)[0], theta)

    def _rates(self, at: Point) -> tuple[Array, Array]:
        """V and 1 − V, neither by subtraction: (..., n)."""
        hits = self._scores(at)
        return formulas.expectation(at.policy, hits), formulas.expectation(at.policy, 1 - hits)

    def _slopes(self, at: Point) -> Slopes:
        return self.method.slopes(at.xp, *self._rates(at))

    def _value(self, at: Point) -> Array:
        return self.method.value(at.xp, *self._rates(at))

    def _gradient(self, at: Point) -> Array:
        slope = self.method.slope(at.xp, *self._rates(at))
        return pass_rate.pass_rate_gradient(slope, at.policy, self._scores(at))

    def _eta(self, at: Point) -> Array:
        slope, bend, _ = self._slopes(at)
        return pass_rate.pass_rate_curvature(slope, bend, at.policy, self._scores(at))

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return pass_rate.pass_rate_curvature_gradient(
            self._slopes(at), at.policy, self._scores(at), along
        )


def _expect(method: RewardMethod, rewards: np.ndarray, field: str) -> None:
    if method.linear:
        return
    odd = rewards[(rewards != 0) & (rewards != 1)]
    if len(odd):
        raise InputError(field, float(odd[0]), f"0 or 1 is expected{_why_binary(method.name)}")
    if not method.finite_at_zero and not rewards.any():
        raise InputError(field, "all 0", f"a correct response, as {method.name} needs V > 0")
    if not method.finite_at_one and rewards.all():
        raise InputError(field, "all 1", f"a wrong response, as {method.name} needs V < 1")


def _why_binary(method: str) -> str:
    """Why a method takes rewards of 0 and 1 alone, and what takes others."""
    if method == "grpo":
        return (
            " here: with more than two levels of reward grpo has no objective, only a field (C32); "
            "sailtheory check (with KL) says what holds of it"
        )
    if method == "dynamic-sampling":
        return ": with groups drawn again no γ is known to be enough for other rewards (C31, C32)"
    return f" by {method}; reward and dr-grpo take any number, and grpo does in check"


class GroupField(_OfRewards):
    """h = E[(1/G)Σ A_i s_i], A = (r − mean)/(std + ε) within a group of G, any rewards (C32).

    A is 0 where the group has no variance. With more than two levels of reward h is no gradient;
    it answers as :class:`~sailtheory.objectives.fields.OnlineDPO` does. Every group is enumerated
    by counts.

    Args:
        problem: With ``response_rewards``.
        group: G ≥ 2.
        std: ``population`` or ``sample``.
        epsilon: ε ≥ 0.

    Attributes:
        title: What tables call it.
        entries: Of the arrays of groups that one point of C takes.

    Raises:
        InputError: No rewards, options outside their domain, or more than 20,000 different groups
            of a prompt.
    """

    has_value = False

    def __init__(
        self, problem: PreferenceProblem, group: int, std: str = "population", epsilon: float = 0.0
    ) -> None:
        super().__init__(problem)
        self.title = reward_method("grpo", group, std, epsilon).title  # within their domains
        self.group, self.std, self.epsilon = group, std, epsilon
        self._found: dict[int, np.ndarray] = {}
        each = [_groups(group, m) for m in problem.responses]
        self.entries = sum(m * c for m, c in zip(problem.responses, each, strict=True))
        most = max(each)
        if most > _MOST_GROUPS:
            accepted = f"at most {_MOST_GROUPS} different groups a prompt are listed, not {most}"
            raise InputError("group", group, accepted)

    def on(self, problem: PreferenceProblem) -> GroupField:
        """The same field on another problem."""
        return GroupField(problem, self.group, self.std, self.epsilon)

    def own_curvature(self, block: Block, part: slice, policy: np.ndarray, z: object) -> np.ndarray:
        """That of the mean reward, by which prompts are ranked without their groups."""
        return np.asarray(fields.score_mean_curvature(policy, self._rows(block, part)))

    def _value(self, at: Point) -> NoReturn:
        raise InputError("objective", type(self).__name__, "an objective with a value is expected")

    def _each(self, at: Point, formula: Callable[..., Array], *arrays: Array) -> Array:
        """A formula of groups and of arrays (..., n, m), as many prompts at a time as fit."""
        n, m = at.policy.shape[-2:]
        counts, ways = _enumerated(self.group, m)
        lifted, orders = at.xp.asarray(counts), lift(at.xp, ways)
        points = math.prod(at.policy.shape[:-2])
        size = max(1, _ENTRIES // max(1, points * counts.size))
        found = []
        for i in range(0, n, size):
            part = slice(i, i + size)
            chance = pass_rate.group_weights(at.xp, at.log_policy[..., part, :], lifted, orders)
            advantages = self._advantages(at, counts, part)
            groups = pass_rate.Groups(chance, lifted, advantages, self.group)
            found.append(formula(groups, *(each[..., part, :] for each in arrays)))
        return _joined(found, at.policy.ndim - 2)

    def _advantages(self, at: Point, counts: np.ndarray, part: slice) -> Array:
        """A of some prompts of a block, (k, c, m); those of all are remembered where they fit."""
        first, n = int(at.block.prompts[0]), len(at.block.prompts)
        if at.xp is not FLOAT64 or n * counts.size > _KEPT:
            return self._advantages_of(at, counts, part)
        if first not in self._found:
            self._found[first] = self._advantages_of(at, counts, slice(n))
        return self._found[first][part]

    def _advantages_of(self, at: Point, counts: np.ndarray, part: slice) -> Array:
        known = self._rows(at.block, part)[:, None]
        high, low = (np.where(counts > 0, sign * known, -np.inf).max(-1) * sign for sign in (1, -1))
        mixed, lifted = at.xp.asarray((high > low).astype(int)), at.xp.asarray(counts)
        rewards = self._scores(at)[part]
        return pass_rate.group_advantages(at.xp, lifted, rewards, mixed, self.std, self.epsilon)

    def _gradient(self, at: Point) -> Array:
        return self._each(at, pass_rate.group_gradient)

    def _matrix(self, at: Point) -> Array:
        return self._each(at, pass_rate.group_jacobian, at.policy)

    def _pair_weights(self, at: Point) -> Array:
        matrix = self._matrix(at)
        return (matrix + matrix.mT) / -2

    def _eta(self, at: Point) -> Array:
        return self._pair_weights(at) / formulas.pair_probability(at.policy)

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return self._each(at, pass_rate.group_curvature_gradient, at.policy, along)

    def jacobian(self, theta: Array) -> Array:
        """∂h_i/∂θ_j: (..., d, d)."""

        def whole(at: Point) -> Array:
            phi, weights = at.block.features, at.block.weights[:, None, None]
            each = phi.mT @ (self._matrix(at) * weights) @ phi
            return each.sum(-3)

        return self._total(whole, theta, width=self.problem.dimension)


def group_field(problem: PreferenceProblem, **options: Any) -> GroupField | None:
    """What GRPO follows where its rewards are not all 0 and 1; None where they are."""
    binary = all(np.isin(r.astype(float), (0, 1)).all() for r in response_rewards(problem))
    return None if binary else GroupField(problem, **options)


def _groups(group: int, responses: int) -> int:
    """How many different groups there are."""
    return math.comb(group + responses - 1, responses - 1)


@lru_cache(maxsize=8)
def _enumerated(group: int, responses: int) -> tuple[np.ndarray, np.ndarray]:
    """All groups by counts, (c, m), and in how many orders each can be drawn, (c,)."""
    counts = pass_rate.group_counts(group, responses)
    return counts, pass_rate.group_ways(counts)


def _joined(parts: list[Array], axis: int) -> Array:
    if len(parts) == 1:
        return parts[0]
    if type(parts[0]).__module__.partition(".")[0] == "torch":
        import torch

        return torch.cat(parts, axis)
    return np.concatenate(parts, axis)
