"""Problems that state rewards of responses and no preferences."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.problem.fields import no_preferences, read_length
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["NO_PREFERENCES", "alone", "reward_problem", "without_preferences"]

NO_PREFERENCES = "preferences: none are stated; objectives of rewards are all that can be asked"


def reward_problem(
    *, features: Any, response_rewards: Any, radius: Any, **more: Any
) -> PreferenceProblem:
    """A problem with rewards alone: its preferences are ties and β is 1, which no reward sees.

    Args:
        features: φ, (n, m, d) or n arrays (m_x, d).
        response_rewards: n arrays (m_x,).
        radius: B ≥ 0.
        **more: ``ref_params``, ``center``, ``weights``, ``base`` as for
            :class:`~sailtheory.problem.problem.PreferenceProblem`.

    Raises:
        InputError: As there.
    """
    sizes = [np.shape(features[x])[0] for x in range(read_length(features, "features"))]
    found = PreferenceProblem(
        features=features, preferences=[np.full((m, m), 0.5) for m in sizes], beta=1,
        radius=radius, response_rewards=response_rewards, **more,
    )  # fmt: skip
    return without_preferences(found)


def without_preferences(problem: PreferenceProblem) -> PreferenceProblem:
    """The problem itself, its preferences marked as ones that nobody stated."""
    problem.states_preferences = False
    problem.notes.append(NO_PREFERENCES)
    return problem


def alone(preferences: bool, source: Any, common: dict[str, Any]) -> PreferenceProblem:
    """A problem with rewards of responses alone, where those will do."""
    if preferences:
        raise no_preferences(source)
    return reward_problem(**common)
