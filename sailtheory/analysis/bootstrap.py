"""How sure counted comparisons make γ*: a parametric bootstrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.errors import InputError, real_number, whole_number
from sailtheory.landscape.concavity import largest_relative_curvature_on
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.search import Search
from sailtheory.objectives.sail import SAIL
from sailtheory.problem.counts import from_counts, posterior_mean, read_counts

__all__ = ["BootstrapInterval", "bootstrap_gamma_star"]


@dataclass(frozen=True)
class BootstrapInterval:
    """An estimate with a percentile bootstrap interval.

    Attributes:
        estimate: γ* of the problem estimated from the counts.
        low: Lower end.
        high: Upper end.
        level: Nominal coverage.
        values: γ* of every resampled problem, (draws,), sorted.
    """

    estimate: float
    low: float
    high: float
    level: float
    values: np.ndarray


def bootstrap_gamma_star(
    *,
    features: Any,
    wins: Any,
    prior: float = 0.5,
    draws: int = 200,
    level: float = 0.95,
    effort: str = "light",
    seed: int = 0,
    **arguments: Any,
) -> BootstrapInterval:
    """γ* of an estimated problem with a parametric bootstrap interval.

    The number of comparisons of each pair is kept; the wins are drawn again from the
    estimated p, and γ* is searched for on each resampled problem. The interval says
    how sampling noise in the comparisons moves γ*; pairs never compared stay at ½.

    Args:
        features: As for :class:`PreferenceProblem`.
        wins: As for :func:`from_counts`.
        prior: As for :func:`from_counts`.
        draws: Number of resampled problems, at least 10.
        level: Nominal coverage in (0, 1).
        effort: Of each search.
        seed: Seed of resampling and search.
        **arguments: The other arguments of :class:`PreferenceProblem`.

    Raises:
        InputError: An argument outside its domain, or S = {0}.
    """
    draws, seed = whole_number("draws", draws, 10), whole_number("seed", seed)
    if not 0 < real_number("level", level) < 1:
        raise InputError("level", level, "a probability in (0, 1) is expected")
    problem = from_counts(features=features, wins=wins, prior=prior, **arguments)
    if problem.span.dimension == 0:
        raise InputError("problem", repr(problem), "S = {0}: there is no γ*")
    rng = np.random.default_rng(seed)
    counts = read_counts(wins)
    start = largest_relative_curvature_on(SAIL(problem), Search(Domain(problem), effort, seed))

    def once() -> float:
        again = [_resample(w, prior, rng) for w in counts]
        drawn = from_counts(features=features, wins=again, prior=prior, **arguments)
        search = Search(Domain(drawn), effort, seed)
        value = largest_relative_curvature_on(SAIL(drawn), search, start.theta).value
        return np.nan if value is None else value

    values = np.sort([once() for _ in range(draws)])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    estimate = np.nan if start.value is None else start.value
    return BootstrapInterval(float(estimate), float(low), float(high), level, values)


def _resample(w: np.ndarray, prior: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the wins of each pair again from its estimated p."""
    total = (w + w.T).astype(int)
    upper = np.triu(rng.binomial(total, posterior_mean(w, prior)), 1)
    return np.asarray(upper + np.tril(total - upper.T, -1)).astype(float)
