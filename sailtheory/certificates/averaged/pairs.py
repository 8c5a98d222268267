"""Prompts of two responses: their differences, and coordinates in which F̄(c) is about diagonal.

The coordinates are E = QᵀD, ỹ = ω∘E for a float matrix Q near an orthogonal one and floats ω > 0:
both are definitions, so that nothing depends on how well they diagonalise. With
‖QᵀQ − I‖ ≤ h < 1, δ·D = (Q⁻¹δ)·E and ‖Q⁻¹δ‖ ≤ ‖δ‖/√(1 − h).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from sailtheory.certificates.prompts.survey import Digest, chunks
from sailtheory.errors import InputError
from sailtheory.numeric.definite import UNIT
from sailtheory.numeric.exact import to_fraction
from sailtheory.problem.reduced import BUDGET, PromptSource, Reduced, above, reduce_chunk
from sailtheory.storage.memory import expect_memory

__all__ = [
    "Pairs", "Rotated", "basis_of", "beta_of", "center_chance", "gaps_of", "read_pairs", "rotate",
    "row_error", "stretch",
]  # fmt: skip

_COPIES = 6  # of the differences that are alive at once
_PIECES = 1_000  # numbers that the minorants of a prompt keep
_WORST = 1e-10  # the smallest eigenvalue of F̄(c), relative to the largest


class Pairs(NamedTuple):
    """All prompts whose policies move.

    Attributes:
        gaps: D = φ₁ − φ₀ in float64, (n, d).
        data: The same prompts reduced.
        beta: β, as middle and radius.
        radius: B, rounded up.
        off: A bound of the norm by which a difference may be off (see ``PromptSource``).
        prompts: How many prompts there are, those at rest included.
        digest: SHA-256 of the data.
    """

    gaps: np.ndarray
    data: Reduced
    beta: tuple[float, float]
    radius: float
    off: float
    prompts: int
    digest: str


def gaps_of(features: np.ndarray) -> np.ndarray:
    """φ₁ − φ₀ in float64: (k, 2, d) to (k, d)."""
    return features[:, 1].astype(np.float64) - features[:, 0].astype(np.float64)


def beta_of(source: PromptSource) -> tuple[float, float]:
    """β as middle and radius."""
    exact = to_fraction(source.beta, "beta")
    beta = float(exact)
    return beta, 0.0 if to_fraction(beta, "beta") == exact else 2 * UNIT * beta


def read_pairs(
    source: PromptSource,
    budget_bytes: int = BUDGET,
    progress: Callable[[str], None] = lambda line: None,
) -> Pairs:
    """Read a source of prompts of two responses into memory.

    Raises:
        InputError: A prompt with more responses whose policy moves; what would not fit.
    """
    gaps, parts, digest = [], [], Digest(source)
    for chunk in chunks(source, budget_bytes):
        digest.add(chunk)
        made = reduce_chunk(source, chunk)
        moves = made.moves
        if moves.any() and made.responses != 2:
            prompt = int(made.prompts[moves][0])
            raise InputError(
                f"prompts[{prompt}]", f"{made.responses} responses",
                "two are expected by the averaged method",
            )  # fmt: skip
        if moves.any():
            each = 8.0 * (_COPIES * chunk.features.shape[2] + _PIECES)
            expect_memory(each * len(digest), "problem", f"{len(digest)} prompts, two responses")
            gaps.append(gaps_of(chunk.features)[moves])
            parts.append(made.take(moves))
        progress(f"{len(digest)} prompts read")
    if not len(digest):
        raise InputError("prompts", "[]", "at least one prompt is expected")
    if parts:
        data = Reduced(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    else:
        data = made.take(slice(0, 0))
    return Pairs(
        np.concatenate(gaps) if gaps else np.zeros((0, 1)), data, beta_of(source),
        above(source), float(getattr(source, "difference_error", 0.0)), len(digest), digest.hex(),
    )  # fmt: skip


def center_chance(data: Reduced) -> np.ndarray:
    """π₁π₂ at c, in float64: (n,)."""
    odds = data.log_ref[:, 1] - data.log_ref[:, 0] + data.offset[:, 1]
    with np.errstate(over="ignore"):
        return np.asarray(1 / (2 + np.exp(odds) + np.exp(-odds)))


@dataclass(frozen=True)
class Rotated:
    """Differences in coordinates near the eigenvectors of F̄(c).

    Attributes:
        rows: E as computed, (n, d).
        scale: ω, (d,).
        weights: Prompt weights, (n,), each within a relative 8u of its exact value.
        error: Bounds of the norm by which rows of E may be off, (n,).
        radius: A bound of ‖Q⁻¹δ‖.
    """

    rows: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    error: np.ndarray
    radius: float

    def part(self, which: slice) -> Rotated:
        """Some of the prompts."""
        return Rotated(
            self.rows[which], self.scale, self.weights[which], self.error[which], self.radius
        )

    @cached_property
    def white(self) -> np.ndarray:
        """ỹ as computed, (n, d)."""
        return np.asarray(self.rows * self.scale)

    @cached_property
    def length(self) -> np.ndarray:
        """‖E‖ of each row, rounded up, (n,)."""
        return _up(np.linalg.norm(self.rows, axis=1), self.rows)

    @cached_property
    def white_length(self) -> np.ndarray:
        """‖ỹ‖ of each row, rounded up, (n,)."""
        return _up(np.linalg.norm(self.white, axis=1), self.rows)

    @cached_property
    def white_error(self) -> np.ndarray:
        """Bounds of the norm by which rows of ỹ may be off, (n,)."""
        own = float(self.scale.max()) * self.error * (1 + 8 * UNIT)
        return np.asarray(own + UNIT * self.white_length)


def _up(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.asarray(values * (1 + (rows.shape[1] + 8) * UNIT))


def basis_of(fisher: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Q (d, d) and ω (d,) of a matrix near F̄(c); None where it is too close to singular."""
    values, vectors = np.linalg.eigh(fisher)
    if not values[0] > _WORST * values[-1]:
        return None
    return vectors, 1 / np.sqrt(values)


def stretch(basis: np.ndarray) -> float:
    """A bound of ‖Q⁻¹‖; ∞ where Q is too far from an orthogonal matrix."""
    d = len(basis)
    off = float(np.linalg.norm(basis.T @ basis - np.eye(d))) * (1 + (d * d + 8) * UNIT)
    off += (d + 8) * UNIT * float((basis**2).sum()) * (1 + 1e-9)
    return float((1 + 8 * UNIT) / np.sqrt(1 - off)) if off < 0.5 else np.inf


def row_error(gaps: np.ndarray, off: float, basis: np.ndarray) -> np.ndarray:
    """How far rows of fl(DQ) may be from DQ: (d + 8)u‖D‖‖Q‖_F and what D is off: (n,)."""
    size = float(np.linalg.norm(basis)) * 1.001
    length = np.linalg.norm(gaps, axis=1) * 1.001
    return np.asarray(size * ((gaps.shape[1] + 8) * UNIT * length + off))


def rotate(pairs: Pairs) -> Rotated | None:
    """The coordinates of F̄(c); None where it is singular, or nearly."""
    weights = pairs.data.weights
    mass = weights * center_chance(pairs.data)
    found = basis_of(pairs.gaps.T @ (mass[:, None] * pairs.gaps))
    if found is None:
        return None
    basis, scale = found
    return Rotated(
        pairs.gaps @ basis, scale, weights, row_error(pairs.gaps, pairs.off, basis),
        pairs.radius * stretch(basis) * (1 + 8 * UNIT),
    )  # fmt: skip
