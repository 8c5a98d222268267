"""What pairs of runs of the control arms say, and when it is said."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import binomtest

from sailtheory.compare import statistics as st
from sailtheory.compare.statistics import Estimate

Data = dict[str, Any]
Runs = list[dict[str, Any]]
Pairs = list[tuple[int, dict[str, Any], dict[str, Any]]]
Interval = tuple[float, ...]
"""A value, and where it exists its interval: (value,) or (value, low, high)."""
LATE = 3
"""Evaluations of the second half of training, of six."""
PLANNED = 13
"""Pairs at which a test concludes, and not before."""
TESTED = {
    "published": {("pebble-revkl", "pebble"): 0.05},
    "sail": {("sail", "pebble"): 0.025, ("sail-revkl", "sail"): 0.025},
}
"""Level of the test of each pair of arms; others are described."""
PAPER_EFFECT = 0.872
"""The largest Cohen's d that arXiv 2606.31524 reports for its control tasks."""
KNOWN = (0, 1, 2, 3, 4)
"""Seeds of the discarded runs of ``sail`` and ``sail-revkl``, known when the arms were mended."""


@dataclass(frozen=True)
class Comparison:
    """Two arms by their pairs.

    Attributes:
        arm: The one.
        base: The other.
        pairs: Seeds that both have.
        difference: Mean of arm − base; nan without pairs.
        outcome: ``unknown`` (fewer than two pairs), ``described`` (there is no test), ``same``
            (the runs do not differ), ``early`` (fewer pairs than planned), ``better``, ``worse``,
            or ``open`` (the interval of d holds 0).
        d: Cohen's d of the differences.
        level: Of its interval, by which the test goes.
        won: Pairs in which the arm is better.
        share: Exact interval of their share.
        excludes_zero: Whether the interval of d leaves out 0.
        power: Probability of seeing the paper's effect.
        detectable: The d seen with probability 0.8.
        between: d between the arms, without pairs; this and what follows where ``open``.
        correlation: Of the scores of a pair.
        effect: The paper's effect as one of the differences, by the correlation.
        excluded: Whether that lies above the interval of d.
        fresh: The same of the pairs whose seeds were not known before the test.
    """

    arm: str
    base: str
    pairs: int
    difference: float
    outcome: str = "unknown"
    d: Interval = ()
    level: float = st.LEVEL
    won: int = 0
    share: tuple[float, float] = (0.0, 1.0)
    excludes_zero: bool = False
    power: float = 0.0
    detectable: float = float("inf")
    between: Interval = ()
    correlation: float = 0.0
    effect: float = 0.0
    excluded: bool = False
    fresh: Comparison | None = None


def score(run: dict[str, Any]) -> float:
    """Mean return over the evaluations of the second half."""
    return float(np.mean(run["curves"]["eval/return"][1][-LATE:]))


def both(runs: Runs, base: Runs) -> Pairs:
    """Seeds that two arms have, with the run of each."""
    theirs = {run["seed"]: run for run in base}
    return [(r["seed"], r, theirs[r["seed"]]) for r in runs if r["seed"] in theirs]


def concluded(data: Data) -> list[tuple[str, Comparison]]:
    """Tasks on which the published comparison has its planned number of pairs, with the result."""
    return [
        (task, found)
        for task, arms in data.get("published", {}).items()
        for (arm, base), alpha in TESTED["published"].items()
        if arm in arms and base in arms
        if (found := compared(arms, arm, base, alpha)).pairs >= PLANNED
    ]


def worse_than_pebble(data: Data) -> list[dict[str, Any]]:
    """How many runs of the arms with J are worse than `pebble` of their task and seed."""
    found = []
    for plan in ("sail", "heavy", "stand"):
        for task, arms in data.get(plan, {}).items():
            published = data.get("published", {}).get(task, {})
            base = arms.get("pebble") or published.get("pebble", [])
            for arm in ("sail", "sail-revkl"):
                pairs = both(arms.get(arm, []), base)
                if pairs:
                    worse = sum(score(x) < score(y) for _, x, y in pairs)
                    found.append({
                        "plan": plan, "task": task, "arm": arm, "worse": worse, "of": len(pairs)
                    })  # fmt: skip
    return found


def compared(arms: dict[str, Runs], arm: str, base: str, alpha: float | None) -> Comparison:
    """Two arms by their pairs; ``alpha`` is the level of their test, if there is one."""
    pairs = both(arms[arm], arms[base])
    found = of_scores(arm, base, *_scores(pairs), alpha)
    fresh = [pair for pair in pairs if pair[0] not in KNOWN]
    if alpha is None or (arm, base) not in TESTED["sail"] or len(fresh) in (len(pairs), 0, 1):
        return found
    return replace(found, fresh=of_scores(arm, base, *_scores(fresh), alpha))


def of_scores(arm: str, base: str, x: np.ndarray, y: np.ndarray, alpha: float | None) -> Comparison:
    """Two arms by the scores of their pairs."""
    pairs = len(x)
    found = Comparison(arm, base, pairs, float(np.mean(x - y)) if pairs else float("nan"))
    if pairs < 2:
        return found
    level = st.LEVEL if alpha is None else 1 - alpha
    d, won = st.paired_d(x, y, level), int((x > y).sum())
    found = replace(
        found, outcome="described", d=interval(d, pairs), level=level, won=won,
        share=tuple(binomtest(won, pairs).proportion_ci(st.LEVEL, "exact")),
        excludes_zero=d.excludes_zero,
    )  # fmt: skip
    if alpha is None:
        return found
    found = replace(
        found, outcome=_outcome(d, pairs), power=st.power(PAPER_EFFECT, pairs, alpha=alpha),
        detectable=st.detectable(pairs, alpha=alpha),
    )  # fmt: skip
    if found.outcome != "open":
        return found
    correlation, effect = between_arms(x, y)
    return replace(
        found, between=interval(st.cohens_d(x, y), pairs), correlation=correlation,
        effect=effect, excluded=d.high < effect,
    )  # fmt: skip


def _outcome(d: Estimate, pairs: int) -> str:
    if not np.isfinite(d.value):
        return "same"
    if pairs < PLANNED:  # as pairs come in, looking each time would find an effect by chance
        return "early"
    if d.excludes_zero:
        return "better" if d.value > 0 else "worse"
    return "open"


def _scores(pairs: Pairs) -> Any:
    return np.array([(score(one), score(other)) for _, one, other in pairs]).reshape(-1, 2).T


def between_arms(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The correlation r of pairs, and d_paper / √(2(1 − r)): its size for the differences."""
    r = float(np.corrcoef(x, y)[0, 1])
    return r, PAPER_EFFECT / float(np.sqrt(2 * (1 - r)))


def interval(found: Estimate, runs: int) -> Interval:
    """A value with its interval, unless that does not exist."""
    if runs < 2 or not np.isfinite(found.value):
        return (found.value,)
    return found.value, found.low, found.high
