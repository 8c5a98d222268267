"""Any Gymnasium environment in one form, its answers checked. Imports Gymnasium."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from sailtheory.errors import InputError
from sailtheory.training.control.suites import Answer

__all__ = ["SUCCESS", "Checked", "raised"]

SUCCESS = ("success", "is_success")
"""Keys of ``info`` by which Meta-World and Gymnasium-Robotics report success."""


class Checked(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Observations (o,) in float32, actions in [−1, 1]^a, a the components that can move.

    Observations of several axes, and those in dictionaries and tuples (goals too), are laid
    side by side in the order of their space. ``info`` holds ``success``, a number in [0, 1], where
    the environment reports it, and nothing else.

    Args:
        env: The environment.
        task: Its name, for errors.

    Raises:
        InputError: Actions that are not a bounded Box of floats, or observations that are
            images or have no fixed size.
    """

    def __init__(self, env: Any, task: str) -> None:
        super().__init__(env)
        self._task = task
        self._low, self._high = _bounds(env.action_space, task)
        self._free = self._low < self._high
        if not self._free.any():
            accepted = f"an action that can move is expected, not {env.action_space}"
            raise InputError("task", task, accepted)
        width = _width(env.observation_space, task)
        self.action_space = spaces.Box(-1, 1, (int(self._free.sum()),), np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, (width,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode.

        Raises:
            InputError: The environment fails, or its observation is not one of its space.
        """
        try:
            observation, _ = self.env.reset(seed=seed, options=options)
        except Exception as error:
            raise self._failed("reset", error) from error
        return self._flat(observation), {}

    def step(self, action: np.ndarray) -> Answer:
        """Take an action.

        Raises:
            InputError: The action is not finite, the environment fails, or a part of its answer
                is not of its kind.
        """
        own = self.own_action(action)
        try:
            observation, reward, terminated, truncated, info = self.env.step(own)
        except Exception as error:
            raise self._failed("step", error) from error
        number = _number("reward", reward, "a finite number from the environment")
        ends = _flag("terminated", terminated), _flag("truncated", truncated)
        return self._flat(observation), number, *ends, _success(info)

    def own_action(self, action: np.ndarray) -> np.ndarray:
        """The environment's own action: its low at −1, its high at 1, straight between."""
        if not np.isfinite(action).all():
            raise InputError("action", action, "finite numbers are expected")
        low, high = self._low / 2, self._high / 2  # high − low may be beyond float64
        full = low + high
        full[self._free] += (high - low)[self._free] * action
        space = self.env.action_space
        own: np.ndarray = np.clip(full, self._low, self._high).astype(space.dtype)
        return own.reshape(space.shape)

    def _flat(self, observation: Any) -> np.ndarray:
        return np.concatenate(_parts(self.env.observation_space, observation, "observation"))

    def _failed(self, call: str, error: Exception) -> InputError:
        return InputError("task", self._task, f"its {call} raised {raised(error)}")


def raised(error: Exception) -> str:
    """What an environment raised, and where: some assertions say nothing else."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return f"{type(error).__name__}: {error} ({where})"


def _bounds(space: Any, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Ends of a space of actions, (n,) each."""
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
        raise InputError("task", task, f"a Box action space of floats is expected, not {space}")
    low, high = space.low.astype(np.float64).ravel(), space.high.astype(np.float64).ravel()
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InputError("task", task, f"bounded actions are expected, not {space}")
    return low, high


def _width(space: Any, task: str) -> int:
    """Numbers in an observation of a space."""
    for part in _leaves(space):
        if isinstance(part, spaces.Box) and part.dtype == np.uint8 and len(part.shape) > 1:
            raise InputError("task", task, f"observations without images are expected, not {part}")
    try:
        width = int(spaces.flatdim(space))
    except (ValueError, NotImplementedError):  # of no fixed size, or of a kind of their own
        width = 0
    if not width:
        raise InputError("task", task, f"observations of one size > 0 are expected, not {space}")
    return width


def _leaves(space: Any) -> list[Any]:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.values() if isinstance(space, spaces.Dict) else space
        return [leaf for part in parts for leaf in _leaves(part)]
    return [space]


def _parts(space: Any, value: Any, field: str) -> list[np.ndarray]:
    """The parts of an observation, each flat and in float32, in the order of their space."""
    if isinstance(space, spaces.Dict):
        if not isinstance(value, Mapping) or set(value) != set(space):
            raise InputError(field, value, f"a dictionary of {', '.join(space)}")
        named = [(part, value[key], key) for key, part in space.items()]
    elif isinstance(space, spaces.Tuple):
        if not isinstance(value, tuple | list) or len(value) != len(space):
            raise InputError(field, value, f"a tuple of {len(space)}")
        named = [(part, value[k], k) for k, part in enumerate(space)]
    elif isinstance(space, spaces.Box):
        return [_numbers(value, space.shape, field)]
    elif space.contains(value):
        return [spaces.flatten(space, value).astype(np.float32)]
    else:
        raise InputError(field, value, f"a value of {space}")
    return [found for part, own, key in named for found in _parts(part, own, f"{field}[{key}]")]


def _numbers(value: Any, shape: tuple[int, ...], field: str) -> np.ndarray:
    """Finite numbers of a shape, (n,)."""
    accepted = "finite numbers from the environment"
    found = _array(value, field, accepted)
    if found.shape != shape:
        raise InputError(field, f"shape {found.shape}", f"the shape {shape} of its space")
    with np.errstate(over="ignore"):  # beyond float32 it is infinite, and refused
        flat = found.astype(np.float32).ravel()
    if not np.isfinite(flat).all():
        raise InputError(field, value, accepted)
    return flat


def _number(field: str, value: Any, accepted: str) -> float:
    """One number; an array of one element is one."""
    found = _array(value, field, accepted)
    if found.size != 1 or not math.isfinite(found.item()):
        raise InputError(field, repr(value), accepted)
    return float(found.item())


def _array(value: Any, field: str, accepted: str) -> np.ndarray:
    try:
        found = np.asarray(value)
    except Exception:  # of ragged lists, of what is no array on this machine
        raise InputError(field, repr(value), accepted) from None
    if found.dtype.kind not in "biuf":
        raise InputError(field, repr(value), accepted)
    return found


def _flag(field: str, value: Any) -> bool:
    accepted = "true or false from the environment"
    found = _number(field, value, accepted)
    if found not in (0, 1):
        raise InputError(field, repr(value), accepted)
    return bool(found)


def _success(info: Any) -> dict[str, float]:
    if not isinstance(info, Mapping):
        raise InputError("info", info, "a dictionary from the environment")
    for key in SUCCESS:
        if info.get(key) is not None:
            accepted = "a number from 0 to 1 from the environment"
            found = _number(f"info[{key}]", info[key], accepted)
            if not 0 <= found <= 1:
                raise InputError(f"info[{key}]", info[key], accepted)
            return {"success": found}
    return {}
