"""Run records: killed at any moment, a run goes on as if nothing had happened."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.runs.checkpoint import save_state
from sailtheory.runs.layout import Scale
from sailtheory.runs.read import read_record
from sailtheory.runs.write import Run
from sailtheory.storage.config import TrackedConfig, plain

SCRIPT = Path(__file__).parents[1] / "support" / "killable_training.py"
CONFIG = {"method": "pebble", "seed": 3, "steps": 10, "sac": {"rate": 1e-3, "widths": [8, 8]}}


def start(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, **options)


def test_killed_at_random_moments(tmp_path):
    """Somewhere after a random step, six times in the first third of the run."""
    steps, chance = 700, random.Random(0)
    assert start(tmp_path / "alone", steps, stderr=subprocess.DEVNULL).wait() == 0
    alone = (tmp_path / "alone/metrics.csv").read_bytes()
    assert alone.count(b"\n") == 1 + steps + 2 * (steps // 7)
    kills = 0
    while not (tmp_path / "killed/finished.json").exists():
        process = start(tmp_path / "killed", steps)
        if kills < 6:
            for _ in range(chance.randrange(1, 40)):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 3  # not six: it may run ahead of what is read
    assert (tmp_path / "killed/metrics.csv").read_bytes() == alone


def test_killed_at_every_call_that_writes(tmp_path):
    process = start(tmp_path, 16, "crash")
    output = process.communicate()[0]
    assert process.returncode == 0
    assert int(output) > 30  # 4 flushes, 3 checkpoints and the rest, each of several calls


def begun(folder, **options):
    run = Run.create(folder, CONFIG, **options)
    for step in (1, 2):
        run.log(step, {"loss": step / 3})
        run.save(step, {"w": np.full(4, step)}, bytes([step]) * 10)
    return run


def test_rows_after_the_checkpoint_are_dropped(tmp_path):
    run = begun(tmp_path / "r")
    before = (tmp_path / "r/metrics.csv").read_bytes()
    run.log(3, {"loss": 1})
    run._flush()  # as a save does before it writes the state
    (tmp_path / "r/metrics.csv").open("ab").write(b"4,lo")
    (tmp_path / "r/data.bin").open("ab").write(b"more")
    run = Run.create(tmp_path / "r", CONFIG, resume=True)
    step, state = run.load()
    assert (step, state["w"].tolist()) == (2, [2, 2, 2, 2])
    assert (tmp_path / "r/metrics.csv").read_bytes() == before
    assert run.data.content() == bytes([1] * 10 + [2] * 10)
    assert (tmp_path / "r/data.bin").read_bytes() == run.data.content()


def test_runs_trained_together_go_back_to_a_common_step(tmp_path):
    ahead, behind = begun(tmp_path / "a"), begun(tmp_path / "b")
    ahead.log(3, {"loss": 0})
    ahead.save(3, {})
    behind.log(3, {"loss": 0})  # and killed before its save
    runs = [Run.create(tmp_path / name, CONFIG, resume=True) for name in "ab"]
    common = max(set.intersection(*(set(run.steps()) for run in runs)))
    assert [run.load(common)[0] for run in runs] == [2, 2]
    assert [run.steps() for run in runs] == [[2], [1, 2]]
    assert runs[0].data.content() == runs[1].data.content()
    assert read_record(tmp_path / "a").rows == read_record(tmp_path / "b").rows
    with pytest.raises(InputError, match=r"one of \[2\] is expected"):
        runs[0].load(3)


def test_resumed_without_a_checkpoint_begins_again(tmp_path):
    Run.create(tmp_path, CONFIG).log(1, {"loss": 1})
    run = Run.create(tmp_path, CONFIG, resume=True)
    assert run.load() is None
    run.log(1, {"loss": 2})
    run.finish()
    assert read_record(tmp_path).rows == [(1, "loss", "2")]
    run = Run.create(tmp_path, CONFIG, resume=True)
    with pytest.raises(RuntimeError, match=r"load\(\) comes before"):
        run.save(1, {})


def test_what_is_recorded(tmp_path):
    run = begun(tmp_path, declared=["sac.rate"])
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["config"] == CONFIG and record["declared"] == ["sac.rate"]
    assert record["libraries"]["numpy"] == np.__version__ and "sailtheory" in record["libraries"]
    assert record["hardware"]["cores"] == os.cpu_count()
    run.log(3, {"eval/return": np.float32(0.1), "n": np.int64(4), "why": 'a,"b"\nc'})
    run.finish()
    found = read_record(tmp_path)
    assert found.finished and found.method == "pebble" and found.seed == 3
    assert found.names() == ["loss", "eval/return", "n", "why"]
    assert found.rows[-1] == (3, "why", 'a,"b"\nc')
    steps, values = found.series("loss")
    assert steps.tolist() == [1, 2] and values.tolist() == [1 / 3, 2 / 3]
    assert found.series("eval/return")[1].tolist() == [float(np.float32(0.1))]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"steps": 11}, "steps = 11: .* holds a run with 10"),
        ({"steps": 10.0}, "steps = 10.0"),
        ({"sac": {"rate": 2e-3, "widths": [8, 8]}}, "sac.rate = 0.002: .* 0.001"),
        ({"sac": {"widths": [8, 8]}}, "sac.rate = absent"),
        ({"more": 1}, "more = 1: .* absent"),
        ({}, "it holds a run: resume it"),
    ],
)
def test_a_folder_of_another_run_is_refused(tmp_path, change, words):
    begun(tmp_path)
    with pytest.raises(InputError, match=words):
        Run.create(tmp_path, CONFIG | change, resume=bool(change))


def test_other_refusals(tmp_path):
    config = CONFIG | {"feedback": {"maximum": 3}}
    for declared in ("sac.rat", "sac", "steps", "feedback.maximum"):
        with pytest.raises(InputError, match=f"declared = {declared}: a key .* no budget"):
            Run.create(tmp_path / "a", config, declared=[declared])
    for bad in ({"seed": float("nan")}, {"seed": {1, 2}}):
        with pytest.raises(InputError, match="plain JSON"):
            Run.create(tmp_path / "a", bad)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/run"):
        Run.create(tmp_path / "file/run", CONFIG)
    run = begun(tmp_path / "r")
    for step, value in ((-1, 0.0), (1.5, 0.0), (True, 0.0), (1, None), (1, True), (1, [1])):
        with pytest.raises(InputError):
            run.log(step, {"loss": value})
    (tmp_path / "r/run.json").unlink()
    with pytest.raises(InputError, match=r"data without run\.json"):
        Run.create(tmp_path / "r", CONFIG, resume=True)


def damage_metrics(folder):
    (folder / "metrics.csv").write_bytes((folder / "metrics.csv").read_bytes().replace(b"1", b"2"))


def cut_metrics(folder):
    os.truncate(folder / "metrics.csv", 20)


def damage_data(folder):
    (folder / "data.bin").write_bytes(bytes(20))


def cut_data(folder):
    os.truncate(folder / "data.bin", 19)


def no_data(folder):
    (folder / "data.bin").unlink()


def earlier_checkpoint(folder):
    record = {"record": {"step": 2, "bytes": 16, "crc": 0, "read": None}, "state": {}}
    save_state(next(folder.glob("checkpoint-*2.npz")), record)


def cut_checkpoint(folder):
    os.truncate(next(folder.glob("checkpoint-*2.npz")), 300)


def foreign_checkpoint(folder):
    save_state(next(folder.glob("checkpoint-*2.npz")), {"weights": 1})


def damage_header(folder):
    (folder / "run.json").write_text("{")


def another_schema(folder):
    (folder / "run.json").write_text("{}")


@pytest.mark.parametrize(
    "damage, words",
    [
        (damage_metrics, "metrics = .* not what the checkpoint knows"),
        (cut_metrics, "metrics = .* not what the checkpoint knows"),
        (damage_data, "data = .* not what the checkpoint knows"),
        (cut_data, "data = .* not what the checkpoint knows"),
        (no_data, "data = .* No such file"),
        (earlier_checkpoint, "an earlier version wrote it"),
        (cut_checkpoint, "damaged or not a checkpoint"),
        (foreign_checkpoint, "the state of a run is expected"),
        (damage_header, "not valid JSON"),
        (another_schema, "schema sailtheory.run/1"),
    ],
)
def test_damage_is_one_line(tmp_path, damage, words):
    begun(tmp_path)
    damage(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=words) as caught:
        Run.create(tmp_path, CONFIG, resume=True).load()
    assert "\n" not in str(caught.value)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}  # nothing is lost


def test_a_full_disk_loses_nothing_that_was_saved(tmp_path, monkeypatch):
    run = begun(tmp_path)
    run.log(3, {"loss": 3})
    synced = os.fsync
    # Space for nothing, for the rows only, and, those being written, for the data only.
    for attempt, room in enumerate((0, 1, 1)):

        def full(file, room=iter(range(room))):  # noqa: B008
            if next(room, None) is None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            synced(file)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(InputError, match="No space left on device"):
                run.save(3, {"w": np.ones(4)}, b"third")
        assert run.data.end == (25 if attempt == 2 else 20)
        shutil.copytree(tmp_path, tmp_path.with_name(f"copy-{attempt}"))
        resumed = Run.create(tmp_path.with_name(f"copy-{attempt}"), CONFIG, resume=True)
        assert resumed.load()[0] == 2 and len(resumed.data.content()) == 20
    run.save(3, {})  # and the live run, once there is space again, misses nothing
    assert [row[0] for row in read_record(tmp_path).rows] == [1, 2, 3]
    assert Run.create(tmp_path, CONFIG, resume=True).load()[0] == 3
    assert (tmp_path / "data.bin").read_bytes()[20:] == b"third"


FULL = """
import resource, signal, sys
from sailtheory import InputError
from sailtheory.runs.write import Run
run = Run.create(sys.argv[1], {"method": "toy"})
run.save(1, {"w": b"".hex()})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
run.log(2, {"loss": 1.0})
try:
    run.save(2, {"w": "x" * 10_000})
except InputError as error:
    print(error)
"""


def test_a_write_that_stops_half_way(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "File too large; what was saved before is kept" in done.stdout
    assert not list(tmp_path.glob("*.tmp"))
    assert Run.create(tmp_path, {"method": "toy"}, resume=True).load() == (1, {"w": ""})


def test_keys_never_read_are_recorded(tmp_path):
    from tests.storage.test_config import Config

    tracked = TrackedConfig(Config("sac"))
    run = Run.create(tmp_path, plain(tracked.view._config), read=tracked.read)
    assert tracked.view.horizon > 1
    run.save(1, {})
    again = TrackedConfig(Config("sac"))  # what only the first part of a run reads stays read
    run = Run.create(tmp_path, plain(Config("sac")), read=again.read, resume=True)
    run.load()
    assert again.view.seed == 0
    run.finish()
    unread = read_record(tmp_path).unread
    assert set(unread) == {"method", "note", "limit", "resume", "inner.rate", "inner.widths"}


def test_tensorboard_shows_what_counts(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = begun(tmp_path, tensorboard=True)
    run.log(3, {"loss": 99, "note": "text"})
    run.save(3, {})
    run = Run.create(tmp_path, CONFIG, resume=True, tensorboard=True)
    run.load(2)
    run.log(3, {"loss": 1})
    run.finish()
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("loss")
    found = [(event.step, event.value) for event in shown]
    assert found == [(1, pytest.approx(1 / 3)), (2, pytest.approx(2 / 3)), (3, 1)]


def test_without_tensorboard_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InputError, match=r"pip install 'sailtheory\[rl\]'"):
        Run.create(tmp_path, CONFIG, tensorboard=True)


def test_the_scale_of_a_task_comes_back_and_a_damaged_one_is_refused(tmp_path):
    scale = Scale("eval/return", "eval/success", 1.0)
    run = Run.create(tmp_path, CONFIG, scale=scale)
    run.save(1, {})
    assert read_record(tmp_path).scale == scale
    content = json.loads((tmp_path / "run.json").read_text())
    for wrong in (1, {"metric": "a"}, content["scale"] | {"largest": "1"}):
        (tmp_path / "run.json").write_text(json.dumps(content | {"scale": wrong}))
        with pytest.raises(InputError, match="scale = "):
            read_record(tmp_path)
