"""The averaged certificate: γ with γF̄ ⪰ ∇²J on C although single prompts may need more (C26)."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from sailtheory.certificates.averaged.certificate import AveragedCertificate
from sailtheory.certificates.averaged.minorants import Minorants
from sailtheory.certificates.averaged.moments import Cubic, cubic, fourth, quadratic, third
from sailtheory.certificates.averaged.pairs import Pairs, Rotated, read_pairs, rotate
from sailtheory.certificates.refine import Budget
from sailtheory.numeric.definite import smallest_below
from sailtheory.problem.reduced import BUDGET, PromptSource
from sailtheory.theory.averaged_bound import shortfall
from sailtheory.theory.bounds import relative_bound

__all__ = ["certify_averaged"]

_SHARES = (0.5, 0.0, 0.75, 0.25, 1.0)
_BENDS = (0.0, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # κ, in units of β
_WIDTH = 2e-3  # of the bisection, relative
_SPARE = 1e-3  # relative, between what is found and what is claimed: another enclosure may be wider
_RAISES = 12
_FLOOR = 0.01  # widths are relative to max(γ, _FLOOR β)


class _Trial(NamedTuple):
    """A γ with the κ and the share of the tangent that show it."""

    gamma: float
    bend: float
    share: float


def certify_averaged(
    source: PromptSource, budget: Budget | None = None, memory: int = BUDGET
) -> AveragedCertificate:
    """Find and show a γ with γF̄ ⪰ ∇²J on C, two responses a prompt.

    Args:
        source: The prompts.
        budget: Time and progress.
        memory: Bytes that a chunk of features may take.

    Returns:
        ``certified`` with γ ≥ γ*; ``undecided`` where F̄(c) is singular on R^d or time ran out.

    Raises:
        InputError: A prompt with more than two responses whose policy moves; too little memory.
    """
    budget, began = budget or Budget(), time.monotonic()
    pairs = read_pairs(source, memory, budget.progress)
    moving = len(pairs.gaps)
    found = AveragedCertificate("undecided", pairs.prompts, moving, pairs.digest)
    if not moving:
        return found.replace(verdict="certified", note="no policy moves")
    rotated = rotate(pairs)
    if rotated is None or not np.isfinite(rotated.radius):
        note = f"the differences do not span all {pairs.gaps.shape[1]} dimensions, or hardly"
        return found.replace(note=note, seconds=time.monotonic() - began)
    search = _Search(pairs, rotated, budget)
    best = search.best()
    if best is None:
        note = "time ran out" if budget.left <= 0 else "no γ up to K_B is shown"
        return found.replace(note=note, seconds=time.monotonic() - began)
    spare = _SPARE * max(best.gamma, _FLOOR * pairs.beta[0])
    gamma = best.gamma + spare
    for _ in range(_RAISES):
        if search.shows(best._replace(gamma=gamma)):
            return found.replace(
                verdict="certified", gamma=gamma, bend=best.bend, share=best.share,
                third=search.third, fourth=search.fourth if best.bend else 0.0,
                seconds=time.monotonic() - began,
            )  # fmt: skip
        gamma += spare
    return found.replace(note="rounding errors are too large", seconds=time.monotonic() - began)


class _Search:
    """Trials in float64, and what shows one.

    Attributes:
        third: T₃ of the last trial that was shown.
        fourth: T₄.
    """

    def __init__(self, pairs: Pairs, rotated: Rotated, budget: Budget) -> None:
        self._pairs, self._rotated, self._budget = pairs, rotated, budget
        self._minorants = Minorants(pairs.data, pairs.beta)
        slopes = self._minorants.slopes
        budget.progress(f"{len(pairs.gaps)} prompts: T₃")
        self._cubic: Cubic = cubic(rotated, [slopes.chance, slopes.curvature])
        budget.progress(f"{len(pairs.gaps)} prompts: T₄")
        self.fourth = fourth(rotated)
        self.third = 0.0

    def best(self) -> _Trial | None:
        """The least γ found over κ and the share of the tangent; None where there is none."""
        beta = self._pairs.beta[0]
        data = self._pairs.data
        reach = abs(data.reach[:, 1, 0]) + abs(data.offset[:, 1]) + 2 * data.error
        high = relative_bound(beta, beta * float(reach.max()) * (1 + 1e-12))
        best: _Trial | None = None
        for share in _SHARES:
            for bend in _BENDS:
                low = high * (1 - _WIDTH) if best else high
                trial = _Trial(low, bend * beta, share)
                if self._late() or not self._holds(trial):
                    continue
                best = self._bisect(trial)
                high = best.gamma
                self._budget.progress(f"γ = {high:.6g} with κ = {best.bend:.3g}")
        return best

    def _bisect(self, trial: _Trial) -> _Trial:
        """The least γ at which the same κ and share hold, to a relative width."""
        low, high = 0.0, trial.gamma
        least = _FLOOR * self._pairs.beta[0]
        while high - low > _WIDTH * max(high, least) and not self._late():
            middle = (low + high) / 2
            if self._holds(trial._replace(gamma=middle)):
                high = middle
            else:
                low = middle
        return trial._replace(gamma=high)

    def _late(self) -> bool:
        return self._budget.left <= 0

    def _holds(self, trial: _Trial) -> bool:
        """In float64, without margins for rounding."""
        gamma, bend, share = trial
        rest = -shortfall(self._rotated.radius, 0.0, bend, self.fourth)
        if share:
            rest -= self._rotated.radius * share * self._cubic.estimate(np.array([gamma, -1.0]))
        slope = self._minorants.slopes.at(gamma, share)
        matrix, _ = quadratic(self._rotated, self._minorants.constant(gamma, slope, bend))
        return bool(np.linalg.eigvalsh(matrix)[0] + rest > 0)

    def shows(self, trial: _Trial) -> bool:
        """With every rounding error accounted for."""
        gamma, bend, share = trial
        slope = self._minorants.slopes.at(gamma, share)
        self.third = third(self._rotated, slope)
        needed = shortfall(self._rotated.radius, self.third, bend, self.fourth) * (1 + 1e-12)
        matrix, error = quadratic(self._rotated, self._minorants.constant(gamma, slope, bend))
        return bool(smallest_below(matrix, error) > needed)
