"""Preference data over candidate responses, in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import numbers_of
from sailtheory.policies.protocol import finite
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory.pair_form import pairwise

__all__ = ["Batch", "CandidateData", "Judge"]

Judge = Callable[[Tensor, Tensor, Tensor], Tensor]
"""P*(y₁ ≻ y₂ | x): prompts (n, ...), responses (n, ...) twice, to probabilities (n,)."""

_TOLERANCE = 1e-6  # of p₁₂ + p₂₁ = 1, so that float32 data pass


class Batch(NamedTuple):
    """Prompts with m candidates each.

    Attributes:
        inputs: What the policy maps to logits, (n, m, ...).
        preference: q = p₁₂ − ½, antisymmetric, (n, m, m).
        log_ref: log π_ref over the candidates, (n, m).
        weights: Shares of E_x, (n,); they sum to 1 over all batches.
        rewards: What training with rewards is given for each candidate, (n, m); None where
            not stated. They are not those behind Bradley–Terry preferences.
    """

    inputs: Tensor
    preference: Tensor
    log_ref: Tensor
    weights: Tensor
    rewards: Tensor | None = None


class CandidateData:
    """Prompts with candidate responses, preferences between them and a reference.

    Args:
        inputs: (n, m, ...).
        log_ref: log π_ref, (n, m): normalised over the candidates here.
        preferences: p₁₂, (n, m, m); or
        rewards: (n, m), Bradley–Terry p₁₂ = σ(r₁ − r₂); or
        judge: Called on inputs and candidate indices. One of the three, or none of them with
        response_rewards: (n, m), what training with rewards is given; beside preferences too.
        weights: Prompt weights > 0, (n,), default equal; normalised.

    Raises:
        InputError: Shapes that do not fit, numbers that are not finite, p₁₂ + p₂₁ ≠ 1.
    """

    def __init__(
        self,
        inputs: Tensor,
        log_ref: Tensor,
        *,
        preferences: Tensor | None = None,
        rewards: Tensor | None = None,
        judge: Judge | None = None,
        response_rewards: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> None:
        if inputs.ndim < 2 or log_ref.shape != inputs.shape[:2]:
            raise InputError("log_ref", tuple(log_ref.shape), f"(n, m) of {tuple(inputs.shape)}")
        n, m = log_ref.shape
        stated = sum(source is not None for source in (preferences, rewards, judge))
        self.states_preferences = stated > 0
        if stated != 1 and (stated or response_rewards is None):
            raise InputError("preferences", "none or several", "one of preferences, rewards, judge")
        if rewards is not None:
            if rewards.shape != (n, m):
                raise InputError("rewards", tuple(rewards.shape), f"({n}, {m})")
            xp = numbers_of(log_ref)
            q = xp.tanh(pairwise(finite("rewards", rewards.to(log_ref))) / 2) / 2
        elif not stated:
            q = log_ref.new_zeros(n, m, m)
        else:
            p = _judged(judge, inputs) if judge is not None else preferences
            q = _centred(p.to(log_ref), n, m) if p is not None else log_ref
        if response_rewards is not None:
            if response_rewards.shape != (n, m):
                raise InputError("response_rewards", tuple(response_rewards.shape), f"({n}, {m})")
            response_rewards = finite("response_rewards", response_rewards.to(log_ref))
        weights = torch.ones(n) if weights is None else weights
        if weights.shape != (n,) or not bool((weights > 0).all()):
            raise InputError("weights", weights.tolist(), f"{n} numbers > 0")
        weights = finite("weights", weights.to(log_ref))
        log_ref = torch.log_softmax(finite("log_ref", log_ref), -1)
        self.all = Batch(inputs, q, log_ref, weights / weights.sum(), response_rewards)

    @classmethod
    def from_problem(cls, problem: PreferenceProblem) -> CandidateData:
        """The prompts of a problem: inputs are its features, π_ref its reference.

        Only a uniform base measure and one number m of responses fit a network.
        """
        from sailtheory.numeric.numbers import torch_numbers

        blocks = problem.blocks(torch_numbers())
        if len(blocks) != 1 or any(base is not None for base in problem.base):
            raise InputError("problem", problem, "equal m and a uniform base measure")
        block, given = blocks[0], problem.response_rewards
        return cls(
            block.features, block.log_ref,
            preferences=block.preference + 0.5 if problem.states_preferences else None,
            response_rewards=None if given is None else torch.as_tensor(
                np.stack([given[x].astype(float) for x in block.prompts])
            ),
            weights=block.weights,
        )  # fmt: skip

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        """The prompts, ``size`` at a time; their weights still sum to 1 over all."""
        n = len(self.all.weights)
        size = n if size is None else size
        if size < 1:
            raise InputError("chunk", size, "a number of prompts ≥ 1")
        for start in range(0, n, size):
            yield Batch(*(None if part is None else part[start : start + size]
                          for part in self.all))  # fmt: skip

    def minibatch(self, size: int, generator: torch.Generator) -> CandidateData:
        """``size`` prompts drawn by weight: an unbiased J with equal weights."""
        weights = self.all.weights
        index = torch.multinomial(weights, size, replacement=True, generator=generator)
        chosen = object.__new__(CandidateData)
        equal = weights.new_full((size,), 1 / size)
        taken = Batch(*(None if part is None else part[index] for part in self.all))
        chosen.all = taken._replace(weights=equal)
        chosen.states_preferences = self.states_preferences
        return chosen


def _judged(judge: Judge, inputs: Tensor) -> Tensor:
    n, m = inputs.shape[:2]
    first, second = torch.meshgrid(torch.arange(m), torch.arange(m), indexing="ij")
    rows = [
        judge(inputs, first[k, j].expand(n), second[k, j].expand(n))
        for k in range(m)
        for j in range(m)
    ]
    return torch.stack(rows, -1).reshape(n, m, m)


def _centred(p: Tensor, n: int, m: int) -> Tensor:
    """q = (p − pᵀ)/2 of checked probabilities: exactly antisymmetric."""
    if p.shape != (n, m, m):
        raise InputError("preferences", tuple(p.shape), f"({n}, {m}, {m})")
    p = finite("preferences", p)
    if bool(((p < 0) | (p > 1)).any()):
        raise InputError("preferences", float(p.abs().max()), "probabilities in [0, 1]")
    unpaired = (p + p.mT - 1).abs().max()
    if float(unpaired) > _TOLERANCE:
        raise InputError("preferences", float(unpaired) + 1, "p₁₂ + p₂₁ = 1 is required")
    return (p - p.mT) / 2
