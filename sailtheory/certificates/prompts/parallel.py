"""Independent tasks, here or in other processes and machines, by any backend of joblib."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from sailtheory.errors import InputError
from sailtheory.extras import require_extra

__all__ = ["BACKENDS", "Workers"]

BACKENDS = ("loky", "threading", "dask")
_ALONE = 2.0  # seconds of work done here before other processes are started
_PATIENCE = 10  # seconds for a scheduler to answer
_LIVES = 3  # how often a pool of processes is renewed after one of them was killed


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes:
        jobs: How many tasks at a time; 1 works in this process, whatever the backend, unless
            that is Dask, whose cluster has its own number.
        backend: A backend of joblib: processes, threads, or the workers of a Dask cluster.
        scheduler: The address of the Dask scheduler.
    """

    jobs: int = 1
    backend: str = "loky"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.backend not in BACKENDS:
            raise InputError("backend", self.backend, f"one of {', '.join(BACKENDS)} is expected")
        if (self.backend == "dask") != (self.scheduler is not None):
            accepted = "--backend dask and --scheduler ADDRESS go together"
            raise InputError("scheduler", self.scheduler, accepted)

    def run(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """The result of each task with its number, as they come.

        What a killed process was doing is done again by another.

        Args:
            function: What to do, importable by name.
            tasks: Its arguments.
        """
        left, until = set(range(len(tasks))), time.monotonic() + _ALONE
        for i, task in enumerate(tasks):
            if self.backend == "dask" or (self.jobs > 1 and time.monotonic() > until):
                break
            left.discard(i)
            yield i, function(*task)
        if not left:
            return
        for life in range(_LIVES):
            try:
                for i, result in self._pool(function, tasks, sorted(left)):
                    left.discard(i)
                    yield i, result
                return
            except Exception as error:
                if type(error).__name__ != "TerminatedWorkerError" or life == _LIVES - 1:
                    raise

    def _pool(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], which: list[int]
    ) -> Iterator[tuple[int, Any]]:
        from joblib import Parallel, delayed, parallel_config

        with self._cluster(), parallel_config(backend=self.backend, n_jobs=self.jobs):
            found = Parallel(return_as="generator_unordered")(
                delayed(_numbered)(function, i, tasks[i]) for i in which
            )
            try:
                yield from found
            finally:
                with warnings.catch_warnings():  # of tasks cut off
                    warnings.simplefilter("ignore", UserWarning)
                    found.close()

    def _cluster(self) -> AbstractContextManager[Any]:
        if self.backend != "dask":
            return nullcontext()
        require_extra("dask", "distributed")
        from distributed import Client

        try:
            client: AbstractContextManager[Any] = Client(self.scheduler, timeout=_PATIENCE)
            return client
        except (OSError, ValueError) as error:
            raise InputError(
                "scheduler", self.scheduler, f"no scheduler answers: {error}"
            ) from None


def _numbered(function: Callable[..., Any], i: int, task: tuple[Any, ...]) -> tuple[int, Any]:
    return i, function(*task)
