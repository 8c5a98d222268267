"""A certificate's file belongs to one process at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sailtheory import InputError, examples
from sailtheory.cli import main
from sailtheory.problem.problem_file import save as save_problem
from sailtheory.storage import lock
from tests.certificates.test_bounds import random_problem

CERTIFY = "import sys; from sailtheory.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def easy(tmp_path):
    path = tmp_path / "easy.toml"
    path.write_text(examples.text("c04-weighted-reference"), encoding="utf-8")
    return ["certify", str(path), "--property", "concave", "--gamma", "1"]


@pytest.fixture
def busy(tmp_path, monkeypatch):
    """A process that certifies something hard into c.json, and has begun."""
    save_problem(random_problem(np.random.default_rng(2), d=4, m=5, n=2), tmp_path / "hard.toml")
    out = tmp_path / "c.json"
    process = subprocess.Popen(
        [sys.executable, "-c", CERTIFY, "certify", tmp_path / "hard.toml", "--property", "gamma",
         "--tol", "1e-9", "--out", out],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    while not (tmp_path / "c.json.partial").exists():
        assert process.poll() is None
        time.sleep(0.02)
    yield process, out
    process.kill()
    process.wait()


def test_a_second_certify_is_refused_in_one_line_and_changes_nothing(busy, easy, capsys):
    process, out = busy
    assert main([*easy, "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"sailtheory: out = {out}: another process writes it (number {process.pid})"
    assert process.poll() is None and not out.exists()


def test_the_lock_of_a_killed_process_holds_nobody_up(busy, easy, capsys):
    process, out = busy
    process.kill()
    process.wait()
    assert main([*easy, "--out", str(out)]) == 0
    assert json.loads(out.read_text())["verdict"] == "certified"
    assert not list(out.parent.glob("*.lock")) and not list(out.parent.glob("*.partial"))


def test_another_name_of_the_file_is_the_same_file(busy, easy, tmp_path):
    _, out = busy
    (tmp_path / "alias.json").symlink_to(out)
    assert main([*easy, "--out", str(tmp_path / "alias.json")]) == 2


def test_a_lock_taken_as_its_file_goes_is_taken_again(tmp_path):
    """Waiting processes lock a file that its holder removes; each must end up alone."""
    count = tmp_path / "count"
    count.write_text("0")
    work = (
        "import sys, time\nfrom sailtheory import InputError\n"
        "from sailtheory.storage import lock\ndone = 0\n"
        "while done < 40:\n"
        "    try:\n"
        "        with lock.output(sys.argv[1] + '/c.json', 'out'):\n"
        "            n = int(open(sys.argv[1] + '/count').read())\n"
        "            time.sleep(0.001)\n"
        "            open(sys.argv[1] + '/count', 'w').write(str(n + 1))\n"
        "        done += 1\n"
        "    except InputError:\n"
        "        pass\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    workers = [
        subprocess.Popen([sys.executable, "-c", work, str(tmp_path)], env=environment)
        for _ in range(3)
    ]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert count.read_text() == "120" and not (tmp_path / "c.json.lock").exists()


def test_devices_are_not_locked(tmp_path):
    with lock.output("/dev/null", "out"):
        assert not Path("/dev/null.lock").exists()
    with (
        pytest.raises(InputError, match="out = "),
        lock.output(tmp_path / "none" / "c.json", "out"),
    ):
        pass


def test_an_error_frees_the_file(easy, tmp_path, monkeypatch):
    out = tmp_path / "c.json"

    def fails(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sailtheory.certificates.certify_concave", fails)
        assert main([*easy, "--out", str(out)]) == 130
    assert main([*easy, "--out", str(out)]) == 0
