"""Built-in problems: the instances of the theory, and shapes that users meet.

Small ones are TOML files in this folder, each with a comment on what it shows;
the large one is generated.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import numpy as np

from sailtheory.errors import InputError
from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.problem_file import dumps, loads

__all__ = ["load", "names", "text"]


def names() -> list[str]:
    """Names of all built-in problems."""
    stored = [f.name.removesuffix(".toml") for f in files(__name__).iterdir()]
    return sorted([n for n in stored if not n.startswith("__")] + list(_GENERATED))


def text(name: str) -> str:
    """The TOML text of a built-in problem.

    Raises:
        InputError: No problem of that name.
    """
    if name in _GENERATED:
        return f"# {_GENERATED[name].__doc__}\n" + dumps(_GENERATED[name]())
    if name not in names():
        raise InputError("example", name, f"one of {', '.join(names())} is expected")
    return (files(__name__) / f"{name}.toml").read_text(encoding="utf-8")


def load(name: str) -> PreferenceProblem:
    """A built-in problem.

    Raises:
        InputError: No problem of that name.
    """
    return loads(text(name), name)


def _large() -> PreferenceProblem:
    """64 prompts, 16 responses, 32 features, Bradley–Terry preferences (seed 0)."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(64, 16, 32))
    features /= np.linalg.norm(features, axis=-1, keepdims=True)
    taste = rng.normal(size=32)
    return PreferenceProblem(
        features=np.round(features, 4),
        preferences=[BradleyTerry(np.round(3 * phi @ taste, 4)) for phi in features],
        beta=0.1,
        radius=2,
    )


_GENERATED: dict[str, Callable[[], PreferenceProblem]] = {"large": _large}
