"""Whole runs: both methods, killed at any moment, beside others or alone, and bad input."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import zipfile

import pytest

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.cli.control import seeds_of
from sailtheory.runs.read import read_record
from sailtheory.runs.write import Run
from sailtheory.storage.config import assignments
from sailtheory.training.control import learner
from sailtheory.training.control import train as training
from sailtheory.training.control.methods import METHODS
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.tasks import SCALES
from sailtheory.training.control.train import Trainer, train

pytest.importorskip("gymnasium", reason="the extra rl is not installed")
pytest.importorskip("dm_control", reason="the extra rl is not installed")
pytest.importorskip("metaworld", reason="the extra rl is not installed")

SMALL = assignments(
    "steps=220 random_steps=60 entropy_steps=40 reset_updates=5 evaluate_every=110"
    " evaluation_episodes=1 checkpoint_every=80 log_every=50 sac.width=16 sac.batch=16"
    " reward.width=16 reward.epochs=3 feedback.every=50 feedback.segment=10"
    " feedback.queries=5 feedback.maximum=18".split()
)


def small(task="cheetah-run", method="pebble", **more):
    changed = {key.replace("__", "."): value for key, value in more.items()}
    return settings_of(task, method, 0, SMALL, changed)


def files(folder):
    """Metrics, transitions and members of the last checkpoint, as bytes."""
    with zipfile.ZipFile(max(folder.glob("checkpoint-*.npz"))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return {name: (folder / name).read_bytes() for name in ("metrics.csv", "data.bin")} | members


def assert_same(one, other):
    assert [name for name in one | other if one.get(name) != other.get(name)] == []


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory):
    """Two runs of pebble that nobody disturbed."""
    out = tmp_path_factory.mktemp("alone")
    train(small(), [0, 1], out)
    return out


@pytest.mark.parametrize(("task", "method"), [("walker-walk", "sac"), ("door-open", "pebble")])
def test_both_methods_train(tmp_path, task, method):
    told = []
    folders = train(
        small(task, method, steps=300, evaluate_every=150),
        [3],
        tmp_path,
        progress=lambda step, found: told.append((step, found)),
    )
    record = read_record(folders[0])
    assert record.finished and record.seed == 3 and record.method == method
    assert record.scale == SCALES[task]  # by which compare pools it with other tasks
    steps, returns = record.series("eval/return")
    assert steps.tolist() == [150, 300] and (returns > 0).all()
    assert record.series("spent/steps")[1].tolist() == [150, 300]
    # one a step after the random ones, and after the first answers those for a new critic
    more = 5 if method == "pebble" else 0
    assert record.series("spent/updates")[1].tolist() == [90 + more, 240 + more]
    names = set(record.names())
    losses = {"loss/critic", "loss/actor/entropy", "loss/actor/value", "loss/temperature"}
    asked = {"spent/queries", "reward/labels", "reward/loss", "reward/fit", "reward/accuracy"}
    assert losses <= names and (asked <= names) == (method == "pebble")
    unread = set(json.loads((folders[0] / "finished.json").read_text())["unread"])
    asking = {key for key in record.config if key.partition(".")[0] in ("feedback", "teacher")}
    others = {key for key in record.config if key.partition(".")[0] in ("reference", "sail")}
    others |= {"kl_coef"}
    assert unread == (others if method == "pebble" else unread) and len(asking) == 12
    assert (asking | {"reward.rate", "entropy_steps"} <= unread) == (method == "sac")
    assert not {"sac.discount", "steps", "device", "log_every"} & unread
    if method == "pebble":
        steps, queries = record.series("spent/queries")
        assert steps.tolist() == [100, 150, 200, 250] and queries.tolist() == [5, 10, 15, 18]
    assert (300, "eval/return") in [(step, n) for step, found in told for n in found[3]]


def test_a_run_is_the_same_beside_another(tmp_path, left_alone):
    train(small(), [1], tmp_path)
    assert_same(files(tmp_path / "seed-1"), files(left_alone / "seed-1"))
    other = files(left_alone / "seed-0")
    assert other["metrics.csv"] != files(left_alone / "seed-1")["metrics.csv"]


def killed(out, owner, name, times):
    """Train, and be killed at the given call of a method; whether it came to that."""

    def work():
        original, calls = getattr(owner, name), [0]

        def deadly(*args, **kwargs):
            calls[0] += 1
            if calls[0] == times:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        setattr(owner, name, deadly)
        train(small(), [0, 1], out, resume=True)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(300)
    return process.exitcode == -signal.SIGKILL


def test_runs_killed_anywhere_end_as_if_left_alone(tmp_path, left_alone):
    """Each kill finds the runs as the one before left them."""
    for owner, name, times in [
        (training, "_save", 1),  # before there is any state
        (Run, "save", 2),  # the first run has a state, the second has none
        (Trainer, "advance", 83),  # mid-episode, while exploring by entropy
        (learner.RewardModel, "fit", 2),  # in a session with the teacher, asked but not fitted
        (training, "evaluate", 1),  # an evaluation is due
        (Trainer, "advance", 42),  # again, past the first session
        (training.Vector, "step", 200),  # within an evaluation: 30 steps, then its own
        (os, "replace", 2),  # a state is written but not yet in its place
        (learner.ReplayBuffer, "relabel", 3),  # the rewards are fitted, the buffer is old
        (Run, "save", 4),  # the last state of one run but not of the other
        (Run, "finish", 2),  # one run is done, the other is not marked
    ]:
        assert killed(tmp_path, owner, name, times), (owner, name, times)
    train(small(), [0, 1], tmp_path, resume=True)
    for seed in ("seed-0", "seed-1"):
        assert read_record(tmp_path / seed).finished
        assert_same(files(tmp_path / seed), files(left_alone / seed))
    before = (tmp_path / "seed-0" / "metrics.csv").stat()
    train(small(), [0, 1], tmp_path, resume=True)  # nothing is left to do
    assert (tmp_path / "seed-0" / "metrics.csv").stat() == before


def test_a_folder_of_another_run_is_refused(tmp_path):
    train(small("Pendulum-v1", "sac", steps=70), [0], tmp_path)
    with pytest.raises(InputError, match="resume"):
        train(small("Pendulum-v1", "sac", steps=70), [0], tmp_path)
    with pytest.raises(InputError, match="width"):
        train(small("Pendulum-v1", "sac", steps=70, sac__width=17), [0], tmp_path, resume=True)


def test_runs_without_a_common_state_are_refused(tmp_path):
    def partly(seeds, until):
        trainer_advance = Trainer.advance

        def stop(self):
            if self.step == until:
                raise KeyboardInterrupt
            return trainer_advance(self)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "advance", stop)
            with pytest.raises(KeyboardInterrupt):
                train(settings, seeds, tmp_path)

    settings = small("Pendulum-v1", "sac", checkpoint_every=20)
    partly([0], 70)
    partly([1], 10)
    with pytest.raises(InputError, match="seeds"):
        train(settings, [0, 1], tmp_path, resume=True)


def test_a_teacher_that_skips_everything_leaves_the_rewards_unlearned(tmp_path):
    settings = small(teacher__skip=1e9, steps=160, evaluate_every=1000)
    record = read_record(train(settings, [0], tmp_path)[0])
    assert record.series("reward/labels")[1].tolist() == [0, 0]
    assert "reward/fit" not in record.names()


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"sac.widht": 3}, "sac.widht"),
        ({"sac.width": 0}, "sac.width"),
        ({"sac.discount": 1.5}, "sac.discount"),
        ({"feedback.sampling": "best"}, "feedback.sampling"),
        ({"teacher.mistake": -0.1}, "teacher.mistake"),
        ({"teacher.rationality": float("nan")}, "teacher.rationality"),
        ({"steps": "many"}, "steps"),
    ],
)
def test_bad_keys_and_values(changed, field):
    with pytest.raises(InputError) as caught:
        settings_of("walker-walk", "pebble", 0, changed)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changed", "seeds", "field"),
    [
        ({"method": "peble"}, [0], "method"),
        ({"task": "walker-wlak"}, [0], "task"),
        ({}, [], "seeds"),
        ({}, [1, 1], "seeds"),
        ({}, [0, -1], "seeds[1]"),
        ({}, [0.5], "seeds[0]"),
        ({}, ["a"], "seeds[0]"),
        ({}, [True], "seeds[0]"),
        ({"feedback__segment": 101}, [0], "feedback.segment"),
        ({"capacity": 9}, [0], "capacity"),
        ({"feedback__recent": 9}, [0], "feedback.recent"),
        ({"random_steps": 5}, [0], "random_steps"),
        ({"device": "nowhere"}, [0], "device"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(tmp_path, changed, seeds, field):
    with pytest.raises(InputError) as caught:
        train(small(**changed), seeds, tmp_path / "out")
    assert caught.value.field == field and not (tmp_path / "out").exists()


def test_the_papers_settings():
    walker, door = (settings_of(task, "pebble", 0) for task in ("walker-walk", "door-open"))
    assert walker.steps == door.steps == 400_000
    assert (walker.random_steps, walker.entropy_steps) == (1000, 900)
    assert (walker.sac.width, walker.sac.batch, walker.sac.actor_rate) == (1024, 512, 5e-4)
    assert (door.sac.actor_rate, door.sac.critic_rate) == (3e-4, 3e-4)
    assert (walker.feedback.maximum, door.feedback.maximum) == (250, 900)
    assert (walker.feedback.every, walker.reward.epochs) == (2000, 50)
    assert (door.feedback.every, door.reward.epochs) == (500, 10)
    assert set(METHODS) >= {"sac", "pebble"}


def test_seeds_as_typed():
    assert seeds_of("0:3") == [0, 1, 2] and seeds_of(":2") == [0, 1]
    assert seeds_of("4,5,9") == [4, 5, 9] and seeds_of("7") == [7]
    for text in ("", "3:3", "1,1", "-1", "-1:2", "1:-1", "a", "0:", "0:9999999", f"0:{10**30}"):
        with pytest.raises(InputError, match="seeds"):
            seeds_of(text)


@pytest.mark.parametrize("seed", [-1, 0.5])
def test_a_trainer_of_a_seed_that_is_none(seed):
    with pytest.raises(InputError, match=rf"seeds\[0\] = {seed}: an integer ≥ 0"):
        Trainer(small(), [seed])


@pytest.mark.parametrize("typed", [["--seeds=-1"], ["--set", "seed=-1"]])
def test_a_seed_that_is_none_in_a_command(tmp_path, capsys, typed):
    out = str(tmp_path / "q")
    assert main(["train", "control", "--task", "walker-walk", "--out", out, *typed]) == 2
    said = capsys.readouterr().err
    assert said.startswith("sailtheory: seed") and said.count("\n") == 1
    assert not (tmp_path / "q").exists()
