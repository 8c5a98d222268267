"""The methods: what is learned from, and what the actor's loss holds."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from sailtheory.errors import InputError
from sailtheory.training.control.reference import RevKLAgent
from sailtheory.training.control.sac import SAC
from sailtheory.training.control.sail import SAILAgent, SAILRevKLAgent

__all__ = ["METHODS", "Method", "method_named"]


@dataclass(frozen=True)
class Method:
    """A way of training.

    Attributes:
        name: As typed.
        learns_reward: From a teacher's comparisons, instead of the true reward.
        agent: The class of actor and critic; a method with further terms in the actor's
            loss brings its own.
        declared: Keys in which runs of this method may differ from those of others.
    """

    name: str
    learns_reward: bool
    agent: type[SAC] = SAC
    declared: tuple[str, ...] = ()


_SAIL = (
    "sail.beta", "sail.weight", "sail.score", "sail.kappa", "sail.value", "sail.states",
    "sail.candidates",
)  # fmt: skip
_REFERENCE = ("reference.since", "reference.every", "reference.radius")

METHODS = {
    method.name: method
    for method in (
        Method("sac", learns_reward=False),
        Method("pebble", learns_reward=True),
        Method("pebble-revkl", True, RevKLAgent, ("kl_coef", *_REFERENCE)),
        Method("sail", True, SAILAgent, (*_SAIL, *_REFERENCE)),
        Method("sail-revkl", True, SAILRevKLAgent, ("kl_coef", *_SAIL, *_REFERENCE)),
    )
}
"""``sac`` sees the true reward, an upper line; ``pebble`` is arXiv 2106.05091;
``pebble-revkl`` is what the published SAIL-RevKL code does; ``sail`` and ``sail-revkl`` are
SAIL with states as prompts (sailtheory.training.control.sail)."""


def method_named(name: str) -> Method:
    """The method of a name.

    Raises:
        InputError: An unknown one; close ones are named.
    """
    if name not in METHODS:
        close = difflib.get_close_matches(name, METHODS, n=3) or sorted(METHODS)
        raise InputError("method", name, f"unknown; did you mean {', '.join(close)}?")
    return METHODS[name]
