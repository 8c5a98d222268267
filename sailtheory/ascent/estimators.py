"""Estimators of ∇J from response pairs (C18), for many runs at once.

    ĝ = (g − b)(s₁ + s₂) + βuΔ,

averaged over pairs drawn from π_θ. As a combination of features, with c the sum over
pairs of (g − b + βu) at y₁ and (g − b − βu) at y₂, it is Σ_y (c_y − π_y Σ c) φ_y.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.ascent.pairs import Draws, Frame, Layout, contract, ordered_sum
from sailtheory.errors import InputError
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas
from sailtheory.theory.payoff import Payoff

__all__ = ["BASELINES", "Estimator", "Moments", "moments", "on_scores", "pair_payoff"]

BASELINES = ("none", "-log 2", "mid-range", "optimal")
LABELS = ("exact", "bernoulli")
PROMPTS = ("exact", "sampled")


@dataclass(frozen=True)
class Estimator:
    """Which estimator of ∇J: unbiased in every mode (C18).

    Attributes:
        baseline: b: ``"none"`` 0; ``"-log 2"``; ``"mid-range"``, the middle of the range of
            g over the prompt's pairs at θ, whatever the preferences; ``"optimal"``, the b*
            of C18, by enumeration.
        labels: ``"exact"`` uses p₁₂; ``"bernoulli"`` a label drawn from it.
        prompts: ``"sampled"`` from ρ; ``"exact"`` draws a batch at every prompt and
            averages with ρ, at n times the samples.
    """

    baseline: str = "-log 2"
    labels: str = "exact"
    prompts: str = "sampled"

    def __post_init__(self) -> None:
        """Refuse names that are not known."""
        known = {"baseline": BASELINES, "labels": LABELS, "prompts": PROMPTS}
        for field, names in known.items():
            if getattr(self, field) not in names:
                raise InputError(field, getattr(self, field), "one of " + ", ".join(names))

    def coefficients(self, layout: Layout, at: Frame, draws: Draws, gamma: float) -> np.ndarray:
        """ĝ − γ∇KL(π_ref‖π_θ) on the features, the latter exact: (n, m, runs)."""
        payoff = pair_payoff(layout, at, draws)
        shift = self.shift(layout, at)
        if shift is not None:
            x = draws.first // layout.m
            shift = shift.take(x * shift.shape[-1] + np.arange(shift.shape[-1]))
        excess = payoff.value if shift is None else payoff.value - shift
        score = draws.frequency * excess
        dpo = draws.frequency * payoff.first * float(layout.problem.beta)
        found = on_scores(at, layout.tally(draws, score + dpo, score - dpo))
        if gamma:
            found -= gamma * layout.weights[:, None, None] * (at.policy - layout.ref)
        return found

    def shift(self, layout: Layout, at: Frame) -> np.ndarray | None:
        """b + log 2 for each prompt, (n, runs); None for 0."""
        if self.baseline == "-log 2":
            return None
        if self.baseline == "none":
            return np.full((layout.n, at.policy.shape[-1]), FLOAT64.log_2())
        if self.baseline == "mid-range":
            real = np.arange(layout.m)[:, None] < np.array(layout.problem.responses)[:, None, None]
            top = np.where(real, at.drift, -np.inf).max(axis=1)
            low = np.where(real, at.drift, np.inf).min(axis=1)
            reach = float(layout.problem.beta) * (top - low)
            # The ends of the range are log σ(±Z): their mean plus log 2.
            return np.asarray(-FLOAT64.log_cosh_half(reach))
        return _optimal_shift(layout, at)


def pair_payoff(layout: Layout, at: Frame, draws: Draws) -> Payoff:
    """G = g + log 2 and its derivatives at the drawn pairs, (M, runs)."""
    runs = at.drift.shape[-1]
    drift, column = at.drift.ravel(), np.arange(runs)
    z = drift.take(draws.first * runs + column) - drift.take(draws.second * runs + column)
    z *= float(layout.problem.beta)
    return formulas.log_likelihood_payoff(FLOAT64, draws.preference, z)


def on_scores(at: Frame, c: np.ndarray) -> np.ndarray:
    """Σ c s as a combination of features: c − π Σ c over each prompt's responses."""
    return np.asarray(c - at.policy * ordered_sum(c.swapaxes(0, 1))[:, None])


def _optimal_shift(layout: Layout, at: Frame) -> np.ndarray:
    """b* + log 2 = {E[G‖s₁ + s₂‖²] + βE[u(‖s₁‖² − ‖s₂‖²)]}/(2 tr F) (C18): (n, runs)."""
    n, m, runs = at.policy.shape
    features = layout.features.reshape(n, m, -1)
    scores = []
    for i in range(features.shape[-1]):
        phi = features[:, :, i, None]
        scores.append(phi - ordered_sum((at.policy * phi).swapaxes(0, 1))[:, None])
    square = ordered_sum(np.stack([s * s for s in scores]))
    z = float(layout.problem.beta) * (at.drift[:, :, None] - at.drift[:, None])
    payoff = formulas.log_likelihood_payoff(FLOAT64, layout.preference[..., None], z)
    both = ordered_sum(np.stack([(s[:, :, None] + s[:, None]) ** 2 for s in scores]))
    apart = square[:, :, None] - square[:, None]
    each = payoff.value * both + float(layout.problem.beta) * payoff.first * apart
    chance = at.policy[:, :, None] * at.policy[:, None]
    top = ordered_sum((chance * each).reshape(n, m * m, runs).swapaxes(0, 1))
    trace = ordered_sum((at.policy * square).swapaxes(0, 1))
    return np.where(trace > 0, top / np.where(trace > 0, 2 * trace, 1.0), 0.0)


@dataclass(frozen=True, eq=False)
class Moments:
    """Exact moments of ĝ at one pair (one at every prompt, where prompts are exact).

    Attributes:
        mean: E ĝ, (runs, d).
        variance: σ² = E‖ĝ − Eĝ‖², (runs,).
    """

    mean: np.ndarray
    variance: np.ndarray


def moments(
    problem: PreferenceProblem, theta: np.ndarray, estimator: Estimator, gamma: float = 0.0
) -> Moments:
    """Mean and variance of an estimator at θ (runs, d), by enumerating all its outcomes.

    Each outcome passes through :meth:`Estimator.coefficients`. With prompts exact the
    variance is Σ ρ_x² Var_x, for one pair at each. γ adds the exact term −γ∇KL(π_ref‖π_θ).
    """
    layout = Layout(problem)
    at = layout.frame(np.ascontiguousarray(np.array(theta, dtype=float, ndmin=2).T))
    pairs, factor, prompt = layout.outcomes(estimator.labels == "bernoulli")
    flat = at.policy.reshape(layout.n * layout.m, -1)
    chance = factor * flat[pairs.first[:, 0]] * flat[pairs.second[:, 0]]
    ones = np.ones((1, flat.shape[-1]))
    each = np.stack([
        layout.gradient(estimator.coefficients(
            layout, at, Draws._make([*(a[i : i + 1] for a in pairs[:3]), ones]), 0.0
        ))
        for i in range(len(prompt))
    ])  # fmt: skip
    weights = layout.weights[prompt][:, None]
    whole = (weights * chance)[:, None]
    mean = (whole * each).sum(0)
    if estimator.prompts == "sampled":
        variance = (whole * (each - mean) ** 2).sum((0, 1))
    else:
        inner = np.zeros((layout.n, *mean.shape))
        np.add.at(inner, prompt, chance[:, None] * each)
        spread = chance * ((each - inner[prompt]) ** 2).sum(1)
        variance = (weights**2 * spread).sum(0)
    if gamma:
        drift = layout.weights[:, None, None] * (at.policy - layout.ref)
        mean = mean - gamma * contract(layout.features.T, drift.reshape(flat.shape))
    return Moments(mean.T, variance)
