"""Tasks: found again bit for bit, refused with one clear line."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.training.control.tasks import TASKS, Episodes, integration_state, make_task
from sailtheory.training.control.vector import Vector

pytest.importorskip("gymnasium", reason="the extra rl is not installed")
pytest.importorskip("dm_control", reason="the extra rl is not installed")
pytest.importorskip("metaworld", reason="the extra rl is not installed")


def episodes(name, seed=0):
    return Episodes(make_task(name), np.random.default_rng(seed))


def play(one, rng, steps, other=None):
    """Random steps; with another environment, both must answer alike."""
    for _ in range(steps):
        action = rng.uniform(-1, 1, one.sizes[1])
        step = one.step(action)
        if other is not None:
            again = other.step(action)
            assert np.array_equal(step.observation, again.observation)
            assert step[1:] == again[1:]
        if step.terminated or step.truncated:
            start = one.reset()
            assert other is None or np.array_equal(start, other.reset())


@pytest.mark.parametrize("name", [*TASKS, "Pendulum-v1"])
def test_an_environment_left_mid_episode_is_found_again(name):
    one, other, rng = episodes(name), episodes(name, seed=1), np.random.default_rng(2)
    limit = {"door-open": 500, "Pendulum-v1": 200}.get(name, 1000)
    one.reset()
    play(one, rng, 30)
    other.reset()
    play(other, rng, 11)
    tree = one.state()
    observation = other.restore(tree)
    assert observation.dtype == np.float32 and len(tree["actions"]) == 30
    assert (tree["physics"] is None) == (name == "Pendulum-v1")
    play(one, rng, limit - 20, other)  # over the end of the episode
    assert len(one.state()["actions"]) == 10
    if name != "Pendulum-v1":
        assert np.array_equal(integration_state(one.env), integration_state(other.env))


def test_a_replay_that_ends_elsewhere_is_refused():
    one = episodes("cheetah-run")
    one.reset()
    play(one, np.random.default_rng(0), 5)
    tree = one.state()
    tree["physics"][3] = np.nextafter(tree["physics"][3], 9)
    with pytest.raises(InputError, match="another physical state"):
        one.restore(tree)


@pytest.mark.parametrize("name", TASKS)
def test_tasks_have_their_sizes_and_time_limits(name):
    one = episodes(name)
    sizes = {"walker-walk": (24, 6), "walker-stand": (24, 6), "cheetah-run": (17, 6)}
    assert one.sizes == sizes.get(name, (39, 4))
    first, rng = one.reset(), np.random.default_rng(0)
    count, step = 0, None
    while step is None or not step.truncated:
        step, count = one.step(rng.uniform(-1, 1, one.sizes[1])), count + 1
        assert not step.terminated and 0 <= step.reward <= (10 if name == "door-open" else 1)
    assert count == (500 if name == "door-open" else 1000)
    assert not np.array_equal(first, one.reset())  # each episode begins elsewhere


def test_an_open_door_is_a_success():
    """Meta-World's own scripted policy opens it, mostly; a resting hand never does."""
    from metaworld.policies import SawyerDoorOpenV3Policy

    script, found = SawyerDoorOpenV3Policy(), []
    for act in (script.get_action, lambda _: np.zeros(4)):
        one = episodes("door-open")
        observation, best = one.reset(), 0.0
        for _ in range(250):
            step = one.step(np.clip(act(observation.astype(np.float64)), -1, 1))
            observation, best = step.observation, max(best, step.success)
        found.append(best)
    assert found == [1.0, 0.0]


def test_an_ended_episode_is_followed_by_a_new_one():
    vector = Vector([episodes("Pendulum-v1", seed) for seed in range(2)])
    vector.reset()
    for t in range(200):
        steps = vector.step(np.zeros((2, 1)))
        assert steps.truncated.tolist() == [t == 199] * 2
        assert np.array_equal(steps.following, vector.observations) == (t < 199)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("walker-wlak", "did you mean walker-walk"),
        ("", "walker-walk"),
        ("HalfCheeta-v5", "HalfCheetah-v5"),
        ("CartPole-v1", "Box action space"),
        ("walker-run", "walker-"),
    ],
)
def test_unknown_or_unusable_tasks(name, words):
    with pytest.raises(InputError, match="task") as caught:
        make_task(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("module", "task"), [
    ("gymnasium", "walker-walk"), ("dm_control", "cheetah-run"), ("metaworld", "door-open"),
])  # fmt: skip
def test_a_missing_extra_names_the_command(module, task):
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from sailtheory.training.control.tasks import make_task\n"
        f"make_task({task!r})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = out.stderr.strip().splitlines()[-1]
    assert last.endswith(f"{module} = not installed: pip install 'sailtheory[rl]'")


def test_a_reward_of_nan_is_refused():
    one = episodes("Pendulum-v1")
    one.reset()
    one.env.unwrapped.state = np.array([np.nan, 0.0])
    with pytest.raises(InputError, match="reward"):
        one.step(np.zeros(1))
