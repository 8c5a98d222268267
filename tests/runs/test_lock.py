"""A run's folder belongs to one process, until it dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sailtheory import InputError
from sailtheory.runs.write import Run
from sailtheory.storage import lock

CONFIG = {"method": "toy", "seed": 3}
HOLD = """
import sys
from sailtheory.runs.write import Run
run = Run.create(sys.argv[1], {"method": "toy", "seed": 3}, resume=True)
run.load()
print("held", flush=True)
sys.stdin.read()
run.finish()
"""


def holder(folder):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_until_the_first_dies(tmp_path):
    process = holder(tmp_path)
    for _ in range(2):  # being refused does not take the lock away
        with pytest.raises(InputError, match=f"another process .* {process.pid}") as caught:
            Run.create(tmp_path, CONFIG, resume=True)
        assert caught.value.field == "out" and "\n" not in str(caught.value)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = Run.create(tmp_path, CONFIG, resume=True)
    assert run.load() is None
    run.finish()


def test_a_finished_run_is_free_and_can_be_read(tmp_path):
    process = holder(tmp_path)
    process.communicate("")
    assert process.returncode == 0
    os.chmod(tmp_path / lock.LOCK, 0o400)
    assert Run.create(tmp_path, CONFIG, resume=True).finished


def test_the_process_that_holds_a_run_may_open_it_again(tmp_path):
    for _ in range(3):
        run = Run.create(tmp_path, CONFIG, resume=True)
        run.load()
        run.save(1, {})
    child = subprocess.run(
        [sys.executable, "-c", HOLD, str(tmp_path)], capture_output=True, text=True, input="",
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert "another process" in child.stderr
    run.finish()


def test_a_forked_child_holds_nothing_and_takes_nothing_away(tmp_path):
    Run.create(tmp_path, CONFIG).load()
    child = os.fork()
    if child == 0:
        refused = False
        try:
            Run.create(tmp_path, CONFIG, resume=True)
        except InputError:
            refused = True
        os._exit(0 if refused else 1)
    assert os.waitpid(child, 0)[1] == 0
    lock.release(tmp_path)
    holder(tmp_path).communicate("")  # an orphan of a dead process would not block it either


def test_two_that_begin_at_once(tmp_path):
    """The second looked before the first had written anything."""
    process = holder(tmp_path)
    (tmp_path / "run.json").rename(tmp_path / "aside")
    (tmp_path / "metrics.csv").rename(tmp_path / "aside.csv")
    with pytest.raises(InputError, match="another process"):
        Run.create(tmp_path, CONFIG)
    assert not (tmp_path / "run.json").exists()
    process.kill()
    process.wait()
