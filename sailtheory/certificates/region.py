"""C in exact coordinates of S: θ = c + Wx with rational W, inside the ball ‖x‖ ≤ R."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from flint import arb, fmpq, fmpq_mat

from sailtheory.certificates.positive import positive_definite
from sailtheory.errors import InputError
from sailtheory.numeric.enclose import float_above
from sailtheory.numeric.exact import exact_array, lift, rank, to_fraction
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem, arb_numbers
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["MOST_DIMENSIONS", "Region", "ball", "region", "valid"]

_GRID = 2**45
_ROOM = 1e-9
MOST_DIMENSIONS = 10  # a piece has 2^r vertices


@dataclass(frozen=True, eq=False)
class Region:
    """The domain C of a problem in coordinates that are exact.

    Attributes:
        problem: The problem.
        basis: W, (d, r) of ``Fraction``: its columns span S, nearly orthonormal.
        radius: R with {x : ‖Wx‖ ≤ B} ⊂ {‖x‖ ≤ R}, a float64 taken exactly.
    """

    problem: PreferenceProblem
    basis: np.ndarray
    radius: float

    @property
    def dimension(self) -> int:
        """r = dim S."""
        return int(self.basis.shape[1])

    @property
    def is_point(self) -> bool:
        """Whether C is one point: S = {0} or B = 0."""
        return self.dimension == 0 or self.problem.radius == 0

    def embed(self, xp: NumberSystem, x: Array) -> Array:
        """θ = c + Wx: (..., r) to (..., d), exact up to the number system."""
        return lift(xp, self.problem.center) + x @ self.lifted(xp).T

    def features(self, xp: NumberSystem) -> list[Array]:
        """φW for each block, (n, m, r)."""
        basis = self.lifted(xp)
        return [block.features @ basis for block in self.problem.blocks(xp)]

    def lifted(self, xp: NumberSystem) -> Array:
        """W in a number system, (d, r)."""
        if xp is FLOAT64:
            return self.basis.astype(float)
        return xp.asarray(self.basis)

    @cached_property
    def gram(self) -> np.ndarray:
        """WᵀW, (r, r) of ``Fraction``."""
        return np.asarray(self.basis.T @ self.basis)

    def contains(self, x: np.ndarray) -> bool:
        """Whether θ = c + Wx lies in C, decided exactly."""
        # What a double stores, not the decimal it may stand for: balls take it so too.
        exact = np.array([Fraction(float(v)) for v in x], dtype=object)
        square = exact @ self.gram @ exact if self.dimension else Fraction(0)
        return bool(square <= to_fraction(self.problem.radius, "radius") ** 2)

    def inside(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates of a point of C next to θ (d,), inside C exactly: (r,)."""
        offset = theta - self.problem.center.astype(float)
        x = np.linalg.lstsq(self.basis.astype(float), offset, rcond=None)[0]
        shrink = 1.0
        while not self.contains(x * shrink):
            shrink -= max(1e-15, 2 * (1 - shrink))
        return np.asarray(x * shrink)


def region(problem: PreferenceProblem) -> Region:
    """Choose W and R for a problem.

    Raises:
        InputError: The rank of S, decided numerically elsewhere, is another in exact
            arithmetic; the features then have to be stated exactly.
    """
    rows = _independent_rows(problem)
    d = problem.dimension
    if len(rows) > MOST_DIMENSIONS:
        accepted = f"certificates reach S of dimension {MOST_DIMENSIONS}"
        raise InputError("features", f"dim S = {len(rows)}", accepted)
    if len(rows) == d:
        return Region(
            problem, _identity(d), float_above(ball(to_fraction(problem.radius, "radius")))
        )
    if len(rows) != problem.span.dimension:
        raise InputError(
            "features",
            f"differences of rank {problem.span.dimension} up to rounding, {len(rows)} exactly",
            "state them exactly, as decimals of at most 12 digits or fractions",
        )
    basis = np.empty((d, 0), dtype=object)
    if len(rows):
        mix = np.linalg.lstsq(rows.astype(float).T, problem.span.basis, rcond=None)[0]
        rational = np.vectorize(lambda x: Fraction(round(x * _GRID), _GRID), otypes=[object])
        basis = rows.T @ rational(mix)
    found = Region(
        problem, basis, float_above(ball(to_fraction(problem.radius, "radius")) * (1 + _ROOM))
    )
    if not valid(found):
        raise InputError("features", "nearly dependent", "a better conditioned span S is expected")
    return found


def valid(candidate: Region) -> bool:
    """Whether W spans exactly S and {‖Wx‖ ≤ B} ⊂ {‖x‖ ≤ R}; trusts nothing of the search."""
    differences = _differences(candidate.problem)
    basis, r = candidate.basis, candidate.dimension
    together = np.concatenate([differences, basis.T])
    if not rank(differences) == r == rank(together) or (r and rank(basis.T) != r):
        return False
    bound = to_fraction(candidate.problem.radius, "radius")
    limit = Fraction(candidate.radius)
    if limit < bound:
        return False
    if bound == 0 or (candidate.gram == _identity(r)).all():
        return True
    lowest = candidate.gram - (bound / limit) ** 2 * _identity(r)
    return positive_definite(arb_numbers().asarray(lowest))


def _identity(d: int) -> np.ndarray:
    return np.array([[Fraction(int(i == j)) for j in range(d)] for i in range(d)], dtype=object)


def ball(value: Fraction) -> arb:
    """A rational number as a ball at the precision in force."""
    return arb(fmpq(value.numerator, value.denominator))


def _differences(problem: PreferenceProblem) -> np.ndarray:
    """Within-prompt differences φ_k − φ_0, exactly: (·, d)."""
    exact = [exact_array(phi) for phi in problem.features]
    return np.concatenate([phi[1:] - phi[:1] for phi in exact] or [np.empty((0, 0))])


def _independent_rows(problem: PreferenceProblem) -> np.ndarray:
    """A maximal independent set of differences: (r, d) of ``Fraction``."""
    rows = _differences(problem)
    if not rows.size:
        return rows
    entries = [fmpq(x.numerator, x.denominator) for x in rows.T.flat]
    reduced, r = fmpq_mat(rows.shape[1], rows.shape[0], entries).rref()
    pivots = [next(j for j in range(len(rows)) if reduced[i, j] != 0) for i in range(r)]
    return rows[pivots]
