"""Tasks by name, and environments that can be left and found again bit for bit."""

from __future__ import annotations

import difflib
import importlib
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.runs.layout import Scale

if TYPE_CHECKING:
    import gymnasium

__all__ = [
    "SCALES",
    "TASKS",
    "Episodes",
    "Step",
    "integration_state",
    "make_task",
    "mujoco_of",
    "try_task",
]

Tree = dict[str, Any]

_TRIED = 5  # steps of a task before a run begins

SCALES = dict.fromkeys(
    ("walker-walk", "walker-stand", "cheetah-run"), Scale("eval/return", "eval/return", 1000.0)
) | {"door-open": Scale("eval/return", "eval/success", 1.0)}
"""The tasks of the paper, three of dm_control's suite and one of Meta-World v3, and their scales.

dm_control's rewards lie in [0, 1] and its episodes have 1,000 steps. Meta-World's rewards are
shaped and their sum means little, so there it is the share of successful episodes.
"""

TASKS = tuple(SCALES)

_SIMULATORS = dict.fromkeys(TASKS, ("dm_control",)) | {"door-open": ("metaworld",)}


class Step(NamedTuple):
    """What one environment answers to one action; ``success`` is nan where it reports none."""

    observation: np.ndarray
    reward: float
    terminated: bool
    truncated: bool
    success: float


def make_task(name: str) -> gymnasium.Env[np.ndarray, np.ndarray]:
    """An environment with observations (o,) in float32 and actions in [−1, 1]^a.

    Args:
        name: One of :data:`TASKS`, or any Gymnasium id with a bounded Box action space of floats,
            observations that are no images, and a time limit; ``module:Id`` imports the module that
            registers it.

    Raises:
        InputError: An unknown task, spaces of another kind, no time limit, or an environment
            that cannot be made.
        MissingExtra: The extra ``rl`` is not installed.
    """
    # Nothing is drawn while training, and a renderer may want a display.
    os.environ.setdefault("MUJOCO_GL", "disabled")
    require_extra("rl", "gymnasium", *_SIMULATORS.get(name, ()))
    from sailtheory.training.control import suites
    from sailtheory.training.control.checked import Checked

    if name == "door-open":
        return Checked(suites.DoorOpen(), name)
    if name in TASKS:
        return Checked(suites.DmControl(*name.split("-")), name)
    return Checked(_registered(name), name)


def _registered(name: str) -> gymnasium.Env[np.ndarray, np.ndarray]:
    """The environment of a Gymnasium id, which has a time limit."""
    import gymnasium

    from sailtheory.training.control.checked import raised

    module, colon, own = name.rpartition(":")
    if colon:
        _import(module, name)
    if own not in gymnasium.registry:
        close = difflib.get_close_matches(own, [*TASKS, *gymnasium.registry], n=3, cutoff=0.5)
        shown = [known if known in TASKS else module + colon + known for known in close]
        raise InputError("task", name, f"unknown; did you mean {', '.join(shown or TASKS)}?")
    try:
        env = gymnasium.make(own, disable_env_checker=True)  # Checked asks for more
    except Exception as error:  # whatever its constructor raises
        raise InputError("task", name, f"it cannot be made: {raised(error)}") from error
    if env.spec is None or env.spec.max_episode_steps is None:
        raise InputError("task", name, "an environment with a time limit is expected")
    return env


def _import(module: str, task: str) -> None:
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever the module raises
        reason = f"{module or 'no module'} cannot be imported: {type(error).__name__}: {error}"
        raise InputError("task", task, reason) from error


class Episodes:
    """An environment whose state is how it got there: a reset's seed and the actions since.

    Every reset is seeded from the generator given here, so replaying the actions leads
    back to the same state to the last bit, whatever the environment hides in its wrappers
    and in quantities derived from the physics. The observation and MuJoCo's integration state
    are stored with it and compared after the replay, so a wrong return is an error, never a
    silent one.
    """

    def __init__(
        self, env: gymnasium.Env[np.ndarray, np.ndarray], generator: np.random.Generator
    ) -> None:
        self.env, self.generator = env, generator
        self._seed: int | None = None
        self._actions: list[np.ndarray] = []
        self._observation = np.zeros(self.sizes[0], np.float32)

    @property
    def sizes(self) -> tuple[int, int]:
        """Widths of observations and actions."""
        spaces = self.env.observation_space, self.env.action_space
        observations, actions = (int(np.prod(space.shape or ())) for space in spaces)
        return observations, actions

    def reset(self) -> np.ndarray:
        """Begin an episode: its first observation, (o,)."""
        self._seed = int(self.generator.integers(2**31))
        self._actions = []
        self._observation, _ = self.env.reset(seed=self._seed)
        return self._observation

    def step(self, action: np.ndarray) -> Step:
        """Take an action (a,) in [−1, 1]."""
        action = np.array(action, np.float32)
        self._actions.append(action)
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._observation = observation
        success = info.get("success", math.nan)
        return Step(observation, float(reward), bool(terminated), bool(truncated), success)

    def state(self) -> Tree:
        """Where the episode stands, and the source of the next ones."""
        width = self.sizes[1]
        return {
            "generator": self.generator.bit_generator.state,
            "seed": self._seed,
            "actions": np.array(self._actions, np.float32).reshape(-1, width),
            "observation": self._observation,
            "physics": integration_state(self.env),
        }

    def restore(self, tree: Tree) -> np.ndarray | None:
        """Go back to a state by replaying it: the observation there, None before a reset.

        Raises:
            InputError: The replay ends elsewhere: another version of the simulator, or an
                environment whose episodes depend on more than seed and actions.
        """
        self.generator.bit_generator.state = tree["generator"]
        self._seed, self._actions = tree["seed"], list(tree["actions"])
        if self._seed is None:
            return None
        self._observation, _ = self.env.reset(seed=self._seed)
        for action in self._actions:
            self._observation, *_ = self.env.step(action)
        if not _same(tree["physics"], integration_state(self.env)):
            raise InputError("checkpoint", "another physical state", "a replay that ends in it")
        # Earlier versions did not store it.
        if not _same(tree.get("observation", self._observation), self._observation):
            raise InputError("checkpoint", "another observation", "a replay that ends in it")
        return self._observation


def _same(wanted: np.ndarray | None, found: np.ndarray | None) -> bool:
    if wanted is None or found is None:
        return wanted is found
    return np.array_equal(wanted, found)


def try_task(name: str) -> int | None:
    """Play a few steps of a task, and play them again.

    Returns:
        The time limit of an episode, where the environment states one.

    Raises:
        InputError: A task that cannot be made, an answer that cannot be used, or another one
            the second time: the environment does not depend on seed and actions alone, so a
            run could not be resumed.
    """
    rng = np.random.default_rng(0)
    episodes = Episodes(make_task(name), rng)
    try:
        episodes.reset()
        for _ in range(_TRIED):
            step = episodes.step(rng.uniform(-1, 1, episodes.sizes[1]))
            if step.terminated or step.truncated:
                break
        try:
            episodes.restore(episodes.state())
        except InputError as error:
            if error.field != "checkpoint":
                raise
            reason = f"{error.value} after the same seed and actions: it draws unseeded numbers"
            raise InputError("task", name, reason) from None
        return None if episodes.env.spec is None else episodes.env.spec.max_episode_steps
    finally:
        episodes.env.close()


def mujoco_of(env: Any) -> tuple[Any, Any]:
    """MuJoCo's model and data of an environment; None twice where another engine drives it."""
    inner = env.unwrapped
    model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    if type(model).__name__ != "MjModel" or type(data).__name__ != "MjData":
        return None, None
    return model, data


def integration_state(env: Any) -> np.ndarray | None:
    """MuJoCo's full integration state (time, qpos, qvel, act, warm start, ...), or None."""
    model, data = mujoco_of(env)
    if model is None:
        return None
    import mujoco

    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(model, kind), np.float64)
    mujoco.mj_getState(model, data, state, kind)
    return state
