"""A stand-in for a training loop, run by the tests of run records and killed there.

``python killable_training.py FOLDER STEPS`` trains until done, or goes on; a line each step.
``python killable_training.py FOLDER STEPS crash`` dies by SIGKILL at every system call of
record keeping in turn, resumes after each, and compares with a run left alone.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sailtheory.runs.write import Run

CONFIG = {"method": "toy", "seed": 3, "steps": 0}


def train(folder: Path, steps: int, tell: Callable[[int], None] = lambda step: None) -> None:
    run = Run.create(folder, CONFIG | {"steps": steps}, resume=True)
    if run.finished:
        return
    rng, weights, start = np.random.default_rng(CONFIG["seed"]), np.zeros(50), 0
    if (found := run.load()) is not None:
        start, state = found
        rng.bit_generator.state, weights = state["rng"], state["weights"]
    for step in range(start + 1, steps + 1):
        weights = weights + rng.normal(size=50)
        run.log(step, {"loss": float(weights.sum())})
        if step % 7 == 0:
            run.log(step, {"eval/return": float(weights.max()), "note": f'"{step}", so'})
        if step % 5 == 0:
            added = weights[:9].tobytes() * step  # longer than a buffer, later on
            run.save(step, {"rng": rng.bit_generator.state, "weights": weights}, added)
        tell(step)
    run.finish()


def die_at(call: int) -> None:
    """SIGKILL this process at the n-th system call that writes, renames, cuts or removes."""
    seen = 0

    def count(event: str, arguments: tuple) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if writes or event in ("os.rename", "os.remove", "os.truncate", "os.mkdir"):
            seen += 1
            if seen == call:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        count("os.remove", ())
        fsync(descriptor)

    os.fsync = counted


def crash_everywhere(folder: Path, steps: int) -> int:
    train(folder / "alone", steps)
    files = ("metrics.csv", "data.bin")
    alone = [(folder / "alone" / name).read_bytes() for name in files]
    for call in range(1, 10_000):
        killed = folder / f"killed-{call}"
        child = os.fork()
        if child == 0:
            die_at(call)
            train(killed, steps)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        train(killed, steps)
        assert [(killed / name).read_bytes() for name in files] == alone, call
        names = [sorted(os.listdir(place)) for place in (killed, folder / "alone")]
        assert names[0] == names[1], (call, names)
        if not os.WIFSIGNALED(status):
            return call - 1
    raise AssertionError("it never ran to the end")


if __name__ == "__main__":
    place, length = Path(sys.argv[1]), int(sys.argv[2])
    if len(sys.argv) > 3:
        print(crash_everywhere(place, length))
    else:
        train(place, length, lambda step: print(step, flush=True))
