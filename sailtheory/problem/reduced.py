"""Each prompt reduced to what its own threshold depends on (C23): the dimension d is gone.

A prompt sees θ = c + w only through the m numbers wᵀ(φ_k − φ_0), and over ‖w‖ ≤ B these are the
vectors that the Gram matrix of the differences allows. The features are read once, in chunks.

**Rounding.** Let D (m − 1, d) be the exact differences, n_k = ‖D_k‖, u = 2⁻⁵³. The features are
exact numbers in float32 or float64, so each entry of the difference computed in float64 is within
a relative u, and each entry of the Gram matrix within (d + 8) u n_k n_l of DDᵀ, in whatever order
it is summed. A symmetric error matrix with |E_kl| ≤ e n_k n_l satisfies E ⪯ (m − 1) e diag(n²).
Adding s diag(n²) with s = 4m(d + m + 16) u, twice what that, the backward error (m + 1) u n_k n_l
of Cholesky's method and the product with B need, gives L with LLᵀ ⪰ B²DDᵀ and keeps every pivot
positive: neither rounding nor the rank needs a decision, and whatever holds for all logits
a₀ + Lx, ‖x‖ ≤ 1, holds on C. Where a source's numbers stand for decimals, so that a row of D is
known within h, entry kl moves by n_k h + h n_l + h² at most, which the diagonal pays likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from sailtheory.numeric.enclose import float_above
from sailtheory.numeric.exact import to_fraction
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.problem.preferences import centred_all
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import pair_form

__all__ = [
    "BUDGET",
    "ROUNDING",
    "Chunk",
    "ProblemPrompts",
    "PromptSource",
    "Reduced",
    "above",
    "as_vector",
    "chunk_bytes",
    "ranges",
    "reduce_chunk",
    "reduced",
]

ROUNDING = 2.0**-53
BUDGET = 256 * 2**20
_TINY = 2.0**-1000  # squares of differences may underflow
_COPIES = 4  # of a chunk's features in float64 that are alive at once


class Chunk(NamedTuple):
    """Prompts that have equally many responses.

    Attributes:
        prompts: Their positions in the data, (k,).
        features: φ, (k, m, d), float32 or float64.
        preference: q = p₁₂ − ½, (k, m, m), antisymmetric.
        log_base: log ν, (k, m).
        weights: Prompt weights, (k,).
    """

    prompts: np.ndarray
    features: np.ndarray
    preference: np.ndarray
    log_base: np.ndarray
    weights: np.ndarray


class PromptSource(Protocol):
    """A problem whose prompts arrive in chunks.

    A source whose features stand for other numbers, such as decimals, has a further attribute
    ``difference_error``: a bound of the norm by which a difference of two rows may be off.
    """

    @property
    def beta(self) -> Any:
        """β > 0."""

    @property
    def radius(self) -> Any:
        """B ≥ 0."""

    @property
    def center(self) -> Any:
        """c, (d,)."""

    @property
    def ref_params(self) -> Any:
        """θ_ref, (d,)."""

    def chunks(self, budget_bytes: int) -> Iterable[Any]:
        """Chunks whose features take at most so many bytes, or one prompt."""


@dataclass(frozen=True, eq=False)
class ProblemPrompts:
    """A problem in memory as a source of prompts.

    Attributes:
        problem: The problem. Its features arrive less those of the first response.
    """

    problem: PreferenceProblem

    @property
    def beta(self) -> Any:
        """β, exact."""
        return self.problem.beta

    @property
    def radius(self) -> Any:
        """B, exact."""
        return self.problem.radius

    @property
    def center(self) -> np.ndarray:
        """c, (d,)."""
        return self.problem.center

    @property
    def ref_params(self) -> np.ndarray:
        """θ_ref as given, (d,): its projection changes no policy."""
        return self.problem.given_ref_params

    @property
    def difference_error(self) -> float:
        """Features may be decimals: ‖φ_k‖ + ‖φ_0‖, each within u, and their difference."""
        return 4 * ROUNDING * self.problem.feature_norm

    def chunks(self, budget_bytes: int = BUDGET) -> Iterator[Chunk]:
        """The prompts, those of fewest responses first."""
        problem, sizes = self.problem, np.array(self.problem.responses)
        for m in sorted(set(problem.responses)):
            members = np.flatnonzero(sizes == m)
            step = max(1, int(budget_bytes // (8 * m * problem.dimension)))
            for i in range(0, len(members), step):
                yield self._chunk(members[i : i + step], m)

    def _chunk(self, members: np.ndarray, m: int) -> Chunk:
        problem = self.problem
        base = [problem.base[x] for x in members]
        measures = [np.ones(m) if b is None else np.asarray(b, dtype=float) for b in base]
        phi = [problem.features[x] for x in members]
        return Chunk(
            members,
            np.stack([(each - each[:1]).astype(np.float64) for each in phi]),
            centred_all([problem.preferences[x] for x in members], FLOAT64),
            np.log(np.stack(measures)),
            problem.weights[members],
        )


class Reduced(NamedTuple):
    """k prompts of m responses without their features (C23).

    Attributes:
        prompts: Their positions in the data, (k,).
        reach: L with a first row of zeros, (k, m, m − 1): the logits of θ, less those at c, are
            among Lx, ‖x‖ ≤ 1, up to a constant.
        offset: a₀ = (c − θ_ref)·(φ_k − φ_0), (k, m).
        log_ref: log π_ref, (k, m).
        preference: q, (k, m, m).
        weights: Prompt weights, (k,).
        error: ε ≥ 0, (k,): every logit a₀ + Lx, also as computed in float64, every log π_ref
            and every q is within ε of its exact value.
        moves: Whether any policy of the prompt depends on θ, (k,).
    """

    prompts: np.ndarray
    reach: np.ndarray
    offset: np.ndarray
    log_ref: np.ndarray
    preference: np.ndarray
    weights: np.ndarray
    error: np.ndarray
    moves: np.ndarray

    @property
    def responses(self) -> int:
        """m."""
        return int(self.offset.shape[-1])

    def take(self, which: np.ndarray | slice) -> Reduced:
        """Some of the prompts."""
        return Reduced(*(values[which] for values in self))


def reduced(source: PromptSource, budget_bytes: int = BUDGET) -> Iterator[Reduced]:
    """The reduced prompts of a source, chunk by chunk, within a budget of memory.

    Args:
        source: Where the prompts come from.
        budget_bytes: What the features that are in memory at one time may take.

    Yields:
        The reduction of each chunk.
    """
    for chunk in source.chunks(chunk_bytes(budget_bytes)):
        yield reduce_chunk(source, Chunk(*chunk))


def chunk_bytes(budget_bytes: int) -> int:
    """How large a chunk's features may be, so that reducing it stays within a budget."""
    return max(1, budget_bytes // (2 * _COPIES))


def reduce_chunk(source: PromptSource, chunk: Chunk) -> Reduced:
    """The reduction of one chunk; see the module for the argument."""
    k, m, d = chunk.features.shape
    gaps = chunk.features[:, 1:].astype(np.float64) - chunk.features[:, :1].astype(np.float64)
    center, ref, radius = as_vector(source.center), as_vector(source.ref_params), above(source)
    off = float(getattr(source, "difference_error", 0.0))
    gram = gaps @ gaps.mT
    square = np.diagonal(gram, axis1=1, axis2=2)
    longest = np.sqrt(square.max(axis=1, initial=0.0) + d * _TINY)
    room = 4 * m * (d + m + 16) * ROUNDING * square
    room = room + (2 * m * off * (2 * longest + off) + d * _TINY)[:, None]
    gram[:, np.arange(m - 1), np.arange(m - 1)] += room
    reach = np.zeros((k, m, m - 1))
    if m > 1:
        reach[:, 1:] = np.linalg.cholesky(gram) * radius
    zero = np.zeros((k, 1))
    offset = np.concatenate([zero, gaps @ (center - ref)], axis=1)
    logits = np.concatenate([zero, gaps @ ref], axis=1) + chunk.log_base
    log_ref = FLOAT64.log_softmax(logits)
    sizes = float(np.linalg.norm(center) + 2 * np.linalg.norm(ref))
    largest = 1 + abs(offset).max(1) + abs(logits).max(1) + abs(log_ref).max(1)
    largest = largest + m * abs(reach).max((1, 2), initial=0.0)
    error = ROUNDING * (2 * (d + 16) * longest * sizes + 16 * m * largest) + 2 * off * sizes
    return Reduced(
        np.asarray(chunk.prompts),
        reach,
        offset,
        log_ref,
        np.asarray(chunk.preference, dtype=float),
        np.asarray(chunk.weights, dtype=float),
        error,
        (gaps != 0).any(axis=(1, 2)),
    )


def ranges(prompts: Reduced, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """The interval of z_kl over C, rounded outward: two arrays (k, m, m)."""
    gaps = prompts.reach[:, :, None] - prompts.reach[:, None]
    middle = pair_form.pairwise(prompts.offset)
    width = np.sqrt((gaps**2).sum(-1)) * (1 + 2.0**-40) + 2 * prompts.error[:, None, None]
    room = beta * (width + abs(middle)) * 2.0**-50
    return beta * (middle - width) - room, beta * (middle + width) + room


def as_vector(values: Any) -> np.ndarray:
    """A vector in float64."""
    return np.asarray(values, dtype=np.float64)


def above(source: PromptSource) -> float:
    """B rounded up, whether 0.1 means the decimal or the float64."""
    exact = to_fraction(source.radius, "radius")
    ball = arb_numbers().asarray(np.array([exact], dtype=object))[0]
    return max(float_above(ball), float(source.radius))
