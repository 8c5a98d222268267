"""Checking an averaged certificate again: the data in blocks, nothing of the search.

What is trusted besides the formulas: the reduction (:mod:`sailtheory.problem.reduced`), the
coordinates with their errors (``pairs``) and what a Cholesky factorisation shows
(:mod:`sailtheory.numeric.definite`). Time is linear in the number of prompts: T₄ comes from sums of
products of coordinates, or from Gram matrices of blocks of equal size.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sailtheory.certificates.averaged import pairs
from sailtheory.certificates.averaged.certificate import AveragedCertificate
from sailtheory.certificates.averaged.pairs import Rotated, center_chance, gaps_of
from sailtheory.certificates.averaged.tangents import constants, tangents
from sailtheory.certificates.prompts.check import all_below
from sailtheory.certificates.prompts.survey import Digest, chunks
from sailtheory.certificates.replay import Replay
from sailtheory.numeric.definite import (
    UNIT,
    fixed_point,
    is_below,
    largest_above,
    smallest_below,
    top_pairs,
)
from sailtheory.problem.reduced import BUDGET, PromptSource, Reduced, above, reduce_chunk
from sailtheory.storage.memory import expect_memory
from sailtheory.theory.averaged_bound import shortfall

__all__ = ["replay_averaged"]

BLOCK = 8_000
"""Prompts that share a Gram matrix."""

LARGEST = 8_400
"""Products of coordinates up to which their own matrix is formed."""

_COARSE, _FINE = 1e-3, 1e-7
_UP = 1 + 1e-12
_TRIES = 30

Progress = Callable[[str], None]


class _Wrong(Exception):
    """What does not hold, in one line."""


def replay_averaged(
    certificate: AveragedCertificate,
    source: PromptSource,
    progress: Progress = lambda line: None,
    memory: int = BUDGET,
) -> Replay:
    """Show again what a certificate claims of a source of prompts.

    Args:
        certificate: The claim.
        source: The data.
        progress: Receives one line at a time.
        memory: Bytes that a chunk of features may take.
    """
    began = time.monotonic()
    try:
        said, proved = _checked(certificate, source, progress, memory)
    except _Wrong as wrong:
        return Replay(False, str(wrong), 0, time.monotonic() - began)
    return Replay(True, said, proved, time.monotonic() - began)


def _checked(
    certificate: AveragedCertificate, source: PromptSource, progress: Progress, memory: int
) -> tuple[str, int]:
    gamma = certificate.gamma
    if certificate.verdict == "certified" and certificate.moving and gamma is None:
        raise _Wrong("a certified verdict needs its γ")
    if gamma is not None and (gamma < 0 or certificate.bend < 0):
        raise _Wrong("γ and κ are not negative")
    blocks = _Blocks(source, memory)
    moving = blocks.survey(certificate.by_prompt, progress)
    if blocks.digest != certificate.data:
        raise _Wrong("the data are others than those of the certificate")
    if (blocks.prompts, moving) != (certificate.prompts, certificate.moving):
        raise _Wrong("the data have another number of prompts")
    if not moving:
        return "no policy depends on θ", 0
    said = []
    if gamma is not None:
        if blocks.basis is None or not np.isfinite(pairs.stretch(blocks.basis)):
            raise _Wrong("F̄(c) is singular, or nearly")
        _Inequality(certificate, blocks, progress).show()
        said.append(f"γ = {gamma:.9g} holds for the average over {moving} prompts")
    if certificate.by_prompt is not None:
        said.append(f"ḡ ≤ {certificate.by_prompt:.9g} in ball arithmetic, prompt by prompt")
    return f"gamma {certificate.verdict}: {'; '.join(said) or 'nothing is claimed'}", moving


@dataclass
class _Blocks:
    """The prompts that move, in blocks of equal size, as often as they are needed."""

    source: PromptSource
    memory: int
    digest: str = ""
    prompts: int = 0
    basis: np.ndarray | None = None
    scale: np.ndarray | None = None

    def survey(self, by_prompt: float | None, progress: Progress) -> int:
        """Read all once: digest, F̄(c), and whether no prompt exceeds the bound of ḡ."""
        digest, fisher, moving = Digest(self.source), None, 0
        for chunk in chunks(self.source, self.memory):
            digest.add(chunk)
            data = reduce_chunk(self.source, chunk)
            moves = data.moves
            if moves.any() and data.responses != 2:
                raise _Wrong(f"prompt {data.prompts[moves][0]} has {data.responses} responses")
            if not moves.any():
                continue
            gaps, data = gaps_of(chunk.features)[moves], data.take(moves)
            mass = (data.weights * center_chance(data))[:, None]
            fisher = gaps.T @ (mass * gaps) + (0 if fisher is None else fisher)
            moving += len(gaps)
            if by_prompt is not None:
                levels = np.full(len(gaps), by_prompt)
                below = all_below(data, pairs.beta_of(self.source), levels)
                if not below.all():
                    raise _Wrong(f"γ*_x ≤ {by_prompt:.9g} is not shown for prompt "
                                 f"{data.prompts[~below][0]}")  # fmt: skip
            progress(f"{len(digest)} prompts read")
        self.digest, self.prompts = digest.hex(), len(digest)
        found = None if fisher is None else pairs.basis_of(fisher)
        self.basis, self.scale = found if found is not None else (None, None)
        return moving

    def each(self) -> Iterator[tuple[Rotated, Reduced]]:
        """Blocks in the coordinates of F̄(c)."""
        kept: list[tuple[np.ndarray, Reduced]] = []
        for chunk in chunks(self.source, self.memory):
            data = reduce_chunk(self.source, chunk)
            if data.moves.any():
                kept.append((gaps_of(chunk.features)[data.moves], data.take(data.moves)))
            while sum(len(gaps) for gaps, _ in kept) >= BLOCK:
                gaps, data = _joined(kept)
                kept = [(gaps[BLOCK:], data.take(slice(BLOCK, None)))]
                yield self._rotated(gaps[:BLOCK], data.take(slice(0, BLOCK)))
        if kept and len(kept[0][0]):
            yield self._rotated(*_joined(kept))

    def _rotated(self, gaps: np.ndarray, data: Reduced) -> tuple[Rotated, Reduced]:
        assert self.basis is not None and self.scale is not None
        off = float(getattr(self.source, "difference_error", 0.0))
        radius = above(self.source) * pairs.stretch(self.basis) * (1 + 8 * UNIT)
        error = pairs.row_error(gaps, off, self.basis)
        return Rotated(gaps @ self.basis, self.scale, data.weights, error, radius), data


def _joined(kept: list[tuple[np.ndarray, Reduced]]) -> tuple[np.ndarray, Reduced]:
    gaps, data = zip(*kept, strict=True)
    columns = zip(*data, strict=True)
    return np.concatenate(gaps), Reduced(*(np.concatenate(values) for values in columns))


class _Inequality:
    """λ_min(E Aỹỹᵀ) ≥ B·T₃ + κB²·T₄, summed up block by block."""

    def __init__(
        self, certificate: AveragedCertificate, blocks: _Blocks, progress: Progress
    ) -> None:
        self._claim, self._blocks, self._progress = certificate, blocks, progress
        assert blocks.scale is not None
        self._r = len(blocks.scale)
        self._entries = self._r * (self._r + 1) // 2
        self._by_products = self._entries <= min(max(certificate.moving, BLOCK), LARGEST)
        cubic = 8.0 * self._r**3 if certificate.share else 0.0
        size = self._entries if self._by_products else min(BLOCK, certificate.moving)
        quartic = 24.0 * size**2 if certificate.bend else 0.0
        expect_memory(3 * cubic + quartic, "problem", f"features of dimension {self._r}")

    def show(self) -> None:
        """Show it, or raise what is wrong."""
        r, claim = self._r, self._claim
        assert claim.gamma is not None
        beta = pairs.beta_of(self._blocks.source)
        quadratic, spare = np.zeros((r, r)), 0.0
        flat, off = np.zeros((r, r * r) if claim.share else (0, 0)), 0.0
        radius = 0.0
        for rotated, data in self._blocks.each():
            radius = rotated.radius
            slope = np.zeros(len(data.prompts))
            if claim.share:
                slope = claim.share * tangents(data, beta[0], claim.gamma)
            low = constants(data, beta, claim.gamma, slope, claim.bend)
            mass, white = rotated.weights * low, rotated.white
            quadratic += (white * mass[:, None]).T @ white
            spare += _lost(rotated, abs(mass), 0, 2, claim.moving)
            if claim.share:
                mass = rotated.weights * slope
                for j in range(r):
                    flat[j] += (white.T @ ((mass * rotated.rows[:, j])[:, None] * white)).ravel()
                off += _lost(rotated, abs(mass), 1, 2, claim.moving)
            self._progress(f"E Aỹỹᵀ: up to prompt {data.prompts[-1]}")
        least = smallest_below((quadratic + quadratic.T) / 2, spare)
        third = self._third(flat, off) if claim.share else 0.0
        fourth = self._fourth() if claim.bend else 0.0
        needed = shortfall(radius, third, claim.bend, fourth) * _UP
        if not least > needed:
            raise _Wrong(f"λ_min(E Aỹỹᵀ) ≥ {least:.6g} is below B·T₃ + κB²·T₄ ≤ {needed:.6g}")

    def _third(self, flat: np.ndarray, off: float) -> float:
        """T₃ from the flattening of E ℓ E ⊗ ỹ ⊗ ỹ."""
        r = self._r
        trace = flat[:, :: r + 1].sum(1) / r
        flat[:, :: r + 1] -= trace[:, None]
        square = float((flat**2).sum()) + r * float(trace @ trace)
        rounding = (2 * r * r + 64) * UNIT
        top = largest_above(flat @ flat.T, rounding * square)
        length = float(np.linalg.norm(trace)) + (r + 8) * UNIT * float(np.sqrt(square))
        rest = float(np.sqrt(max(top, 0.0))) + 2 * off + rounding * float(np.sqrt(square))
        return (length + rest) * _UP

    def _fourth(self) -> float:
        """T₄."""
        lost = sum(
            _lost(rotated, rotated.weights, 2, 2, self._claim.moving)
            for rotated, _ in self._blocks.each()
        )
        if self._by_products:
            matrix, tau, left = self._deflated(self._products())
            rest = largest_above(*left)
        else:
            matrix, gap = self._top()
            rest, tau = self._grams(matrix, gap)
        square = float((matrix**2).sum())
        top = largest_above(matrix.T @ matrix, (self._r + 16) * UNIT * square * _UP)
        rounding = 64 * UNIT * tau * square
        return (tau * top + rest + lost + rounding) * _UP

    def _top(self) -> tuple[np.ndarray, float]:
        """The first eigenmatrix M of T, and by how much its eigenvalue exceeds the second."""
        r = self._r

        def applied(x: np.ndarray) -> np.ndarray:
            out = np.zeros((r, r))
            for rotated, _ in self._blocks.each():
                along = rotated.weights * ((rotated.rows @ x.reshape(r, r)) * rotated.white).sum(1)
                out += rotated.rows.T @ (along[:, None] * rotated.white)
            return out.ravel()

        values, vectors = top_pairs(applied, applied(np.eye(r).ravel()), _COARSE, 2)
        return vectors[:, 0].reshape(r, r), float(values[0] - values[1])

    def _products(self) -> np.ndarray:
        """E XXᵀ in the coordinates X_ij = E_iE_j√(ω_i² + ω_j²), X_ii = E_i²ω_i."""
        total = np.zeros((self._entries, self._entries))
        i, j = np.tril_indices(self._r)
        scale = self._product_scale(i, j)
        for rotated, _ in self._blocks.each():
            rows = rotated.rows * (rotated.weights**0.25)[:, None]
            for k in range(0, len(rows), 512):
                part = rows[k : k + 512]
                made = part[:, i] * (part[:, j] * scale)
                total += made.T @ made
        return total

    def _product_scale(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        omega = self._blocks.scale
        assert omega is not None
        return np.asarray(np.where(i == j, omega[i], np.sqrt(omega[i] ** 2 + omega[j] ** 2)))

    def _deflated(
        self, total: np.ndarray
    ) -> tuple[np.ndarray, float, tuple[np.ndarray, float, float]]:
        """M, τ, and what is left of T with its rounding and its largest eigenvalue."""
        omega, r = self._blocks.scale, self._r
        assert omega is not None
        values, vectors = top_pairs(lambda v: total @ v, np.ones(len(total)), _FINE, 2)
        x, tau = vectors[:, 0], float(values[0] - values[1])
        i, j = np.tril_indices(r)
        scale = self._product_scale(i, j)
        matrix = np.zeros((r, r))
        matrix[i, j], matrix[j, i] = x * omega[j] / scale, x * omega[i] / scale
        matrix[np.arange(r), np.arange(r)] = x[i == j]
        total -= np.outer(tau * x, x)
        rounding = 16 * UNIT * (float(np.trace(total)) + 4 * tau)
        return matrix, tau, (total, rounding, float(values[1]))

    def _grams(self, matrix: np.ndarray, tau: float) -> tuple[float, float]:
        """Σ μ_b and Σ τ_b over blocks with K_b ⪯ μ_bI + bbᵀτ_b/(μ_b + τ_b‖M‖²)."""
        total = sum(float(rotated.weights.sum()) for rotated, _ in self._blocks.each())
        rest, used = 0.0, 0.0
        for rotated, data in self._blocks.each():
            share = tau * float(rotated.weights.sum()) / total
            rest += _gram_bound(rotated, matrix, share, self._claim.moving)
            used += share
            self._progress(f"T₄: up to prompt {data.prompts[-1]}")
        return rest * _UP, used * _UP


def _gram_bound(rotated: Rotated, matrix: np.ndarray, tau: float, count: int) -> float:
    rows = rotated.rows * np.sqrt(rotated.weights)[:, None]
    gram = rows @ rows.T
    gram *= rotated.white @ rotated.white.T
    b = ((rows @ matrix) * rotated.white).sum(1)
    square = float((matrix**2).sum()) * _UP
    mass = float((rotated.weights * (rotated.length * rotated.white_length) ** 2).sum())
    slack = 4 * (count + rows.shape[1] + 32) * UNIT
    along = float(b @ b) / square
    moved = slack * (mass + 2 * along + 2 * float(np.sqrt(mass * along)))

    def left(mu: float) -> float:
        share = tau / (mu + tau * square)
        return float(top_pairs(lambda x: gram @ x - share * b * (b @ x), b + 1, _FINE, 1)[0][0])

    mu = fixed_point(left, float(np.diagonal(gram).mean()), _FINE)
    mu = max(mu, 0.0) * (1 + 4 * _FINE) + 2 * moved
    for _ in range(_TRIES):
        share = tau / (mu + tau * square)
        work = gram.copy()
        for k, each in enumerate(share * b):
            work[k] -= each * b
        if is_below(work, mu, moved, overwrite=True):
            return float(mu)
        mu *= 1 + 1e-3
    return np.inf


def _lost(rotated: Rotated, mass: np.ndarray, plain: int, white: int, count: int) -> float:
    """How far a sum of E^⊗plain ⊗ ỹ^⊗white may be off: rows, products and sums.

    With two plain factors the terms are squares of E ⊗ ỹ.
    """
    size = (rotated.length + rotated.error) ** plain
    size = size * (rotated.white_length + rotated.white_error) ** white
    least = rotated.length**plain * rotated.white_length**white
    rounding = 3 * (count + rotated.rows.shape[1] + 64) * UNIT
    return float((mass * (size - least + rounding * size + 64 * UNIT * size)).sum()) * _UP
