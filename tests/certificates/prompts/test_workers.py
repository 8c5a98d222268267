"""Tasks shared out by joblib: processes, threads, Dask; a killed process loses nothing."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.certificates.prompts import Plan, Workers, certify_prompts, parallel, replay_prompts
from tests.support.killed_once import square
from tests.support.prompt_data import data_set

TASKS = 12


@pytest.fixture
def at_once(monkeypatch):
    """Other processes from the beginning."""
    monkeypatch.setattr(parallel, "_ALONE", -1.0)


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None
    ) as made:
        yield made


def squares(workers, mark, fatal=-1):
    return dict(workers.run(square, [(i, fatal, str(mark)) for i in range(TASKS)]))


EXPECTED = {i: i * i for i in range(TASKS)}


def test_every_task_is_done_once(tmp_path, at_once):
    assert squares(Workers(2, "threading"), tmp_path / "mark") == EXPECTED


def test_one_job_works_here(tmp_path):
    assert squares(Workers(), tmp_path / "mark") == EXPECTED


def test_a_killed_process_loses_nothing(tmp_path, at_once):
    assert squares(Workers(2), tmp_path / "mark", fatal=5) == EXPECTED
    assert (tmp_path / "mark").exists()


def test_a_process_that_is_always_killed_is_told(tmp_path, at_once):
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    with pytest.raises(TerminatedWorkerError):
        squares(Workers(2), tmp_path / "no folder" / "mark", fatal=5)


def test_a_task_that_fails_is_told(tmp_path, at_once):
    with pytest.raises(TypeError):
        list(Workers(2, "threading").run(square, [(1,), (2,), (3,)]))


def test_dask_does_the_same_and_survives_a_kill(cluster, tmp_path):
    workers = Workers(2, "dask", cluster.scheduler_address)
    assert squares(workers, tmp_path / "mark", fatal=5) == EXPECTED
    assert (tmp_path / "mark").exists()
    data = data_set(np.random.default_rng(0), 1100, 2, 6)
    made, here = certify_prompts(data, Plan(workers=workers)), certify_prompts(data)
    assert (made.levels, made.lower, made.worst) == (here.levels, here.lower, here.worst)
    assert replay_prompts(made, data, workers).valid


def test_no_scheduler_is_one_line(monkeypatch):
    monkeypatch.setattr(parallel, "_PATIENCE", 1)
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    workers = Workers(2, "dask", "tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="scheduler"):
        dict(workers.run(square, [(i, -1, "") for i in range(3)]))
