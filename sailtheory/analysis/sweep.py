"""The thresholds of one data set over β, B and temperature, and on prompts held out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sailtheory.analysis.check import theorem_threshold
from sailtheory.analysis.ladder import ladder
from sailtheory.errors import InputError, real_number, whole_number
from sailtheory.landscape.concavity import gamma_star
from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem
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
    per_prompt_lower: float | None
    per_prompt: float | None
    most_prompts: float | None
    data: float | None
    relative: float
    closed_form: float


@dataclass(frozen=True)
class Sweep:
    """The result of :func:`sweep`.

    Attributes:
        rows: One for each choice and each set of prompts.
        held_out: Share of the prompts held out, 0 for none.
        seed: Seed of the split and the searches.
    """

    rows: tuple[Row, ...]
    held_out: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        from sailtheory import __version__

        rows = [asdict(row) for row in self.rows]
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "held_out": self.held_out,
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

    Raises:
        InputError: A value outside its domain; temperatures other than 1 where a prompt has no
            rewards; a part without prompts.
    """
    seed = whole_number("seed", seed)
    if not 0 <= real_number("held_out", held_out) < 1:
        raise InputError("held_out", held_out, "a share in [0, 1) is expected")
    choices = itertools.product(
        betas or (float(problem.beta),), radii or (float(problem.radius),), temperatures
    )
    rows = []
    for beta, radius, temperature in choices:
        preferences = _at(problem, real_number("temperature", temperature))
        whole = problem.replace(beta=beta, radius=radius, preferences=preferences)
        for name, part in _parts(whole, held_out, seed):
            progress(f"β = {beta:g}, B = {radius:g}, temperature {temperature:g}: {name}")
            rows.append(_row(name, part, temperature, effort, seed))
    return Sweep(tuple(rows), held_out, seed)


def _at(problem: PreferenceProblem, temperature: float) -> list[Any]:
    """The preferences at a temperature."""
    if not temperature > 0:
        raise InputError("temperature", temperature, "a positive number is expected")
    if temperature == 1:
        return list(problem.preferences)
    for x, model in enumerate(problem.preferences):
        if not isinstance(model, BradleyTerry):
            accepted = "only 1 fits preferences that are not made of rewards"
            raise InputError("temperature", temperature, f"{accepted} (prompts[{x}])")
    return [
        BradleyTerry(np.asarray(model.rewards, float) / temperature)
        for model in problem.preferences
        if isinstance(model, BradleyTerry)
    ]


def _parts(
    problem: PreferenceProblem, held_out: float, seed: int
) -> Iterator[tuple[str, PreferenceProblem]]:
    """All prompts, and where some are held out, both parts."""
    yield "all", problem
    if held_out:
        order = np.random.default_rng(seed).permutation(problem.prompts)
        count = round(held_out * problem.prompts)
        for name, which in (("kept", order[count:]), ("held out", order[:count])):
            if not len(which):
                raise InputError("held_out", held_out, f"no prompt is {name} of {problem.prompts}")
            yield name, _only(problem, np.sort(which))


def _only(problem: PreferenceProblem, which: np.ndarray) -> PreferenceProblem:
    """The problem of some prompts."""
    names = ("features", "preferences", "base")
    chosen = {name: [getattr(problem, name)[x] for x in which] for name in names}
    return problem.replace(**chosen, weights=[problem.raw_weights[x] for x in which])


def _row(name: str, problem: PreferenceProblem, temperature: float, effort: str, seed: int) -> Row:
    relative = theorem_threshold(problem)
    found = gamma_star(problem, effort, seed)
    rungs = ladder(problem, relative)
    beta, radius = float(problem.beta), float(problem.radius)
    offset = float(np.linalg.norm(problem.ref_params - problem.center.astype(float)))
    return Row(
        prompts=name,
        beta=beta,
        radius=radius,
        temperature=temperature,
        instance=found.value,
        trusted=found.search is not None and found.search.trusted,
        per_prompt_lower=None if rungs is None else rungs.per_prompt_lower,
        per_prompt=None if rungs is None else rungs.per_prompt,
        most_prompts=None if rungs is None else rungs.most_prompts,
        data=None if rungs is None else rungs.data,
        relative=relative,
        closed_form=float(closed_form_threshold(beta, problem.feature_diameter, radius, offset)),
    )
