"""The thresholds of one data set over β, B and temperature, and on prompts held out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sailtheory.analysis.bootstrap import FEWEST_DRAWS, Comparisons, interval_of
from sailtheory.analysis.check import theorem_threshold
from sailtheory.analysis.ladder import ladder
from sailtheory.errors import InputError, real_number, whole_number
from sailtheory.landscape.concavity import Curvature, gamma_star
from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.shown import Shown
from sailtheory.theory.bounds import closed_form_threshold

__all__ = ["SCHEMA", "Row", "Sweep", "sweep"]

SCHEMA = "sailtheory.sweep/1"


@dataclass(frozen=True)
class Row:
    """The thresholds for one choice; None where nothing moves or nothing was found.

    Attributes:
        prompts: Which prompts: ``all``, ``kept`` or ``held out``.
        beta: β.
        radius: B.
        temperature: What the rewards were divided by; 1 is as given.
        instance: γ*, by search.
        trusted: Whether independent rounds of the search agree.
        low: Lower end of γ*'s 95 % bootstrap interval; None unless asked for.
        high: Its upper end.
        per_prompt_lower: A value of ḡ that is attained.
        per_prompt: A certified bound of ḡ (C23).
        most_prompts: One that holds for 99 % of the prompts.
        data: K_data (C25).
        relative: K_B (C11).
        closed_form: From β, D, B alone (C11).
    """

    prompts: str
    beta: float
    radius: float
    temperature: float
    instance: float | None
    trusted: bool
    low: float | None
    high: float | None
    per_prompt_lower: float | None
    per_prompt: float | None
    most_prompts: float | None
    data: float | None
    relative: float
    closed_form: float


@dataclass(frozen=True, repr=False)
class Sweep(Shown):
    """The result of :func:`sweep`.

    Attributes:
        rows: One for each choice and each set of prompts.
        held_out: Share of the prompts held out, 0 for none.
        seed: Seed of the split, the resampling and the searches.
        draws: Resampled problems behind each interval, 0 for none.
    """

    rows: tuple[Row, ...]
    held_out: float
    seed: int
    draws: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        from sailtheory import __version__

        rows = [asdict(row) for row in self.rows]
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "held_out": self.held_out,
            "bootstrap_draws": self.draws,
            "rows": rows,
        }


def sweep(
    problem: PreferenceProblem,
    betas: Sequence[float] = (),
    radii: Sequence[float] = (),
    temperatures: Sequence[float] = (1.0,),
    held_out: float = 0.0,
    effort: str = "light",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
    comparisons: Comparisons | None = None,
    draws: int = 0,
) -> Sweep:
    """Thresholds for every combination of the values given.

    Args:
        problem: The problem.
        betas: Values of β > 0; by default the problem's own.
        radii: Values of B ≥ 0; by default the problem's own.
        temperatures: Positive numbers by which the rewards are divided.
        held_out: Share of the prompts, in [0, 1), that are split off at random; each part then
            gets rows of its own beside those of all prompts.
        effort: Of the search for γ*: ``light``, ``quick`` or ``full``.
        seed: Seed of the split and the searches.
        progress: Called before each row.
        comparisons: What the preferences were estimated from; needed for ``draws``.
        draws: 0, or from how many resampled problems γ* gets an interval, at least 10.

    Raises:
        InputError: A value outside its domain; temperatures other than 1 where a prompt has no
            rewards; a part without prompts.
    """
    seed = whole_number("seed", seed)
    if draws and comparisons is None:
        raise InputError("bootstrap", draws, "0, as nothing says what p was estimated from")
    if draws:
        whole_number("bootstrap", draws, FEWEST_DRAWS)
    if not 0 <= real_number("held_out", held_out) < 1:
        raise InputError("held_out", held_out, "a share in [0, 1) is expected")
    settings = itertools.product(
        betas or (float(problem.beta),),
        radii or (float(problem.radius),),
        [real_number("temperature", t) for t in temperatures],
        _parts(problem.prompts, held_out, seed),
    )
    rows = []
    for beta, radius, temperature, (name, which) in settings:
        choice = _Choice(beta, radius, temperature, name, which)
        progress(str(choice))
        part = choice.of(problem, problem.preferences)
        found = gamma_star(part, effort, seed)
        row = _row(choice, part, found)
        if comparisons is not None and draws and found.value is not None:
            again = comparisons.resampled(problem, draws, seed)
            interval = interval_of(
                found.value, found.theta, (choice.of(problem, p) for p in again),
                effort=effort, seed=seed,
                progress=_counted(progress, choice, draws),
            )  # fmt: skip
            row = replace(row, low=interval.low, high=interval.high)
        rows.append(row)
    return Sweep(tuple(rows), held_out, seed, draws)


@dataclass(frozen=True)
class _Choice:
    """One β, B and temperature, and some prompts: all of them where ``which`` is None."""

    beta: float
    radius: float
    temperature: float
    name: str
    which: np.ndarray | None

    def __str__(self) -> str:
        numbers = f"β = {self.beta:g}, B = {self.radius:g}, temperature {self.temperature:g}"
        return f"{numbers}: {self.name}"

    def of(self, problem: PreferenceProblem, preferences: Sequence[Any]) -> PreferenceProblem:
        """A problem with other preferences, for this choice."""
        scaled = _at(preferences, self.temperature)
        whole = problem.replace(beta=self.beta, radius=self.radius, preferences=scaled)
        return whole if self.which is None else _only(whole, self.which)


def _counted(progress: Callable[[str], None], choice: _Choice, draws: int) -> Callable[[int], None]:
    return lambda draw: progress(f"{choice}, drawn again {draw + 1} of {draws}")


def _at(preferences: Sequence[Any], temperature: float) -> list[Any]:
    """The preferences at a temperature."""
    if not temperature > 0:
        raise InputError("temperature", temperature, "a positive number is expected")
    if temperature == 1:
        return list(preferences)
    for x, model in enumerate(preferences):
        if not isinstance(model, BradleyTerry):
            accepted = "only 1 fits preferences that are not made of rewards"
            raise InputError("temperature", temperature, f"{accepted} (prompts[{x}])")
    return [BradleyTerry(np.asarray(model.rewards, float) / temperature) for model in preferences]


def _parts(prompts: int, held_out: float, seed: int) -> list[tuple[str, np.ndarray | None]]:
    """All prompts, and where some are held out, both parts."""
    if not held_out:
        return [("all", None)]
    order = np.random.default_rng(seed).permutation(prompts)
    count = round(held_out * prompts)
    parts = [("kept", np.sort(order[count:])), ("held out", np.sort(order[:count]))]
    for name, which in parts:
        if not len(which):
            raise InputError("held_out", held_out, f"no prompt is {name} of {prompts}")
    return [("all", None), *parts]


def _only(problem: PreferenceProblem, which: np.ndarray) -> PreferenceProblem:
    """The problem of some prompts."""
    names = ("features", "preferences", "base")
    chosen = {name: [getattr(problem, name)[x] for x in which] for name in names}
    return problem.replace(**chosen, weights=[problem.raw_weights[x] for x in which])


def _row(choice: _Choice, problem: PreferenceProblem, found: Curvature) -> Row:
    relative = theorem_threshold(problem)
    rungs = ladder(problem, relative)
    beta, radius = float(problem.beta), float(problem.radius)
    offset = float(np.linalg.norm(problem.ref_params - problem.center.astype(float)))
    return Row(
        prompts=choice.name,
        beta=beta,
        radius=radius,
        temperature=choice.temperature,
        instance=found.value,
        trusted=found.search is not None and found.search.trusted,
        low=None,
        high=None,
        per_prompt_lower=None if rungs is None else rungs.per_prompt_lower,
        per_prompt=None if rungs is None else rungs.per_prompt,
        most_prompts=None if rungs is None else rungs.most_prompts,
        data=None if rungs is None else rungs.data,
        relative=relative,
        closed_form=float(closed_form_threshold(beta, problem.feature_diameter, radius, offset)),
    )
