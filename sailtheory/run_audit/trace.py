"""What a run shows, whatever it was written by: the one form that the lines read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sailtheory.problem.problem import PreferenceProblem
from sailtheory.rewards.read import PassRates
from sailtheory.run_audit.standing import Found

__all__ = ["Facts", "Point", "Series", "Trace"]

Series = list[tuple[int, float]]
"""Steps and values."""


@dataclass(frozen=True)
class Facts:
    """What the run says of itself; None where it does not.

    Attributes:
        beta: β.
        gamma: γ of −γKL(π_ref‖π_θ); 0 for none.
        radius: B of a projection; None where there is none.
        score: Weight of J's score term.
        all_responses: Whether the candidates are all that the policy can say and all that the
            loss sees, so that a gradient of the run is one of the candidate problem.
        rounding: What rounding can make of a log-probability of a candidate.
        group: Completions of a prompt whose rewards are centred, G; None where there are none.
        scaled: Whether their advantages are divided by the group's deviation; None where by
            another one.
        leave_one_out: Whether each is centred by the others' mean.
    """

    beta: float | None = None
    gamma: float | None = None
    radius: float | None = None
    score: float | None = None
    all_responses: bool = False
    rounding: float = 0.0
    group: int | None = None
    scaled: bool | None = None
    leave_one_out: bool = False


@dataclass(frozen=True)
class Point:
    """What was measured before one update; None for what was not.

    Attributes:
        step: Updates made before it.
        distance: ‖θ − θ_start‖ over all that is trained.
        log_ratios: log π_θ/π_ref of the candidates, (n, m).
        middle: The same at (θ + θ_start)/2, (n, m).
        reference: Largest |log π_ref − log π_ref at the start| over the candidates.
        preferences: p, (n, m, m), where they are computed anew.
        theta: θ − θ_start in coordinates of the candidate problem, (r,).
        gradient: The loss's in these coordinates, (r,).
        batch: Prompts in the update.
        step_size: ‖Δθ‖/‖gradient‖ of the update.
        along: Cosine between Δθ and −gradient.
        variance: ½‖gradient − that of the next update‖²: of the noise in one, as far as the
            mean is the same in both.
    """

    step: int
    distance: float | None = None
    log_ratios: np.ndarray | None = None
    middle: np.ndarray | None = None
    reference: float | None = None
    preferences: np.ndarray | None = None
    theta: np.ndarray | None = None
    gradient: np.ndarray | None = None
    batch: int | None = None
    step_size: float | None = None
    along: float | None = None
    variance: float | None = None


@dataclass(frozen=True)
class Trace:
    """A run.

    Attributes:
        kind: What it was read from, in words.
        facts: What the run says of itself.
        points: What was measured along it, by step.
        problem: The run's own candidate problem.
        preferences: p of the candidates at the start, (n, m, m).
        stated: Lines that settings decide where nothing was measured, by key.
        series: Further numbers along the run, by name.
        faults: Numbers that are none: name, text and step.
        spent: What it was given: updates, prompts, tokens.
        notes: What was left out or guessed.
        rewards: What completions earned, by prompt, where a trainer logged them.
        broken: The first fault of the policy or its gradient.
        late: Whether θ had moved before the first update was logged.
    """

    kind: str
    facts: Facts = Facts()
    points: tuple[Point, ...] = ()
    problem: PreferenceProblem | None = None
    preferences: np.ndarray | None = None
    stated: Mapping[str, Found] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    faults: tuple[tuple[str, str, int], ...] = ()
    spent: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rewards: PassRates | None = None
    broken: tuple[str, str, int] | None = None
    late: bool = False

    def along(self, name: str) -> list[tuple[int, np.ndarray]]:
        """Steps and values of one measurement where it was made."""
        found = ((point.step, getattr(point, name)) for point in self.points)
        return [(step, value) for step, value in found if value is not None]
