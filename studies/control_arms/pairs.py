"""What pairs of runs of the control arms say, and when it is said."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import fill
from typing import Any

import numpy as np
from scipy.stats import binomtest

from sailtheory.compare import statistics as st
from sailtheory.compare.statistics import Estimate

Data = dict[str, Any]
Runs = list[dict[str, Any]]
Pairs = list[tuple[int, dict[str, Any], dict[str, Any]]]
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


def score(run: dict[str, Any]) -> float:
    """Mean return over the evaluations of the second half."""
    return float(np.mean(run["curves"]["eval/return"][1][-LATE:]))


def both(runs: Runs, base: Runs) -> Pairs:
    """Seeds that two arms have, with the run of each."""
    theirs = {run["seed"]: run for run in base}
    return [(r["seed"], r, theirs[r["seed"]]) for r in runs if r["seed"] in theirs]


def in_short(data: Data) -> str:
    """What can be concluded and what cannot, in a few lines."""
    lines = []
    for task, arms in data.get("published", {}).items():
        for (arm, base), alpha in TESTED["published"].items():
            pairs = both(arms.get(arm, []), arms.get(base, []))
            if len(pairs) >= PLANNED:
                x, y = _scores(pairs)
                d = st.paired_d(x, y, 1 - alpha)
                lines.append(
                    f"`{arm}` against `{base}` on {task}: d of {len(pairs)} paired differences is "
                    f"{_effect(x, y, alpha)}. {_verdict(arm, base, x, y, d)}"
                )
    below = [
        f"{won} of {count} pairs of {arm} ({task}, {plan})"
        for plan in ("sail", "heavy", "stand")
        for task, arms in data.get(plan, {}).items()
        for arm in ("sail", "sail-revkl")
        if (count := len(pairs := _with_pebble(data, task, arms, arm)))
        for won in [sum(score(x) < score(y) for _, x, y in pairs)]
    ]
    if below:
        lines.append(
            "With the SAIL objective and its score term in the actor's loss, a run is worse than "
            f"`pebble` of the same seed in {'; '.join(below)}. These are few seeds, described and "
            "not tested; what was measured of the cause is under “What the weight of J goes by”. "
            "It says nothing of the published SAIL-RevKL, whose loss has no J."
        )
    lines.append(
        "Networks, minibatches and budgets are smaller than the paper's, and the tasks fewer: "
        "nothing here tells what its setting would show."
    )
    return "\n".join(
        ["## In short", "", *(fill(f"- {x}", 98, subsequent_indent="  ") for x in lines)]
    )


def _with_pebble(data: Data, task: str, arms: dict[str, Runs], arm: str) -> Pairs:
    """Pairs of an arm with the `pebble` of its task."""
    base = arms.get("pebble") or data.get("published", {}).get(task, {}).get("pebble", [])
    return both(arms.get(arm, []), base)


def _verdict(arm: str, base: str, x: np.ndarray, y: np.ndarray, d: Estimate) -> str:
    """What an interval of d at the planned number of pairs says."""
    if not np.isfinite(d.value):
        return "The runs do not differ."
    if d.excludes_zero:
        return _direction(arm, base, d)
    excluded = _excluded(d, between_arms(x, y)[1])
    return f"No effect is shown, and the paper's largest, d = {PAPER_EFFECT}, is {excluded}."


def _direction(arm: str, base: str, d: Estimate) -> str:
    """Which arm is better, where the interval of d leaves out 0."""
    return f"{arm} is {'better' if d.value > 0 else 'worse'} than {base} here."


def _excluded(d: Estimate, effect: float) -> str:
    """Whether an effect of this size lies above the interval of d."""
    return "excluded" if d.high < effect else "neither shown nor excluded"


def listed(seeds: Iterable[int]) -> str:
    """Seeds side by side."""
    return ", ".join(map(str, seeds))


def compared(arms: dict[str, Runs], arm: str, base: str, alpha: float | None) -> str:
    """Two arms by their pairs; ``alpha`` is the level of their test, if there is one."""
    pairs = both(arms[arm], arms[base])
    if len(pairs) < 2:
        difference = "".join(f"difference {score(x) - score(y):+.1f}; " for _, x, y in pairs)
        return (
            f"{arm} − {base}: {len(pairs)} pair of seeds, {difference}of one pair nothing follows."
        )
    x, y = _scores(pairs)
    text = (
        f"{arm} − {base}, {len(pairs)} pairs: mean difference {np.mean(x - y):+.1f}, "
        f"d of the differences {_effect(x, y, alpha)}, better in {_better(x, y)}. "
    )
    if alpha is None:
        return text + "Described, not tested."
    fresh = _fresh(pairs, alpha) if (arm, base) in TESTED["sail"] else ""
    return text + _conclusion(arm, base, x, y, alpha) + fresh


def _better(x: np.ndarray, y: np.ndarray) -> str:
    """The share of pairs in which x is larger, with its exact interval."""
    won = int((x > y).sum())
    low, high = binomtest(won, len(x)).proportion_ci(st.LEVEL, "exact")
    return f"{won} of {len(x)} ({low:.2f} to {high:.2f})"


def _scores(pairs: Pairs) -> Any:
    return np.array([(score(one), score(other)) for _, one, other in pairs]).T


def _effect(x: np.ndarray, y: np.ndarray, alpha: float | None) -> str:
    """d with the interval that its test goes by."""
    level = st.LEVEL if alpha is None else 1 - alpha
    shown = interval(st.paired_d(x, y, level), len(x), 2)
    return shown if level == st.LEVEL else shown.replace("(", f"({100 * level:g} %: ")


def _conclusion(arm: str, base: str, x: np.ndarray, y: np.ndarray, alpha: float) -> str:
    """What follows from the interval of d, and what does not."""
    pairs, d = len(x), st.paired_d(x, y, 1 - alpha)
    chance = f"{100 * st.power(PAPER_EFFECT, pairs, alpha=alpha):.0f} %"
    seen = f"{pairs} pairs see d = {PAPER_EFFECT} with probability {chance}, and d ≥ "
    seen += f"{st.detectable(pairs, alpha=alpha):.2f} with probability 80 %."
    if not np.isfinite(d.value):
        return f"The runs do not differ. {seen}"
    if pairs < PLANNED:  # as pairs come in, looking each time would find an effect by chance
        beside = "leaves out" if d.excludes_zero else "holds"
        return (
            f"The interval {beside} 0; the design concludes at its {PLANNED} pairs and not "
            f"before, so nothing is concluded yet. {seen}"
        )
    if d.excludes_zero:
        return f"The interval leaves out 0: {_direction(arm, base, d)} {seen}"
    correlation, effect = between_arms(x, y)
    return (
        f"The interval holds 0: no effect is shown. {seen} Between the arms, without pairs, d is "
        f"{interval(st.cohens_d(x, y), pairs, 2)}. The paper's is of that kind; the scores of a "
        f"pair correlate by {correlation:.2f}, which makes it {effect:.2f} of the differences "
        f"({PAPER_EFFECT / np.sqrt(2):.2f} if they did not): {_excluded(d, effect)}."
    )


def between_arms(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The correlation r of pairs, and d_paper / √(2(1 − r)): its size for the differences."""
    r = float(np.corrcoef(x, y)[0, 1])
    return r, PAPER_EFFECT / float(np.sqrt(2 * (1 - r)))


def _fresh(pairs: Pairs, alpha: float) -> str:
    """The same pairs without those of seeds that were known."""
    left = [pair for pair in pairs if pair[0] not in KNOWN]
    if len(left) in (len(pairs), 0, 1):
        return ""
    x, y = _scores(left)
    return (
        f" The {len(left)} pairs of other seeds than {listed(KNOWN)} alone: mean difference "
        f"{np.mean(x - y):+.1f}, d {_effect(x, y, alpha)}."
    )


def interval(found: Estimate, runs: int, digits: int) -> str:
    if runs < 2 or not np.isfinite(found.value):
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"
