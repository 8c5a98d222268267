"""How the thresholds of the choices vary with the people who were asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sailtheory import PreferenceProblem
from sailtheory.certificates.prompts.points import search
from sailtheory.certificates.prompts.survey import survey
from sailtheory.landscape.concavity import gamma_star
from sailtheory.problem.reduced import ProblemPrompts
from studies.data_thresholds.choices import Choices

SEED, DRAWS, SPLITS, SHARE, LEVEL = 0, 40, 5, 0.99, 0.95
FURTHER = (1, 2, 3)


def each_threshold(problem: PreferenceProblem) -> np.ndarray:
    """γ*_x of every prompt as found by search: the highest ones are climbed, (n,)."""
    made = survey(ProblemPrompts(problem))
    found = np.zeros(made.prompts)
    for group in made.groups:
        values, _ = search(group.data, made.beta, np.random.default_rng(SEED))
        found[group.data.prompts] = values
    return found


def searched(problem: PreferenceProblem) -> float:
    """γ* by a light search."""
    value = gamma_star(problem, effort="light", seed=SEED).value
    if value is None:
        raise RuntimeError("no policy moves")
    return value


def further_searches(problem: PreferenceProblem) -> list[float | None]:
    """γ* by searches of the effort of ``check`` with other seeds."""
    return [gamma_star(problem, seed=seed).value for seed in FURTHER]


def drawn_people(people: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows of as many people as there are, drawn with replacement, with all their choices."""
    each = [np.flatnonzero(people == who) for who in np.unique(people)]
    return np.concatenate([each[i] for i in rng.integers(len(each), size=len(each))])


def resampled(
    data: Choices, problem: PreferenceProblem, make: Callable[[Choices], PreferenceProblem],
    draws: int,
) -> dict[str, Any]:  # fmt: skip
    """Bootstrap over people of γ* and of the quantile that all but 1 % of the choices keep."""
    thresholds, rng = each_threshold(problem), np.random.default_rng(SEED)
    stars, most = [], []
    for _ in range(draws):
        rows = drawn_people(data.people, rng)
        most.append(float(np.quantile(thresholds[rows], SHARE, method="higher")))
        stars.append(searched(make(data.of(rows))))
    own = float(np.quantile(thresholds, SHARE, method="higher"))
    return {
        "draws": draws, "gamma_star": _interval(searched(problem), stars),
        "g_most": _interval(own, most),
    }  # fmt: skip


def _interval(value: float, values: list[float]) -> list[float]:
    """A value with the ends of its percentile interval."""
    return [value, *np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()]


def halves(
    data: Choices, make: Callable[[Choices], PreferenceProblem], splits: int = SPLITS
) -> list[dict[str, Any]]:
    """Two random halves of the people: thresholds of each, and what the other half needs beyond."""
    rng, people, found = np.random.default_rng(SEED), np.unique(data.people), []
    for _ in range(splits):
        first = rng.permutation(people)[: len(people) // 2]
        inside = np.isin(data.people, first)
        parts = [data.of(np.flatnonzero(side)) for side in (inside, ~inside)]
        problems = [make(part) for part in parts]
        each = [each_threshold(problem) for problem in problems]
        found += [
            {
                "choices": len(each[k]), "gamma_star": searched(problems[k]),
                "g": float(each[k].max()), "others": len(each[1 - k]),
                "others_above": int((each[1 - k] > each[k].max()).sum()),
                "others_above_most": int(
                    (each[1 - k] > np.quantile(each[k], SHARE, method="higher")).sum()
                ),
            }
            for k in (0, 1)
        ]  # fmt: skip
    return found
