"""One prompt's relative curvature at a point, in ball arithmetic from its features."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_mat, ctx

from sailtheory.certificates.prompts.points import eta, policy_at, top
from sailtheory.certificates.prompts.survey import chunks
from sailtheory.certificates.region import ball
from sailtheory.numeric.enclose import float_below
from sailtheory.numeric.exact import lift, to_fraction
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.problem.reduced import BUDGET, Chunk, PromptSource, Reduced
from sailtheory.theory import formulas, pair_form

__all__ = ["PromptWitness", "lower_bound", "prompt_of", "witness_of"]

BITS = 128
_DATA = 2.0**-50  # of q, and relative of log ν, which a source may round
_SHRINK = (1 - 1e-12, 1 - 1e-9, 1 - 1e-6)


class PromptWitness(NamedTuple):
    """A point of C and a direction, in the span of one prompt's differences D.

    Attributes:
        prompt: Its position in the data.
        point: θ = c + Dᵀx, (m − 1,).
        direction: v = Dᵀy, (m − 1,).
    """

    prompt: int
    point: np.ndarray
    direction: np.ndarray


def prompt_of(source: PromptSource, position: int, budget_bytes: int = BUDGET) -> Chunk:
    """A chunk of one prompt."""
    for chunk in chunks(source, budget_bytes):
        found = np.flatnonzero(np.asarray(chunk.prompts) == position)
        if len(found):
            return Chunk(*(np.asarray(values)[found] for values in chunk))
    raise LookupError(f"prompt {position} is not in the data")


def witness_of(
    source: PromptSource, chunk: Chunk, data: Reduced, beta: float, x: np.ndarray
) -> tuple[PromptWitness, float]:
    """The witness next to a point x (m − 1,) of the unit ball, and the value that it shows."""
    gaps = chunk.features[0, 1:].astype(float) - chunk.features[0, :1].astype(float)
    inverse = np.linalg.pinv(gaps @ gaps.T, rcond=1e-13, hermitian=True)
    moved = data.reach[0] @ x
    logits = data.offset + moved
    policy = policy_at(data, logits)
    _, potential = top(policy, eta(data, beta, logits, policy))
    direction = inverse @ (potential[0, 1:] - potential[0, 0])
    direction = direction / max(abs(direction).max(), 1e-300)
    best = PromptWitness(int(chunk.prompts[0]), inverse @ moved[1:], direction)
    value = -np.inf
    for shrink in _SHRINK:
        best = best._replace(point=inverse @ moved[1:] * shrink)
        value = lower_bound(source, chunk, best)
        if value > -np.inf:
            break
    return best, value


def lower_bound(source: PromptSource, chunk: Chunk, witness: PromptWitness) -> float:
    """A number below vᵀ∇²J_xv / vᵀF_xv at c + Dᵀx; −∞ where that is not certainly in C."""
    with ctx.workprec(BITS):
        return _lower_bound(source, chunk, witness)


def _lower_bound(source: PromptSource, chunk: Chunk, witness: PromptWitness) -> float:
    xp = arb_numbers()
    m = chunk.features.shape[1]
    off = arb(0, float(getattr(source, "difference_error", 0.0)))
    phi = chunk.features[0].astype(np.float64)
    rows = [[arb(a) - arb(b) + off for a, b in zip(row, phi[0], strict=True)] for row in phi[1:]]
    gaps = arb_mat(rows)
    center, ref = lift(xp, np.asarray(source.center)), lift(xp, np.asarray(source.ref_params))
    gram, x, y = gaps * gaps.transpose(), _column(witness.point), _column(witness.direction)
    radius = ball(to_fraction(source.radius, "radius"))
    if not (x.transpose() * gram * x)[0, 0] <= radius * radius:
        return -np.inf
    offset = _with_zero(gaps * arb_mat([[v] for v in center - ref]))
    logits = offset + _with_zero(gram * x)
    known = arb(0, _DATA * (1 + float(abs(chunk.log_base[0]).max())))
    base = np.array([arb(float(v)) + known for v in chunk.log_base[0]], dtype=object)
    log_ref = _with_zero(gaps * arb_mat([[v] for v in ref])) + base
    q = chunk.preference[0]
    preference = np.array([[arb(float(v), _DATA) for v in row] for row in q], dtype=object)
    beta = ball(to_fraction(source.beta, "beta"))
    policy = xp.exp(xp.log_softmax((log_ref + logits)[None]))
    z = pair_form.pairwise(logits[None]) * beta
    payoff = formulas.log_likelihood_payoff(xp, preference[None], z)
    values = formulas.relative_pair_curvature(beta, policy, payoff)[0]
    square = pair_form.pairwise(_with_zero(gram * y)) ** 2 * formulas.pair_probability(policy[0])
    k, l = np.triu_indices(m, 1)  # noqa: E741
    below = square[k, l].sum()
    return float_below((square * values)[k, l].sum() / below) if below > 0 else -np.inf


def _column(values: np.ndarray) -> Any:
    return arb_mat([[arb(float(v))] for v in values])


def _with_zero(column: Any) -> np.ndarray:
    """(m − 1, 1) balls to (m,), 0 first."""
    return np.array([arb(0), *column.entries()], dtype=object)
