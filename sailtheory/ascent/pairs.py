"""Response pairs drawn from the policies of many runs at once.

Arrays have the runs as their last axis, and every sum is taken in a fixed order over
slices (:func:`ordered_sum`) rather than by BLAS or a NumPy reduction: a run's numbers
are bitwise the same whichever runs stand beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sailtheory.errors import InputError
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["Draws", "Frame", "Layout", "Sampler", "contract", "ordered_sum", "spawn"]

_BUFFER = 1 << 21  # uniforms drawn ahead, over all runs


def spawn(seed: int, runs: int) -> list[np.random.Generator]:
    """One generator a run; run i's does not depend on how many there are."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError("seed", seed, "an integer >= 0")
    if isinstance(runs, bool) or not isinstance(runs, (int, np.integer)) or runs < 1:
        raise InputError("runs", runs, "an integer >= 1")
    return [np.random.default_rng(s) for s in np.random.SeedSequence(int(seed)).spawn(int(runs))]


def ordered_sum(a: np.ndarray) -> np.ndarray:
    """Sum along the first axis, in order."""
    total = a[0].copy()
    for row in a[1:]:
        total += row
    return np.asarray(total)


def contract(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Σ_j matrix_ij rows_j in order: (a, b), (b, runs) to (a, runs)."""
    total = matrix[:, :1] * rows[0]
    for j in range(1, len(rows)):
        total += matrix[:, j, None] * rows[j]
    return np.asarray(total)


class Frame(NamedTuple):
    """The policies of all runs: (n, m, runs), and δᵀφ or a reward in its place, likewise."""

    policy: np.ndarray
    drift: np.ndarray


class Draws(NamedTuple):
    """Pairs with frequencies. Responses are numbered over prompts: x·m + y.

    Attributes:
        first: y₁, (M, runs) or (M, 1).
        second: y₂, likewise.
        preference: q = p₁₂ − ½, or ±½ for a label, likewise.
        frequency: Weight of each in the mean, (M, runs) or a number.
    """

    first: np.ndarray
    second: np.ndarray
    preference: np.ndarray
    frequency: np.ndarray


class Layout:
    """A problem's data with every prompt padded to m responses, of probability 0.

    Attributes:
        problem: The problem.
        n: Prompts.
        m: The largest number of responses.
        features: φ less the prompt's first, (n·m, d).
        ref: π_ref, (n, m, 1).
        weights: Prompt weights, (n,).
        preference: q, (n, m, m).
    """

    def __init__(self, problem: PreferenceProblem) -> None:
        self.problem = problem
        self.n, self.m, d = problem.prompts, max(problem.responses), problem.dimension
        features = np.zeros((self.n, self.m, d))
        self._log_base = np.full((self.n, self.m, 1), -np.inf)
        self.ref = np.zeros((self.n, self.m, 1))
        self.preference = np.zeros((self.n, self.m, self.m))
        self.weights = np.zeros(self.n)
        for block in problem.blocks():
            m = block.features.shape[1]
            features[block.prompts, :m] = block.features
            self._log_base[block.prompts, :m, 0] = block.log_base
            self.ref[block.prompts, :m, 0] = np.exp(block.log_ref)
            self.preference[block.prompts, :m, :m] = block.preference
            self.weights[block.prompts] = block.weights
        self.features = features.reshape(self.n * self.m, d)
        self._ref_params = problem.ref_params[:, None]

    def logits(self, theta: np.ndarray) -> np.ndarray:
        """θᵀφ, θ (d, runs): (n, m, runs)."""
        return contract(self.features, theta).reshape(self.n, self.m, -1)

    def frame(self, theta: np.ndarray) -> Frame:
        """π_θ and δᵀφ at θ (d, runs)."""
        # Not formulas.log_policy: its reductions depend on the number of runs.
        a = self.logits(theta) + self._log_base
        mass = np.exp(a - a.max(axis=1, keepdims=True))
        total = ordered_sum(mass.swapaxes(0, 1))[:, None]
        return Frame(mass / total, self.logits(theta - self._ref_params))

    def gradient(self, coefficients: np.ndarray) -> np.ndarray:
        """Σ coefficients · φ: (n, m, runs) to (d, runs)."""
        return contract(self.features.T, coefficients.reshape(self.n * self.m, -1))

    def tally(self, draws: Draws, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Adds ``first`` at each y₁ and ``second`` at each y₂: (M, runs) to (n, m, runs)."""
        runs = first.shape[-1]
        at = np.concatenate([draws.first, draws.second]) * runs + np.arange(runs)
        size = self.n * self.m * runs
        added = np.bincount(at.ravel(), np.concatenate([first, second]).ravel(), size)
        return added.reshape(self.n, self.m, runs)

    def outcomes(self, bernoulli: bool) -> tuple[Draws, np.ndarray, np.ndarray]:
        """Every outcome of one draw at a prompt, unordered pairs taken once.

        Returns:
            The pairs (O, 1), winner first for labels; the factor c of the probability
            c π₁π₂, (O, 1); the prompt, (O,).
        """
        k, j = np.indices((self.m, self.m)).reshape(2, -1)
        if not bernoulli:  # ĝ is the same for (y₁, y₂) and (y₂, y₁)
            k, j = k[k <= j], j[k <= j]
        x = np.repeat(np.arange(self.n), len(k))
        k, j = np.tile(k, self.n), np.tile(j, self.n)
        real = np.maximum(k, j) < np.array(self.problem.responses)[x]
        x, k, j = x[real], k[real], j[real]
        q = self.preference[x, k, j]
        factor = np.where(k == j, 1.0, 2 * (q + 0.5) if bernoulli else 2.0)
        if bernoulli:
            q = np.where(k == j, 0.0, 0.5)
        first, second = (x * self.m + k)[:, None], (x * self.m + j)[:, None]
        return Draws(first, second, q[:, None], np.ones(1)), factor[:, None], x


class Sampler:
    """Draws N pairs a step for every run, each from its own generator.

    Few pairs are drawn one by one from uniforms taken ahead of time; where N exceeds the
    number of possible outcomes, their counts are drawn as one multinomial, so that the
    cost does not grow with N. Which it is depends on the problem and N alone.

    Args:
        layout: The problem's data.
        batch: N; with ``exact_prompts``, at each prompt.
        generators: One a run.
        bernoulli: Labels drawn from p₁₂ in place of p₁₂ itself.
        exact_prompts: Every prompt at its weight in place of prompts drawn from ρ.
    """

    def __init__(
        self,
        layout: Layout,
        batch: int,
        generators: Sequence[np.random.Generator],
        *,
        bernoulli: bool = False,
        exact_prompts: bool = False,
    ) -> None:
        self._layout, self._batch, self._generators = layout, batch, generators
        self._bernoulli, self._exact = bernoulli, exact_prompts
        self.cost = batch * (layout.n if exact_prompts else 1)
        self._pairs, self._factor, self._prompt = layout.outcomes(bernoulli)
        self._one_by_one = batch <= len(self._prompt) / (layout.n if exact_prompts else 1)
        self._per_step = self.cost * (2 + (not exact_prompts) + bernoulli)
        # Draws ahead do not change a generator's stream, so their number may depend on runs.
        self._ahead = max(1, min(256, _BUFFER // (self._per_step * len(generators))))
        self._buffer: np.ndarray | None = None
        self._used = 0
        self._levels = np.cumsum(layout.weights)[:-1]

    def draw(self, policy: np.ndarray) -> Draws:
        """One batch from each run's policy (n, m, runs)."""
        return self._draw_pairs(policy) if self._one_by_one else self._draw_counts(policy)

    def _uniforms(self) -> np.ndarray:
        """(·, runs) uniforms for one step."""
        if self._buffer is None or self._used == self._ahead:
            shape = (self._ahead, self._per_step)
            self._buffer = np.stack([rng.random(shape) for rng in self._generators], axis=-1)
            self._used = 0
        self._used += 1
        return np.asarray(self._buffer[self._used - 1]).reshape(
            -1, self.cost, self._buffer.shape[-1]
        )

    def _draw_pairs(self, policy: np.ndarray) -> Draws:
        layout, runs = self._layout, policy.shape[-1]
        u = self._uniforms()
        if self._exact:
            x = np.repeat(np.arange(layout.n), self._batch)[:, None]
            frequency = layout.weights[x] / self._batch
        else:
            x = np.searchsorted(self._levels, u[2], side="right")
            frequency = np.array(1.0 / self._batch)
        y = self._invert(policy, x, u[:2])
        if self._bernoulli:
            chance = layout.preference[x, y[0], y[1]] + 0.5
            label = np.where(u[-1] < chance, 0.5, -0.5)
            q = np.where(y[0] == y[1], 0.0, label)
        else:
            q = layout.preference[x, y[0], y[1]]
        first, second = x * layout.m + y[0], x * layout.m + y[1]
        return Draws(first, second, q, np.broadcast_to(frequency, (self.cost, runs)))

    def _invert(self, policy: np.ndarray, x: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Responses at prompts x (M, runs) or (M, 1) by inversion: u (2, M, runs), likewise."""
        layout, runs = self._layout, policy.shape[-1]
        responses = np.array(layout.problem.responses)[x]
        at = x * layout.m * runs + np.arange(runs)
        y, flat = np.zeros(u.shape, dtype=np.int64), np.empty_like(policy)
        flat[:, 0] = policy[:, 0]
        for k in range(1, layout.m):
            np.add(flat[:, k - 1], policy[:, k], out=flat[:, k])
        level = flat.ravel()
        for k in range(layout.m - 1):
            above = u >= level.take(at + k * runs)
            # The last real response takes what rounding leaves above the sum.
            y += above & (k < responses - 1)
        return y

    def _draw_counts(self, policy: np.ndarray) -> Draws:
        layout, runs = self._layout, policy.shape[-1]
        flat = policy.reshape(layout.n * layout.m, runs)
        chance = self._factor * flat[self._pairs.first[:, 0]] * flat[self._pairs.second[:, 0]]
        groups = [np.arange(len(chance))]
        scale = np.full(1, 1.0 / self._batch)
        if self._exact:
            groups = [np.flatnonzero(self._prompt == x) for x in range(layout.n)]
            scale = layout.weights / self._batch
        else:
            chance *= layout.weights[self._prompt, None]
        frequency = np.empty((runs, len(chance)))
        for members, each in zip(groups, scale, strict=True):
            part = chance[members]
            part = np.ascontiguousarray((part / ordered_sum(part)).T)
            for row, rng, p in zip(frequency, self._generators, part, strict=True):
                row[members] = rng.multinomial(self._batch, p) * each
        return self._pairs._replace(frequency=np.ascontiguousarray(frequency.T))
