"""Whether one prompt's threshold bounds γ* from below: C24's condition, decided soundly.

If S_x ∩ Σ_{y≠x} S_y = {0}, then γ* ≥ γ*_x; so γ* = ḡ where x sets ḡ. That holds if all differences
that are not repeated are linearly independent, which a Cholesky factorisation of their Gram matrix
shows; and, for few differences, exactly if rank(all) = rank(x) + rank(others) over the rationals.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from sailtheory.certificates.prompts.survey import chunks
from sailtheory.errors import InputError
from sailtheory.numeric.definite import UNIT, is_below
from sailtheory.numeric.exact import exact_array, rank
from sailtheory.problem.reduced import BUDGET, ProblemPrompts, PromptSource

__all__ = ["REACHED", "spans_apart"]

REACHED = "by C24 γ* = ḡ: the span of the prompt that sets it meets the others in 0 only"
"""What may be said of ḡ where :func:`spans_apart` is true of the prompt of its lower bound."""

_ENTRIES = 4_000  # of a matrix whose rank is found exactly


def spans_apart(source: PromptSource, prompt: int, memory: int = BUDGET) -> bool:
    """Whether S_x meets the span of all other prompts' differences in 0 only, for certain.

    Args:
        source: The prompts.
        prompt: Position of x.
        memory: Bytes that a chunk of features may take.

    Returns:
        True when it is shown, so that γ* ≥ γ*_x (C24); False when it is not, which may be
        because it is false, or because floats do not tell.

    Raises:
        InputError: There is no such prompt.
    """
    off = float(getattr(source, "difference_error", 0.0))
    own: dict[bytes, np.ndarray] = {}
    others: dict[bytes, np.ndarray] = {}
    found = False
    for position, k, ends in _ends(source, memory):
        found |= position == prompt
        key = _key(ends) if off == 0 else b"%d %d" % (position, k)
        if key:
            rows = own if position == prompt else others
            rows[key] = ends[1].astype(np.float64) - ends[0].astype(np.float64)
        if len(others) > ends.shape[1] and not _few(len(others), ends.shape[1]):
            return False  # more vectors than dimensions are not independent
    if not found:
        raise InputError("prompt", prompt, "the position of a prompt is expected")
    if not own:
        return True  # S_x = {0}
    rows_ = np.array([*own.values(), *others.values()])
    if _independent(rows_, off):
        return True
    return _few(*rows_.shape) and _ranks_add_up(source, prompt, memory)


def _ends(source: PromptSource, memory: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Position of each prompt, k ≥ 1, and (φ_0, φ_k), (2, d)."""
    for chunk in chunks(source, memory):
        for position, phi in zip(np.asarray(chunk.prompts).tolist(), chunk.features, strict=True):
            for k in range(1, len(phi)):
                yield position, k, phi[[0, k]]


def _key(ends: np.ndarray) -> bytes:
    """The same for two differences of the same two vectors; empty where they are equal."""
    first, second = sorted((row + 0.0).tobytes() for row in ends)
    return b"" if first == second else first + second


def _few(count: int, dimension: int) -> bool:
    return count * dimension <= _ENTRIES


def _independent(rows: np.ndarray, off: float) -> bool:
    """Whether rows, each known within u times its length and ``off``, are independent."""
    count, d = rows.shape
    length = np.linalg.norm(rows, axis=1)
    if count > d or not (length > 0).all():
        return False
    unit = rows / length[:, None]
    error = (2 * UNIT + off / length) * 1.001
    moved = float((2 * error + error**2).sum()) + (d + 32) * UNIT * count
    return is_below(-(unit @ unit.T), 0.0, moved)


def _ranks_add_up(source: PromptSource, prompt: int, memory: int) -> bool:
    """Over the rationals; False where the exact features are not at hand."""
    features: dict[int, np.ndarray] = {}
    if isinstance(source, ProblemPrompts):
        features = dict(enumerate(map(exact_array, source.problem.features)))
    elif not getattr(source, "difference_error", 0.0):
        for chunk in chunks(source, memory):
            for x, phi in zip(np.asarray(chunk.prompts).tolist(), chunk.features, strict=True):
                flat = [Fraction(float(v)) for v in phi.flat]
                features[x] = np.array(flat, dtype=object).reshape(phi.shape)
    if not features:
        return False
    gaps = {x: phi[1:] - phi[:1] for x, phi in features.items()}
    alone = gaps.pop(prompt)
    rest = np.concatenate([alone[:0], *gaps.values()])
    return rank(np.concatenate([alone, rest])) == rank(alone) + rank(rest)
