"""What a run shows, whatever it was written by: the one form that the lines read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sailtheory.problem.problem import PreferenceProblem
from sailtheory.rewards.read import PassRates
from sailtheory.run_audit.standing import Found

__all__ = ["Facts", "Fault", "Point", "Series", "Trace", "faults_of", "span"]

Series = list[tuple[int, float]]
"""Steps and values."""


class Fault(NamedTuple):
    """A number that is none.

    Attributes:
        name: Of what.
        text: What stands in its place.
        step: Where it was seen first.
        begun: Whether it began there, as the update before was looked at too.
    """

    name: str
    text: str
    step: int
    begun: bool

    @property
    def why(self) -> str:
        """In words."""
        verb = "is" if self.text == "not finite" else "="
        when = "at" if self.begun else "at or before"
        return f"{self.name} {verb} {self.text} {when} step {self.step}"


def faults_of(found: Iterable[tuple[str, str, int]], looked: Collection[int]) -> tuple[Fault, ...]:
    """Names, texts and steps as faults, by step, where so many steps were looked at."""
    steps = {0, *(step + 1 for step in looked)}
    made = [Fault(name, text, step, step in steps) for name, text, step in found]
    return tuple(sorted(made, key=lambda fault: fault.step))


def span(steps: tuple[int, int], count: int) -> str:
    """From which step to which so many updates were looked at, in words."""
    first, last = steps
    if count == last - first + 1:
        return f"over steps {first} to {last}"
    return f"at {count} updates from step {first} to {last}"


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
        clip: Largest norm of a gradient, to which longer ones are cut; None where not known.
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
    clip: float | None = None


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
        faults: Numbers that are none.
        spent: What it was given: updates, prompts, tokens.
        notes: What was left out or guessed.
        rewards: What completions earned, by prompt, where a trainer logged them.
        broken: The first fault of the policy or its gradient.
        late: Whether θ had moved before the first update was logged.
        end: Updates made, and ‖θ − θ_start‖ after the last of them.
    """

    kind: str
    facts: Facts = Facts()
    points: tuple[Point, ...] = ()
    problem: PreferenceProblem | None = None
    preferences: np.ndarray | None = None
    stated: Mapping[str, Found] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    spent: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rewards: PassRates | None = None
    broken: Fault | None = None
    late: bool = False
    end: tuple[int, float] | None = None

    @property
    def distances(self) -> list[tuple[int, float]]:
        """Steps and ‖θ − θ_start‖, where the run ended too."""
        found = [(step, float(value)) for step, value in self.along("distance")]
        return found if self.end is None else [*found, self.end]

    def along(self, name: str) -> list[tuple[int, np.ndarray]]:
        """Steps and values of one measurement where it was made."""
        found = ((point.step, getattr(point, name)) for point in self.points)
        return [(step, value) for step, value in found if value is not None]
