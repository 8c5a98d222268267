"""How sure counted comparisons make γ*: a parametric bootstrap, percentile intervals.

γ* is convex in the preferences, so noise in them raises it: of few labels both the estimate and
the interval tend to lie high, and the interval may lie above the estimate. (On 24 data sets of 6
pairs with 8 labels each, the 95 % percentile interval held the true γ* 22 times, the reflected
"basic" one 16 times.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.errors import InputError, real_number, whole_number
from sailtheory.landscape.concavity import largest_relative_curvature_on
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.search import Search
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import SAIL
from sailtheory.preference_data.preferences import Rule, estimated
from sailtheory.problem.counts import from_counts, read_counts
from sailtheory.problem.folder import ProblemFolder
from sailtheory.problem.preferences import BradleyTerry, PreferenceMatrix
from sailtheory.problem.problem import PreferenceProblem

__all__ = [
    "FEWEST_DRAWS",
    "BootstrapInterval",
    "Comparisons",
    "bootstrap_gamma_star",
    "comparisons_of",
    "interval_of",
]

FEWEST_DRAWS = 10
"""Resampled problems below which an interval is refused."""


@dataclass(frozen=True)
class Comparisons:
    """What preferences were estimated from.

    Attributes:
        counts: Of each prompt the wins, (m, m); a tie is half a win for each.
        rule: How p follows from them.
    """

    counts: list[np.ndarray]
    rule: Rule

    def resampled(
        self, problem: PreferenceProblem, draws: int, seed: int
    ) -> Iterator[list[BradleyTerry | PreferenceMatrix]]:
        """Preferences estimated from comparisons that are drawn again from the problem's p.

        The number of comparisons of each pair stays.
        """
        p = [0.5 + model.centred(FLOAT64) for model in problem.preferences]
        for draw in range(draws):
            rng = np.random.default_rng([seed, draw])
            again = [_drawn(w, q, rng) for w, q in zip(self.counts, p, strict=True)]
            rewards, matrices = estimated(again, self.rule)
            if rewards is not None:
                yield [BradleyTerry(r) for r in rewards]
            elif matrices is not None:
                yield [PreferenceMatrix(q) for q in matrices]


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
    seed = whole_number("seed", seed)
    problem = from_counts(features=features, wins=wins, prior=prior, **arguments)
    if problem.span.dimension == 0:
        raise InputError("problem", repr(problem), "S = {0}: there is no γ*")
    comparisons = Comparisons(read_counts(wins), Rule(smoothing=prior))
    whole_number("draws", draws, FEWEST_DRAWS)
    resampled = (
        problem.replace(preferences=p) for p in comparisons.resampled(problem, draws, seed)
    )
    start = largest_relative_curvature_on(SAIL(problem), Search(Domain(problem), effort, seed))
    estimate = np.nan if start.value is None else start.value
    return interval_of(estimate, start.theta, resampled, level, effort, seed)


def interval_of(
    estimate: float,
    theta: np.ndarray,
    resampled: Iterator[PreferenceProblem],
    level: float = 0.95,
    effort: str = "light",
    seed: int = 0,
    progress: Callable[[int], None] = lambda draw: None,
) -> BootstrapInterval:
    """The percentile interval of γ* over resampled problems.

    Args:
        estimate: γ* of the problem itself.
        theta: Where it was found, (d,): the searches start there too.
        resampled: The problems.
        level: Nominal coverage in (0, 1).
        effort: Of each search.
        seed: Of each search.
        progress: Called with the number of each problem.
    """
    if not 0 < real_number("level", level) < 1:
        raise InputError("level", level, "a probability in (0, 1) is expected")
    found = []
    for draw, problem in enumerate(resampled):
        progress(draw)
        search = Search(Domain(problem), effort, seed)
        value = largest_relative_curvature_on(SAIL(problem), search, theta).value
        found.append(np.nan if value is None else value)
    values = np.sort(found)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapInterval(float(estimate), float(low), float(high), level, values)


def comparisons_of(folder: ProblemFolder) -> Comparisons:
    """The comparisons that a folder's preferences were estimated from.

    Raises:
        InputError: It has none, or does not say how p follows from them; numbers of comparisons
            that are not whole.
    """
    rule = folder.report.get("estimate")
    if "counts" not in folder.arrays or not rule:
        accepted = "a folder made of comparisons by `sailtheory problem` is expected"
        raise InputError("bootstrap", folder.path, accepted)
    try:
        read = Rule(**{name: float(value) for name, value in rule.items()})
    except (TypeError, ValueError, AttributeError):
        accepted = "smoothing, bradley_terry or confidence with a number is expected"
        raise InputError("report.estimate", rule, accepted) from None
    counts = [folder.matrices("counts", np.array([x]))[0] for x in range(folder.prompts)]
    for x, w in enumerate(counts):
        for k, j in np.argwhere((w + w.T) % 1 != 0):
            accepted = "a whole number of comparisons is expected"
            raise InputError(f"counts of prompt {x} [{k}][{j}] + [{j}][{k}]",
                             w[k, j] + w[j, k], accepted)  # fmt: skip
    return Comparisons(counts, read)


def _drawn(w: np.ndarray, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The wins of each pair, drawn again from p."""
    total = (w + w.T).astype(int)
    upper = np.triu(rng.binomial(total, np.clip(p, 0, 1)), 1)
    return np.asarray(upper + np.tril(total - upper.T, -1)).astype(float)
