"""Environments of any kind: brought to one form exactly, or refused in one line."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("gymnasium", reason="the extra rl is not installed")
pytest.importorskip("dm_control", reason="the extra rl is not installed")
pytest.importorskip("metaworld", reason="the extra rl is not installed")

from gymnasium import spaces

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.runs.read import read_record
from sailtheory.storage.config import assignments
from sailtheory.training.control import film as filming
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.tasks import Episodes, make_task, try_task
from sailtheory.training.control.train import train
from tests.support import odd_environments as odd

Box = spaces.Box
HERE = "tests.support.odd_environments"
SMALL = assignments(
    "steps=220 random_steps=60 entropy_steps=40 reset_updates=5 evaluate_every=110"
    " evaluation_episodes=2 checkpoint_every=80 log_every=50 sac.width=16 sac.batch=16"
    " reward.width=16 reward.epochs=3 feedback.every=50 feedback.segment=10"
    " feedback.queries=5 feedback.maximum=18".split()
)


def episodes(**given):
    one = Episodes(make_task(odd.register(**given)), np.random.default_rng(0))
    return one, one.reset()


def refused(call):
    """The error of a call: one line."""
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Discrete(3), "Box action space of floats"),
        (spaces.MultiDiscrete([2, 3]), "Box action space of floats"),
        (spaces.MultiBinary(2), "Box action space of floats"),
        (spaces.Dict(a=Box(-1, 1, (1,))), "Box action space of floats"),
        (spaces.Tuple([Box(-1, 1, (1,))]), "Box action space of floats"),
        (Box(0, 3, (2,), np.int64), "Box(0, 3, (2,), int64)"),
        (Box(0, 255, (2,), np.uint8), "Box action space of floats"),
        (Box(0, 1, (2,), np.bool_), "Box action space of floats"),
        (Box(-np.inf, np.inf, (1,)), "bounded"),
        (Box(0, np.inf, (1,)), "bounded"),
        (Box(np.array([-1, -np.inf]), np.array([1.0, 0]), dtype=np.float64), "bounded"),
        (Box(1, 1, (2,)), "can move"),
        (Box(-1, 1, (0,)), "can move"),
    ],
)
def test_actions_that_cannot_be_taken(space, words):
    error = refused(lambda: episodes(actions=space))
    assert error.field == "task" and error.value.startswith("Odd") and words in str(error)


@pytest.mark.parametrize(
    "space",
    [
        Box(-2, 2, (1,)),
        Box(np.float32([0, -3]), np.float32([10, 1])),
        Box(np.array([1000.0]), np.array([1000.001]), dtype=np.float64),
        Box(-60000, 60000, (1,), np.float16),
        Box(-1e308, 1.7e308, (1,), np.float64),
        Box(-2, 4, (), np.float32),
        Box(-2, 4, (2, 3), np.float32),
        Box(np.float32([-1, 0.25, 2]), np.float32([1, 0.25, 3])),
    ],
)
def test_actions_are_scaled_to_their_bounds(space):
    """low + (high − low)(a + 1)/2 in exact arithmetic; what cannot move stays where it is."""
    one, _ = episodes(actions=space)
    low, high = space.low.ravel(), space.high.ravel()
    free = low < high
    assert one.sizes[1] == free.sum()
    for given in (-1.0, -0.3, 0.0, 0.7, 1.0):
        one.step(np.full(one.sizes[1], given))
        taken = one.env.unwrapped.taken[-1]
        assert taken.shape == space.shape and taken.dtype == space.dtype
        share = (Fraction(float(np.float32(given))) + 1) / 2
        for place, (a, b, found) in enumerate(zip(low, high, taken.ravel(), strict=True)):
            a, b = Fraction(float(a)), Fraction(float(b))
            wanted = a + (b - a) * share
            # Rounded once to the space's floats, after three roundings to float64.
            unit = Fraction(float(np.spacing(max(abs(low[place]), abs(high[place])))))
            error = unit / 2 + 3 * Fraction(2) ** -53 * max(abs(a), abs(b))
            assert abs(Fraction(float(found)) - wanted) <= error and a <= found <= b


@pytest.mark.parametrize("name", ["walker-walk", "door-open"])
def test_actions_of_the_papers_tasks_keep_their_bits(name):
    env, rng = make_task(name), np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (200, env.action_space.shape[0])) * 10.0 ** rng.integers(-30, 1)
    for action in [*actions.astype(np.float32), np.zeros(env.action_space.shape, np.float32)]:
        assert env.own_action(action).tobytes() == action.tobytes()


def test_an_action_of_nan_is_refused():
    one, _ = episodes()
    assert refused(lambda: one.step([np.nan])).field == "action"


@pytest.mark.parametrize(
    ("space", "value", "wanted"),
    [
        (Box(-9, 9, (2,), np.float64), np.array([1, 2.5]), [1, 2.5]),
        (Box(-9, 9, (2,)), [1, 2], [1, 2]),
        (Box(-9, 9, ()), np.float32(3), [3]),
        (Box(-9, 9, (2, 2)), np.array([[1, 2], [3, 4]]), [1, 2, 3, 4]),
        (Box(-9, 9, (2, 1), np.int32), np.array([[0.5], [1.5]]), [0.5, 1.5]),
        (Box(0, 255, (3,), np.uint8), np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (spaces.Discrete(3), 1, [0, 1, 0]),
        (spaces.Discrete(3, start=-1), np.int64(-1), [1, 0, 0]),
        (spaces.MultiBinary(2), np.array([0, 1], np.int8), [0, 1]),
        (spaces.Tuple([Box(-9, 9, (2,)), spaces.Discrete(2)]), (np.array([5, 6]), 0), [5, 6, 1, 0]),
        (
            odd.GOALS,
            {"desired_goal": [4, 5], "observation": np.arange(3.0), "achieved_goal": [[6, 7]]},
            [0, 1, 2, 4, 5, 6, 7],  # in the order of the space
        ),
    ],
)
def test_observations_are_laid_side_by_side(space, value, wanted):
    one, first = episodes(observations=space, first=value)
    step = one.step(np.zeros(1))
    for found in (first, step.observation):
        assert found.dtype == np.float32 and found.tolist() == wanted
    assert one.sizes == (len(wanted), 1)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Box(0, 255, (8, 8, 3), np.uint8), "without images"),
        (spaces.Dict(a=Box(0, 255, (8, 8), np.uint8), b=Box(-1, 1, (1,))), "without images"),
        (spaces.Sequence(Box(-1, 1, (1,))), "one size"),
        (spaces.Dict(a=spaces.Graph(Box(-1, 1, (1,)), None)), "one size"),
        (spaces.Space((3,), np.float32), "one size"),
        (Box(-1, 1, (0,)), "one size"),
    ],
)
def test_observations_that_cannot_be_seen(space, words):
    error = refused(lambda: episodes(observations=space))
    assert error.field == "task" and words in str(error)


GOAL = {"observation": np.zeros(3), "desired_goal": np.zeros(2), "achieved_goal": np.zeros((1, 2))}


@pytest.mark.parametrize("when", ["first", "later"])
@pytest.mark.parametrize(
    ("space", "value", "field"),
    [
        (None, np.array([np.nan, 0]), "observation"),
        (None, np.array([0, np.inf]), "observation"),
        (None, np.array([0, 1e300]), "observation"),  # beyond float32
        (None, np.zeros(1), "observation"),  # which numpy would spread over both
        (None, np.zeros(3), "observation"),
        (None, 0.0, "observation"),
        (None, "none", "observation"),
        (None, np.array(["1", "2"]), "observation"),
        (None, np.array([1j, 0]), "observation"),
        (None, [[1], [1, 2]], "observation"),
        (spaces.Discrete(3), 3, "observation"),
        (spaces.Discrete(3), -1, "observation"),  # which would be the last one
        (spaces.Tuple([Box(-1, 1, (1,)), spaces.Discrete(2)]), (np.zeros(1),), "observation"),
        (spaces.Tuple([Box(-1, 1, (1,)), spaces.Discrete(2)]), (np.zeros(1), 2), "observation[1]"),
        (odd.GOALS, {"observation": np.zeros(3)}, "observation"),
        (odd.GOALS, np.zeros(7), "observation"),
        (odd.GOALS, GOAL | {"desired_goal": np.zeros(3)}, "observation[desired_goal]"),
        (odd.GOALS, GOAL | {"observation": np.array([0, np.nan, 0])}, "observation[observation]"),
    ],
)
def test_observations_that_are_none(space, value, field, when):
    usual = {spaces.Dict: GOAL, spaces.Discrete: 1, spaces.Tuple: (np.zeros(1), 1)}.get(type(space))
    answers = {"first": value} if when == "first" else {"first": usual, "later": value}

    def play():
        one, _ = episodes(observations=space, **answers)
        one.step(np.zeros(1))

    assert refused(play).field == field


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"reward": np.array([2.5])}, 2.5),
        ({"reward": np.float32(0.1)}, float(np.float32(0.1))),
        ({"reward": np.array(-1)}, -1.0),
        ({"reward": True}, 1.0),
        ({"reward": 3}, 3.0),
    ],
)
def test_rewards_that_are_one_number(given, wanted):
    one, _ = episodes(**given)
    found = one.step(np.zeros(1)).reward
    assert type(found) is float and found == wanted


@pytest.mark.parametrize("ended", [(np.bool_(True), 0), (1, np.array([False])), (np.array(1.0), 0)])
def test_flags_that_are_true_or_false(ended):
    step = episodes(ended=ended)[0].step(np.zeros(1))
    assert step.terminated is True and step.truncated is False


@pytest.mark.parametrize(
    ("info", "wanted"),
    [
        ({"success": 1}, 1.0),
        ({"is_success": np.float32(1)}, 1.0),
        ({"is_success": np.array([True])}, 1.0),
        ({"success": 0.25, "is_success": 1.0}, 0.25),
        ({"success": None, "is_success": False}, 0.0),
        ({"seen": np.zeros((3, 3)), "words": "none"}, np.nan),
    ],
)
def test_success_by_either_name(info, wanted):
    found = episodes(info=info)[0].step(np.zeros(1)).success
    assert np.array_equal(found, wanted, equal_nan=True)


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"reward": np.nan}, "reward", "nan"),
        ({"reward": -np.inf}, "reward", "-inf"),
        ({"reward": None}, "reward", "None"),
        ({"reward": "3"}, "reward", "'3'"),
        ({"reward": np.zeros(2)}, "reward", "array([0., 0.])"),
        ({"reward": np.zeros(0)}, "reward", "array([], dtype=float64)"),
        ({"reward": 1j}, "reward", "1j"),
        ({"ended": (None, False)}, "terminated", "None"),
        ({"ended": (False, "False")}, "truncated", "'False'"),
        ({"ended": (np.nan, False)}, "terminated", "nan"),
        ({"ended": (2, False)}, "terminated", "2"),
        ({"ended": (np.zeros(2), False)}, "terminated", "array([0., 0.])"),
        ({"info": []}, "info", "[]"),
        ({"info": {"success": np.nan}}, "info[success]", "nan"),
        ({"info": {"is_success": 7}}, "info[is_success]", "7"),
        ({"info": {"success": "no"}}, "info[success]", "'no'"),
        ({"info": {"success": np.ones(2)}}, "info[success]", "array([1., 1.])"),
    ],
)
def test_answers_that_are_none(given, field, value):
    one, _ = episodes(**given)
    error = refused(lambda: one.step(np.zeros(1)))
    assert (error.field, str(error.value)) == (field, value)


def test_names_with_a_module():
    env = make_task(f"{HERE}:OddReach-v0")
    assert env.spec.max_episode_steps == 25 and env.action_space.shape == (2,)
    near = str(refused(lambda: make_task(f"{HERE}:OddRech-v0")))
    assert f"did you mean {HERE}:OddReach-v0" in near
    for name, words in [
        ("no_such_module:Odd-v0", "No module named 'no_such_module'"),
        (":Pendulum-v1", "cannot be imported"),
        ("a:b:c", "a:b cannot be imported"),
        ("tests.odd environments:Odd-v0", "cannot be imported"),
    ]:
        error = refused(lambda name=name: make_task(name))
        assert error.field == "task" and error.value == name and words in str(error)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"maker": odd.failing}, "cannot be made: ValueError: no such robot"),
        ({"maker": odd.wanting}, "cannot be made: ModuleNotFoundError: No module named 'no_such"),
        ({"limit": None}, "time limit"),
        ({"maker": odd.Reach, "fails": 3}, "step raised RuntimeError: the joint is stuck"),
        ({"maker": odd.Reach, "unseeded": "reset"}, "another observation after the same seed"),
        ({"maker": odd.Reach, "unseeded": "step"}, "another observation after the same seed"),
    ],
)
def test_environments_that_cannot_be_trained(tmp_path, given, words):
    name = odd.register(**given)
    settings = settings_of(name, "sac", 0, SMALL)
    error = refused(lambda: train(settings, [0], tmp_path / "out"))
    assert error.field == "task" and words in str(error) and "sailtheory[rl]" not in str(error)
    assert not (tmp_path / "out").exists()


def test_a_replay_that_ends_elsewhere_is_refused_without_mujoco():
    one = Episodes(make_task("Pendulum-v1"), np.random.default_rng(0))
    one.reset()
    one.step(np.ones(1))
    tree = one.state()
    assert tree["physics"] is None
    tree["observation"] = np.nextafter(tree["observation"], np.float32(9))
    assert refused(lambda: one.restore(tree)).value == "another observation"


def test_tasks_of_the_paper_can_be_tried():
    assert [try_task(name) for name in ("cheetah-run", "door-open", "Pendulum-v1")] == [
        None, None, 200,
    ]  # fmt: skip


def test_an_odd_environment_is_learned_from(tmp_path):
    """Goals in a dictionary, rewards below 0 in arrays, a fixed component, ``is_success``."""
    name = f"{HERE}:OddReach-v0"
    [folder] = train(settings_of(name, "pebble", 0, SMALL), [0], tmp_path)
    record = read_record(folder)
    assert record.finished and record.config["task"] == name
    assert record.series("reward/labels")[1].tolist() == [5, 10, 15]  # none is skipped
    assert set(record.series("eval/success")[1]) <= {0.0, 0.5, 1.0}
    assert "train/success" in record.names()


def test_what_reports_no_success_has_none(tmp_path):
    [folder] = train(settings_of("Pendulum-v1", "sac", 0, SMALL), [0], tmp_path)
    names = read_record(folder).names()
    assert {"eval/return", "train/return"} <= set(names)
    assert not {"eval/success", "train/success"} & set(names)


def test_a_failure_in_training_is_one_line_and_loses_nothing(tmp_path, capsys):
    out = tmp_path / "out"
    options = [f"--task={HERE}:OddFailing-v0", "--method=sac", "--out", str(out)]
    for key, value in SMALL.items():
        options += ["--set", f"{key}={value}"]
    options += ["--set", "checkpoint_every=10"]
    assert main(["train", "control", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"sailtheory: task = {HERE}:OddFailing-v0: its step raised RuntimeError")
    assert said.count("\n") == 1 and "odd_environments.py, line" in said
    assert (out / "seed-0" / "checkpoint-000000000010.npz").exists()


def test_a_film_imports_no_module_that_a_file_names(tmp_path, monkeypatch):
    name = f"{HERE}:OddReach-v0"
    [folder] = train(settings_of(name, "sac", 0, SMALL), [0], tmp_path)
    assert refused(lambda: filming.film(folder)).field == "video"  # imported, but no MuJoCo task
    monkeypatch.delitem(sys.modules, HERE)
    assert refused(lambda: filming.film(folder)).field == "task"
    assert HERE not in sys.modules


def test_segments_longer_than_an_episode_are_refused_before_training(tmp_path):
    settings = settings_of(f"{HERE}:OddReach-v0", "pebble", 0, SMALL, {"feedback.segment": 26})
    error = refused(lambda: train(settings, [0], tmp_path / "out"))
    assert error.field == "feedback.segment" and not (tmp_path / "out").exists()
