"""The steps of C23 (reduction to single prompts) and of C25 (K_data)."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import law, mean, vanishes, vector
from proofs_check.arguments.relative_steps import STEPS as RELATIVE
from proofs_check.arguments.relative_steps import payoff
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import sympy_numbers
from sailtheory.problem.reduced import Chunk, reduce_chunk
from sailtheory.theory import formulas

_XP = sympy_numbers()
_IDENTITIES, _MOMENTS, _SQUARE, _AVERAGE = RELATIVE[0], RELATIVE[1], RELATIVE[2], RELATIVE[5]


def _logits_only() -> bool:
    """π_θ and z are the same after a move of θ that no difference of the prompt sees."""
    a, b, t = sp.symbols("a b t", real=True)
    phi = np.array([[[0, 0], [a, b], [2 * a, 2 * b]]], dtype=object)  # S_x is spanned by (a, b)
    theta, away = vector("th", 2), t * np.array([-b, a], dtype=object)
    base = np.zeros((1, 3), dtype=object)
    logs = [_XP.exp(formulas.log_policy(_XP, at, phi, base)) for at in (theta, theta + away)]
    margins = [formulas.margins(sp.Symbol("beta"), at, phi) for at in (theta, theta + away)]
    return vanishes(*(logs[0] - logs[1]).flat, *(margins[0] - margins[1]).flat)


def _projection() -> bool:
    """‖w‖² − ‖Pw‖² = ‖w − Pw‖² for the projection on a line of R³: P is a contraction."""
    w, a = vector("w", 3), vector("a", 3)
    shadow = a * mean(a, w) / mean(a, a)
    return vanishes(mean(w, w) - mean(shadow, shadow) - mean(w - shadow, w - shadow))


def _larger_gram() -> bool:
    """aᵀ(G + εuuᵀ)⁻¹a = aᵀG⁻¹a − ε(uᵀG⁻¹a)²/(1 + εuᵀG⁻¹u): a larger matrix, a larger image."""
    entries, size = sp.symbols("g00 g01 g11"), sp.Symbol("eps", positive=True)
    gram = sp.Matrix([[entries[0], entries[1]], [entries[1], entries[2]]])
    u, a = sp.Matrix(sp.symbols("u0:2")), sp.Matrix(sp.symbols("a0:2"))
    inverse = gram.inv()
    left = (a.T * (gram + size * u * u.T).inv() * a)[0]
    lost = size * (u.T * inverse * a)[0] ** 2 / (1 + size * (u.T * inverse * u)[0])
    return vanishes(left - (a.T * inverse * a)[0] + lost)


class _Source:
    """Dyadic features of one size, for the reduction that runs."""

    beta, radius, difference_error = 1.0, 1.5, 0.0

    def __init__(self, d: int) -> None:
        self.center = self.ref_params = np.zeros(d)

    def chunks(self, budget_bytes: int) -> list[Chunk]:
        """None: the step makes its own."""
        return []


def _reach_covers() -> bool:
    """LLᵀ − B²DDᵀ ⪰ 0 by elimination in fractions, also at rank 1 and where digits cancel."""
    rng = np.random.default_rng(23)
    for m, d, scale, shift in ((2, 3, 1, 0), (4, 9, 1, 0), (4, 1, 1, 0), (3, 5, 1e-6, 1e3)):
        phi = scale * rng.normal(size=(5, m, d)) + shift
        zeros = np.zeros((5, m))
        chunk = Chunk(np.arange(5), phi, np.zeros((5, m, m)), zeros, np.ones(5))
        source = _Source(d)
        made = reduce_chunk(source, chunk)
        for features, reach in zip(phi, made.reach, strict=True):
            exact = _fractions(features)
            gaps, rows = exact[1:] - exact[:1], _fractions(reach[1:])
            if not _semidefinite(rows @ rows.T - Fraction(source.radius) ** 2 * (gaps @ gaps.T)):
                return False
    return True


def _fractions(values: np.ndarray) -> np.ndarray:
    return np.array([[Fraction(float(v)) for v in row] for row in values], dtype=object)


def _semidefinite(matrix: Any) -> bool:
    """Whether every pivot is positive: sufficient for a matrix of fractions."""
    rows = [list(row) for row in matrix]
    while rows:
        head, *rest = rows
        if head[0] <= 0:
            return False
        rows = [
            [v - row[0] * h / head[0] for v, h in zip(row[1:], head[1:], strict=True)]
            for row in rest
        ]
    return True


def _two_laws() -> bool:
    """h(z) + q|z| is convex with value 0 at 0; E|z| ≤ Z/2, from 2s(1 − s) ≤ ½."""
    e, s = sp.Symbol("E", positive=True), sp.Symbol("s")
    at = payoff(sp.Symbol("q"), e)  # g̃ = qz − h
    convex = vanishes(at.second + e / (1 + e) ** 2)
    zero = payoff(sp.Symbol("q"), sp.Integer(1)).value
    gini = vanishes(sp.Rational(1, 2) - 2 * s * (1 - s) - 2 * (s - sp.Rational(1, 2)) ** 2)
    return convex and sp.simplify(zero) == 0 and gini


def _apart() -> bool:
    """1 − Σπ² = 1 − 1/m − Σ(π − 1/m)² (m ≤ 5): two draws differ with chance ≤ 1 − 1/m."""
    return all(
        vanishes(
            1 - mean(p, p) - (1 - sp.Rational(1, m)) + sum((x - sp.Rational(1, m)) ** 2 for x in p)
        )
        for m in (2, 3, 4, 5)
        for p in (law("p", m),)
    )


C23_STEPS: tuple[Step, ...] = (
    Step("symbolic", "E_x γ*_xF_x ⪯ (max γ*_x)F̄, as F_x ⪰ 0", _AVERAGE.check),
    Step("symbolic", "π_θ and z see θ only along S_x (m = 3, d = 2)", _logits_only),
    Step("symbolic", "‖Pw‖ ≤ ‖w‖; with S_x ⊂ S the image of C is all of that ball", _projection),
    Step("symbolic", "LLᵀ ⪰ B²DDᵀ: {Dw : ‖w‖ ≤ B} ⊂ {Lx : ‖x‖ ≤ 1}", _larger_gram),
    Step("exact", "the L that float64 computes satisfies LLᵀ ⪰ B²DDᵀ, in fractions", _reach_covers),
)

C23_ASSUMES = ("C02 (∇²J_x and F_x are forms in φ_k − φ_l with weights in π and z)",)

C25_STEPS: tuple[Step, ...] = (
    _IDENTITIES,
    _MOMENTS,
    _SQUARE,
    Step("symbolic", "the supremum over pairs bounds E[M²h], as E M² = 2vᵀF_xv", _MOMENTS.check),
    Step("symbolic", "−J̃ ≤ E[h(z) + q|z|] ≤ (E|z|/Z)(h(Z) + qZ), E|z| ≤ Z/2", _two_laws),
    Step("symbolic", "−J̃ ≤ P(k ≠ l) max(−g̃), P(k ≠ l) ≤ 1 − 1/m", _apart),
    Step("symbolic", "E_x K_xF_x ⪯ (max K_x)F̄", _AVERAGE.check),
)

C25_ASSUMES = ("C02 (the three terms)", "g̃ concave and u decreasing in z, for the pieces")
