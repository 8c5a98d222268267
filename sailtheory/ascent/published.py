"""Estimators as they stand in published code: biased, for comparison only (C22)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.ascent.estimators import Estimator, on_scores, pair_payoff
from sailtheory.ascent.pairs import Draws, Frame, Layout
from sailtheory.errors import InputError
from sailtheory.numeric.numbers import FLOAT64

__all__ = ["BiasedEstimator"]

KL_TERMS = ("exact", "detached", "differentiated")
SCORES = ("g", "g/log pi")


@dataclass(frozen=True)
class BiasedEstimator(Estimator):
    """An estimator of published code, which is not one of ∇J_γ (C22).

    With k = log π_ref(y) − log π_θ(y) added to a loss, y one of the drawn responses:

    Attributes:
        kl: ``"exact"`` is −γ∇KL(π_ref‖π_θ) as it should be; ``"detached"`` differentiates k
            alone, of expectation 0: no regularisation; ``"differentiated"`` differentiates
            through the sampling too: ascent along +γ∇KL(π_θ‖π_ref), away from π_ref.
        score: ``"g"`` as it should be; ``"g/log pi"`` multiplies ∇log π by g/log π, without
            a baseline.
        data: q, responses drawn from a data set: n arrays (m_x,), in place of π_ref in the
            exact KL term, whose gradient is then ∇KL(q‖π_θ).
    """

    kl: str = "exact"
    score: str = "g"
    data: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        """Refuse names that are not known, and q that is no distribution."""
        super().__post_init__()
        for field, names in {"kl": KL_TERMS, "score": SCORES}.items():
            if getattr(self, field) not in names:
                raise InputError(field, getattr(self, field), "one of " + ", ".join(names))
        for x, row in enumerate(self.data or ()):
            q = np.asarray(row, dtype=float)
            if q.ndim != 1 or not (q >= 0).all() or not abs(q.sum() - 1) <= 1e-9:
                raise InputError(f"data[{x}]", row, "probabilities that sum to 1 are expected")
        if self.data is not None and self.kl != "exact":
            raise InputError("kl", self.kl, "'exact', where data is given")

    def coefficients(self, layout: Layout, at: Frame, draws: Draws, gamma: float) -> np.ndarray:
        """What published code climbs, on the features: (n, m, runs)."""
        if self.score == "g":
            found = super().coefficients(layout, at, draws, 0.0)
        else:
            found = self._divided(layout, at, draws)
        if not gamma:
            return found
        if self.kl == "exact":
            rest = at.policy - self._data(layout)
            return np.asarray(found - gamma * layout.weights[:, None, None] * rest)
        half = np.broadcast_to(draws.frequency / 2, np.broadcast_shapes(
            draws.first.shape, draws.frequency.shape
        ))  # fmt: skip
        hits = layout.tally(draws, half, half)
        # ∇k = −s; through the sampling, ∇E k = E[(k − 1)s].
        slope = -hits if self.kl == "detached" else hits * (self._k(layout, at) - 1)
        return found - gamma * on_scores(at, slope)

    def _data(self, layout: Layout) -> np.ndarray:
        if self.data is None:
            return layout.ref
        sizes = tuple(len(row) for row in self.data)
        if sizes != layout.problem.responses:
            raise InputError("data", f"sizes {sizes}", f"{layout.problem.responses} are expected")
        q = np.zeros((layout.n, layout.m, 1))
        for x, row in enumerate(self.data):
            q[x, : len(row), 0] = row
        return q

    def _k(self, layout: Layout, at: Frame) -> np.ndarray:
        """log π_ref − log π_θ, 0 at responses that do not exist: (n, m, runs)."""
        real = (at.policy > 0) & (layout.ref > 0)
        ratio = np.where(real, layout.ref, 1.0) / np.where(real, at.policy, 1.0)
        return np.log(ratio)

    def _divided(self, layout: Layout, at: Frame, draws: Draws) -> np.ndarray:
        payoff = pair_payoff(layout, at, draws)
        g = draws.frequency * (payoff.value - FLOAT64.log_2())
        dpo = draws.frequency * payoff.first * float(layout.problem.beta)
        runs = at.policy.shape[-1]
        with np.errstate(divide="ignore"):
            log = np.log(at.policy).ravel()
        column = np.arange(runs)
        first = g / log.take(draws.first * runs + column) + dpo
        second = g / log.take(draws.second * runs + column) - dpo
        return on_scores(at, layout.tally(draws, first, second))
