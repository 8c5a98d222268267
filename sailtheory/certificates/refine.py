"""Growing a cover until it is complete: budgets, processes, progress, saved state."""

from __future__ import annotations

import os
import random
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
from flint import ctx

from sailtheory.certificates.branch import Growth, Statement, grow
from sailtheory.certificates.cover import LEAF, OPEN, Box, leaves, root
from sailtheory.certificates.region import Region
from sailtheory.certificates.saved import Cover, recall, remember
from sailtheory.problem.problem_file import dumps, loads

__all__ = ["Budget", "refine"]

_FIRST = 256  # boxes looked at before there are tasks to share out
_ALONE = 3.0  # seconds of work done here before other processes are started
_TASK_BOXES = 64
_TASK_LOOKS = 2048
_TASK_SECONDS = 5.0
_SAVE_SECONDS = 2.0
_SAMPLE = 50  # settled pieces of a saved cover that are shown again

Progress = Callable[[str], None]


@dataclass
class Budget:
    """What a cover may cost, and whom it tells.

    Attributes:
        deadline: ``time.monotonic()`` at which to stop.
        jobs: Processes.
        progress: Receives one line at a time.
        state: File that carries open work over an interruption, or None.
    """

    deadline: float = float("inf")
    jobs: int = 1
    progress: Progress = lambda line: None
    state: Path | None = None

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def part(self, share: float) -> Budget:
        """The same with a share of the time that is left."""
        return replace(self, deadline=time.monotonic() + share * self.left)


def refine(statement: Statement, budget: Budget, word: str = OPEN) -> Cover:
    """Settle the open leaves of a cover.

    Args:
        statement: What each leaf has to satisfy.
        budget: What it may cost.
        word: Where to begin; with a state file of the same statement, that goes first.

    Returns:
        A complete cover, or what stopped it.
    """
    key, r = _key(statement), statement.region.dimension
    cover = recall(budget.state, key, r)
    cover = Cover(word) if cover is None else _checked(statement, cover)
    most, alone = _FIRST, time.monotonic() + _ALONE
    while cover.against is None and not cover.stuck and not cover.complete and budget.left > 0:
        cover = _round(statement, budget, cover.word, most, key, alone)
        remember(budget.state, key, cover)
        most = _TASK_LOOKS
    return cover


def _checked(statement: Statement, cover: Cover) -> Cover:
    """A saved cover; its settled pieces are open again where one of a sample does not hold."""
    boxes = [box for i, box in leaves(cover.word, root(statement.region.dimension))
             if cover.word[i] == LEAF]  # fmt: skip
    drawn = random.Random(cover.word).sample(boxes, min(len(boxes), _SAMPLE))
    with ctx.workprec(statement.bits):
        if all(statement.checker().each_holds(drawn)):
            return cover
    return replace(cover, word=cover.word.replace(LEAF, OPEN))


def _round(
    statement: Statement, budget: Budget, word: str, most: int, key: str, alone: float
) -> Cover:
    """Grow every open leaf once, saving what is done now and then."""
    places, boxes = _open(word, statement.region.dimension)
    tasks = [boxes[i : i + _TASK_BOXES] for i in range(0, len(boxes), _TASK_BOXES)]
    grown: list[str] = []
    saved = time.monotonic()
    for growth in _run(statement, tasks, most, budget, alone):
        if growth.against is not None or growth.stuck:
            return Cover(word, growth.against, growth.stuck)
        grown += growth.words
        if time.monotonic() - saved > _SAVE_SECONDS:
            remember(budget.state, key, Cover(_replaced(word, places, grown)))
            saved = time.monotonic()
        budget.progress(f"{word.count(LEAF)} pieces settled, {len(boxes) - len(grown)} to look at")
        if budget.left <= 0:  # not even to set up the tasks that remain
            break
    return Cover(_replaced(word, places, grown))


def _open(word: str, dimension: int) -> tuple[list[int], list[Box]]:
    found = [(i, box) for i, box in leaves(word, root(dimension)) if word[i] == OPEN]
    return [i for i, _ in found], [box for _, box in found]


def _replaced(word: str, places: Sequence[int], words: Iterable[str]) -> str:
    """The word with its first open leaves replaced, as far as there are words."""
    out, last = [], 0
    for place, new in zip(places, words, strict=False):
        out += [word[last:place], new]
        last = place + 1
    return "".join([*out, word[last:]])


def _run(
    statement: Statement, tasks: Sequence[list[Box]], most: int, budget: Budget, alone: float
) -> Iterator[Growth]:
    """Grow each task, in order: here, and with several jobs after a while in other processes."""

    def seconds() -> float:
        return min(_TASK_SECONDS, max(budget.left, 0.0))

    rest = list(reversed(tasks))
    while rest and (budget.jobs == 1 or len(tasks) == 1 or time.monotonic() < alone):
        yield grow(statement, rest.pop(), most, seconds())
    if not rest:
        return
    from joblib import Parallel, delayed, parallel

    sent = _sent(statement)
    own = parallel.get_active_backend()[0].__class__.__name__ == "LokyBackend"  # not Dask or Ray
    watch = {"initializer": _end_with, "initargs": (os.getpid(),)} if own else {}
    pool = Parallel(n_jobs=budget.jobs, return_as="generator", **watch)
    found = pool(delayed(_grow_sent)(sent, boxes, most, seconds()) for boxes in reversed(rest))
    try:
        for growth in found:  # noqa: UP028 - delegating would close it before the warnings are off
            yield growth
    finally:
        with warnings.catch_warnings():  # of tasks cut off, when time runs out
            warnings.simplefilter("ignore", UserWarning)
            found.close()


Sent = tuple[str, tuple[tuple[Fraction, ...], ...], float, Fraction, Fraction, int]


def _sent(statement: Statement) -> Sent:
    """A statement as plain data that another process, or machine, can read."""
    region = statement.region
    basis = tuple(tuple(row) for row in region.basis)
    numbers = (statement.gamma, statement.modulus, statement.bits)
    return (dumps(region.problem), basis, region.radius, *numbers)


@lru_cache(maxsize=4)
def _received(sent: Sent) -> Statement:
    text, basis, radius, gamma, modulus, bits = sent
    region = Region(loads(text), np.array(basis, dtype=object), radius)
    return Statement(region, gamma, modulus, bits)


def _grow_sent(sent: Sent, boxes: list[Box], most: int, seconds: float) -> Growth:
    return grow(_received(sent), boxes, most, seconds)


def _end_with(parent: int) -> None:
    """End this worker soon after its parent, which may be killed without a word."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _key(statement: Statement) -> str:
    from hashlib import sha256

    return sha256(repr(_sent(statement)).encode()).hexdigest()
