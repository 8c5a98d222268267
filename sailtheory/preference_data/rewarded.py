"""Scores that are rewards: given to training as they are, and made no preferences of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np

from sailtheory.errors import InputError
from sailtheory.preference_data.collect import Collected
from sailtheory.preference_data.preferences import Rule

__all__ = ["Rewarded", "rewarded"]


@dataclass
class Rewarded:
    """The rewards of a data set's responses.

    Attributes:
        values: Of each prompt (m,).
        rule: What was taken for them, in words.
        notes: What else there is to say, with counts.
    """

    values: list[np.ndarray]
    rule: str
    notes: Counter[str]


def rewarded(data: Collected, rule: Rule, held_out: str | None) -> Rewarded:
    """The scores of a data set as ``response_rewards``.

    Args:
        data: With scores.
        rule: Nothing of it may be given, as no preferences are made.
        held_out: Comparisons that were named; none may be.

    Raises:
        InputError: Comparisons or ranks, or an option that makes preferences.
    """
    for name in [field.name for field in fields(rule)]:
        if getattr(rule, name) is not None:
            given = getattr(rule, name)
            raise InputError(name.replace("_", "-"), given, "none: --response-rewards makes none")
    if held_out is not None:
        raise InputError("comparisons", held_out, "none: --response-rewards fits nothing")
    if data.format.kind != "scores" or data.format.relative:
        holds = "ranks within a row" if data.format.relative else "comparisons"
        found = f"{data.format.name}, which holds {holds}"
        raise InputError("response-rewards", found, "data with a score or reward for each response")
    values = [np.array([np.mean(given) for given in prompt.scores]) for prompt in data.prompts]
    notes: Counter[str] = Counter()
    apart = sum(len(set(given)) > 1 for prompt in data.prompts for given in prompt.scores)
    if apart:
        notes["responses were rewarded repeatedly and differently: the mean counts"] = apart
    drawn = sum(len(given) > 1 for prompt in data.prompts for given in prompt.scores)
    if drawn:
        notes["responses stand more than once; π_ref is uniform over the distinct ones"] = drawn
    said = "none; the scores are rewards as given (response_rewards), never Bradley-Terry's"
    return Rewarded(values, said, notes)
