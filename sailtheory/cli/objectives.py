"""``--objective`` and its options, for every command that takes any objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from sailtheory.objectives.rewards import GroupField
    from sailtheory.objectives.target import Target
    from sailtheory.problem.problem import PreferenceProblem

__all__ = ["SAIL", "Epsilon", "Group", "Objective", "Std", "given", "load_followed", "load_target"]

SAIL = "sail"
"""The objective of the paper, which commands take by default."""


def _names() -> list[str]:
    from sailtheory.objectives.registry import names

    return names()


Objective = Annotated[
    str,
    typer.Option(
        help="sail, ipo, hinge, squared:margin=2 and other payoffs on preferences, or your own as "
        "payoff:FORMULA in z and beta; grpo, reward, dr-grpo, dynamic-sampling, arcsine, log, "
        "pass-at-k or maxrl on response_rewards.",
        autocompletion=_names,
    ),
]
Group = Annotated[
    int | None,
    typer.Option(min=1, help="Samples a prompt, G (8); k of pass@k, T of MaxRL."),
]
Std = Annotated[
    Literal["population", "sample"] | None,
    typer.Option(help="Deviation of GRPO's groups (sample, as in TRL)."),
]
Epsilon = Annotated[
    float | None, typer.Option(min=0, help="Added to the deviation (0); TRL's is 1e-4.")
]


def given(group: int | None, std: str | None, epsilon: float | None) -> dict[str, Any]:
    """The options that were given."""
    options = {"group": group, "std": std, "epsilon": epsilon}
    return {name: value for name, value in options.items() if value is not None}


def load_target(path: str, objective: str, options: dict[str, Any]) -> Target:
    """An objective of the problem in a file or folder.

    Args:
        path: Of the problem.
        objective: Its name.
        options: Those given, from :func:`given`.

    Raises:
        InputError: An unknown objective or option, or a problem without what it needs.
    """
    from sailtheory.objectives.registry import target

    return target(_problem(path, objective), objective, **options)


def load_followed(path: str, objective: str, options: dict[str, Any]) -> Target | GroupField:
    """The same, or the field that training follows where there is no objective (C32)."""
    from sailtheory.objectives.registry import followed

    return followed(_problem(path, objective), objective, **options)


def _problem(path: str, objective: str) -> PreferenceProblem:
    from sailtheory.objectives.registry import kind
    from sailtheory.problem.problem_file import load

    return load(path, preferences=kind(objective).preferences)
