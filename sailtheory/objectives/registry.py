"""Objectives by name, each with its options: what ``--objective`` takes.

A name may hold its options, so that every command takes them: ``squared:margin=2``, or a payoff
of one's own, ``payoff:-max(0, 1 - z)**2``, which is parsed and never run as code.

A new one is ``register(ObjectiveKind("name", "what it is", make, {"option": default}))``, where
``make(problem, **options)`` returns a :class:`~sailtheory.objectives.target.Target`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sailtheory.errors import InputError
from sailtheory.objectives.payoff_target import custom_target, named_target
from sailtheory.objectives.reward_target import OPTIONS, RewardTarget
from sailtheory.objectives.rewards import GroupField, group_field
from sailtheory.objectives.sail_target import SAILTarget
from sailtheory.objectives.target import Target
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory.payoffs import PAYOFFS, PairPayoff, custom_payoff, named_payoff
from sailtheory.theory.reward_methods import METHODS, reward_method

__all__ = ["ObjectiveKind", "followed", "kind", "names", "payoff_of", "register", "target"]


@dataclass(frozen=True)
class ObjectiveKind:
    """An objective that can be asked for by name.

    Attributes:
        name: Its name.
        shows: What it is, in a line.
        make: A problem and options to a target.
        options: Its options and their defaults; no others are taken.
        preferences: Whether it is told by preferences; else by ``response_rewards``.
        follows: A problem and options to the field that training follows where there is no
            objective; None where there is one.
    """

    name: str
    shows: str
    make: Callable[..., Target]
    options: Mapping[str, Any] = field(default_factory=dict)
    preferences: bool = True
    follows: Callable[..., GroupField | None] | None = None


_KINDS: dict[str, ObjectiveKind] = {}


def register(made: ObjectiveKind) -> None:
    """Add an objective.

    Raises:
        InputError: The name is taken.
    """
    if made.name in _KINDS:
        raise InputError("objective", made.name, "a name that no objective has")
    _KINDS[made.name] = made


def names() -> list[str]:
    """All of them, SAIL first."""
    return list(_KINDS)


def kind(name: str) -> ObjectiveKind:
    """The objective of that name.

    Raises:
        InputError: There is none.
    """
    plain, _, _ = name.partition(":")
    if plain not in _KINDS:
        raise InputError("objective", name, f"one of {', '.join(_KINDS)} is expected")
    return _KINDS[plain]


def _held(name: str) -> dict[str, Any]:
    """The options that a name holds, after its colon."""
    plain, colon, rest = name.partition(":")
    if plain == "payoff":
        return {"formula": rest}
    options: dict[str, Any] = {}
    for part in rest.split(",") if colon else []:
        option, _, value = part.partition("=")
        try:
            plainly = value.strip()
            options[option.strip()] = int(plainly) if plainly.isdigit() else float(plainly)
        except ValueError:
            raise InputError("objective", name, f"{plain}:option=number,…") from None
    return options


def payoff_of(name: str) -> PairPayoff:
    """The payoff of an objective that has one, by its name with options; SAIL's is the logistic.

    Raises:
        InputError: There is no such payoff.
    """
    plain, held = kind(name).name, _held(name)
    if plain == "payoff":
        return custom_payoff(held["formula"])
    return named_payoff("logistic" if plain == "sail" else plain, **held)


def target(problem: PreferenceProblem, name: str = "sail", **options: Any) -> Target:
    """An objective of a problem by name.

    Args:
        problem: The problem.
        name: One of :func:`names`.
        options: Those of its kind; the rest are as it has them.

    Raises:
        InputError: An unknown name, an option that it does not take, or data that it needs and
            the problem does not state.
    """
    return kind(name).make(problem, **_options(name, options))


def followed(problem: PreferenceProblem, name: str = "sail", **options: Any) -> Target | GroupField:
    """What training follows: an objective by name, or the field where it has none (C32).

    Raises:
        InputError: As :func:`target`.
    """
    made = kind(name).follows
    found = None if made is None else made(problem, **_options(name, options))
    return target(problem, name, **options) if found is None else found


def _options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """All options of an objective: those in its name, those given, the rest by default."""
    found, options = kind(name), {**_held(name), **given}
    for option, value in options.items():
        if option not in found.options:
            taken = f"takes {', '.join(found.options)}" if found.options else "has no options"
            raise InputError(option, value, f"none is expected: {name} {taken}")
    return {**found.options, **options}


register(ObjectiveKind("sail", "SAIL on preferences", SAILTarget))
for _name in METHODS:
    register(ObjectiveKind(
        _name, reward_method(_name).title, partial(RewardTarget, name=_name),
        OPTIONS[_name], preferences=False, follows=group_field if _name == "grpo" else None,
    ))  # fmt: skip
for _name, _recipe in PAYOFFS.items():
    register(
        ObjectiveKind(_name, _recipe.formula, partial(named_target, payoff=_name), _recipe.options)
    )
register(
    ObjectiveKind("payoff", "G(z) of your own: payoff:FORMULA", custom_target, {"formula": ""})
)
